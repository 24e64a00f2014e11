"""The explorer's picture as SVG, for readers without JavaScript.

The same marks as `static/explorer_scene.js`, function by function; a test compares the two at the
default state, so that the drawn picture is the live one.
"""

import math
from collections.abc import Callable, Iterable
from html import escape
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ._figures import STEPS, ExplorerArrays, ExplorerState, explorer_draws

LEFT, RIGHT, TOP, SPLIT, BELOW, BOTTOM, HEIGHT = 44, 12, 24, 268, 306, 416, 460
WIDTH = 720
Text = tuple[str, str, str, str]


class Scene(NamedTuple):
    """Paths by class name in painting order, and texts (x, y, anchor, words)."""

    paths: dict[str, str]
    texts: list[Text]


class Scales(NamedTuple):
    """Where time, values and nats lie on the picture."""

    step: float
    reach: float
    most: float
    x: Callable[[float], float]
    y: Callable[[float], float]
    nats: Callable[[float], float]


def draw(state: ExplorerState, arrays: ExplorerArrays, description: str) -> str:
    """Draw a state as a static SVG.

    Args:
        state: the five values.
        arrays: their arrays.
        description: alternative text of the picture.

    Returns:
        One `<svg>` element of nominal width 720, coloured by `static/explorer.css`.
    """
    paths, texts = scene(state, arrays, WIDTH)
    marks = [f'<path class="avf-{name}" d="{d}"/>' for name, d in paths.items()]
    words = [
        f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
        for x, y, anchor, text in texts
    ]
    return (
        f'<svg class="avf-picture" role="img" aria-label="{escape(description)}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}">{"".join(marks)}<g class="avf-texts">{"".join(words)}</g>'
        "</svg>"
    )


def scene(state: ExplorerState, arrays: ExplorerArrays, width: float) -> Scene:
    """All marks of the picture.

    Args:
        state: the five values.
        arrays: their arrays.
        width: width of the picture in CSS pixels.

    Returns:
        Paths and texts with coordinates in CSS pixels.
    """
    s = scales(state, arrays, width)
    first = _clamp(state.mask_start - 1, 0, STEPS)
    last = _clamp(first + state.mask_length, 0, STEPS)
    sides = LEFT + first * s.step, LEFT + last * s.step
    hidden = _column(*sides, TOP, SPLIT) + _column(*sides, BELOW, BOTTOM)
    lines, texts = _ruler(s)
    if last - first >= 6:
        texts.append((LEFT + (first + last) / 2 * s.step, TOP + 16, "middle", "hidden"))
    paths = {
        "hidden": hidden if last > first else "",
        "grid": lines,
        "exact-band": _band(s, arrays.exact_mean, arrays.exact_var),
        "approximate-band": _band(s, arrays.approximate_mean, arrays.approximate_var),
        "latent": _line(s, explorer_draws()[0]) if state.show_latent else "",
        "exact": _line(s, arrays.exact_mean),
        "approximate": _line(s, arrays.approximate_mean),
        "unseen": _dots(s, arrays, shown=False),
        "seen": _dots(s, arrays, shown=True),
        "gap": _bars(s, arrays.gap),
        "notch": _notches(s, arrays.gap),
    }
    return Scene(paths, [(fixed(x), fixed(y), anchor, text) for x, y, anchor, text in texts])


def scales(state: ExplorerState, arrays: ExplorerArrays, width: float) -> Scales:
    """Where time, values and nats lie; the axis of nats depends on the SNR alone."""
    step = (width - LEFT - RIGHT) / STEPS
    reach = _clamp(1.05 * float(np.max(np.abs(arrays.observation))), 3.2, 6)
    most = _round_up(0.9 * state.snr**0.8)
    return Scales(
        step=step,
        reach=reach,
        most=most,
        x=lambda t: LEFT + (t + 0.5) * step,
        y=lambda v: TOP + (reach - _clamp(v, -reach, reach)) / (2 * reach) * (SPLIT - TOP),
        nats=lambda v: (
            BELOW + (most - _clamp(v, -0.5 * most, most)) / (1.5 * most) * (BOTTOM - BELOW)
        ),
    )


