"""How a training went, from what `avfkit.train.fit` wrote: the loss, its terms, the latent."""

import json
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, TypeAlias

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from avfkit_widgets.book._figure import Figure, figure
from avfkit_widgets.book._palette import LIGHT, SERIES

Series: TypeAlias = tuple[list[int], list[float]]
Panels: TypeAlias = dict[str, dict[str, Series]]
_NORM = "gradient_norm"
_TERMS = ("loss", "reconstruction", "kl")
_TITLES = {
    "terms": "nats per step",
    "norms": "gradient norm",
    "kl_per_dimension": "nats per step of each entry of <i>z</i>",
    "active_units": "active units",
}


def training_figure(
    run: str | Path | Sequence[Mapping[str, Any]],
    *,
    parts: Mapping[str, str] | None = None,
    caption: str | None = None,
) -> Figure:
    """Draw the records of a run: what they hold of terms, gradient norms, KL and active units.

    Args:
        run: the folder of a run, its `metrics.jsonl`, or the `history` of a `Fit`.
        parts: names for the parts of the tree, such as `{"[0]": "model", "[1]": "filter"}`.
        caption: a line shown under the figure.

    Returns:
        A figure whose alternative text tells the last values, and a warning of the last validation.

    Raises:
        ValueError: the records hold nothing that is drawn, or a line of the file is no record.
    """
    records = _read(run)
    train = [record for record in records if record.get("kind") == "train"]
    valid = [record for record in records if record.get("kind") == "validation"]
    panels = {
        "terms": {name: _series(train, name) for name in _TERMS},
        "norms": _norms(train, parts or {}),
        "kl_per_dimension": _entries(valid, "kl_per_dimension"),
        "active_units": {"active units": _series(valid, "active_units")},
    }
    panels["terms"]["score, validation"] = _series(valid, "score")
    panels = {kind: {n: s for n, s in lines.items() if s[0]} for kind, lines in panels.items()}
    panels = {kind: lines for kind, lines in panels.items() if lines}
    if not panels:
        raise ValueError(f"run has {len(records)} records; expected some of training or validation")
    return figure(_draw(panels), _words(panels, valid), caption)


def _read(run: str | Path | Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    if not isinstance(run, str | Path):
        return run
    path = Path(run) / "metrics.jsonl" if Path(run).is_dir() else Path(run)
    records = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        try:
            records.append(dict(json.loads(line)))
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(f"{path}, line {number}: expected a record, found {line!r}") from error
    return records


def _series(records: Sequence[Mapping[str, Any]], name: str) -> Series:
    """Steps and values, without those that were not finite."""
    found = [(r["step"], r[name]) for r in records if isinstance(r.get(name), int | float)]
    return [step for step, _ in found], [value for _, value in found]


def _norms(records: Sequence[Mapping[str, Any]], parts: Mapping[str, str]) -> dict[str, Series]:
    names = sorted({name for record in records for name in record if name.startswith(_NORM)})
    called = {name: name.removeprefix(_NORM) for name in names}
    return {parts.get(part, part) or "whole": _series(records, n) for n, part in called.items()}


def _entries(records: Sequence[Mapping[str, Any]], name: str) -> dict[str, Series]:
    vectors = [(record["step"], record[name]) for record in records if name in record]
    size = max((len(vector) for _, vector in vectors), default=0)
    rows = [[{"step": s, name: v[i]} for s, v in vectors if i < len(v)] for i in range(size)]
    return {f"{index}": _series(row, name) for index, row in enumerate(rows)}


def _draw(panels: Panels) -> go.Figure:
    fig = make_subplots(rows=len(panels), cols=1, shared_xaxes=True, vertical_spacing=0.06)
    for row, (kind, lines) in enumerate(panels.items(), start=1):
        for (name, (steps, values)), color in zip(lines.items(), cycle(SERIES), strict=False):
            style = {"color": LIGHT[color], "width": 1 if kind == "kl_per_dimension" else 2}
            named = kind in ("terms", "norms")
            fig.add_scatter(
                x=steps, y=values, name=name, line=style, showlegend=named, row=row, col=1
            )
        scale = "log" if kind == "norms" else "linear"
        fig.update_yaxes(title=_TITLES[kind], type=scale, row=row, col=1)
    fig.update_xaxes(title="training step", row=len(panels), col=1)
    fig.update_layout(height=120 + 220 * len(panels))
    return fig


def _words(panels: Panels, valid: Sequence[Mapping[str, Any]]) -> str:
    last = []
    for kind, lines in panels.items():
        ends = ", ".join(f"{name} {values[-1]:.4g}" for name, (_, values) in lines.items())
        last += [f"{_TITLES[kind]}: {ends}"] if kind != "kl_per_dimension" else []
    warning = valid[-1].get("warning", "") if valid else ""
    words = "Training over its steps" + (f"; at the end {'; '.join(last)}" if last else "")
    return f"{words}." + (f" Warning: {warning}" if warning else "")
