"""The search over a recipe: what it tries, that workers share a store, what it refuses."""

import subprocess
import sys

import pytest

from avfkit_experiments import Recipe
from avfkit_experiments._sweep import Range, read_range, search
from experiments.tiny import invoke
from train.regression import ROOT, environment

RECIPE = Recipe(steps=10)
RANGES = [Range("phi_rate", (1e-4, 1e-2), "log"), Range("clip", (0.0, 1.0), "one of")]
KILLED = """
import os, signal, sys
sys.path[1:1] = sys.argv[2:]
from avfkit_experiments._sweep import Range, search

def objective(number, settings):
    return float(number) if number == 0 else os.kill(os.getpid(), signal.SIGKILL)

ranges = [Range("phi_rate", (1e-4, 1e-2), "log"), Range("clip", (0.0, 1.0), "one of")]
search(objective, ranges, {"preset": "a"}, store=sys.argv[1], trials=3)
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("phi_rate=1e-4:1e-2:log", Range("phi_rate", (1e-4, 1e-2), "log")),
        ("batch_size=8:32", Range("batch_size", (8, 32), "between")),
        ("dropout=0:0.5", Range("dropout", (0.0, 0.5), "between")),
        ("cosine=true,false", Range("cosine", (True, False), "one of")),
        ("length=none,20", Range("length", (None, 20), "one of")),
    ],
)
def test_ranges_are_read_by_the_kind_of_the_setting(text, expected):
    assert read_range(text, RECIPE) == expected


@pytest.mark.parametrize(
    "text", ["clip=0:1:log", "clip=1:0", "clip=1:2:3", "cosine=false:true", "length=none:3"]
)
def test_bad_ranges(text):
    with pytest.raises(ValueError) as error:
        read_range(text, RECIPE)
    assert str(error.value) == (
        f"found the range {text!r}; expected NAME=A,B,..., NAME=LOW:HIGH, or NAME=LOW:HIGH:log "
        "with LOW above 0."
    )


def test_a_value_that_the_recipe_refuses():
    with pytest.raises(ValueError) as error:
        read_range("dropout=0:1", RECIPE)
    assert str(error.value) == "dropout is 1.0; expected from 0 to below 1."


def test_a_worker_that_is_killed_loses_its_trial(tmp_path):
    pytest.importorskip("optuna")
    store, seen = str(tmp_path / "search.log"), []
    paths = environment(PYTHONPATH=f"{ROOT}:{ROOT / 'experiments'}")
    command = [sys.executable, "-c", KILLED, store, *sys.path]
    assert subprocess.run(command, env=paths).returncode == -9

    def objective(number, settings):
        seen.append((number, dict(text.split("=") for text in settings)))
        if number == 3:
            raise FloatingPointError("the loss is nan")
        return 10.0 - number

    facts = {"store": store, "trials": 4}
    best = search(objective, RANGES, {"preset": "a"}, **facts)
    assert [number for number, _ in seen] == [2, 3, 4]  # trial 0 has ended, trial 1 never will
    assert (best["number"], best["score"], best["trials"]) == (0, 0.0, 4)
    assert all(1e-4 <= float(settings["phi_rate"]) <= 1e-2 for _, settings in seen)
    assert {settings["clip"] for _, settings in seen} <= {"0.0", "1.0"}
    assert search(objective, RANGES, {"preset": "a"}, **facts) == best and len(seen) == 3
    with pytest.raises(ValueError) as error:
        search(objective, RANGES, {"preset": "b"}, **facts)
    expected = f"{store} holds another search: preset is 'a' there, expected 'b'."
    assert str(error.value) == expected


def test_without_optuna(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "optuna", None)
    words = ["--range", "clip=0,1", "--trials", 1, "--store", tmp_path / "s.log"]
    assert invoke("sweep", "tiny-music", *words).output == (
        "Error: avfkit sweep needs optuna, which is not installed: run `pip install "
        "'avfkit[sweep]'`.\n"
    )


def test_the_command(tmp_path):
    pytest.importorskip("optuna")
    words = ["--range", "theta_rate=1e-4:1e-2:log", "--trials", 1, "--steps", 2]
    result = invoke(
        *("sweep", "tiny-music", "--store", tmp_path / "s.log", "--out", tmp_path), *words
    )
    assert result.exit_code == 0, result.output
    assert result.output.startswith("best of 1 trials: number 0, ")
    assert "  theta_rate=0.00" in result.output
    assert (tmp_path / "trial-0" / "result.json").is_file()
