"""Exact divergences and densities against Monte Carlo and dense formulas."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import stats

from avfkit import Bernoulli, DiagonalGaussian, FullGaussian, kl, kl_per_dimension
from avfkit._inference import select

RNG = np.random.default_rng(0)


def gaussians(size=3):
    root = RNG.normal(size=(size, size))
    diagonal = DiagonalGaussian(jnp.array(RNG.normal(size=size)), jnp.array(RNG.normal(size=size)))
    full = FullGaussian.from_covariance(
        jnp.array(RNG.normal(size=size)), jnp.array(root @ root.T + np.eye(size))
    )
    return {"diagonal": diagonal, "full": full}


@pytest.mark.parametrize("q_name", ["diagonal", "full"])
@pytest.mark.parametrize("p_name", ["diagonal", "full"])
def test_kl_of_gaussians_equals_the_textbook_formula(q_name, p_name):
    q, p = gaussians()[q_name], gaussians()[p_name]
    ratio = np.linalg.solve(np.asarray(p.covariance), np.asarray(q.covariance))
    shift = np.asarray(p.mean - q.mean)
    expected = 0.5 * (
        np.trace(ratio)
        - len(shift)
        + shift @ np.linalg.solve(np.asarray(p.covariance), shift)
        - np.linalg.slogdet(ratio)[1]
    )
    np.testing.assert_allclose(kl(q, p), expected, rtol=1e-12)


@pytest.mark.parametrize("q_name", ["diagonal", "full"])
@pytest.mark.parametrize("p_name", ["diagonal", "full"])
def test_the_first_entries_carry_the_kl_of_their_marginals(q_name, p_name):
    """The chain rule: what the first k entries add is the divergence of these entries alone."""
    q, p = gaussians()[q_name], gaussians()[p_name]
    parts = kl_per_dimension(q, p)
    assert (parts >= 0.0).all()
    for k in (1, 2, 3):
        heads = (FullGaussian.from_covariance(g.mean[:k], g.covariance[:k, :k]) for g in (q, p))
        np.testing.assert_allclose(parts[:k].sum(), kl(*heads), rtol=1e-12)


@pytest.mark.parametrize("name", ["diagonal", "full"])
def test_kl_of_a_gaussian_with_itself_is_exactly_zero(name):
    q = gaussians()[name]
    assert kl(q, q) == 0.0


def test_kl_of_bernoullis_equals_the_sum_over_outcomes():
    q, p = (Bernoulli(jnp.array(RNG.normal(size=4))) for _ in range(2))
    total = 0.0
    for index in range(16):
        x = jnp.array([float(bit) for bit in f"{index:04b}"])
        total += jnp.exp(q.log_prob(x)) * (q.log_prob(x) - p.log_prob(x))
    np.testing.assert_allclose(kl(q, p), total, rtol=1e-12)


def test_kl_refuses_a_pair_without_closed_form():
    q, p = gaussians()["full"], Bernoulli(jnp.zeros(3))
    message = (
        "kl has no closed form for q = FullGaussian and p = Bernoulli; "
        "expected two Gaussians or two Bernoullis."
    )
    with pytest.raises(TypeError) as error:
        kl(q, p)
    assert str(error.value) == message


@pytest.mark.parametrize("name", ["diagonal", "full"])
def test_log_prob_of_observed_entries_is_that_of_the_marginal(name):
    q = gaussians()[name]
    value = jnp.array(RNG.normal(size=3))
    observed = jnp.array([True, False, True])
    keep = np.array([0, 2])
    marginal = stats.multivariate_normal(
        np.asarray(q.mean)[keep], np.asarray(q.covariance)[np.ix_(keep, keep)]
    )
    expected = marginal.logpdf(np.asarray(value)[keep])
    np.testing.assert_allclose(q.log_prob(value, observed), expected, rtol=1e-10)
    joint = stats.multivariate_normal(np.asarray(q.mean), np.asarray(q.covariance))
    np.testing.assert_allclose(q.log_prob(value), joint.logpdf(np.asarray(value)), rtol=1e-10)


@pytest.mark.parametrize("name", ["diagonal", "full"])
def test_samples_have_the_stated_moments(name):
    q = gaussians()[name]
    draws = jax.vmap(lambda key: q.sample(key=key))(jr.split(jr.key(1), 50_000))
    np.testing.assert_allclose(draws.mean(0), q.mean, atol=0.05)
    np.testing.assert_allclose(jnp.cov(draws.T), q.covariance, atol=0.12)


def test_bernoulli_is_finite_at_extreme_logits():
    keys = Bernoulli(jnp.array([-1e4, 1e4]))
    value = jnp.array([0.0, 1.0])
    assert keys.log_prob(value) == 0.0
    assert np.isfinite(jax.grad(lambda l: Bernoulli(l).log_prob(1 - value))(keys.logits)).all()


def test_families_keep_mean_and_marginal_variances():
    full = gaussians()["full"]
    diagonal = DiagonalGaussian.of(full)
    np.testing.assert_allclose(diagonal.variance, jnp.diagonal(full.covariance), rtol=1e-12)
    np.testing.assert_allclose(
        FullGaussian.of(diagonal).covariance, diagonal.covariance, rtol=1e-12
    )
    chosen = select(jnp.array(False), diagonal, full)
    np.testing.assert_allclose(chosen.covariance, full.covariance, rtol=1e-12)


@pytest.mark.parametrize("name", ["diagonal", "full"])
def test_moments_of_stacked_gaussians_are_those_of_each(name):
    each = [gaussians()[name] for _ in range(3)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)
    for t, gaussian in enumerate(each):
        np.testing.assert_allclose(stacked.variance[t], gaussian.variance)
        np.testing.assert_allclose(stacked.covariance[t], gaussian.covariance)


def test_non_positive_variances_are_named():
    with pytest.raises(ValueError) as error:
        FullGaussian.from_covariance(jnp.zeros(2), jnp.diag(jnp.array([1.0, -1.0])))
    message = "covariance is not positive definite; expected positive variances."
    assert str(error.value) == message
