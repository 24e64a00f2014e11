"""The picture of `avfkit.compute_curve`: nats against milliseconds."""

from collections.abc import Sequence
from itertools import groupby

import plotly.graph_objects as go

import avfkit
from avfkit_widgets.book._figure import Figure, figure
from avfkit_widgets.book._palette import LIGHT

_COLORS = ("orange", "blue", "green", "grey")
_DASHES = ("solid", "dash", "dot", "dashdot")


def compute_figure(points: Sequence[avfkit.ComputePoint], caption: str | None = None) -> Figure:
    """Draw what a method reaches against the time it takes, one line for each method.

    A point that no other beats, in nats and in time, is one to choose; the words name these.

    Args:
        points: what `avfkit.compute_curve` returned.
        caption: a line under the figure.

    Returns:
        The figure, with words that hold every number of it.
    """
    fig, said = go.Figure(), []
    for number, (name, group) in enumerate(groupby(points, lambda point: point.name)):
        line = list(group)
        fig.add_scatter(
            x=[point.milliseconds for point in line],
            y=[point.evaluation.all_steps for point in line],
            name=name,
            text=[_setting(point) for point in line],
            mode="lines+markers" if len(line) > 1 else "markers",
            line={
                "color": LIGHT[_COLORS[number % len(_COLORS)]],
                "dash": _DASHES[number % len(_DASHES)],
            },
            marker={"size": 10},
        )
        said.append(f"{name}: " + ", ".join(map(_words, line)))
    fig.update_xaxes(type="log", title="milliseconds for the whole batch (this machine)")
    fig.update_yaxes(title="free energy (nats per step)")
    best = ", ".join(f"{point.name} {_setting(point)}".strip() for point in _front(points))
    alt = "Free energy per step against time. " + "; ".join(said) + f". Not beaten in both: {best}."
    return figure(fig, alt=alt, caption=caption)


def _setting(point: avfkit.ComputePoint) -> str:
    if point.iterations is None:
        return ""
    samples = "" if point.samples is None else f", S = {point.samples}"
    return f"K = {point.iterations}{samples}"


def _words(point: avfkit.ComputePoint) -> str:
    nats, setting = point.evaluation.all_steps, _setting(point)
    return f"{nats:.2f} nats in {point.milliseconds:.3g} ms" + (f" ({setting})" if setting else "")


def _front(points: Sequence[avfkit.ComputePoint]) -> list[avfkit.ComputePoint]:
    """The points that none beats in both nats and time, the fastest first."""
    front: list[avfkit.ComputePoint] = []
    for point in sorted(points, key=lambda point: point.milliseconds):
        if not front or point.evaluation.all_steps < front[-1].evaluation.all_steps:
            front.append(point)
    return front
