"""The score from draws, in closed form and by numerical integration."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

import avfkit
from avfkit.diagnosis._scores import draws_and_truth

MEAN, DEVIATION, TRUTH = (
    np.array([0.3, -1.0, 2.0]),
    np.array([1.0, 0.2, 3.0]),
    np.array([1.1, 0, 2]),
)
GAUSSIAN = avfkit.DiagonalGaussian(jnp.array(MEAN), jnp.log(jnp.array(DEVIATION) ** 2))


def integral(mean, deviation, truth):
    below = quad(lambda x: norm.cdf(x, mean, deviation) ** 2, mean - 40 * deviation, truth)[0]
    return below + quad(lambda x: norm.sf(x, mean, deviation) ** 2, truth, mean + 40 * deviation)[0]


def test_the_closed_form_is_the_integral():
    expected = [integral(*case) for case in zip(MEAN, DEVIATION, TRUTH, strict=True)]
    np.testing.assert_allclose(
        avfkit.gaussian_crps(GAUSSIAN, jnp.array(TRUTH)), expected, rtol=1e-7
    )


@pytest.mark.parametrize("number", [2, 5])
def test_the_score_of_draws_is_unbiased(number):
    noise = jr.normal(jr.key(0), (number, 40_000, 3))
    scores = avfkit.crps(MEAN + DEVIATION * noise, jnp.broadcast_to(TRUTH, (40_000, 3)))
    expected = avfkit.gaussian_crps(GAUSSIAN, jnp.array(TRUTH))
    error = scores.std(0) / 200.0
    assert (jnp.abs(scores.mean(0) - expected) < 4 * error).all()
    assert (error < 0.02 * DEVIATION).all()


def test_the_sort_is_the_mean_over_pairs():
    draws, truth = np.random.default_rng(0).normal(size=(6, 4)), np.array([0.1, 2.0, -1.0, np.nan])
    apart = np.abs(draws[:, None] - draws[None]).sum((0, 1)) / 30.0
    expected = np.abs(draws - truth).mean(0) - 0.5 * apart
    np.testing.assert_allclose(avfkit.crps(draws, truth), expected, rtol=1e-12)
    np.testing.assert_array_equal(avfkit.crps(np.array([[0], [1]]), np.array([0])), [0.0])


def test_the_right_belief_has_the_lowest_score():
    truth = jr.normal(jr.key(1), (10_000, 1))

    def score(mean, deviation):
        belief = avfkit.DiagonalGaussian(jnp.array([mean]), jnp.log(jnp.array([deviation**2])))
        return jax.vmap(lambda y: avfkit.gaussian_crps(belief, y))(truth).mean()

    assert score(0.0, 1.0) < min(score(0.0, 0.7), score(0.0, 1.4), score(0.3, 1.0))


def test_bad_draws_are_named():
    with pytest.raises(ValueError) as error:
        avfkit.crps(jnp.zeros((1, 3)), jnp.zeros(3))
    assert str(error.value) == "samples holds 1 draws; expected at least 2."
    with pytest.raises(ValueError) as error:
        draws_and_truth(jnp.zeros((4, 3)), jnp.zeros(()))
    assert str(error.value) == (
        "samples has shape (4, 3); expected [samples, ...] with the shape of truth, ()."
    )
