"""What a tabulated explorer shows: sliders, a pure function from their values to arrays, a picture.

In a page the function is tabulated over a grid of values, rounded and packed; on a kernel it is
called. The class knows neither: it is what the tests call.
"""

import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from html import escape
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ._html import STATIC, bundle, once
from ._packing import pack, unpack
from ._plot import Scene, svg

Values: TypeAlias = Mapping[str, Any]
Arrays: TypeAlias = Mapping[str, np.ndarray]
MAX_WEIGHT = 400_000
"""Characters that one explorer may add to a page."""


class Slider(NamedTuple):
    """One control: a few choices in order.

    Attributes:
        name: of the trait, and in the page's address.
        label: what stands above it, HTML.
        choices: its values, whole numbers or words.
        spoken: what is said at each choice.
        tabulated: whether it selects a point of the table, or a place within the arrays.
    """

    name: str
    label: str
    choices: tuple[Any, ...]
    spoken: tuple[str, ...]
    tabulated: bool = True


class AbstractTable(ABC):
    """A picture with sliders, as pure functions.

    Attributes:
        kind: the painter, `static/table_KIND.js`; its element is `avf-KIND-explorer`.
        title: name of the group of controls.
        description: what the picture shows, in a sentence for those who cannot see it.
        legend: pairs of a class of marks and what it means.
        sliders: the controls.
        constants: arrays that no slider changes.
        bits: 8 or 16 for each array, constant or not, in a page.
        ranges: for some arrays, the values of the first and the last level in a page.
        extras: sizes, axes and words that scene and sentence need, as JSON can hold them.
    """

    kind: str
    title: str
    description: str
    legend: tuple[tuple[str, str], ...]
    sliders: tuple[Slider, ...]
    constants: dict[str, np.ndarray]
    bits: dict[str, int]
    ranges: dict[str, tuple[float, float]]
    extras: dict[str, Any]

    @abstractmethod
    def evaluate(self, values: Values) -> dict[str, np.ndarray]:
        """The arrays of one state, by avfkit; only the tabulated sliders matter."""

    @abstractmethod
    def scene(self, values: Values, arrays: Arrays, width: float) -> Scene:
        """The marks of the picture; `arrays` holds the constants too."""

    @abstractmethod
    def sentence(self, values: Values, arrays: Arrays) -> str:
        """The description under the picture, word for word as in the page."""

    @cached_property
    def packed(self) -> dict[str, Any]:
        """The constants, then every array over the whole grid, rounded."""
        axes = self.axes
        points = itertools.product(*(axis.choices for axis in axes))
        rows = [self.arrays(point) for point in points]
        shape = tuple(len(axis.choices) for axis in axes)
        grid = {
            name: np.stack([row[name] for row in rows]).reshape(*shape, *rows[0][name].shape)
            for name in rows[0]
        }
        return pack(self.constants | grid, self.bits, self.ranges)

    @property
    def axes(self) -> list[Slider]:
        """The sliders that select a point of the table."""
        return [slider for slider in self.sliders if slider.tabulated]

    def arrays(self, point: tuple[Any, ...]) -> dict[str, np.ndarray]:
        """The arrays of one point of the grid; each is computed once."""
        if point not in self._memory:
            names = [axis.name for axis in self.axes]
            self._memory[point] = self.evaluate(dict(zip(names, point, strict=True)))
        return self._memory[point]

    @cached_property
    def _memory(self) -> dict[tuple, dict[str, np.ndarray]]:
        return {}

    def tabulated(self, values: Values) -> dict[str, np.ndarray]:
        """The arrays of one state as a page has them, constants included."""
        place = tuple(axis.choices.index(values[axis.name]) for axis in self.axes)
        arrays = unpack(self.packed)
        return {n: a if n in self.constants else a[place] for n, a in arrays.items()}

    def setup(self, values: Values, packed: Mapping[str, Any]) -> dict[str, Any]:
        """What the front end must know."""
        names = [head["name"] for head in packed["arrays"]]
        return {
            "sliders": [slider._asdict() for slider in self.sliders],
            "description": self.description,
            "tabulated": [name for name in names if name not in self.constants],
            "packed": packed,
            "values": dict(values),
            **self.extras,
        }

    def markup(self, picture: str, sentence: str, note: str) -> str:
        """The explorer's HTML around a picture, its words already escaped."""
        words = {
            "title": self.title,
            "controls": "\n".join(map(_control, self.sliders)),
            "legend": "\n".join(_key(mark, meaning) for mark, meaning in self.legend),
            "picture": picture,
            "summary": sentence,
            "note": note,
        }
        text = (STATIC / "table.html").read_text("utf-8")
        for name, word in words.items():
            text = text.replace(f"{{{name}}}", word)
        return text

    def note(self, values: Values) -> str:
        """Which point of the table a page shows."""
        axes = self.axes
        if not axes:
            return "Computed when the page was built."
        place = ", ".join(a.spoken[a.choices.index(values[a.name])] for a in axes)
        count = " \u00d7 ".join(str(len(axis.choices)) for axis in axes)
        return f"Shown: {place}; one of {count} points computed when the page was built."


