"""The VRNN's wiring and sizes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import avfkit
from tests.helpers import make, observations

KEY = jr.key(0)


def test_states_along_a_path_are_the_loop():
    model, _ = make("vrnn-gaussian", "own")
    xs = observations("vrnn-gaussian", 4)
    zs = jnp.array(np.random.default_rng(1).normal(size=(4, 3)))
    states = model.states(xs, jnp.ones(xs.shape, bool), zs, key=KEY)
    state = model.init()
    for t in range(4):
        for a, b in zip(state, states, strict=True):
            np.testing.assert_allclose(a, b[t], atol=1e-12)
        state = model.next(state, xs[t], zs[t])


def test_the_prior_has_the_paper_s_timit_size():
    """h (2,000) -> 4 x 500 ReLU -> mean and log-variance of 200 each."""
    model = eqx.filter_eval_shape(
        avfkit.VRNN, 200, 200, hidden_size=2000, width=500, depth=4, key=KEY
    )
    leaves = jax.tree.leaves(eqx.filter(model.prior_net, eqx.is_array_like))
    leaves = leaves or jax.tree.leaves(model.prior_net)
    count = sum(int(np.prod(leaf.shape)) for leaf in leaves)
    assert count == 2000 * 500 + 500 + 3 * (500 * 500 + 500) + 500 * 400 + 400


@pytest.mark.parametrize("name", ["obs_size", "latent_size", "hidden_size", "width", "depth"])
def test_sizes_below_one_are_named(name):
    sizes = {"obs_size": 2, "latent_size": 2} | {name: 0}
    with pytest.raises(ValueError, match=f"^{name} is 0; expected at least 1.$"):
        avfkit.VRNN(**sizes, key=KEY)