def fixed(value: float) -> str:
    """One decimal, halves up, without a trailing zero: the same text as in JavaScript."""
    return f"{math.floor(value * 10 + 0.5) / 10:.1f}".removesuffix(".0")


def _clamp(value: float, low: float, high: float) -> float:
    return max(low, min(high, value))


def _round_up(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return next(c * power for c in (1, 2, 5, 10) if c * power >= value * 0.999999)


def _line(s: Scales, values: Iterable[float]) -> str:
    points = (f"{fixed(s.x(t))} {fixed(s.y(v))}" for t, v in enumerate(values))
    return "M" + "L".join(points)


def _band(s: Scales, mean: Float[np.ndarray, " time"], var: Float[np.ndarray, " time"]) -> str:
    def edge(values: Float[np.ndarray, " time"]) -> list[str]:
        return [f"{fixed(s.x(t))} {fixed(s.y(v))}" for t, v in enumerate(values)]

    deviation = 1.96 * np.sqrt(var)
    return "M" + "L".join(edge(mean + deviation) + edge(mean - deviation)[::-1]) + "Z"


def _disc(x: float, y: float, radius: float) -> str:
    r, d = fixed(radius), fixed(2 * radius)
    return f"M{fixed(x - radius)} {fixed(y)}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0Z"


def _arrow(x: float, y: float, sign: int) -> str:
    return f"M{fixed(x - 3)} {fixed(y)}h6l-3 {fixed(5 * sign)}Z"


def _dots(s: Scales, arrays: ExplorerArrays, *, shown: bool) -> str:
    def mark(t: int, value: float) -> str:
        if value > s.reach:
            return _arrow(s.x(t), TOP + 5, -1)
        if value < -s.reach:
            return _arrow(s.x(t), SPLIT - 5, 1)
        return _disc(s.x(t), s.y(value), 1.8 if s.step < 7 else 2.6)

    chosen = (np.asarray(arrays.observed) > 0.5) == shown
    return "".join(mark(t, float(v)) for t, v in enumerate(arrays.observation) if chosen[t])


def _bars(s: Scales, gap: Float[np.ndarray, " time"]) -> str:
    zero, half = fixed(s.nats(0)), 0.36 * s.step
    return "".join(
        f"M{fixed(s.x(t) - half)} {zero}V{fixed(s.nats(v))}H{fixed(s.x(t) + half)}V{zero}Z"
        for t, v in enumerate(gap)
    )


def _notches(s: Scales, gap: Float[np.ndarray, " time"]) -> str:
    above = {t: _arrow(s.x(t), BELOW - 3, -1) for t, v in enumerate(gap) if v > s.most}
    below = {t: _arrow(s.x(t), BOTTOM + 3, 1) for t, v in enumerate(gap) if v < -0.5 * s.most}
    return "".join((above | below)[t] for t in sorted(above | below))


def _column(left: float, right: float, top: float, bottom: float) -> str:
    return f"M{fixed(left)} {fixed(top)}H{fixed(right)}V{fixed(bottom)}H{fixed(left)}Z"


def _ruler(s: Scales) -> tuple[str, list[tuple[float, float, str, str]]]:
    right = fixed(LEFT + s.step * STEPS)
    values = [value for value in range(-6, 7, 2) if abs(value) <= s.reach]
    nats = [part * s.most for part in (-0.5, 0, 0.5, 1)]
    heights = [s.y(value) for value in values] + [s.nats(value) for value in nats]
    names = [f"{value:.3g}".replace("-", "\u2212") for value in (*values, *nats)]
    texts = [(LEFT - 8, y + 4, "end", name) for y, name in zip(heights, names, strict=True)]
    texts += [(s.x(t - 1), BOTTOM + 20, "middle", str(t)) for t in (1, 10, 20, 30, 40, 50, 60)]
    texts.append((LEFT, TOP - 10, "start", "latent: mean and 95 % band of each filter"))
    texts.append((LEFT, BELOW - 14, "start", "gap at each step, nats"))
    texts.append((LEFT + s.step * STEPS / 2, BOTTOM + 38, "middle", "time step"))
    return "".join(f"M{LEFT} {fixed(y)}H{right}" for y in heights), texts
