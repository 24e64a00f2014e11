"""Rematerialisation: the same numbers, from fewer kept states."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import avfkit
from tests.helpers import make, observations

KEY = jr.key(0)


def energy(tree, xs):
    model, inference = tree
    return avfkit.free_energy(model, inference, xs, key=KEY, kl_weight=0.7)


def leaves(tree):
    return jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))


@pytest.mark.parametrize("every", [None, 3, 50])
@pytest.mark.parametrize("inference", ["own", "avf"])
def test_values_and_gradients_are_those_of_the_plain_filter(inference, every):
    model, filter = make("vrnn-bernoulli", inference)
    xs = observations("vrnn-bernoulli", 7)
    xs = xs.at[2].set(np.nan)
    gradient = eqx.filter_jit(eqx.filter_value_and_grad(energy))
    value, plain = gradient((model, filter), xs)
    again, found = gradient((model, avfkit.Rematerialised(filter, every)), xs)
    np.testing.assert_allclose(again, value, rtol=1e-12)
    assert any(np.any(leaf != 0) for leaf in leaves(plain[1]))
    for a, b in zip(leaves(found), leaves(plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_the_trace_has_every_step_once():
    model, filter = make("vrnn-bernoulli", "avf")
    xs = observations("vrnn-bernoulli", 11)
    plain = filter.infer(model, xs, key=KEY)
    found = avfkit.Rematerialised(filter, 4).infer(model, xs, key=KEY)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), found, plain)


def test_memory_grows_slower_than_the_sequence():
    model, filter = make("vrnn-bernoulli", "avf")
    bytes_of = {}
    for name, inference in [("plain", filter), ("less", avfkit.Rematerialised(filter))]:
        for length in (64, 1024):
            xs = jnp.zeros((length, model.obs_size))
            step = eqx.filter_jit(eqx.filter_grad(energy)).lower((model, inference), xs)
            memory = step.compile().compiled.memory_analysis()
            bytes_of[name, length] = memory.temp_size_in_bytes
    growth = {n: bytes_of[n, 1024] / bytes_of[n, 64] for n in ("plain", "less")}
    assert growth["plain"] > 10.0  # 16 times as long
    assert growth["less"] < 6.0  # about the root of 16, and what does not grow


def test_a_segment_of_no_steps_is_refused():
    _, filter = make("vrnn-bernoulli", "avf")
    with pytest.raises(ValueError) as error:
        avfkit.Rematerialised(filter, 0)
    assert str(error.value) == "every is 0; expected at least 1."
