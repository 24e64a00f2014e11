"""A moving average of the weights, as part of the trained tree: `fit` need not know of it.

The tree is a pair of trees of the same structure. The loss sees the live one; the optimizer moves
the average towards it. So the average is in the checkpoints, and a resumed run keeps its bits.

Reference: Polyak and Juditsky (1992), with the exponential weights that are usual today.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, PyTree


class Averaged(NamedTuple):
    """The tree that the loss sees, and the moving average of its past."""

    live: PyTree
    average: PyTree


class _State(NamedTuple):
    inner: PyTree
    steps: Int[Array, ""]


def averaging(inner: optax.GradientTransformation, decay: float) -> optax.GradientTransformation:
    """An optimizer of an `Averaged` tree.

    The decay begins low, min(decay, (1 + t) / (10 + t)) after t steps, so that the initial weights
    are soon forgotten.

    Args:
        inner: the optimizer of the live tree.
        decay: the weight of the past, below 1.
    """
    extended = optax.with_extra_args_support(inner)

    def init(params: Any) -> _State:
        return _State(extended.init(params.live), jnp.zeros((), jnp.int32))

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, _State]:
        steps, inner_state = extended.update(updates.live, state.inner, params.live, **extra)
        live = eqx.apply_updates(params.live, steps)
        kept = jnp.minimum(decay, (1.0 + state.steps) / (10.0 + state.steps))

        def towards(average: Array, new: Array) -> Array:
            return ((1.0 - kept) * (new - average)).astype(average.dtype)

        moves = jax.tree.map(towards, params.average, live)
        return Averaged(steps, moves), _State(inner_state, state.steps + 1)

    return optax.GradientTransformationExtraArgs(init, update)
