"""The picture of a figure that needs no script: lines, points, bands, bars and heat maps.

It stands in the page until the interactive figure takes its place, and stays where scripts are
off. It is a sketch of the same numbers: linear or logarithmic axes, subplots, a legend; it leaves
out annotations, shapes and anything three-dimensional.
"""

import re
from html import escape
from typing import Any

from avfkit_widgets.book._axes import WIDTHS, Axis, read_axis, ticks, values_of
from avfkit_widgets.book._palette import LIGHT, SERIES
from avfkit_widgets.book._raster import heatmap_png

_NAMES = {shade: name for name, shade in LIGHT.items()}
_DASH = {"dash": "9 5", "dot": "2 4", "dashdot": "9 4 2 4", "longdash": "14 6"}


def draw(spec: dict[str, Any]) -> str:
    """Draw a figure as an SVG element.

    Args:
        spec: `data` and `layout` of a plotly figure as plain JSON values.

    Returns:
        The `svg` element, without text alternative: its container carries that.
    """
    layout = spec["layout"]
    height = float(layout.get("height", 380))
    colored = [(trace, _color(trace, i)) for i, trace in enumerate(spec["data"])]
    axes: dict[str, Axis] = {}
    for trace, _ in colored:
        for side in "xy":
            name = trace.get(f"{side}axis", side)
            axes.setdefault(name, read_axis(spec, name, height))
    body = "".join(_frame(axes, trace, height) for trace in _first_of_each_frame(spec["data"]))
    previous: dict[str, str] = {}
    for trace, color in colored:
        body += _trace(trace, color, axes, previous)
    return (
        f'<svg viewBox="0 0 {WIDTHS[0]:g} {height:g}" aria-hidden="true" class="avf-static" '
        f'xmlns="http://www.w3.org/2000/svg">{body}{_legend(colored)}</svg>'
    )


def _color(trace: dict[str, Any], index: int) -> str:
    line, marker = trace.get("line", {}), trace.get("marker", {})
    chosen = line.get("color") or marker.get("color")
    return chosen if isinstance(chosen, str) else LIGHT[SERIES[index % len(SERIES)]]


def _paint(color: str) -> str:
    name = _NAMES.get(color.lower())
    return f"var(--avf-{name}, {color})" if name else escape(color)


