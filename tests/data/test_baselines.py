import numpy as np
import pytest

from avfkit.data import Dataset, bernoulli_baseline, bernoulli_frequencies, markov_baseline


def column(*songs):
    return Dataset("d", [np.array(song, float)[:, None] for song in songs])


TRAIN = column([1, 1, 0, 1], [0, 0])
TEST = column([1, 1], [0])


def test_frequencies_by_hand():
    two = Dataset("d", [np.array([[1, 0], [1, 0], [0, 0]], float), np.array([[1, 0]], float)])
    np.testing.assert_array_equal(bernoulli_frequencies(two), [4 / 6, 1 / 6])
    with pytest.raises(ValueError) as error:
        bernoulli_frequencies(column([0.5]))
    assert str(error.value) == "train (d) must hold zeros and ones only."


def test_bernoulli_by_hand():
    on, off = (3 + 1) / (6 + 2), (3 + 1) / (6 + 2)
    nats = -np.log([on, on]), -np.log([off])
    score = bernoulli_baseline(TRAIN, TEST)
    np.testing.assert_allclose(score.all_steps, np.concatenate(nats).mean())
    np.testing.assert_allclose(score.mean_of_songs, np.mean([n.mean() for n in nats]))


def test_markov_by_hand():
    kept, first = (1 + 1) / (2 + 2), 0.5  # of two steps that sound, one is followed by another
    nats = -np.log([first, kept]), -np.log([1 - first])
    score = markov_baseline(TRAIN, TEST)
    np.testing.assert_allclose(score.all_steps, np.concatenate(nats).mean())
    np.testing.assert_allclose(score.mean_of_songs, np.mean([n.mean() for n in nats]))


def test_chain_uses_the_step_before():
    held = column([0] * 50 + [1] * 50)
    assert markov_baseline(held, held).all_steps < 0.2 * bernoulli_baseline(held, held).all_steps


@pytest.mark.parametrize("baseline", [bernoulli_baseline, markov_baseline])
def test_key_never_heard_in_training(baseline):
    assert np.isfinite(baseline(column([0, 0, 0]), column([1, 1])).all_steps)


@pytest.mark.parametrize("baseline", [bernoulli_baseline, markov_baseline])
def test_bad_input(baseline):
    with pytest.raises(ValueError) as error:
        baseline(TRAIN, Dataset("wide", [np.zeros((3, 2))]))
    assert str(error.value) == "test has 2 columns, expected 1 as in train."
    with pytest.raises(ValueError) as error:
        baseline(column([0.5]), TEST)
    assert str(error.value) == "train (d) must hold zeros and ones only."
