"""Which units a recipe drops: those of the memory, as each model reads it."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from avfkit.train import with_dropout
from avfkit_experiments._dropout import memory_dropout
from tests.helpers import MODELS, random_lds

KEY = jr.key(0)
PLACES = {
    "prior": (lambda m: m.prior_net.layers[0].weight),
    "likelihood": (lambda m: m.likelihood_net.layers[0].weight),
}


def silenced(model):
    """The inputs of prior and likelihood that some mask of twenty has silenced."""

    def keep(tree, batch, *, key, step):
        return jnp.zeros(()), {"model": tree[0]}

    noisy = eqx.filter_jit(with_dropout(keep, memory_dropout(model, 0.5)))
    found = {name: set() for name in PLACES}
    for seed in range(20):
        dropped = noisy((model, None), None, key=jr.key(seed), step=jnp.array(0))[1]["model"]
        for name, where in PLACES.items():
            found[name] |= set(np.flatnonzero(np.asarray(where(dropped) == 0).all(0)).tolist())
    return found


@pytest.mark.parametrize(
    "name, prior, likelihood",
    [
        ("vrnn-bernoulli", range(6), range(5, 11)),  # [h]; [phi_z, h]
        ("srnn-bernoulli", range(6), range(6)),  # [h, z]; [h, z]
    ],
)
def test_only_the_memory_is_dropped(name, prior, likelihood):
    found = silenced(MODELS[name](KEY))
    assert found == {"prior": set(prior), "likelihood": set(likelihood)}


def test_a_model_without_a_memory_is_refused():
    with pytest.raises(ValueError, match="^dropout is 0.4; expected 0 for LDS: it is for VRNN"):
        memory_dropout(random_lds(), 0.4)
