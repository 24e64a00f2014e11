"""SVG's own filter: a memory of the observations."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import avfkit
from tests.helpers import make, observations

KEY = jr.key(0)


def test_it_reads_the_observations_in_order_and_nothing_else():
    model, own = make("vrnn-gaussian", "own-recurrent")
    xs = observations("vrnn-gaussian", 3)
    one, other = (own.infer(model, xs, key=jr.key(seed)) for seed in (0, 1))
    assert not np.allclose(one.z, other.z)
    np.testing.assert_array_equal(one.posterior.mean, other.posterior.mean)  # not of the path
    state = own.memory.initial
    for t in range(3):
        state = own.memory(state, model.features(xs[t]))
        np.testing.assert_allclose(one.posterior.mean[t], own.head(state[-1][0]).mean, rtol=1e-10)


def test_it_trains_end_to_end_or_detached():
    model, own = make("vrnn-gaussian", "own-recurrent")
    xs = observations("vrnn-gaussian", 3)
    detached = avfkit.RecurrentFilter(own.memory, own.head, own.sizes, through_past=False)

    def last(filter):
        return jax.grad(lambda m: m.infer(model, xs, key=KEY).reconstruction[-1], allow_int=True)(
            filter
        ).head.linear.bias

    assert not np.allclose(last(own), last(detached))


def test_another_model_is_refused():
    _, own = make("vrnn-gaussian", "own-recurrent")
    model, _ = make("svg", "own-recurrent")
    message = (
        r"^RecurrentFilter maps 5 features to a latent of 3; this SVG has 4 features and a latent "
        r"of 3\.$"
    )
    with pytest.raises(ValueError, match=message):
        own.infer(model, jnp.zeros((2, 64)), key=KEY)
