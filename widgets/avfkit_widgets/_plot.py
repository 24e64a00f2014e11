"""Marks of the tabulated explorers: axes, lines, grey pictures, and the SVG without JavaScript.

The same marks as `static/table_plot.js`, function by function; a browser test compares the two, so
that the drawn picture is the live one. Axes are chosen here and sent to the page.
"""

import base64
import math
import struct
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float

from ._scene import fixed

LEFT, RIGHT = 52, 12
Text: TypeAlias = tuple[float, float, str, str]
Axis: TypeAlias = Mapping[str, Any]


class Scene(NamedTuple):
    """Paths by class name in painting order, texts (x, y, anchor, words), images, the height.

    An image is (x, y, width, height, address); addresses hold the picture itself.
    """

    paths: dict[str, str]
    texts: list[Text]
    images: list[tuple[float, float, float, float, str]]
    height: float


def svg(scene: Scene, description: str, width: int = 720) -> str:
    """Write a scene as a static SVG.

    Args:
        scene: the marks.
        description: alternative text of the picture.
        width: what the scene was made for.

    Returns:
        One `<svg>` element, coloured by `static/table.css`.
    """
    marks = [f'<path class="avf-{name}" d="{d}"/>' for name, d in scene.paths.items()]
    words = [
        f'<text x="{fixed(x)}" y="{fixed(y)}" text-anchor="{anchor}">{escape(text)}</text>'
        for x, y, anchor, text in scene.texts
    ]
    images = [
        f'<image x="{fixed(x)}" y="{fixed(y)}" width="{fixed(w)}" height="{fixed(h)}" href="{a}"/>'
        for x, y, w, h, a in scene.images
    ]
    return (
        f'<svg class="avf-picture" role="img" aria-label="{escape(description)}" '
        f'viewBox="0 0 {width} {fixed(scene.height)}">{"".join(marks)}'
        f'<g class="avf-texts">{"".join(words)}</g>'
        f'<g class="avf-images">{"".join(images)}</g></svg>'
    )


def nice_axis(low: float, high: float, parts: int = 3) -> dict[str, Any]:
    """An axis over some values: its ends and its ticks are round numbers.

    Args:
        low: smallest value.
        high: largest value.
        parts: about how many intervals.

    Returns:
        `low`, `high` and `ticks`, pairs of a value and its name.
    """
    if high - low < 1e-9 * max(abs(low), abs(high), 1e-3):
        low, high = low - 0.5 * max(abs(low), 1.0), high + 0.5 * max(abs(high), 1.0)
    raw = (high - low) / parts
    power = 10.0 ** math.floor(math.log10(raw))
    unit = next(c * power for c in (1, 2, 5, 10) if c * power >= raw * 0.999999)
    first, last = math.floor(low / unit + 1e-9), math.ceil(high / unit - 1e-9)
    values = [float(f"{index * unit:.12g}") for index in range(first, last + 1)]
    return {
        "low": values[0],
        "high": values[-1],
        "ticks": [[value, name(value)] for value in values],
    }


def name(value: float) -> str:
    """A tick's number, with a true minus sign."""
    return f"{value:.12g}".replace("-", "\u2212")


def step_ticks(first: int, count: int) -> list[list[Any]]:
    """Which of the steps `first`, `first` + 1, ... are named below the picture.

    Args:
        first: the number of the first step.
        count: how many there are.

    Returns:
        Pairs of a place from 0 and a number.
    """
    every = next(n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if count <= 9 * n)
    chosen = [t for t in range(count) if (first + t) % every == 0 and t > every // 2]
    chosen = list(range(0, count, every)) if every < 5 else [0, *chosen]
    return [[t, str(first + t)] for t in chosen]


def clamp(value: float, low: float, high: float) -> float:
    """The nearest number to `value` between `low` and `high`."""
    return max(low, min(high, value))


def ordinate(axis: Axis, value: float, top: float, bottom: float) -> float:
    """Where a value lies between `top` (the axis's high end) and `bottom`."""
    low, high = axis["low"], axis["high"]
    return top + (high - clamp(value, low, high)) / (high - low) * (bottom - top)


def polyline(xs: Sequence[float], ys: Sequence[float]) -> str:
    """A line through points."""
    return "M" + "L".join(f"{fixed(x)} {fixed(y)}" for x, y in zip(xs, ys, strict=True))


def disc(x: float, y: float, radius: float) -> str:
    """A dot."""
    r, d = fixed(radius), fixed(2 * radius)
    return f"M{fixed(x - radius)} {fixed(y)}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0Z"


def box(left: float, right: float, top: float, bottom: float) -> str:
    """A rectangle."""
    return f"M{fixed(left)} {fixed(top)}H{fixed(right)}V{fixed(bottom)}H{fixed(left)}Z"


def ruler(axis: Axis, width: float, top: float, bottom: float) -> tuple[str, list[Text]]:
    """Lines across a panel, and the names of its ticks."""
    heights = [ordinate(axis, value, top, bottom) for value, _ in axis["ticks"]]
    lines = "".join(f"M{LEFT} {fixed(y)}H{fixed(width - RIGHT)}" for y in heights)
    names = [words for _, words in axis["ticks"]]
    return lines, [(LEFT - 8, y + 4, "end", w) for y, w in zip(heights, names, strict=True)]


def strip(
    extras: Mapping[str, Any],
    energies: Mapping[str, Float[np.ndarray, " steps"]],
    cursor: int | None,
    width: float,
    top: float,
) -> Scene:
    """A panel of step free energies, 90 pixels high, with the steps named below it.

    Args:
        extras: `energy_axis`, `energy_title`, `step_ticks` and `step_title`.
        energies: one array for each line, by class name.
        cursor: the step that is marked, from 0.
        width: width of the picture in CSS pixels.
        top: where the panel begins.

    Returns:
        Its marks.
    """
    axis, bottom = extras["energy_axis"], top + 90
    count = len(next(iter(energies.values())))
    step = (width - LEFT - RIGHT) / count
    xs = [LEFT + (t + 0.5) * step for t in range(count)]
    paths = {}
    if cursor is not None:
        left = LEFT + cursor * step
        paths["cursor"] = box(left, left + step, top, bottom)
    paths["energy-grid"], texts = ruler(axis, width, top, bottom)
    for mark, values in energies.items():
        ys = [ordinate(axis, v, top, bottom) for v in values]
        paths[mark] = polyline(xs, ys)
        paths[f"{mark}-dots"] = "".join(disc(x, y, 2) for x, y in zip(xs, ys, strict=True))
    texts += [(xs[t], bottom + 18, "middle", words) for t, words in extras["step_ticks"]]
    texts.append((LEFT, top - 10, "start", extras["energy_title"]))
    texts.append(((LEFT + width - RIGHT) / 2, bottom + 36, "middle", extras["step_title"]))
    return Scene(paths, texts, [], bottom + 44)


def grey(picture: Float[np.ndarray, "height width"]) -> str:
    """A picture of values from 0, black, to 1, white, as the address of an 8-bit bitmap."""
    height, width = picture.shape
    padding = -width % 4
    levels = np.floor(255 * np.clip(picture, 0, 1) + 0.5).astype(np.uint8)
    rows = np.pad(levels[::-1], ((0, 0), (0, padding))).tobytes()
    palette = b"".join(bytes((level, level, level, 0)) for level in range(256))
    start = 54 + len(palette)
    head = struct.pack("<2sIII", b"BM", start + len(rows), 0, start)
    head += struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 0, len(rows), 2835, 2835, 256, 0)
    return "data:image/bmp;base64," + base64.b64encode(head + palette + rows).decode()
