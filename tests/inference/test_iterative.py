"""Variational filtering EM and AVF: what each gradient teaches, and where the E-step ends."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

import avfkit
from avfkit._model import impute, step_keys
from avfkit.inference import learned_step, output_gate
from avfkit.inference._learned import Reading, layer_norm, signed_log
from tests.helpers import make, observations, random_lds

KEY = jr.key(0)


def belief_filter(steps, family=avfkit.FullGaussian, rate=0.05):
    update = avfkit.GradientUpdate(optax.adam(optax.cosine_decay_schedule(rate, steps)), family)
    return avfkit.MarginalFilter(avfkit.IterativeFilter(update, steps, avfkit.Cubature()))


@pytest.fixture
def promote():
    """Optax's Adam mixes dtypes."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.mark.parametrize("r", [0.1, 1.0, 10.0])
def test_variational_filtering_em_recovers_the_kalman_filter(r, promote):
    lds = random_lds(2, latent=2, obs=3, r=r)
    xs = np.random.default_rng(0).normal(size=(12, 3))
    xs[4:6] = np.nan
    exact = avfkit.MarginalFilter(avfkit.KalmanFilter()).infer(lds, xs, key=KEY)
    found = eqx.filter_jit(belief_filter(400).infer)(lds, xs, key=KEY)
    assert np.abs(found.free_energy - exact.free_energy).max() < 1e-3  # nats per step
    np.testing.assert_allclose(found.posterior.mean, exact.posterior.mean, atol=0.02)


def test_free_energy_falls_along_the_iterations_of_a_small_exact_gradient_step():
    lds = random_lds(0)
    xs = observations("lds", 6)
    update = avfkit.GradientUpdate(optax.sgd(1e-3))
    filters = avfkit.IterativeFilter(update, 5, avfkit.Cubature())
    trace = filters.infer(lds, xs, key=KEY)
    assert trace.iterations.shape == (6, 6)
    assert (np.diff(trace.iterations, axis=1) < 0).all()


def test_no_iterations_leave_the_prior_prediction():
    lds = random_lds(0)
    trace = avfkit.IterativeFilter(avfkit.GradientUpdate(optax.sgd(0.1)), 0).infer(
        lds, observations("lds", 5), key=KEY
    )
    assert trace.iterations.shape == (5, 1)
    np.testing.assert_allclose(trace.posterior.mean, trace.prior.mean)


def test_stop_after_equals_fewer_iterations_without_recompiling():
    lds, xs = random_lds(0), observations("lds", 4)
    update = avfkit.GradientUpdate(optax.sgd(0.01))
    traces = []

    @eqx.filter_jit
    def run(stop):
        traces.append(stop)
        rule = avfkit.IterativeFilter(update, 5, avfkit.Cubature(), stop)
        return avfkit.MarginalFilter(rule).infer(lds, xs, key=KEY).posterior.mean

    for stop in (0, 2, 5):
        short = avfkit.IterativeFilter(update, stop, avfkit.Cubature())
        expected = avfkit.MarginalFilter(short).infer(lds, xs, key=KEY).posterior.mean
        np.testing.assert_allclose(run(jnp.array(stop)), expected, atol=1e-12)
    assert len(traces) == 1


def frozen_free_energy(model, trace, xs):
    """The M-step's objective, written as a loop: q and the drawn path are constants."""
    state, total = model.init(), 0.0
    for t in range(len(xs)):
        q = jax.tree.map(lambda leaf, t=t: leaf[t], trace.posterior)
        z = trace.z[t]
        total += avfkit.kl(q, model.prior(state)) - model.likelihood(state, z).log_prob(xs[t])
        state = model.next(state, xs[t], z)
    return total


@pytest.mark.parametrize("inference", ["avf", "vfem"])
def test_model_gradient_is_the_m_step_with_q_held_fixed(inference):
    model, inference = make("vrnn-gaussian", inference)
    xs = observations("vrnn-gaussian", 3)

    @eqx.filter_jit
    def gradients(model):
        trace = inference.infer(model, xs, key=KEY)
        found = eqx.filter_grad(lambda m: avfkit.free_energy(m, inference, xs, key=KEY))(model)
        return found, eqx.filter_grad(lambda m: frozen_free_energy(m, trace, xs))(model)

    found, expected = gradients(model)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-10)
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(found)) > 0.1


