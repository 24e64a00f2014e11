"""A loss that returns a tree: it takes the place of the current one before the update is added."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from avfkit.train import fit


def run(loss, tree=None, num_steps=3):
    tree = {"a": jnp.zeros(2), "count": jnp.array(0), "f": jnp.tanh} if tree is None else tree
    options = {"optimizer": optax.sgd(0.5), "num_steps": num_steps, "key": jr.key(0)}
    return fit(tree, loss, lambda step: np.ones(2), **options)


def test_the_update_is_added_to_the_returned_tree():
    def loss(tree, batch, *, key, step):
        value = jnp.sum(tree["a"]) * 2.0  # an update of -1
        learned = {"a": tree["a"] + 10.0, "count": tree["count"] + 1, "f": tree["f"]}
        return value, {}, learned

    last = run(loss).last
    np.testing.assert_allclose(last["a"], 27.0)
    assert last["count"] == 3 and last["f"] is jnp.tanh


def test_a_tree_of_other_arrays_is_refused():
    def loss(tree, batch, *, key, step):
        return jnp.sum(tree["a"]), {}, {**tree, "a": jnp.zeros(3)}

    with pytest.raises(ValueError) as error:
        run(loss)
    assert str(error.value) == (
        "loss returned a tree whose arrays differ in number, shape or dtype from those of the tree "
        "it was given."
    )


def test_a_returned_tree_that_is_not_finite_is_found():
    def loss(tree, batch, *, key, step):
        return jnp.sum(tree["a"]) * 0.0 + 1.0, {}, {**tree, "a": tree["a"] * jnp.nan}

    with pytest.raises(FloatingPointError, match="^the loss is 1.0 at step 0"):
        run(loss, num_steps=1)
