"""The committed results say how they were made, beat the baselines and meet the targets."""

import json
from pathlib import Path
from statistics import mean

import pytest

from avfkit_experiments.presets import PRESETS

RESULTS = Path(__file__).parents[2] / "results"
FILES = sorted(path for name in PRESETS for path in (RESULTS / name).glob("*.json"))


def energy(path):
    return json.loads(path.read_text())["test"]["free_energy_per_step"]["all_steps"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-2:]))
def test_a_result_says_how_to_make_it_again_and_beats_the_baselines(path):
    result = json.loads(path.read_text())
    known = [str(result[name]) for name in ("inference", "iterations", "seed")]
    assert "-".join(known) == path.stem
    provenance = result["provenance"]
    assert provenance["command"].startswith(f"avfkit train {path.parent.name} ")
    assert f"--inference {known[0]}" in provenance["command"]
    assert f"--seed {known[2]}" in provenance["command"]
    assert provenance["data"]["sha256"]
    for baseline in result["baselines"].values():
        assert energy(path) < baseline["all_steps"]


@pytest.mark.parametrize(
    ("name", "target", "seeds"), [("own-0", 6.85, 3), ("avf-1", 6.9, 3), ("avf-5", 6.9, 3)]
)
def test_chorales_meet_their_targets(name, target, seeds):
    files = sorted((RESULTS / "vrnn-jsb").glob(f"{name}-?.json"))
    assert len(files) >= seeds
    assert max(map(energy, files)) <= target


def test_chorales_are_as_the_chapter_on_amortizing_says():
    """Five iterations are better than one, and their mean stays behind the own filter's."""
    own, one, five = (
        [energy(path) for path in (RESULTS / "vrnn-jsb").glob(f"{name}-?.json")]
        for name in ("own-0", "avf-1", "avf-5")
    )
    assert max(own) < min(one) and mean(five) < mean(one)
    assert 0 < mean(five) - mean(own) < (mean(one) - mean(own)) / 2
