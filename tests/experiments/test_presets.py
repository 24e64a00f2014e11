"""The presets are the papers' sizes: parameter counts against the AVF authors' networks.

Counted by instantiating the authors' modules. Three differences are in the terms below: their LSTM
has two bias vectors where ours has one (4 H fewer for each layer); their SRNN lists a first latent
z_0 with phi, which never learns; their SVG's decoder has channels for skip connections that it
multiplies by zero, and the frame encoder counts with phi for the own filter.
"""

import os

import numpy as np
import pytest
from equinox import filter_eval_shape
from jax import random, tree
from scipy.special import expit

from avfkit.data import Dataset, _kth
from avfkit_experiments import parameter_counts
from avfkit_experiments.presets import PRESETS

SKIPS = 3 * 3 * (512 * 512 + 256 * 256 + 128 * 128 + 64 * 64)
ENCODER = 22_649_282 - 13_960_834  # theta of AVF less theta of the baseline
COUNTS = {
    # preset: theta, phi of the own filter, phi of AVF; the authors' number and our difference
    "vrnn-timit": (31_649_600 - 4 * 2000, 2_252_400, 5_379_872),
    "srnn-timit": (7_328_656 - 4 * 1024, 1_152_768 - 256, 6_297_856 - 256),
    **{
        f"srnn-{name}": (1_264_388 - 4 * 300, 294_800 - 100, 3_741_172 - 100)
        for name in ("jsb", "nottingham", "musedata", "piano-midi")
    },
    "svg-kth": (
        22_649_282 - SKIPS - 3 * 4 * 256,
        9_347_392 - ENCODER - 4 * 256,
        8_393_728,
    ),
}
LINEAR = [
    f"lds-D{latent}-N{obs}-{noise}"
    for latent, obs in ((3, 5), (5, 10), (10, 20))
    for noise in ("q0.1-r0.1", "q0.1-r1", "q0.01-r10")
] + ["lds-D32-N64-q0.1-r1", "lds-D64-N128-q0.1-r1"]
STAND_INS = {
    *("vrnn-timit-sample", "srnn-timit-sample", "vrnn-speech-commands"),
    *("vrnn-jsb", "svg-films", "svg-moving-digits", "pendulum"),
}


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts(name):
    theta, own, avf = COUNTS[name]
    assert parameter_counts(PRESETS[name], "own") == (theta, own)
    assert parameter_counts(PRESETS[name], "avf") == (theta, avf)


def test_the_encoder_is_what_the_authors_count_with_phi():
    model = filter_eval_shape(lambda key: PRESETS["svg-kth"].model(key=key), random.key(0))
    arrays = [leaf for leaf in tree.leaves(model.encoder) if getattr(leaf, "size", None)]
    assert sum(leaf.size for leaf in arrays) == ENCODER


def test_names():
    paper = set(COUNTS)
    twins = {f"{n}{end}" for n in paper | STAND_INS for end in ("", "-small")}
    assert set(PRESETS) == twins | set(LINEAR) | {"lds-mlp"}
    assert all(preset.name == name for name, preset in PRESETS.items())


@pytest.mark.parametrize("name", LINEAR)
def test_one_word_swaps_the_method_on_a_linear_system(name):
    smoothers = {"svae", "rnn-mf", "rnn-ar-l", "rnn-ar-nl", "cnn-ar-l", "kalman"}
    preset = PRESETS[name]
    assert smoothers <= set(preset.smoothers) and {"avf", "vfem"} <= set(preset.iterations)
    thetas = {parameter_counts(preset, word)[0] for word in ("svae", "kalman", "vfem")}
    assert len(thetas) == 1  # one generative model, whatever infers
    assert parameter_counts(preset, "kalman")[1] == 0 < parameter_counts(preset, "svae")[1]


@pytest.mark.parametrize("name", sorted({*STAND_INS, *COUNTS}))
def test_the_twin_is_smaller(name):
    small, large = (PRESETS[n] for n in (f"{name}-small", name))
    for inference in ("own", "avf"):
        assert sum(parameter_counts(small, inference)) < sum(parameter_counts(large, inference))
    assert parameter_counts(small, "vfem")[1] == 0
    assert small.recipe.steps <= large.recipe.steps
    assert small.kind == large.kind


def test_kth_has_the_rate_of_its_films():
    assert {PRESETS[f"svg-kth{end}"].rate for end in ("", "-small")} == {_kth._RATE}


@pytest.mark.skipif(
    not os.environ.get("AVFKIT_DATA"), reason="AVFKIT_DATA does not name a folder of data"
)
@pytest.mark.parametrize(
    "name",
    ["vrnn-timit-sample", "vrnn-speech-commands", "srnn-timit-sample", "vrnn-jsb", "svg-films"],
)
def test_rate_is_that_of_the_data(name):
    small, large = (PRESETS[n] for n in (f"{name}-small", name))
    assert small.rate == large.rate == large.load(None).train.rate


def test_moving_digits_have_the_rate_of_their_data():
    small, large = (PRESETS[f"svg-moving-digits{end}"] for end in ("-small", ""))
    assert small.rate == large.rate == small.load(None).train.rate


@pytest.mark.parametrize("name", ["vrnn-jsb", "vrnn-jsb-small", "srnn-nottingham-small"])
def test_keys_start_at_their_frequencies(name):
    rolls = np.random.default_rng(0).uniform(size=(2, 9, 88)) < 0.3
    train, preset = Dataset("rolls", tuple(rolls)), PRESETS[name]
    model, _ = preset.prepare((preset.model(key=random.key(0)), None), train)
    bias = model.likelihood_net.head.linear.bias
    np.testing.assert_allclose(expit(bias), (rolls.sum((0, 1)) + 1) / (18 + 2), rtol=1e-12)
