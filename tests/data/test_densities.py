import numpy as np
import pytest
from scipy.stats import laplace, norm

from avfkit.data import (
    Dataset,
    Levels,
    films,
    linear_prediction_baseline,
    pixel_baseline,
    speech_commands,
    timit_sample,
)
from avfkit.data._densities import _gaussian, _laplace, _residuals
from data.media import message_of

WINDOW = 1 / 50
DENSITIES = {"gaussian": (_gaussian, norm), "laplace": (_laplace, laplace)}


def sound(*waves, obs=4, **words):
    sequences = [np.asarray(w, float).reshape(-1, obs) for w in waves]
    return Dataset("d", sequences, **{"window": WINDOW} | words)


@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize("size", [1e-3, 0.3, 40.0])
@pytest.mark.parametrize("centre", [0.0, 0.4, 123.456])
def test_the_levels_sum_to_one(name, size, centre):
    log_probability, _ = DENSITIES[name]
    levels = np.arange(round(-60 * size) - 3, round(60 * size) + 4) + round(centre)
    total = np.exp(log_probability(levels - centre, size, 1.0)).sum()
    np.testing.assert_allclose(total, 1, rtol=1e-9)


@pytest.mark.parametrize("name", DENSITIES)
def test_probability_of_a_level_against_scipy(name):
    log_probability, density = DENSITIES[name]
    r, size = np.linspace(-3, 0, 31), 0.7
    expected = np.log(density.cdf((r + 0.1) / size) - density.cdf((r - 0.1) / size))
    np.testing.assert_allclose(log_probability(r, size, 0.2), expected, rtol=1e-9)
    mirrored = log_probability(-r, size, 0.2)
    np.testing.assert_array_equal(log_probability(r, size, 0.2), mirrored)


@pytest.mark.parametrize("name", DENSITIES)
def test_far_tails_and_narrow_densities_are_finite(name):
    log_probability, _ = DENSITIES[name]
    for r, size in ((1.0, 1e-4), (1e4, 1.0), (0.0, 1e-8), (0.0, 1e6), (1e-300, 1.0)):
        assert np.isfinite(log_probability(np.array([r]), size, 1e-3)).all()
        assert log_probability(np.array([r]), size, 1e-3)[0] <= 0
    far = log_probability(np.array([50.0, 51.0]), 1.0, 1e-3)
    slope = -50.5 if name == "gaussian" else -1
    np.testing.assert_allclose(far[1] - far[0], slope, rtol=1e-3)


def test_linear_prediction_by_hand():
    random = np.random.default_rng(0)
    train, test = random.normal(size=(2, 3, 40))
    score = linear_prediction_baseline(sound(*train), sound(*test), 1, "gaussian")
    before = np.pad(train, ((0, 0), (1, 0)))[:, :-1]
    weight = (train * before).sum() / (before**2).sum()
    size = np.sqrt(((train - weight * before) ** 2).mean())
    residuals = test - weight * np.pad(test, ((0, 0), (1, 0)))[:, :-1]
    upper, lower = (norm.cdf((residuals + e) / size) for e in (WINDOW / 2, -WINDOW / 2))
    np.testing.assert_allclose(score.all_steps, -np.log(upper - lower).sum() / 30, rtol=1e-7)
    np.testing.assert_allclose(score.mean_of_songs, score.all_steps)  # of equal length


def test_a_predictable_wave_is_predicted():
    """A damped oscillation of second order, pushed by Laplace noise: its own noise is the bound."""
    random = np.random.default_rng(1)
    pushed, wave = random.laplace(size=20_000), np.zeros(20_002)
    for t, push in enumerate(pushed):
        wave[t + 2] = 1.6 * wave[t + 1] - 0.9 * wave[t] + push
    data = sound(wave[2:])
    nats = {
        (order, noise): linear_prediction_baseline(data, data, order, noise).all_steps / 4
        for order in (0, 1, 2, 16)
        for noise in ("laplace", "gaussian")
    }
    entropy = 1 + np.log(2) - np.log(WINDOW)
    assert abs(nats[2, "laplace"] - entropy) < 0.02
    assert abs(nats[16, "laplace"] - nats[2, "laplace"]) < 0.01
    assert nats[2, "laplace"] + 0.05 < nats[2, "gaussian"] < nats[1, "gaussian"] - 0.3
    assert nats[1, "gaussian"] < nats[0, "gaussian"] - 0.3


