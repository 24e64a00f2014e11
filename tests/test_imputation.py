"""Filled gaps against the exact conditional, and intervals against what they promise."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.stats import multivariate_normal

import avfkit
from tests.helpers import gappy_problem, make, observations, random_lds

KEY = jr.key(0)


@pytest.fixture(scope="module")
def problem():
    """An LDS, a sequence, what is shown of it, and the dense Gaussian of all entries."""
    lds, xs = random_lds(4, latent=2, obs=3), np.random.default_rng(1).normal(size=(5, 3))
    shown = np.ones((5, 3), bool)
    shown[1:3] = False
    shown[4, 0] = False
    return lds, xs, shown


def dense(lds, length):
    """Mean and covariance of all observations in a row."""
    found = avfkit.kalman.marginals(avfkit.kalman.unrolled(lds.chain, length))
    matrix, size = np.asarray(lds.emission.matrix), lds.latent_size
    cov = np.zeros((length, size, length, size))
    for t in range(length):
        cov[t, :, t] = block = np.asarray(found.cov[t])
        for later in range(t + 1, length):
            block = np.asarray(lds.chain.dynamics) @ block
            cov[later, :, t], cov[t, :, later] = block, block.T
    seen = np.einsum("ni,tisj,mj->tnsm", matrix, cov, matrix)
    seen = seen.reshape(2 * [length * len(matrix)])
    noise = np.tile(np.exp(np.asarray(lds.emission.log_var)), length)
    mean = np.asarray(found.mean) @ matrix.T + np.asarray(lds.emission.bias)
    return mean.ravel(), seen + np.diag(noise)


def test_a_gap_is_filled_as_by_the_exact_conditional(problem):
    lds, xs, shown = problem
    fill = eqx.filter_jit(avfkit.imputation)
    options = {"key": KEY, "num_samples": 20_000}
    found = fill(lds, avfkit.KalmanSmoother(), jnp.array(xs), jnp.array(shown), **options)
    (mean, cov), gap = dense(lds, 5), ~shown.ravel()
    gain = np.linalg.solve(cov[np.ix_(~gap, ~gap)], cov[np.ix_(~gap, gap)]).T
    exact = mean[gap] + gain @ (xs.ravel() - mean)[~gap]
    left = cov[np.ix_(gap, gap)] - gain @ cov[np.ix_(~gap, gap)]
    np.testing.assert_allclose(found.mean.ravel()[gap], exact, atol=0.05)
    np.testing.assert_allclose(found.deviation.ravel()[gap], np.sqrt(np.diag(left)), rtol=0.05)
    nats = multivariate_normal(exact, left).logpdf(xs.ravel()[gap]) / gap.sum()
    np.testing.assert_allclose(found.log_likelihood, nats, atol=0.02)
    root = np.sqrt(np.mean((exact - xs.ravel()[gap]) ** 2))
    np.testing.assert_allclose(found.error, root, atol=0.05)
    assert np.isnan(found.mean.ravel()[~gap]).all() and np.isnan(found.deviation[shown]).all()


def test_what_is_hidden_is_not_seen_and_what_is_unknown_is_not_scored():
    model, own = make("vrnn-gaussian", "own")
    xs = observations("vrnn-gaussian", 4)
    shown = jnp.array([True, False, True, True])
    fill = eqx.filter_jit(avfkit.imputation)
    options = {"key": KEY, "num_samples": 2}
    found = fill(model, own, xs, shown, **options)
    other = fill(model, own, xs.at[1].add(7.0), shown, **options)
    np.testing.assert_array_equal(found.mean, other.mean)
    assert other.log_likelihood < found.log_likelihood
    blank = fill(model, own, xs.at[1, 1:].set(jnp.nan), shown, **options)
    np.testing.assert_array_equal(found.mean, blank.mean)
    np.testing.assert_allclose(blank.error, jnp.abs(found.mean - xs)[1, 0])


def test_the_intervals_of_the_truth_cover_what_they_say_and_too_narrow_ones_less():
    draws = jr.normal(jr.key(1), (1_000, 40, 25))
    truth = jr.normal(jr.key(2), (40, 25))
    levels = [0.5, 0.9]
    np.testing.assert_allclose(avfkit.coverage(draws, truth, levels), levels, atol=0.05)
    narrow = avfkit.coverage(0.5 * draws, truth, levels)
    np.testing.assert_allclose(narrow, [0.264, 0.589], atol=0.05)  # 2 Phi(z / 2) - 1


def test_unknown_values_do_not_count_in_the_coverage():
    draws = jnp.linspace(0.0, 1.0, 11)[:, None] * jnp.ones(4)
    truth = jnp.array([0.5, 0.2, 2.0, jnp.nan])
    np.testing.assert_allclose(avfkit.coverage(draws, truth, [0.5, 1.0]), [1 / 3, 2 / 3])


def test_bad_arguments_are_named():
    lds, xs, _ = gappy_problem(5)
    kalman = avfkit.KalmanSmoother()
    with pytest.raises(ValueError) as error:
        avfkit.imputation(lds, kalman, xs, jnp.ones(4, bool), key=KEY, num_samples=1)
    assert str(error.value) == (
        "observed has shape (4,); expected (5,) (steps) or (5, 3) (entries), to match xs."
    )
    with pytest.raises(ValueError) as error:
        avfkit.imputation(lds, kalman, xs, None, key=KEY, num_samples=0)
    assert str(error.value) == "num_samples is 0; expected at least 1."
    with pytest.raises(ValueError) as error:
        avfkit.coverage(xs[None], xs, [0.5, 90.0])
    assert str(error.value) == "levels holds 90; expected probabilities from 0 to 1."
    assert jax.eval_shape(lambda: avfkit.coverage(xs[None], xs, [0.5])).shape == (1,)
