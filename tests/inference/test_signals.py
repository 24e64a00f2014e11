"""Precision-weighted errors as the signal of a learned update."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import avfkit
from avfkit import DiagonalGaussian
from avfkit._inference import StepProblem
from avfkit.inference import errors, gradients
from tests.helpers import MODELS, OBS

KEY = jr.key(0)


def problem(observed=None):
    model = MODELS["lds"](KEY)
    state = model.init()
    seen = jnp.ones(OBS, bool) if observed is None else jnp.array(observed)
    return StepProblem(model, state, model.prior(state), jnp.arange(4.0), seen, 1.0)


def test_errors_are_weighted_by_precision():
    step = problem()
    q = DiagonalGaussian(jnp.array([0.1, 0.2, 0.3]), jnp.zeros(3))
    data, latent = errors(q, q, step)
    emission = step.model.emission
    residual = step.x - (emission.matrix @ q.mean + emission.bias)
    np.testing.assert_allclose(data, residual / jnp.exp(emission.log_var), rtol=1e-12)
    variance = jnp.diag(step.prior.covariance)
    np.testing.assert_allclose(latent, (q.mean - step.prior.mean) / variance, rtol=1e-12)


def test_missing_entries_have_no_error():
    q = DiagonalGaussian(jnp.zeros(3), jnp.zeros(3))
    data, _ = errors(q, q, problem([True, False, True, False]))
    assert data[1] == 0.0 and data[3] == 0.0 and data[0] != 0.0


def test_bernoulli_errors_are_divided_by_the_bernoulli_s_variance():
    model = MODELS["vrnn-bernoulli"](KEY)
    state = model.init()
    x = jnp.array([1.0, 0.0, 1.0, 0.0])
    step = StepProblem(model, state, model.prior(state), x, jnp.ones(4, bool), 1.0)
    q = DiagonalGaussian(jnp.zeros(3), jnp.zeros(3))
    p = model.likelihood(state, q.mean).mean
    np.testing.assert_allclose(errors(q, q, step)[0], (x - p) / (p * (1 - p)), rtol=1e-9)


@pytest.mark.parametrize("signal, size", [(gradients, 4 * 3), (errors, 3 * 3 + 4)])
def test_the_network_has_room_for_its_signal(signal, size):
    model = MODELS["lds"](KEY)
    update = avfkit.LearnedUpdate(model, width=5, signal=signal, key=KEY)
    assert update.trunk.layers[0].branches.in_features == size


def test_a_bernoulli_that_is_sure_has_a_finite_error():
    model = MODELS["vrnn-bernoulli"](KEY)
    sure = eqx.tree_at(lambda m: m.likelihood_net.head.linear.bias, model, jnp.full(4, 900.0))
    state = sure.init()
    step = StepProblem(sure, state, sure.prior(state), jnp.ones(4), jnp.ones(4, bool), 1.0)
    q = DiagonalGaussian(jnp.zeros(3), jnp.zeros(3))
    np.testing.assert_array_equal(errors(q, q, step)[0], jnp.zeros(4))


def test_a_part_of_one_entry_is_refused():
    model = avfkit.VRNN(1, 3, hidden_size=4, width=4, key=KEY)
    with pytest.raises(
        ValueError, match=r"^the latent has 3 entries and the signal's parts \[1, 3"
    ):
        avfkit.LearnedUpdate(model, width=5, signal=errors, key=KEY)


def test_the_gate_bias_moves_fresh_gates():
    model = MODELS["lds"](KEY)
    plain, biased = (
        avfkit.LearnedUpdate(model, width=5, gate_bias=b, key=KEY).heads.bias for b in (0.0, -4.0)
    )
    np.testing.assert_allclose(biased - plain, [0.0] * 6 + [-4.0] * 6)