def test_long_recordings_in_blocks():
    """Blocks of 256 steps join without a seam, as levels or as floats."""
    random = np.random.default_rng(2)
    raw = np.cumsum(random.integers(-9, 10, 3 * 1000)).astype(np.int16).reshape(-1, 3)
    whole, half = Levels(raw, 5.0, 50.0), Levels(raw[:500], 5.0, 50.0)
    levels = Dataset("d", [whole, half], window=WINDOW)
    floats = Dataset("d", [whole[:], half[:]], window=WINDOW)
    found = linear_prediction_baseline(levels, levels)
    np.testing.assert_allclose(found, linear_prediction_baseline(floats, floats), rtol=1e-9)
    wave = np.pad(whole[:].ravel().astype(float), (1, 0))
    weight = 0.7  # any: residuals of the blocks are those of the whole
    blocks = [*_residuals(levels.select([0]), np.array([-weight, 1.0]))]
    assert len(blocks) == 4
    np.testing.assert_allclose(np.concatenate(blocks), wave[1:] - weight * wave[:-1], atol=1e-12)


def test_silence_and_constants_are_scored():
    quiet, loud = sound(np.zeros(8)), sound(np.ones(8))
    for noise in ("laplace", "gaussian"):
        for test in (quiet, loud):
            assert np.isfinite(linear_prediction_baseline(quiet, test, 2, noise)).all()
    assert np.isfinite(pixel_baseline(quiet, loud)).all()


def test_pixels_by_hand():
    random = np.random.default_rng(3)
    train, test = random.normal(size=(2, 12, 2)) * [0.1, 3]
    score = pixel_baseline(sound(train[:5], train[5:], obs=2), sound(test, obs=2))
    squares = ((train - train.mean(0)) ** 2).sum(0)
    size = np.sqrt((squares + squares.mean() / 12) / 13)
    z = test - train.mean(0)
    expected = np.log(norm.cdf((z + WINDOW / 2) / size) - norm.cdf((z - WINDOW / 2) / size))
    np.testing.assert_allclose(score.all_steps, -expected.sum() / 12, rtol=1e-7)


def test_both_averages():
    data = sound(np.zeros(4), np.ones(12))
    for score in (pixel_baseline(data, data), linear_prediction_baseline(data, data, 0)):
        assert score.all_steps != pytest.approx(score.mean_of_songs)


BAD = {
    "test has 2 columns, expected 4 as in train.": (sound(np.zeros(4)), sound(np.zeros(4), obs=2)),
    "train (d) must have no missing entries.": (sound([0, 1, 2, np.nan]), sound(np.zeros(4))),
    "test (d) must have no missing entries.": (
        sound(np.zeros(4)),
        sound(np.zeros(4), observed=[np.zeros(1, bool)]),
    ),
    "test has the window 0.5, train 0.02; expected the same number.": (
        sound(np.zeros(4)),
        sound(np.zeros(4), window=0.5),
    ),
    "test has the window None, train None; expected the same number.": (
        sound(np.zeros(4), window=None),
        sound(np.zeros(4), window=None),
    ),
}


@pytest.mark.parametrize("baseline", [linear_prediction_baseline, pixel_baseline])
@pytest.mark.parametrize("message", BAD)
def test_bad_input(baseline, message):
    assert message_of(ValueError, lambda: baseline(*BAD[message])) == message


def test_bad_order():
    data = sound(np.zeros(4))
    message = message_of(ValueError, lambda: linear_prediction_baseline(data, data, -1))
    assert message == "order is -1, expected 0 or more."


NATS = {  # per frame of 200 samples, over all frames: white noise, Gaussian and Laplace residuals
    timit_sample: (1490.5, 1287.8, 1188.0),
    speech_commands: (1873.1, 1567.5, 1364.5),
}


@pytest.mark.parametrize("load", NATS)
def test_speech(data_folder, load):
    splits = load(data_folder)
    settings = ((0, "gaussian"), (16, "gaussian"), (16, "laplace"))
    found = [linear_prediction_baseline(splits.train, splits.test, *s).all_steps for s in settings]
    np.testing.assert_allclose(found, NATS[load], atol=0.1)


def test_cmu_films(data_folder):
    splits = films(data_folder)
    assert round(pixel_baseline(splits.train, splits.test).all_steps) == 11673
