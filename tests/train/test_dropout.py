"""Dropout as masked columns of weight matrices."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from avfkit.train import Drop, with_dropout

STEP = jnp.array(0)


def weights(tree, batch, *, key, step):
    return jnp.zeros(()), {"weight": tree["w"]}


def dropped(rate, seed=0, inputs=slice(None)):
    tree = {"w": jnp.ones((3, 400)), "other": jnp.ones((2, 2))}
    drop = Drop(lambda t: t["w"], rate, inputs)
    return with_dropout(weights, [drop])(tree, None, key=jr.key(seed), step=STEP)[1]["weight"]


def test_whole_columns_go_and_the_rest_makes_up_for_them():
    weight = np.asarray(dropped(0.25))
    kept = weight[0] > 0
    np.testing.assert_allclose(weight[:, kept], 1 / 0.75)
    assert (weight[:, ~kept] == 0).all()
    assert abs(kept.mean() - 0.75) < 0.08
    assert not np.array_equal(weight, dropped(0.25, seed=1))


def test_only_the_chosen_inputs_are_dropped():
    weight = np.asarray(dropped(0.5, inputs=slice(100, None)))
    assert (weight[:, :100] == 1).all() and (weight[:, 100:] == 0).any()


def test_rate_zero_changes_nothing_but_the_key():
    np.testing.assert_array_equal(dropped(0.0), np.ones((3, 400)))


def test_gradients_reach_the_kept_inputs_only():
    def loss(tree, batch, *, key, step):
        return jnp.sum(tree["w"]), {}

    noisy = with_dropout(loss, [Drop(lambda t: t["w"], 0.5)])
    gradient = jax.grad(lambda t: noisy(t, None, key=jr.key(0), step=STEP)[0])(
        {"w": jnp.ones((2, 50))}
    )["w"]
    assert set(np.unique(gradient)) == {0.0, 2.0}


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_rates_out_of_range_are_refused(rate):
    with pytest.raises(ValueError, match=rf"^drops\[0\] has rate {rate}; expected from 0 to below"):
        with_dropout(weights, [Drop(lambda t: t["w"], rate)])


def test_a_loss_that_returns_a_tree_is_refused():
    def learns(tree, batch, *, key, step):
        return jnp.zeros(()), {}, tree

    noisy = with_dropout(learns, [Drop(lambda t: t["w"], 0.5)])
    with pytest.raises(ValueError, match="^loss returned a tree that it has learned; with dropout"):
        noisy({"w": jnp.ones((2, 5))}, None, key=jr.key(0), step=STEP)
