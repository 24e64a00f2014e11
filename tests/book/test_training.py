"""The picture of a run shows what its records hold, and says it in words."""

import json

import pytest

from avfkit_widgets.book import training_figure

TRAIN = {"kind": "train", "step": 2, "seconds": 0.1, "loss": 3.0, "kl": 1.0, "kl_weight": 0.5}
NORMS = {"gradient_norm": 5.0, "gradient_norm[0]": 4.0, "gradient_norm[1]": 3.0}
VALID = {"kind": "validation", "step": 2, "score": 2.5, "kl_per_dimension": [0.5, None, 0.25]}
RECORDS = [
    TRAIN | NORMS,
    VALID | {"active_units": 2},
    TRAIN | NORMS | {"step": 4, "loss": None, "kl": 0.5},
    VALID | {"step": 4, "active_units": 1, "warning": "posterior collapse."},
]


def lines(found):
    """By panel and name: the steps and the values."""
    return {(t["yaxis"], t["name"]): (t["x"], t["y"]) for t in found.spec["data"]}


def test_every_part_is_drawn(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    found = [training_figure(run, parts={"[0]": "model"}) for run in (tmp_path, file, RECORDS)]
    assert found[0].spec == found[1].spec == found[2].spec
    assert lines(found[0]) == {
        ("y", "loss"): ([2], [3]),  # what was not finite is left out
        ("y", "kl"): ([2, 4], [1, 0.5]),
        ("y", "score, validation"): ([2, 4], [2.5, 2.5]),
        ("y2", "whole"): ([2, 4], [5, 5]),
        ("y2", "model"): ([2, 4], [4, 4]),
        ("y2", "[1]"): ([2, 4], [3, 3]),
        ("y3", "0"): ([2, 4], [0.5, 0.5]),
        ("y3", "2"): ([2, 4], [0.25, 0.25]),
        ("y4", "active units"): ([2, 4], [2, 1]),
    }
    assert found[0].alt == (
        "Training over its steps; at the end nats per step: loss 3, kl 0.5, score, validation 2.5; "
        "gradient norm: whole 5, model 4, [1] 3; active units: active units 1. Warning: posterior "
        "collapse."
    )


def test_panels_without_records_are_left_out():
    assert set(lines(training_figure([TRAIN]))) == {("y", "loss"), ("y", "kl")}


def test_nothing_to_draw_is_said(tmp_path):
    with pytest.raises(ValueError) as caught:
        training_figure([])
    assert str(caught.value) == "run has 0 records; expected some of training or validation"
    (tmp_path / "metrics.jsonl").write_text("[1]\n")
    with pytest.raises(ValueError) as caught:
        training_figure(tmp_path)
    expected = f"{tmp_path / 'metrics.jsonl'}, line 1: expected a record, found '[1]'"
    assert str(caught.value) == expected
