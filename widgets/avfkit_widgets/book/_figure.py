"""A plotly figure as the book shows it: offline, in both colour schemes, never without words.

JupyterLab draws the plotly mime type with the extension that the plotly package installs. The
built page gets HTML of our own: a picture that needs no script, the figure's data as JSON, and a
custom element that replaces the picture by the interactive figure once it scrolls near. All
figures of a book share one plotly.js, loaded lazily from beside the page.
"""

import base64
import copy
import hashlib
import json
import re
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from avfkit_widgets.book._palette import BACKGROUND, LIGHT, SERIES
from avfkit_widgets.book._svg import draw

_PLOTLY = "application/vnd.plotly.v1+json"
_CLEAR = "rgba(0,0,0,0)"
_AXIS = {
    "gridcolor": LIGHT["grid"],
    "linecolor": LIGHT["grey"],
    "tickcolor": LIGHT["grey"],
    "zeroline": False,
    "showline": True,
    "ticks": "outside",
    "automargin": True,
    "title": {"standoff": 8},
}
_LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "normal"}
_TEMPLATE = {
    "layout": {
        "colorway": [LIGHT[name] for name in SERIES],
        "font": {"color": LIGHT["ink"], "size": 14, "family": "system-ui, sans-serif"},
        "paper_bgcolor": _CLEAR,
        "plot_bgcolor": _CLEAR,
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "legend": _LEGEND,
        "margin": {"l": 56, "r": 16, "t": 48, "b": 48},
        "hovermode": "closest",
    }
}


class Figure:
    """A figure with its words, as `figure` returns it; displayed when it ends a cell."""

    def __init__(self, spec: dict[str, Any], *, alt: str, caption: str | None) -> None:
        """Keep a figure that has been checked already; chapters call `figure` instead.

        Args:
            spec: `data` and `layout` as plain JSON values.
            alt: what the figure shows, for a reader who cannot see it.
            caption: a line under the figure, or None.
        """
        self.spec = spec
        self.alt = alt
        self.caption = caption

    def __repr__(self) -> str:
        """Return the words of the figure."""
        return f"Figure: {self.alt}"

    @property
    def html(self) -> str:
        """The HTML of the built page."""
        written = json.dumps(self.spec, separators=(",", ":"), sort_keys=True)
        name = hashlib.sha256((self.alt + written).encode()).hexdigest()[:10]
        data = written.replace("</", "<\\/")
        caption = f"<figcaption>{escape(self.caption)}</figcaption>" if self.caption else ""
        return (
            f'<figure class="avf-figure"><avf-figure id="avf-{name}">'
            f'<div class="avf-plot" role="img" aria-label="{escape(self.alt)}">{draw(self.spec)}'
            "</div>"
            f'<script type="application/json">{data}</script>'
            f"</avf-figure>{caption}</figure>"
        )

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        del include, exclude
        lab = copy.deepcopy(self.spec)
        lab["layout"]["paper_bgcolor"] = BACKGROUND["light"]
        lab["config"] = {"displaylogo": False, "responsive": True}
        return {_PLOTLY: lab, "text/html": self.html, "text/plain": repr(self)}


def figure(fig: go.Figure, alt: str, caption: str | None = None) -> Figure:
    """Show a plotly figure in JupyterLab and, without network or kernel, in the built page.

    Colours are those of `LIGHT`; they change with the page's scheme. Background, fonts, grid and
    margins are ours unless the figure sets them. Texts are HTML (`<i>z</i><sub>t</sub>`), not
    TeX. Numbers are written with six significant digits.

    Args:
        fig: any plotly figure; it is not changed.
        alt: one or two sentences that say what the figure shows, not merely its topic.
        caption: a line shown under the figure.

    Returns:
        The displayable figure.

    Raises:
        TypeError: if `fig` is not a plotly figure.
        ValueError: if `alt` is empty, or a text of the figure holds TeX between dollar signs.
    """
    if not isinstance(fig, go.Figure):
        raise TypeError(f"fig must be a plotly.graph_objects.Figure, found {type(fig).__name__}")
    if not isinstance(alt, str) or not alt.strip():
        raise ValueError(f"alt must say what the figure shows, found {alt!r}")
    spec = _plain(fig.to_plotly_json())
    if tex := _find_tex(spec):
        raise ValueError(
            f"fig must hold HTML texts such as '<i>z</i><sub>t</sub>', found TeX {tex!r}"
        )
    layout = spec["layout"]
    layout["template"] = _TEMPLATE
    layout.setdefault("height", 380)
    return Figure({"data": spec["data"], "layout": layout}, alt=alt.strip(), caption=caption)


def _plain(value: Any) -> Any:
    if isinstance(value, dict) and "bdata" in value:
        return _plain(_decoded(value))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "__array__") and not isinstance(value, str):
        return _plain(np.asarray(value).tolist())
    if isinstance(value, float):
        return _digits(value)
    return value


def _decoded(packed: dict[str, Any]) -> np.ndarray:
    flat = np.frombuffer(base64.b64decode(packed["bdata"]), dtype=np.dtype(packed["dtype"]))
    shape = packed.get("shape", f"{flat.size}")
    return flat.reshape([int(size) for size in str(shape).split(",")])


def _digits(value: float) -> float | int | None:
    if not np.isfinite(value):
        return None
    rounded = float(f"{value:.6g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e6 else rounded


def _find_tex(value: Any) -> str | None:
    if isinstance(value, str):
        return value if re.search(r"\$[^$]+\$", value) else None
    items = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list):
        return None
    return next((tex for item in items if (tex := _find_tex(item))), None)
