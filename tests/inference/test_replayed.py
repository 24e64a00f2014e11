"""The M-step for a whole path at once: the gradients are those of one step after another."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import avfkit
from tests.helpers import make, observations

KEY = jr.key(0)


def gap(model):
    """A step of which nothing, and one of which not everything was observed."""
    return observations(model, 4).at[1].set(jnp.nan).at[2, 0].set(jnp.nan)


@eqx.filter_jit
def gradients(model, inference, xs):
    """Of free energy and log-weight in the model and in the observations."""

    def total(learner):
        model, xs = learner
        trace = inference.infer(model, xs, key=KEY, kl_weight=0.7)
        return jnp.sum(trace.free_energy) + 0.3 * jnp.sum(trace.log_weight)

    value, grads = eqx.filter_value_and_grad(total)((model, xs))
    return value, jax.tree.leaves(eqx.filter(grads, eqx.is_array))


@pytest.mark.parametrize("name", ["srnn-bernoulli", "vrnn-gaussian", "lds"])
def test_they_are_those_of_one_step_after_another(name):
    model, avf = make(name, "avf")
    xs = gap(name)
    stepwise = avfkit.Rematerialised(avf, every=4)
    (value, found), (again, expected) = (gradients(model, i, xs) for i in (avf, stepwise))
    np.testing.assert_allclose(value, again, rtol=1e-12)
    assert len(found) == len(expected) > 3
    assert all(np.abs(leaf).max() > 1e-6 for leaf in expected)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def products(jaxpr, shape, in_loop=False):
    """How many products with a matrix of this shape stand in the loops of a program."""
    count = 0
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "dot_general":
            count += in_loop and shape in [v.aval.shape for v in eqn.invars]
        for value in eqn.params.values():
            for part in value if isinstance(value, tuple | list) else [value]:
                inner = getattr(part, "jaxpr", part)
                if hasattr(inner, "eqns"):
                    count += products(inner, shape, in_loop or eqn.primitive.name == "scan")
    return count


def test_a_loop_multiplies_by_a_matrix_once_forwards_and_once_backwards():
    model, avf = make("vrnn-gaussian", "avf")
    xs, weight = observations("vrnn-gaussian", 4), model.memory.cell.weight_hh

    def of(inference):
        loss = lambda model: avfkit.free_energy(model, inference, xs, key=KEY)  # noqa: E731
        return products(eqx.filter_make_jaxpr(eqx.filter_grad(loss))(model)[0].jaxpr, weight.shape)

    assert of(avf) == 2
    assert of(avfkit.Rematerialised(avf, every=4)) > 2
