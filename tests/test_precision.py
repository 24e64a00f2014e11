"""Gaussian message passing keeps all digits, also where a GPU multiplies with fewer."""

import jax
import jax.numpy as jnp
import jax.random as jr
import pytest

from avfkit import kalman


def loss(linear, method):
    """Everything that is found of one chain, summed."""
    size = linear.shape[1]
    eye, ones = jnp.eye(size), jnp.ones(size)
    chain = kalman.Chain(ones, eye, 0.9 * eye, ones, eye)
    root = jnp.broadcast_to(eye + 0.1, (len(linear), size, size))
    potentials = kalman.full_potentials(linear, root)
    path, log_normaliser = kalman.posterior(chain, potentials, method=method)
    found = (
        kalman.filter(chain, potentials, method=method),
        kalman.marginals(path, method=method),
        kalman.sample(path, key=jr.key(0), method=method),
        kalman.divergence(path, chain, method=method),
    )
    return log_normaliser + sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(found))


@pytest.mark.parametrize("method", ["sequential", "parallel"])
def test_every_product_of_values_and_gradients_asks_for_full_precision(method):
    """Also those that `jax.vmap` makes later of what `jax.jit` has traced."""
    slope = jax.jit(jax.vmap(jax.jit(jax.grad(lambda linear: loss(linear, method)))))
    products = [
        line
        for line in slope.lower(jnp.zeros((40, 3, 5))).as_text().splitlines()
        if "stablehlo.dot" in line
    ]
    assert len(products) > 10
    assert [line for line in products if "precision = [HIGHEST, HIGHEST]" not in line] == []
