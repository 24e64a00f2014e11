"""Dropout for recurrent models, as noise on the weights of a loss.

A unit that is dropped is a column of zeros in the weight matrix that reads it. One mask serves all
time steps and the whole batch of a training step, so a memory is not shaken at every step, and the
products stay products of matrices. Models and filters know nothing of it.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, Key, PyTree

from avfkit.train._step import Loss


class Drop(NamedTuple):
    """One place where units are dropped.

    Attributes:
        where: from the tree to a weight matrix `[outputs, inputs]`.
        rate: the probability that an input is dropped, from 0 to below 1.
        inputs: which inputs may be dropped; all by default.
    """

    where: Callable[[PyTree], Float[Array, "outputs inputs"]]
    rate: float
    inputs: slice = slice(None)


def with_dropout(loss: Loss, drops: Sequence[Drop]) -> Loss:
    """The same loss, of a tree whose weight matrices ignore some of their inputs.

    The inputs that are kept count 1 / (1 - rate) times as much. Evaluate the tree as it is.

    Args:
        loss: `loss(tree, batch, *, key, step)`, as `fit` takes it.
        drops: what to drop.

    Raises:
        ValueError: a rate is not in [0, 1).

    References:
        Gal and Ghahramani (2016), "A theoretically grounded application of dropout in recurrent
        neural networks": one mask over time. (Theirs differs between the sequences of a batch.)
    """
    for index, drop in enumerate(drops):
        if not isinstance(drop.rate, int | float):
            raise TypeError(f"drops[{index}] has rate {drop.rate!r}; expected from 0 to below 1.")
        if not 0.0 <= drop.rate < 1.0:
            raise ValueError(f"drops[{index}] has rate {drop.rate}; expected from 0 to below 1.")

    def dropped(
        tree: PyTree, batch: Any, *, key: Key[Array, ""], step: Int[Array, ""]
    ) -> tuple[Any, ...]:
        drop_key, loss_key = jr.split(key)
        for index, drop in enumerate(drops):
            weight = drop.where(tree)
            mask = _mask(weight, drop, key=jr.fold_in(drop_key, index))
            tree = eqx.tree_at(drop.where, tree, weight * mask)
        value, metrics, *learned = loss(tree, batch, key=loss_key, step=step)
        if learned:
            raise ValueError(
                "loss returned a tree that it has learned; with dropout it would keep the masks. "
                "Expected a loss that returns (scalar, metrics), such as that of batch_loss."
            )
        return value, metrics

    return dropped


def _mask(
    weight: Float[Array, "outputs inputs"], drop: Drop, *, key: Key[Array, ""]
) -> Float[Array, " inputs"]:
    kept = jr.bernoulli(key, 1.0 - drop.rate, weight.shape[1:]).astype(weight.dtype)
    chosen = jnp.zeros(weight.shape[1:], bool).at[drop.inputs].set(True)
    return jnp.where(chosen, kept / (1.0 - drop.rate), jnp.ones_like(kept))