def front_end(kind: str, wrapper: str) -> str:
    """The source of a tabulated explorer's front end.

    Args:
        kind: the painter.
        wrapper: `"lab"` or `"page"`.

    Returns:
        JavaScript.
    """
    return bundle(
        "explorer_marks.js",
        "table_core.js",
        "table_plot.js",
        "table_player.js",
        f"table_{kind}.js",
        "table_kind.js",
        "explorer_view.js",
        f"explorer_{wrapper}.js",
    )


def style() -> str:
    """The style sheet of a tabulated explorer."""
    return bundle("explorer.css", "table.css")


def table_html(table: AbstractTable, values: Values) -> str:
    """A tabulated explorer as self-contained HTML that needs no kernel and no network.

    Args:
        table: what it shows.
        values: its first state.

    Returns:
        A style sheet, the element with its drawn picture and its table, and its script.

    Raises:
        ValueError: if it weighs more than `MAX_WEIGHT`.
    """
    arrays = table.tabulated(values)
    sentence = escape(table.sentence(values, arrays), quote=False)
    picture = svg(table.scene(values, arrays, 720), f"{table.description} {sentence}")
    markup = table.markup(picture, sentence, escape(table.note(values), quote=False))
    setup = json.dumps(table.setup(values, table.packed)).replace("</", "<\\/")
    script = once("script", "(() => {\n" + front_end(table.kind, "page") + "})();")
    tag = f"avf-{table.kind}-explorer"
    html = (
        f"{once('style', style())}\n<{tag}>\n{markup}"
        f'<script type="application/json">{setup}</script>\n</{tag}>\n{script}\n'
    )
    if len(html) > MAX_WEIGHT:
        raise ValueError(
            f"The table of this explorer weighs {len(html) / 1000:.0f} kB in a page; expected at "
            f"most {MAX_WEIGHT / 1000:.0f} kB. Show fewer steps or offer fewer choices."
        )
    return html


def _control(slider: Slider) -> str:
    name = escape(slider.name)
    words = slider.label.replace("<i>", "").replace("</i>", "")
    return (
        f'<label class="avf-control"><span>{slider.label}</span><output aria-live="off"></output>'
        f'<input type="range" data-name="{name}" aria-label="{words}"></label>'
    )


_AREAS = (
    "hidden",
    "chance",
    "heard",
    "missed",
    "band",
    "scan-done",
    "scan-open",
    "scan-fresh",
    "future",
)


def _key(mark: str, meaning: str) -> str:
    shape = "M0 2H26V10H0Z" if mark.startswith(_AREAS) else "M0 6H26"
    return (
        f'<li><svg aria-hidden="true" viewBox="0 0 26 12"><path class="avf-{mark}" d="{shape}"/>'
        f"</svg><span>{meaning}</span></li>"
    )
