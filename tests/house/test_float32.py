"""No dtype is written anywhere: results follow JAX's 64-bit flag, on or off."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import pytest

import avfkit
from tests.helpers import make, observations


@pytest.mark.float32
def test_training_quantities_follow_the_flag() -> None:
    model_key, net_key, infer_key = jr.split(jr.key(0), 3)
    model = avfkit.VRNN(4, 3, hidden_size=5, width=4, key=model_key)
    filter = avfkit.IterativeFilter(avfkit.LearnedUpdate(model, width=6, key=net_key), 2)
    xs = jnp.zeros((3, 4))
    value, gradients = jax.value_and_grad(
        lambda mean: avfkit.free_energy(model, filter, xs + mean, key=infer_key)
    )(jnp.zeros(()))
    assert value.dtype == gradients.dtype == jnp.result_type(float)
    assert jnp.isfinite(value)


@pytest.mark.float32
def test_kalman_filter_follows_the_flag() -> None:
    one = jnp.eye(2)
    chain = avfkit.kalman.Chain(jnp.zeros(2), one, 0.9 * one, jnp.zeros(2), 0.1 * one)
    observed = jnp.array([True, False, True])
    potentials = avfkit.kalman.linear_gaussian_potentials(
        one, jnp.zeros(2), jnp.ones(2), jnp.ones((3, 2)), jnp.stack([observed, observed], 1)
    )
    filtered = avfkit.kalman.filter(chain, potentials)
    assert {leaf.dtype for leaf in jax.tree.leaves(filtered)} == {jnp.result_type(float)}
    assert jnp.all(jnp.isfinite(filtered.log_likelihood))


@pytest.mark.parametrize("pair", [("vrnn-gaussian", "avf"), ("svg", "own-recurrent")])
def test_a_model_of_32_bits_stays_one_under_the_flag(pair) -> None:
    def cast(leaf):
        return leaf.astype(jnp.float32) if eqx.is_inexact_array(leaf) else leaf

    tree = jax.tree.map(cast, make(*pair))
    xs = observations(pair[0], 2)

    @eqx.filter_jit
    @eqx.filter_value_and_grad
    def energy(tree):
        return avfkit.free_energy(*tree, xs, key=jr.key(1))

    found = jax.tree.leaves(eqx.filter(energy(tree), eqx.is_array))
    assert {leaf.dtype for leaf in found} == {jnp.dtype(jnp.float32)}
