"""`avfkit train`: what it writes, that it resumes, what it refuses."""

import json
from dataclasses import replace

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
import pytest

import avfkit
from avfkit import train as training
from avfkit.data import Dataset, Splits
from avfkit.nn import BernoulliHead
from avfkit_experiments._loss import objective
from avfkit_experiments._train import Choice, build
from avfkit_widgets.book._results import read_result
from experiments.tiny import PRESETS, invoke, train


def _still(model):
    own = avfkit.DirectFilter.create(model, width=2, depth=1, key=jr.key(1))
    return jax.tree.map(lambda x: 0 * x if eqx.is_inexact_array(x) else x, own)


def read(folder, name="result.json"):
    return json.loads((folder / name).read_text())


def test_result_of_an_own_filter(own):
    folder, output = own
    result = read(folder)
    energy = result["test"]["free_energy_per_step"]
    assert 0 < energy["all_steps"] < 100 and 0 < energy["mean_of_sequences"] < 100
    assert energy["per_iteration"] == [] and energy["standard_error"] > 0
    parts = result["test"]["reconstruction"] + result["test"]["kl"]
    assert np.isclose(parts, energy["all_steps"], rtol=1e-6)
    bits = energy["all_steps"] / 88 / np.log(2)
    assert np.isclose(result["test"]["bits_per_entry"], bits, rtol=1e-6)
    assert result["test"]["steps"] == 18
    assert set(result["test"]["context_1"]) == set(energy)
    assert result["test"]["context_1"]["all_steps"] != energy["all_steps"]
    assert result["baselines"]["bernoulli"].keys() == {"all_steps", "mean_of_sequences"}
    assert result["steps_done"] == 6 and result["compile_seconds"] > 0
    assert f"{energy['all_steps']:.4f} nats per step" in output
    assert "compiled in" in output and "baseline, bernoulli" in output


def test_what_the_latent_carries_is_logged_and_a_collapse_is_shown(own, tmp_path):
    folder, output = own
    test = read(folder)["test"]
    assert len(test["kl_per_dimension"]) == len(test["mean_variance"]) == 3
    assert np.isclose(sum(test["kl_per_dimension"]), test["kl"], rtol=1e-6)
    assert f"active units of the latent: {test['active_units']} of 3" in output
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    validation = [record for record in records if record["kind"] == "validation"][-1]
    assert len(validation["kl_per_dimension"]) == 3 and validation["active_units"] >= 0
    training = [record for record in records if record["kind"] == "train"][-1]
    parts = training["reconstruction"] + training["kl"]
    assert np.isclose(parts, training["loss"], rtol=1e-5)
    asleep = test["kl_per_dimension"]
    warning = f"warning: posterior collapse: {sum(nats < 0.01 for nats in asleep)} of 3 entries"
    assert (warning in output) == (2 * sum(nats < 0.01 for nats in asleep) > 3)


def test_a_collapsed_latent_is_warned_of(tmp_path):
    """A prior head that q_t is read from too: KL stays at zero."""
    preset = PRESETS["tiny-music"]
    model = avfkit.VRNN(88, 3, hidden_size=2, width=2, head=BernoulliHead, key=jr.key(0))
    zeros = jax.tree.map(lambda x: 0 * x if eqx.is_inexact_array(x) else x, model)
    collapsed = replace(preset, model=lambda *, key: zeros, own=lambda m, *, key: _still(m))
    known = {preset.name: collapsed}
    words = ["--steps", 1, "--set", "theta_rate=1e-9", "--set", "phi_rate=1e-9"]
    result = invoke("train", preset.name, "--out", tmp_path / "run", *words, known=known)
    assert result.exit_code == 0, result.output
    line = "warning: posterior collapse: 3 of 3 entries of the latent carry less than 0.01 nats per"
    assert result.output.count(line) == 2  # while it trains, and at the end


def test_provenance(own):
    folder, _ = own
    result = read_result(folder / "result.json")  # as the book's tables ask for
    provenance = result["provenance"]
    assert result["name"] == "VRNN, tiny music, own filter"
    assert provenance["command"] == "avfkit train tiny-music --inference own --samples 1 --seed 0"
    assert provenance["seed"] == 0 and provenance["seconds"] > 0
    assert set(provenance["libraries"]) == {"jax", "equinox", "optax", "numpy"}
    data = provenance["data"]
    assert data["sequences"] == {"train": 3, "valid": 3, "test": 3}
    assert len(data["sha256"]) == 64
    assert str(folder) not in (folder / "result.json").read_text()


def test_result_of_avf(avf):
    result = read(avf[0])
    assert result["name"] == "VRNN, tiny music, AVF, 2 iterations, 2 samples"
    assert len(result["test"]["free_energy_per_step"]["per_iteration"]) == 3
    assert (result["inference"], result["iterations"], result["samples"]) == ("avf", 2, 2)
    assert result["recipe"]["theta_rate"] == 1e-4  # what the preset changes for avf
    expected = "avfkit train tiny-music --inference avf --iterations 2 --samples 2 --seed 3"
    assert result["provenance"]["command"] == expected


@pytest.mark.parametrize("inference", ["avf", "vfem"])
def test_samples_are_those_of_the_e_step(inference):
    preset = PRESETS["tiny-music"]
    _, made = build(preset, Choice(inference=inference, samples=3).of(preset))
    assert made.expectation.points(jax.numpy.zeros(2), key=jr.key(0)).shape == (3, 2)