@pytest.mark.parametrize("iterations", [1, 3])
def test_update_gradient_is_the_mean_over_iterations_of_greedy_gradients(iterations):
    """Each iteration teaches the network through its own output only (no second order)."""
    model, _ = make("vrnn-gaussian", "avf")
    update = avfkit.LearnedUpdate(model, width=8, key=jr.key(1))
    rule = avfkit.IterativeFilter(update, iterations, avfkit.Cubature())
    xs = observations("vrnn-gaussian", 1)
    problem = avfkit.StepProblem(
        model, model.init(), model.prior(model.init()), xs[0], jnp.ones(4, bool), jnp.array(1.0)
    )
    points = avfkit.Cubature().points(jnp.zeros(3), key=KEY)

    def energy(estimate):
        return problem.free_energy(estimate, points)

    def greedy(update):
        estimate, total = problem.prior, 0.0
        for _ in range(iterations):
            fixed = jax.lax.stop_gradient(estimate)
            gradient = jax.lax.stop_gradient(jax.grad(energy)(fixed))
            estimate, _ = update.update(fixed, gradient, (), problem)
            total += energy(estimate)
        return total / iterations

    def found(update):
        rule_now = eqx.tree_at(lambda f: f.update, rule, update)
        return avfkit.free_energy(model, rule_now, xs, key=KEY)

    both = eqx.filter_jit(lambda u: (eqx.filter_grad(greedy)(u), eqx.filter_grad(found)(u)))
    expected, gradient = both(update)
    for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(gradient)) > 1e-3


def update_gradient(model, rule, xs):
    """Of the free energies after each iteration, added up."""

    def total(update):
        changed = eqx.tree_at(lambda f: f.update, rule, update)
        return changed.infer(model, xs, key=KEY).iterations[..., 1:].sum()

    return jax.tree.leaves(eqx.filter_jit(eqx.filter_grad(total))(rule.update))


def test_iterations_after_the_stop_teach_nothing():
    model, _ = make("vrnn-gaussian", "avf")
    xs = observations("vrnn-gaussian", 3)
    update = avfkit.LearnedUpdate(model, width=8, key=jr.key(1))
    points = avfkit.Cubature()
    stopped = avfkit.IterativeFilter(update, 3, points, stop_after=jnp.array(1))
    short = avfkit.IterativeFilter(update, 1, points)
    found, expected = (update_gradient(model, rule, xs) for rule in (stopped, short))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)
    assert max(np.abs(leaf).max() for leaf in expected) > 1e-3


def test_an_evaluation_does_not_call_the_update_network_again(monkeypatch):
    model, rule = make("vrnn-gaussian", "avf")
    xs, calls = observations("vrnn-gaussian", 3), []
    propose = avfkit.LearnedUpdate.propose

    def counted(update, reading, products=None):
        calls.append(products)
        return propose(update, reading, products)

    monkeypatch.setattr(avfkit.LearnedUpdate, "propose", counted)
    eqx.filter_make_jaxpr(lambda: rule.infer(model, xs, key=KEY).iterations)()
    evaluation = len(calls)
    update_gradient(model, rule, xs)
    assert evaluation > 0
    assert calls[: 2 * evaluation] == [None] * 2 * evaluation
    assert len(calls) == 2 * evaluation + 1 and len(calls[-1]) == 3


def test_a_proposal_with_known_products_has_the_same_gradient_and_multiplies_nothing_again():
    model, rule = make("vrnn-gaussian", "avf")
    size = rule.update.trunk.layers[0].branches.in_features
    q = avfkit.DiagonalGaussian(*jr.normal(KEY, (2, 3)))
    reading = Reading(q, q, jr.normal(KEY, (size,)))
    products = rule.update.propose(reading)[1]

    def total(update, products):
        q, kept = update.propose(reading, products)
        return jnp.sum(jnp.sin(q.mean) + q.log_var), kept

    first = eqx.filter_value_and_grad(total, has_aux=True)(rule.update, None)
    again = eqx.filter_value_and_grad(total, has_aux=True)(rule.update, products)
    for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(first), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    other = total(rule.update, jax.tree.map(lambda p: p + 1.0, products))[0]
    assert abs(other - first[0][0]) > 1e-3


def test_free_energy_counts_the_e_step_once():
    """The E-step's share of the objective carries a gradient and no value."""
    model, inference = make("vrnn-gaussian", "avf")
    xs = observations("vrnn-gaussian", 4)
    trace = inference.infer(model, xs, key=KEY)
    found = avfkit.free_energy(model, inference, xs, key=KEY)
    np.testing.assert_allclose(found, trace.free_energy.sum(), rtol=1e-12)


