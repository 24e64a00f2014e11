"""Synthetic voices: the same for the same seed, in the units of speech, with pitch and silence."""

import numpy as np
import pytest

from avfkit import data


def test_the_seed_decides_and_the_parts_differ():
    one, again = (data.voices((2, 1, 1), seconds=0.5, seed=3) for _ in range(2))
    other = data.voices((2, 1, 1), seconds=0.5, seed=4)
    np.testing.assert_array_equal(one.train.sequences[0][:], again.train.sequences[0][:])
    assert not np.array_equal(one.train.sequences[0][:], other.train.sequences[0][:])
    assert not np.array_equal(one.train.sequences[0][:], one.test.sequences[0][:])
    assert [len(part) for part in (one.train, one.valid, one.test)] == [2, 1, 1]


def test_frames_are_standardised_levels_of_16_bits():
    voices = data.voices((8, 1, 1))
    frames = np.concatenate([s[:] for s in voices.train.sequences])
    assert frames.shape == (8 * 160, 200)
    assert abs(frames.mean()) < 1e-3 and abs(frames.std() - 1) < 1e-3
    levels = voices.train.offset + voices.train.scale * frames
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-2)
    assert voices.train.window == pytest.approx(1 / voices.train.scale)
    assert 400 < voices.train.scale < 700


def test_it_is_predictable_but_not_silent():
    """Linear prediction beats white noise by nats, as on speech."""
    voices = data.voices((16, 2, 4))
    white = data.linear_prediction_baseline(voices.train, voices.test, order=0, noise="gaussian")
    linear = data.linear_prediction_baseline(voices.train, voices.test, order=16, noise="laplace")
    assert linear.all_steps < white.all_steps - 200


def test_a_vowel_has_its_pitch():
    from avfkit.data._voices import _FORMANTS, RATE, _vowel

    ends = [np.array(_FORMANTS["a"], float)] * 2
    wave = _vowel(RATE // 2, np.array([125.0, 125.0]), ends)
    lag = np.argmax([np.dot(wave[:-k], wave[k:]) for k in range(60, 400)]) + 60
    assert lag == pytest.approx(RATE / 125, abs=1)


def test_numbers_too_small_are_refused():
    with pytest.raises(ValueError, match=r"^num_utterances is \(1, 0, 1\); expected three of at"):
        data.voices((1, 0, 1))
    with pytest.raises(ValueError, match="^seconds is 0.001; expected at least one step of 200.$"):
        data.voices(seconds=0.001)
