"""Axes of the picture that needs no script: ranges, places in pixels, round tick values."""

import math
import re
from typing import Any, NamedTuple

WIDTHS = (760.0, 60.0, 16.0)
"""Width of the picture, left margin and right margin in pixels."""

_WIDTH, _LEFT, _RIGHT = WIDTHS
_TOP, _BOTTOM = 44.0, 48.0


class Axis(NamedTuple):
    """One axis: its values at both ends (after a logarithm), and where these lie in pixels.

    An axis of words, the bars of a chart, has these words at 0, 1, 2, ...
    """

    low: float
    high: float
    start: float
    stop: float
    log: bool
    title: str
    words: tuple[str, ...]

    def at(self, value: Any) -> float | None:
        """Pixel of a value, None for what cannot be placed."""
        if value in self.words:
            value = self.words.index(value)
        if not isinstance(value, int | float) or (self.log and value <= 0):
            return None
        number = math.log10(value) if self.log else value
        share = (number - self.low) / (self.high - self.low)
        return self.start + share * (self.stop - self.start)


def read_axis(spec: dict[str, Any], name: str, height: float) -> Axis:
    """Place one axis of a figure.

    Args:
        spec: `data` and `layout` of a plotly figure as plain JSON values.
        name: the axis as traces name it: `x`, `y2`, ...
        height: height of the whole picture in pixels.

    Returns:
        The axis, its range taken from the layout or else from the data.
    """
    side, layout = name[0], spec["layout"]
    settings = layout.get(f"{side}axis{name[1:]}", {})
    used = [t for t in spec["data"] if t.get(f"{side}axis", side) == name]
    log = settings.get("type") == "log"
    words = tuple(dict.fromkeys(v for t in used for v in values_of(t, side) if _is_word(v)))
    extent = (-0.5, len(words) - 0.5) if words else _extent(used, side, log)
    low, high = settings.get("range") or extent
    share = settings.get("domain", [0, 1])
    if side == "x":
        width = _WIDTH - _LEFT - _RIGHT
        start, stop = _LEFT + share[0] * width, _LEFT + share[1] * width
    else:
        inner = height - _TOP - _BOTTOM
        start, stop = height - _BOTTOM - share[0] * inner, height - _BOTTOM - share[1] * inner
    title = settings.get("title", {})
    text = title if isinstance(title, str) else title.get("text", "")
    return Axis(low, high, start, stop, log, re.sub(r"<[^>]*>", "", text or ""), words)


def _extent(traces: list[dict[str, Any]], side: str, log: bool) -> tuple[float, float]:
    values: list[float] = []
    for trace in traces:
        values += [v for v in values_of(trace, side) if isinstance(v, int | float)]
        if trace.get("type") == "bar" and side == "y":
            values.append(0)
    if log:
        values = [math.log10(v) for v in values if v > 0]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    blocks = [t for t in traces if t.get("type") == "heatmap" or _stands(t, side)]
    cells = max((len(values_of(trace, side)) for trace in blocks), default=0)
    pad = 0.0 if side == "x" and high > low else 0.06 * (high - low) or 0.5
    pad = 0.5 * (high - low) / (cells - 1) if cells > 1 else pad
    return low - pad, high + pad


def _is_word(value: Any) -> bool:
    return isinstance(value, str)


def _stands(trace: dict[str, Any], side: str) -> bool:
    return trace.get("type") == "bar" and side == "x"


def values_of(trace: dict[str, Any], side: str) -> list[Any]:
    """Coordinates of a trace along `x` or `y`; counted from 0 where it gives none."""
    if trace.get(side) is not None:
        return trace[side]
    grid = trace.get("z")
    if grid:
        return list(range(len(grid[0]) if side == "x" else len(grid)))
    return list(range(len(trace.get("y") or []))) if side == "x" else []


def ticks(axis: Axis) -> list[tuple[float, str]]:
    """Round values along an axis, four to six of them where it is linear, with their labels."""
    if axis.words:
        return [(float(i), word) for i, word in enumerate(axis.words)]
    span = axis.high - axis.low
    step = 10 ** math.floor(math.log10(span / 4))
    step *= next(m for m in (1, 2, 5, 10) if span / (step * m) <= 6)
    step = max(1, round(step)) if axis.log else step
    first = math.ceil(axis.low / step - 1e-9)
    marks = [first * step + i * step for i in range(int(span / step) + 1)]
    inside = [m for m in marks if m <= axis.high + 1e-9 * span]
    return [(10**m if axis.log else m, f"{10**m if axis.log else m:.4g}") for m in inside]
