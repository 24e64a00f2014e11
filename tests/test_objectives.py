"""The free energy and its relatives against exact answers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import avfkit
from tests.helpers import gappy_problem, make, observations

KEY = jr.key(0)


@pytest.fixture(scope="module")
def problem():
    return gappy_problem(7)


def test_every_path_of_the_exact_posterior_weighs_log_p(problem):
    lds, xs, log_p = problem

    @jax.jit
    def weights(keys):
        infer = avfkit.KalmanSmoother().infer
        return jax.vmap(lambda key: infer(lds, xs, key=key).log_weight.sum())(keys)

    np.testing.assert_allclose(weights(jr.split(KEY, 20)), log_p, rtol=0, atol=1e-9)


def test_free_energy_of_the_exact_posterior_is_minus_log_p_on_average(problem):
    lds, xs, log_p = problem

    @jax.jit
    def energies(keys):
        smoother = avfkit.KalmanSmoother()
        return jax.vmap(lambda key: avfkit.free_energy(lds, smoother, xs, key=key))(keys)

    values = energies(jr.split(KEY, 20_000))
    assert abs(values.mean() + log_p) < 4 * values.std() / np.sqrt(len(values))


def test_the_free_energy_is_made_of_its_terms(problem):
    lds, xs, _ = problem
    options = {"key": KEY, "context": 1, "kl_weight": 0.25}
    trace = avfkit.KalmanSmoother().infer(lds, xs, key=KEY)
    nats, terms = avfkit.free_energy_terms(lds, avfkit.KalmanSmoother(), xs, **options)
    np.testing.assert_allclose(terms["reconstruction"], trace.reconstruction[1:].sum(), rtol=1e-12)
    np.testing.assert_allclose(terms["kl"], trace.kl[1:].sum(), rtol=1e-12)
    np.testing.assert_allclose(nats, terms["reconstruction"] + 0.25 * terms["kl"], rtol=1e-12)


def test_free_energy_bounds_iwae_bounds_minus_log_p(problem):
    lds, xs, log_p = problem
    own = avfkit.DirectFilter.create(lds, width=5, depth=1, key=KEY)
    keys = jr.split(KEY, 4_000)

    @eqx.filter_jit
    def average(objective, **options):
        values = jax.vmap(lambda key: objective(lds, own, xs, key=key, **options))(keys)
        return values.mean(), values.std() / np.sqrt(len(keys))

    bounds = [average(avfkit.free_energy)]
    bounds += [average(avfkit.iwae, num_samples=k) for k in (1, 4, 16)]
    one, single = bounds[0], bounds[1]
    assert abs(one[0] - single[0]) < 4 * (one[1] + single[1])
    for (higher, high), (lower, low) in zip(bounds[1:], bounds[2:], strict=False):
        assert higher - lower > 5 * (high + low)
    assert bounds[-1][0] > -log_p


def test_iwae_is_the_log_of_the_mean_weight(problem):
    lds, xs, _ = problem
    own = avfkit.DirectFilter.create(lds, width=5, depth=1, key=KEY)
    found = avfkit.iwae(lds, own, xs, key=KEY, num_samples=3)
    weights = [own.infer(lds, xs, key=key).log_weight.sum() for key in jr.split(KEY, 3)]
    np.testing.assert_allclose(found, -np.log(np.mean(np.exp(weights))), rtol=1e-9)


def test_iwae_teaches_an_iterative_filter():
    model, inference = make("vrnn-gaussian", "avf")
    xs = observations("vrnn-gaussian", 3)

    @eqx.filter_jit
    @eqx.filter_grad
    def gradient(inference):
        return avfkit.iwae(model, inference, xs, key=KEY, num_samples=2)

    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(gradient(inference))) > 1e-3


def test_marginal_filter_codes_the_sequence_in_minus_log_p(problem):
    lds, xs, log_p = problem
    kalman = avfkit.MarginalFilter(avfkit.KalmanFilter())
    np.testing.assert_allclose(
        avfkit.free_energy(lds, kalman, xs, key=KEY), -log_p, rtol=0, atol=1e-9
    )


def test_the_exact_filter_pays_the_filtering_gap(problem):
    """q_t = p(z_t | z_{t-1}, x_t) cannot be corrected by the future, so F > -log p(x)."""
    lds, xs, log_p = problem

    @jax.jit
    def energies(keys):
        kalman = avfkit.KalmanFilter()
        return jax.vmap(lambda key: avfkit.free_energy(lds, kalman, xs, key=key))(keys)

    values = energies(jr.split(KEY, 5_000))
    gap, error = values.mean() + log_p, values.std() / np.sqrt(len(values))
    assert gap > 10 * error


def test_context_leaves_first_steps_unscored(problem):
    lds, xs, _ = problem
    kalman = avfkit.MarginalFilter(avfkit.KalmanFilter())
    terms = kalman.infer(lds, xs, key=KEY).free_energy
    found = avfkit.free_energy(lds, kalman, xs, key=KEY, context=2)
    np.testing.assert_allclose(found, terms[2:].sum(), atol=1e-12)


def test_kl_weight_weighs_the_kl_term_only(problem):
    lds, xs, _ = problem
    own = avfkit.DirectFilter.create(lds, width=5, depth=1, key=KEY)
    trace = own.infer(lds, xs, key=KEY)
    found = avfkit.free_energy(lds, own, xs, key=KEY, kl_weight=0.25)
    np.testing.assert_allclose(found, trace.reconstruction.sum() + 0.25 * trace.kl.sum())


BAD = [
    (jnp.zeros((3, 2)), None, "xs has shape (3, 2); expected [time, 3], one sequence of a LDS with "
     "obs_size 3 (use jax.vmap for batches)."),
    (jnp.zeros(3), None, "xs has shape (3,); expected [time, 3], one sequence of a LDS with "
     "obs_size 3 (use jax.vmap for batches)."),
    (jnp.zeros((0, 3)), None, "xs has no time steps; expected at least one."),
    (jnp.zeros((4, 3)), jnp.ones(3, bool), "observed has shape (3,); expected (4,) (steps) or "
     "(4, 3) (entries), to match xs."),
    (jnp.zeros((4, 3)), jnp.ones(4), "observed has dtype float64; expected bool."),
    (jnp.zeros((4, 3)).at[2, 1].set(-jnp.inf), None, "xs holds -inf at step 2, entry 1; expected "
     "finite numbers, or NaN for what is missing."),
]  # fmt: skip


@pytest.mark.parametrize("xs, observed, message", BAD)
def test_bad_sequences_are_named(problem, xs, observed, message):
    for method in (avfkit.KalmanFilter(), avfkit.KalmanSmoother()):
        with pytest.raises(ValueError) as error:
            method.infer(problem[0], xs, observed, key=KEY)
        assert str(error.value) == message


def test_one_step_and_integers_are_fine(problem):
    lds = problem[0]
    kalman = avfkit.MarginalFilter(avfkit.KalmanFilter())
    whole = avfkit.free_energy(lds, kalman, np.array([[1, 0, 2]]), key=KEY)
    assert whole == avfkit.free_energy(lds, kalman, jnp.array([[1.0, 0.0, 2.0]]), key=KEY)


@pytest.mark.parametrize("context", [-1, 7])
def test_a_context_that_leaves_nothing_is_named(problem, context):
    lds, xs, _ = problem
    kalman = avfkit.MarginalFilter(avfkit.KalmanFilter())
    with pytest.raises(ValueError) as error:
        avfkit.free_energy(lds, kalman, xs, key=KEY, context=context)
    assert str(error.value) == f"context is {context}; expected from 0 to 6 for 7 steps."
    with pytest.raises(ValueError, match="^num_samples is 0; expected at least 1.$"):
        avfkit.iwae(lds, avfkit.KalmanSmoother(), xs, key=KEY, num_samples=0)


def test_beliefs_that_are_no_path_have_no_importance_weights(problem):
    lds, xs, _ = problem
    exact = avfkit.MarginalFilter(avfkit.KalmanFilter())
    with pytest.raises(TypeError, match="^iwae needs a method that draws a joint path; Marginal"):
        avfkit.iwae(lds, exact, xs, key=KEY, num_samples=2)
    batch = avfkit.data.pad([np.asarray(xs)])
    found = avfkit.evaluate(lds, exact, [batch], key=KEY, num_samples=2)
    assert found.iwae is None and found.fivo is None