def _first_of_each_frame(traces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    seen = {(t.get("xaxis", "x"), t.get("yaxis", "y")): t for t in reversed(traces)}
    return list(seen.values())


def _frame(axes: dict[str, Axis], trace: dict[str, Any], height: float) -> str:
    x, y = axes[trace.get("xaxis", "x")], axes[trace.get("yaxis", "y")]
    ink, grid = _paint(LIGHT["ink"]), _paint(LIGHT["grid"])
    out = [
        f'<path d="M{x.start:.1f} {y.stop:.1f}V{y.start:.1f}H{x.stop:.1f}" fill="none" '
        f'style="stroke:{_paint(LIGHT["grey"])}"/>'
    ]
    for value, label in ticks(x):
        out.append(_text(x.at(value) or 0, y.start + 18, label, "middle", ink))
    for value, label in ticks(y):
        level = y.at(value) or 0
        out.append(f'<path d="M{x.start:.1f} {level:.1f}H{x.stop:.1f}" style="stroke:{grid}"/>')
        out.append(_text(x.start - 8, level + 4, label, "end", ink))
    out.append(_text((x.start + x.stop) / 2, min(y.start + 38, height - 6), x.title, "middle", ink))
    middle = (y.start + y.stop) / 2
    turned = _text(0, 0, y.title, "middle", ink)
    out.append(
        f'<g transform="translate({x.start - 44:.1f} {middle:.1f}) rotate(-90)">{turned}</g>'
    )
    return "".join(out)


def _text(x: float, y: float, text: str, anchor: str, color: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="13" '
        f'style="fill:{color}">{escape(text)}</text>'
    )


def _trace(
    trace: dict[str, Any], color: str, axes: dict[str, Axis], previous: dict[str, str]
) -> str:
    x, y = axes[trace.get("xaxis", "x")], axes[trace.get("yaxis", "y")]
    kind = trace.get("type", "scatter")
    if trace.get("visible") in (False, "legendonly"):
        return ""
    if kind == "heatmap":
        return _image(trace, x, y)
    pairs = zip(values_of(trace, "x"), values_of(trace, "y"), strict=False)
    placed = [(x.at(a), y.at(b)) for a, b in pairs]
    if kind == "bar":
        return _bars(placed, y, color)
    return _scatter(trace, color, placed, (y, previous)) if kind.startswith("scatter") else ""


def _scatter(
    trace: dict[str, Any],
    color: str,
    placed: list[tuple[float | None, float | None]],
    below: tuple[Axis, dict[str, str]],
) -> str:
    y, previous = below
    points = [(a, b) for a, b in placed if a is not None and b is not None]
    mode, out, frame = trace.get("mode", "lines"), "", trace.get("yaxis", "y")
    path = "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
    back = "L".join(f"{a:.1f} {b:.1f}" for a, b in reversed(points))
    fill = trace.get("fill", "none")
    if fill != "none" and points:
        base = f"{points[-1][0]:.1f} {y.start:.1f}L{points[0][0]:.1f} {y.start:.1f}"
        close = {"tonexty": previous.get(frame, base), "toself": ""}.get(fill, base)
        area = f"M{path}L{close}Z" if close else f"M{path}Z"
        shade = trace.get("fillcolor", color)
        opacity = "" if shade.startswith("rgba") else ";fill-opacity:0.3"
        out += f'<path d="{area}" style="fill:{_paint(shade)}{opacity}"/>'
    previous[frame] = back
    line = trace.get("line", {})
    if "lines" in mode and line.get("width", 2):
        dash = _DASH.get(line.get("dash", ""), "")
        style = f"stroke:{_paint(color)};stroke-width:{line.get('width', 2):g}"
        for piece in _pieces(placed):
            out += f'<path d="M{piece}" fill="none" stroke-dasharray="{dash}" style="{style}"/>'
    if "markers" in mode:
        dots = (f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3"/>' for a, b in points)
        out += f'<g style="fill:{_paint(color)}">{"".join(dots)}</g>'
    return out


def _pieces(placed: list[tuple[float | None, float | None]]) -> list[str]:
    pieces: list[list[str]] = [[]]
    for a, b in placed:
        if a is None or b is None:
            pieces.append([])
        else:
            pieces[-1].append(f"{a:.1f} {b:.1f}")
    return ["L".join(piece) for piece in pieces if piece]


def _bars(placed: list[tuple[float | None, float | None]], y: Axis, color: str) -> str:
    zero = y.at(0) or y.start
    xs = sorted(a for a, _ in placed if a is not None)
    gap = min((b - a for a, b in zip(xs, xs[1:], strict=False)), default=80.0)
    out = [
        f'<rect x="{a - 0.4 * gap:.1f}" y="{min(b, zero):.1f}" width="{0.8 * gap:.1f}" '
        f'height="{abs(b - zero):.1f}"/>'
        for a, b in placed
        if a is not None and b is not None
    ]
    return f'<g style="fill:{_paint(color)}">{"".join(out)}</g>'


def _image(trace: dict[str, Any], x: Axis, y: Axis) -> str:
    source = heatmap_png(trace, flip=y.stop < y.start)
    left, top = min(x.start, x.stop), min(y.start, y.stop)
    return (
        f'<image href="{source}" x="{left:.1f}" y="{top:.1f}" '
        f'width="{abs(x.stop - x.start):.1f}" height="{abs(y.stop - y.start):.1f}" '
        'preserveAspectRatio="none" style="image-rendering:pixelated"/>'
    )


def _legend(colored: list[tuple[dict[str, Any], str]]) -> str:
    out, left = "", WIDTHS[1]
    for trace, color in colored:
        name = re.sub(r"<[^>]*>", "", trace.get("name") or "")
        if not name or trace.get("showlegend") is False:
            continue
        out += f'<rect x="{left:.1f}" y="16" width="18" height="4" style="fill:{_paint(color)}"/>'
        out += _text(left + 24, 22, name, "start", _paint(LIGHT["ink"]))
        left += 44 + 7.2 * len(name)
    return out
