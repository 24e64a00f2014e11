"""The particle filter against the Kalman filter and smoother, and against a loop of one's own."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import avfkit
from tests.helpers import Wider, gappy_problem

KEY = jr.key(0)
NUMBER = 4_000


@pytest.fixture(scope="module")
def problem():
    return gappy_problem(6)


@pytest.fixture(scope="module")
def particles(problem):
    run = eqx.filter_jit(avfkit.particle_filter)
    return run(problem[0], Wider(shift=0.3), problem[1], key=KEY, num_particles=NUMBER)


@pytest.fixture(scope="module")
def exact(problem):
    lds, xs, _ = problem
    seen, emission = ~jnp.isnan(xs), lds.emission
    potentials = avfkit.kalman.linear_gaussian_potentials(
        emission.matrix, emission.bias, jnp.exp(emission.log_var), jnp.nan_to_num(xs), seen
    )
    args = (lds.chain, potentials)
    return avfkit.kalman.filter(*args), avfkit.kalman.smoother(*args)


def test_the_weighted_particles_are_the_filtering_distribution(particles, exact):
    filtered = exact[0]
    deviation = np.sqrt(np.diagonal(filtered.cov, axis1=1, axis2=2))
    size = np.asarray(particles.effective_size)[:, None]
    shift = np.abs(particles.mean - filtered.mean) / deviation
    assert (shift < 6 / np.sqrt(size)).all() and (shift < 0.2).all()
    np.testing.assert_allclose(particles.variance, deviation**2, rtol=0.15)
    unweighted = np.abs(particles.z.mean(1) - filtered.mean) / deviation
    assert unweighted.max() > 5 * shift.max()


def test_their_paths_are_the_smoothing_distribution(particles, exact):
    weight, smoothed = np.exp(particles.log_weight[-1]), exact[1]
    mean = np.einsum("n,nti->ti", weight, particles.paths)
    deviation = np.sqrt(np.diagonal(smoothed.cov, axis1=1, axis2=2))
    np.testing.assert_allclose(mean / deviation, smoothed.mean / deviation, atol=0.2)
    assert np.abs(exact[0].mean - smoothed.mean).max() / deviation.max() > 0.3


def test_paths_follow_the_ancestors(particles):
    paths, number = np.asarray(particles.paths), 7
    for t in reversed(range(6)):
        np.testing.assert_array_equal(paths[7, t], particles.z[t, number])
        number = int(particles.ancestors[t, number])
    assert number != 7  # something was resampled


def test_weights_sum_to_one_and_nothing_seen_weighs_nothing(particles):
    np.testing.assert_allclose(np.exp(particles.log_weight).sum(1), 1.0)
    assert particles.log_evidence[2] == 0.0
    assert ((particles.effective_size >= 1.0) & (particles.effective_size <= NUMBER + 1e-6)).all()
    np.testing.assert_array_equal(particles.ancestors[0], np.arange(NUMBER))


def test_the_estimate_is_minus_fivo_and_close_to_log_p(problem, particles):
    lds, xs, log_p = problem
    np.testing.assert_allclose(particles.log_likelihood, log_p, atol=0.2)
    bound = eqx.filter_jit(avfkit.fivo)(lds, Wider(shift=0.3), xs, key=KEY, num_samples=NUMBER)
    np.testing.assert_allclose(particles.log_likelihood, -bound, rtol=1e-12)


def test_a_filter_proposes_in_a_particle_filter_of_ones_own(problem):
    """All that one needs is `step`: a draw, its log-weight, and what the particle carries on."""
    lds, xs, log_p = problem
    proposal, rng, number = Wider(shift=0.3), np.random.default_rng(0), 500

    @jax.jit
    @partial(jax.vmap, in_axes=(0, None, None, 0))
    def advance(loop, x, seen, key):
        loop, trace = proposal.step(lds, loop, x, seen, key=key)
        ratio = trace.prior.log_prob(trace.z) - trace.posterior.log_prob(trace.z)
        return loop, ratio - trace.reconstruction

    loops = jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf, (number, *leaf.shape)), (lds.init(), proposal.init(lds))
    )
    log_z = 0.0
    for t, x in enumerate(xs):
        seen, keys = ~jnp.isnan(x), jr.split(jr.fold_in(KEY, t), number)
        loops, log_weights = advance(loops, jnp.nan_to_num(x), seen, keys)
        if seen.any():
            weights = np.exp(log_weights)
            log_z += np.log(weights.mean())
            chosen = rng.choice(number, number, p=weights / weights.sum())
            loops = jax.tree.map(lambda leaf, chosen=chosen: leaf[chosen], loops)
    np.testing.assert_allclose(log_z, log_p, atol=0.4)


def test_bad_arguments_are_named(problem):
    lds, xs, _ = problem
    with pytest.raises(TypeError) as error:
        avfkit.particle_filter(lds, avfkit.KalmanSmoother(), xs, key=KEY, num_particles=2)
    assert str(error.value) == (
        "particle_filter needs a filter (a subclass of AbstractFilter), which proposes step by "
        "step; KalmanSmoother is not one. Use IterativeFilter or DirectFilter, or iwae, which "
        "serves every method that draws a joint path."
    )
    with pytest.raises(ValueError, match="^num_particles is 0; expected at least 1.$"):
        avfkit.particle_filter(lds, Wider(shift=0.3), xs, key=KEY, num_particles=0)