def test_update_rules_are_the_paper_s_and_the_code_s():
    old, gradient, offset, gate = (jnp.array([v]) for v in (1.0, 2.0, 10.0, 0.25))
    assert output_gate(old, gradient, offset, gate) == 0.25 * 1.0 + 0.75 * 10.0
    assert learned_step(old, gradient, offset, gate) == 1.0 - 0.25 * 2.0 + 10.0


def test_input_normalisations():
    values = jnp.array([1.0, 2.0, 6.0])
    normal = layer_norm(values)
    np.testing.assert_allclose(normal.mean(), 0.0, atol=1e-12)
    np.testing.assert_allclose(np.std(normal, ddof=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(signed_log(jnp.array([-(np.e - 1)])), [-1.0])


def test_mean_normalisation_acts_after_the_update():
    model, _ = make("vrnn-gaussian", "avf")
    update = avfkit.LearnedUpdate(model, width=8, normalise_mean=True, key=KEY)
    trace = avfkit.IterativeFilter(update, 1).infer(
        model, observations("vrnn-gaussian", 3), key=KEY
    )
    np.testing.assert_allclose(trace.posterior.mean.mean(-1), 0.0, atol=1e-9)
    np.testing.assert_allclose(np.std(trace.posterior.mean, axis=-1, ddof=1), 1.0, rtol=1e-5)


def test_default_update_network_has_the_paper_s_size():
    model = avfkit.VRNN(200, 200, hidden_size=3, width=3, depth=1, key=KEY)
    update = avfkit.LearnedUpdate(model, key=KEY)
    count = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(update, eqx.is_array)))
    assert count == 5_379_872  # facts of the authors' code: VRNN on TIMIT, AVF, phi


def test_sizes_that_do_not_fit_are_named():
    small, _ = make("vrnn-gaussian", "avf")
    other = avfkit.VRNN(5, 2, hidden_size=3, width=3, depth=1, key=KEY)
    xs = jnp.zeros((2, 5))
    update = avfkit.LearnedUpdate(small, width=8, key=KEY)
    with pytest.raises(ValueError) as error:
        avfkit.IterativeFilter(update, 1).infer(other, xs, key=KEY)
    assert str(error.value) == (
        "LearnedUpdate was made for (obs_size, latent_size) = (4, 3); this VRNN has (5, 2)."
    )
    own = avfkit.DirectFilter.create(small, width=5, depth=1, key=KEY)
    with pytest.raises(ValueError) as error:
        own.infer(other, xs, key=KEY)
    assert str(error.value) == (
        "encoder maps 11 inputs to a latent of 3; this VRNN needs 6 inputs (features and context) "
        "and a latent of 2."
    )


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="^num_iterations is -1; expected 0 or more.$"):
        avfkit.IterativeFilter(avfkit.GradientUpdate(optax.sgd(0.1)), -1)
    with pytest.raises(ValueError, match="^num_samples is 0; expected at least 1.$"):
        avfkit.MonteCarlo(0)
    tiny = avfkit.VRNN(4, 1, hidden_size=3, width=3, depth=1, key=KEY)
    with pytest.raises(ValueError) as error:
        avfkit.LearnedUpdate(tiny, key=KEY)
    assert str(error.value) == (
        "the latent has 1 entries and the signal's parts [1, 1]; layer normalisation over one "
        "entry erases it. Use normalise=signed_log and normalise_mean=False."
    )
    with pytest.raises(ValueError, match="^depth is 0; expected at least 1.$"):
        avfkit.LearnedUpdate(tiny, depth=0, normalise=signed_log, key=KEY)


def test_a_drawn_observation_is_part_of_the_fixed_past():
    """A missing x_1 is drawn from the model; step 2 does not differentiate the draw."""
    model, inference = make("vrnn-gaussian", "vfem")
    xs = observations("vrnn-gaussian", 2).at[0].set(jnp.nan)
    trace = eqx.filter_jit(inference.infer)(model, xs, key=KEY)
    key = jr.split(step_keys(2, key=KEY)[0], 3)[2]
    first = model.likelihood(model.init(), trace.z[0])
    drawn = impute(first, jnp.zeros(4), jnp.zeros(4, bool), key=key)

    def second_step(model):
        state = model.next(model.init(), drawn, trace.z[0])
        q = jax.tree.map(lambda leaf: leaf[1], trace.posterior)
        reconstruction = -model.likelihood(state, trace.z[1]).log_prob(xs[1])
        return reconstruction + avfkit.kl(q, model.prior(state))

    @eqx.filter_jit
    def gradients(model):
        found = eqx.filter_grad(lambda m: avfkit.free_energy(m, inference, xs, key=KEY))(model)
        return found, eqx.filter_grad(second_step)(model)

    found, expected = gradients(model)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-10)
