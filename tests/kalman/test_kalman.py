"""The Kalman filter and smoother against a dense joint Gaussian, and against dynamax."""

from functools import partial

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

from avfkit import kalman
from tests.helpers import random_lds
from tests.reference import block, dense_posterior

FILTER, SMOOTHER = jax.jit(kalman.filter), jax.jit(kalman.smoother)
CASES = [(1, 1, 1), (1, 2, 6), (2, 3, 5), (3, 4, 8), (4, 2, 7)]


def problem(latent, obs, length, seed=0, missing=0.3):
    lds = random_lds(seed, latent=latent, obs=obs)
    rng = np.random.default_rng(seed + 100)
    xs = rng.normal(size=(length, obs))
    observed = rng.uniform(size=(length, obs)) > missing
    if length > 3:
        observed[2] = False
    emission = lds.emission
    variance = np.exp(np.asarray(emission.log_var))
    arrays = (emission.matrix, emission.bias, jnp.array(variance))
    potentials = kalman.linear_gaussian_potentials(*arrays, jnp.array(xs), jnp.array(observed))
    return lds.chain, arrays, potentials, xs, observed


@settings(max_examples=12, deadline=None)
@given(
    case=st.sampled_from(CASES),
    seed=st.integers(0, 1000),
    missing=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_filter_and_smoother_equal_dense_gaussian(case, seed, missing):
    latent, obs, length = case
    chain, arrays, potentials, xs, observed = problem(latent, obs, length, seed, missing)
    filtered = FILTER(chain, potentials)
    smoothed = SMOOTHER(chain, potentials)
    mean, cov, log_p = dense_posterior(chain, *arrays, xs, observed)
    np.testing.assert_allclose(filtered.log_likelihood.sum(), log_p, rtol=0, atol=1e-9)
    np.testing.assert_allclose(smoothed.log_likelihood, log_p, rtol=0, atol=1e-9)
    for t in range(length):
        f_mean, f_cov, _ = dense_posterior(chain, *arrays, xs, observed, upto=t + 1)
        np.testing.assert_allclose(filtered.mean[t], block(f_mean, t, latent), rtol=0, atol=1e-9)
        np.testing.assert_allclose(filtered.cov[t], block(f_cov, t, latent), rtol=0, atol=1e-9)
        p_mean, p_cov, _ = dense_posterior(chain, *arrays, xs, observed, upto=t)
        np.testing.assert_allclose(
            filtered.predicted_mean[t], block(p_mean, t, latent), rtol=0, atol=1e-9
        )
        np.testing.assert_allclose(
            filtered.predicted_cov[t], block(p_cov, t, latent), rtol=0, atol=1e-9
        )
        np.testing.assert_allclose(smoothed.mean[t], block(mean, t, latent), rtol=0, atol=1e-9)
        np.testing.assert_allclose(smoothed.cov[t], block(cov, t, latent), rtol=0, atol=1e-9)
        if t + 1 < length:
            now, after = (
                slice(t * latent, (t + 1) * latent),
                slice((t + 1) * latent, (t + 2) * latent),
            )
            np.testing.assert_allclose(smoothed.cross_cov[t], cov[after, now], rtol=0, atol=1e-9)


@pytest.fixture
def dynamax(monkeypatch):
    """The reference, without the 1e-9 it adds to the diagonal of what it inverts."""
    from dynamax.linear_gaussian_ssm import inference

    monkeypatch.setattr(inference, "psd_solve", partial(inference.psd_solve, diagonal_boost=0.0))
    return inference


@pytest.mark.parametrize("seed", [0, 1])
def test_equals_dynamax_with_missing_steps(seed, dynamax):

    latent, obs, length = 3, 4, 2_000
    chain, arrays, _, xs, _ = problem(latent, obs, length, seed)
    missing = np.arange(length) % 50 > 45
    missing[[4, 5, 11]] = True
    observed = np.broadcast_to(~missing[:, None], xs.shape)
    potentials = kalman.linear_gaussian_potentials(*arrays, jnp.array(xs), jnp.array(observed))
    # dynamax knows no missing steps; a huge noise covariance is how its users say so
    huge = 1e16
    noise = np.where(missing[:, None], huge, np.asarray(arrays[2]))
    params = dynamax.make_lgssm_params(
        chain.initial_mean,
        chain.initial_cov,
        chain.dynamics,
        chain.noise_cov,
        arrays[0],
        jax.vmap(jnp.diag)(jnp.array(noise)),
        chain.bias,
        None,
        arrays[1],
    )
    # dynamax mixes dtypes freely, so it runs under JAX's standard promotion
    with jax.numpy_dtype_promotion("standard"):
        reference = dynamax.lgssm_smoother(params, jnp.array(xs))
    filtered, smoothed = FILTER(chain, potentials), SMOOTHER(chain, potentials)
    np.testing.assert_allclose(filtered.mean, reference.filtered_means, rtol=0, atol=1e-9)
    np.testing.assert_allclose(filtered.cov, reference.filtered_covariances, rtol=0, atol=1e-9)
    np.testing.assert_allclose(smoothed.mean, reference.smoothed_means, rtol=0, atol=1e-9)
    np.testing.assert_allclose(smoothed.cov, reference.smoothed_covariances, rtol=0, atol=1e-9)


def test_log_likelihood_and_its_gradient_equal_dynamax(dynamax):
    chain, arrays, _, xs, _ = problem(3, 4, 30)
    everything = jnp.ones(xs.shape, bool)
    potentials = kalman.linear_gaussian_potentials(*arrays, jnp.array(xs), everything)

    @jax.value_and_grad
    def theirs(dynamics):
        params = dynamax.make_lgssm_params(
            chain.initial_mean,
            chain.initial_cov,
            dynamics,
            chain.noise_cov,
            arrays[0],
            jnp.diag(arrays[2]),
            chain.bias,
            None,
            arrays[1],
        )
        return dynamax.lgssm_filter(params, jnp.array(xs)).marginal_loglik

    @jax.value_and_grad
    def ours(dynamics):
        return FILTER(chain._replace(dynamics=dynamics), potentials).log_likelihood.sum()

    with jax.numpy_dtype_promotion("standard"):
        expected, slope = jax.jit(theirs)(chain.dynamics)
    found, gradient = jax.jit(ours)(chain.dynamics)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(gradient, slope, rtol=1e-9, atol=1e-9)


def test_samples_have_the_smoothed_moments():
    chain, _, potentials, _, _ = problem(2, 3, 6)
    posterior = kalman.conditionals(chain, potentials)
    smoothed = SMOOTHER(chain, potentials)
    draws = jax.vmap(lambda key: kalman.sample(posterior, key=key))(jr.split(jr.key(0), 40_000))
    np.testing.assert_allclose(draws.mean(0), smoothed.mean, atol=0.03)
    centred = draws - draws.mean(0)
    cov = jnp.einsum("nti,ntj->tij", centred, centred) / len(draws)
    np.testing.assert_allclose(cov, smoothed.cov, atol=0.03)
    cross = jnp.einsum("nti,ntj->tij", centred[:, 1:], centred[:, :-1]) / len(draws)
    np.testing.assert_allclose(cross, smoothed.cross_cov, atol=0.03)


def test_gradients_are_finite_when_everything_is_missing():
    chain, arrays, _, xs, _ = problem(3, 4, 5)

    def total(chain):
        nothing = jnp.zeros(xs.shape, bool)
        potentials = kalman.linear_gaussian_potentials(*arrays, jnp.array(xs), nothing)
        smoothed = SMOOTHER(chain, potentials)
        return smoothed.mean.sum() + smoothed.cov.sum() + smoothed.log_likelihood

    gradient = jax.grad(total)(chain)
    assert all(np.isfinite(leaf).all() for leaf in gradient)


def test_gradient_of_log_likelihood_against_finite_differences():
    chain, arrays, _, xs, observed = problem(2, 3, 6)

    def log_p(chain, matrix):
        potentials = kalman.linear_gaussian_potentials(
            matrix, *arrays[1:], jnp.array(xs), jnp.array(observed)
        )
        return FILTER(chain, potentials).log_likelihood.sum()

    check_grads(jax.jit(log_p), (chain, arrays[0]), order=1, modes=["rev"])


def test_non_positive_noise_is_named():
    _, arrays, _, xs, observed = problem(2, 3, 4)
    bad = arrays[2].at[1].set(-0.5)
    with pytest.raises(ValueError) as error:
        kalman.linear_gaussian_potentials(*arrays[:2], bad, jnp.array(xs), jnp.array(observed))
    assert str(error.value) == "emission_var holds -0.5; expected positive noise variances."