def test_paths_of_an_own_filter_are_averaged_in_its_loss():
    tree = build(PRESETS["tiny-music"], Choice().of(PRESETS["tiny-music"]))
    xs, key = PRESETS["tiny-music"].load(None).train.sequences[0].astype(float), jr.key(1)
    one = eqx.filter_jit(lambda key: avfkit.free_energy(*tree, xs, key=key))
    two, _ = eqx.filter_jit(objective(2))(*tree, xs, None, key=key)
    each = [one(part) for part in jr.split(key, 2)]
    assert each[0] != each[1]
    np.testing.assert_allclose(two, sum(each) / 2, rtol=1e-6)


def test_the_weights_say_what_they_are(avf):
    header = training.read_header(avf[0] / "weights.avfkit")
    assert header["hyperparameters"] == {
        "preset": "tiny-music",
        "inference": "avf",
        "iterations": 2,
        "samples": 2,
        "detached": False,
        "seed": 3,
    }


@pytest.mark.parametrize(
    "words",
    [
        ["--inference", "vfem", "--iterations", "1"],
        [
            *("--samples", "2", "--detached", "--set", "transpose=3", "--set", "anneal=2"),
            *("--set", "average=0.5", "--set", "cosine=true", "--set", "weight_decay=0.1"),
        ],
        ["--inference", "avf", "--set", "online=true", "--set", "clip=1"],
    ],
    ids=["vfem", "own", "online"],
)
def test_other_ways_to_train(words, tmp_path):
    result = train(tmp_path / "run", "--steps", 2, *words)
    assert result.exit_code == 0, result.output
    found = read(tmp_path / "run")
    assert found["test"]["free_energy_per_step"]["all_steps"] < 100
    assert found["provenance"]["command"].endswith(
        " ".join(["--steps 2", *(f"--set {w}" for w in words if "=" in w)])
    )


def test_resumed_equals_uninterrupted(own, tmp_path):
    whole, folder = own[0], tmp_path / "run"
    assert train(folder, "--steps", 4).exit_code == 0
    assert read(folder)["steps_done"] == 4
    assert train(folder).exit_code == 0
    assert (folder / "weights.avfkit").read_bytes() == (whole / "weights.avfkit").read_bytes()
    found, expected = read(folder), read(whole)
    assert (found["test"], found["valid"]) == (expected["test"], expected["valid"])


def test_a_finished_run_stays_what_it_is(own):
    before = read(own[0])
    assert train(own[0]).exit_code == 0
    after = read(own[0])
    assert (after["test"], after["steps_done"]) == (before["test"], before["steps_done"])


def test_the_folder_of_another_run_is_refused(own):
    result = train(own[0], "--seed", 1)
    assert result.exit_code == 1
    assert "holds another run: hyperparameter seed is 0 there, expected 1" in result.output
    assert "give each run its own folder" in result.output


def test_quiet(own):
    result = train(own[0], "--quiet")
    assert (result.exit_code, result.output) == (0, "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "tiny-musik"], "there is no preset 'tiny-musik'. Did you mean tiny-music"),
        (["train", "zzz"], "there is no preset 'zzz'. `avfkit presets` lists them all."),
        (["train", "tiny-music", "--data", "x"], "folder 'x' holds no tiny music."),
        (
            ["train", "tiny-music", "--iterations", "2"],
            "iterations is 2; the own filter does not iterate.",
        ),
        (
            ["train", "tiny-music", "--inference", "avf", "--detached"],
            "detached is for the own filter; avf always is.",
        ),
        (
            ["train", "tiny-music", "--set", "speed=2"],
            "found the setting 'speed=2'; expected NAME=VALUE, with NAME one of steps,",
        ),
    ],
)
def test_clear_errors(words, message, tmp_path):
    out = ["--out", tmp_path / "run"] if words[0] == "train" else []
    result = invoke(*words, *out)
    assert result.exit_code == 1
    assert f"Error: {message}" in result.output
    assert not (tmp_path / "run").exists()


def test_music_alone_is_transposed(tmp_path):
    result = train(tmp_path / "run", "--set", "transpose=1", preset="tiny-video")
    expected = "transpose is 1, but tiny video, train is no piano roll of 88 keys."
    assert (result.exit_code, result.output.strip()) == (1, f"Error: {expected}")


def test_other_data_are_refused(tmp_path):
    music, video = PRESETS["tiny-music"], PRESETS["tiny-video"]
    sequences = video.load(None).train.sequences
    levels = Dataset("levels", sequences, window=1 / 16)
    for preset, load, message in (
        (music, video.load, "tiny video, train has 16 columns; tiny-music expects 88."),
        (
            replace(video, window=1 / 256),
            lambda folder: Splits(levels, levels, levels),
            "levels has levels of 0.0625; tiny-video expects 0.00390625: its nats would not be "
            "those of this data.",
        ),
    ):
        known = {preset.name: replace(preset, load=load)}
        result = invoke("train", preset.name, "--out", tmp_path / "run", known=known)
        assert (result.exit_code, result.output) == (1, f"Error: {message}\n")


def test_every_tiny_preset_is_listed():
    result = invoke("presets")
    assert result.exit_code == 0
    assert [line for line in result.output.splitlines() if not line.startswith(" ")] == [*PRESETS]
    assert "parameters: theta " in result.output and "differs: everything" in result.output
    assert "all presets: own filters are trained end to end" in result.output
