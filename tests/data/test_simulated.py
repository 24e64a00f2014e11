"""What the noisy films of a pendulum and of a ball have in common."""

import itertools

import numpy as np
import pytest

from avfkit.data import bouncing_ball, pendulum
from avfkit.data._simulated import overlap
from data.media import message_of

FILMS = pytest.mark.parametrize("films", [pendulum, bouncing_ball])
SMALL = {"num_sequences": (3, 2, 4), "length": 6}


def parts(splits):
    return (splits.train, splits.valid, splits.test)


@FILMS
def test_records_and_truth_have_the_same_order_and_size(films):
    splits, truth = films(**SMALL, noise=1e-12)
    for data, paths, count in zip(parts(splits), truth[:3], (3, 2, 4), strict=True):
        assert (data.shape, data.rate, data.step) == ((24, 24), 50.0, "0.02 s")
        assert (data.window, data.offset, data.scale, data.licence) == (None, 0, 1, "MIT")
        assert {a.shape[:2] for a in paths} == {(count, 6)}
        np.testing.assert_allclose(np.stack(data.sequences), paths.frames, atol=1e-5)
    assert truth.noise == 1e-12
    assert splits.valid.name.endswith(" (noise=1e-12, seed=0), valid")


@FILMS
def test_noise_is_gaussian_of_the_stated_variance_and_not_clipped(films):
    splits, truth = films(num_sequences=(5, 1, 1), noise=0.1)
    noise = np.stack(splits.train.sequences) - truth.train.frames
    n = noise.size  # 288,000
    assert abs(noise.mean()) < 5 * np.sqrt(0.1 / n)
    assert abs(noise.var() / 0.1 - 1) < 5 * np.sqrt(2 / n)
    assert abs((noise**4).mean() / (3 * 0.1**2) - 1) < 5 * np.sqrt(96 / 9 / n)
    neighbours = np.corrcoef(noise[..., 1:].ravel(), noise[..., :-1].ravel())[0, 1]
    assert abs(neighbours) < 5 / np.sqrt(n)
    assert splits.train.sequences[0].min() < -1 and splits.train.sequences[0].max() > 1


@FILMS
def test_the_seed_decides_all(films):
    (one, truth), (same, again), (other, _) = (films(**SMALL, seed=s) for s in (3, 3, 4))
    for a, b, c in zip(parts(one), parts(same), parts(other), strict=True):
        np.testing.assert_array_equal(a.sequences, b.sequences)
        assert not any(np.array_equal(x, y) for x, y in zip(a.sequences, c.sequences, strict=True))
    np.testing.assert_array_equal(truth.test[0], again.test[0])


@FILMS
def test_a_longer_or_larger_set_starts_with_the_shorter(films):
    few, truth = films(num_sequences=(2, 1, 1), length=4)
    many, whole = films(num_sequences=(5, 2, 3), length=7)
    for a, b, short, long in zip(parts(few), parts(many), truth[:3], whole[:3], strict=True):
        cut = [sequence[:4] for sequence in b.sequences[: len(a)]]
        np.testing.assert_array_equal(a.sequences, cut)
        for found, expected in zip(short, long, strict=True):
            np.testing.assert_array_equal(found, expected[: len(a), :4])


@FILMS
def test_no_two_sequences_share_a_stream(films):
    splits, truth = films(num_sequences=(3, 3, 3), length=5)
    starts = np.concatenate([paths[0][:, 0].reshape(3, -1) for paths in truth[:3]])
    assert len(np.unique(starts[:, 0])) == 9
    pairs = zip(parts(splits), truth[:3], strict=True)
    noise = np.concatenate([np.stack(d.sequences) - t.frames for d, t in pairs]).reshape(9, -1)
    for a, b in itertools.combinations(noise, 2):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(a.size)


@FILMS
def test_more_noise_is_the_same_noise_on_the_same_frames(films):
    (loud, truth), (quiet, same) = (films(**SMALL, noise=v) for v in (0.4, 0.1))
    np.testing.assert_array_equal(truth.train.frames, same.train.frames)
    noises = [np.stack(s.train.sequences) - truth.train.frames for s in (loud, quiet)]
    np.testing.assert_allclose(noises[0], 2 * noises[1], atol=1e-6)


@FILMS
def test_one_frame_is_enough(films):
    splits, _ = films(num_sequences=(1, 1, 1), length=1)
    assert splits.test.sequences[0].shape == (1, 576)


def test_overlap_is_the_length_in_common():
    centres = np.array([-1.0, -0.25, 0.25, 1.0, 2.25, 3.0])
    np.testing.assert_allclose(overlap(centres, 0.0, 2.0), [0, 0.25, 0.75, 1, 0.25, 0])
    np.testing.assert_allclose(overlap(np.array([0.1]), 0.0, 0.5), [0.5])


BAD = {
    "num_sequences is (1, 0, 1), expected three numbers of at least 1.": {
        "num_sequences": (1, 0, 1)
    },
    "length is 0, expected at least 1.": {"length": 0},
    "noise is 0.0; expected a positive finite variance.": {"noise": 0.0},
    "noise is -0.1; expected a positive finite variance.": {"noise": -0.1},
    "noise is inf; expected a positive finite variance.": {"noise": float("inf")},
    "noise is nan; expected a positive finite variance.": {"noise": float("nan")},
    "seed is -1, expected 0 or more.": {"seed": -1},
}


@FILMS
@pytest.mark.parametrize("message", BAD)
def test_bad_input(films, message):
    assert message_of(ValueError, lambda: films(**SMALL | BAD[message])) == message
