"""What a run carries, and the one jitted function that moves it by one step."""

from collections.abc import Callable
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from avfkit.train._leaves import copied
from avfkit.train._mesh import Devices, replicate
from avfkit.train._metrics import RESERVED
from avfkit.train._progress import NORM
from avfkit.train._sentinel import Fault, no_fault, norms, squared_norms, watched

Loss: TypeAlias = Callable[..., tuple[Any, ...]]
"""`loss(tree, batch, *, key, step)` -> (scalar to minimise, dict to log).

A third value, if there is one, is a tree like the first argument. It takes the place of the current
tree before the optimizer's update is added: for a loss that learns something by itself.
"""

Advance: TypeAlias = Callable[..., tuple[Any, dict[str, Any]]]
"""`advance((batch, key), state)` -> (next state, metrics); the state is consumed."""


class State(eqx.Module):
    """All that one training step reads and writes; donated, hence never the caller's arrays.

    Attributes:
        tree: what is trained.
        opt_state: the state of the optimizer.
        step: the number of steps done.
        fault: the first step whose loss or update was not finite.
    """

    tree: PyTree
    opt_state: PyTree
    step: Int[Array, ""]
    fault: Fault


class Best(eqx.Module):
    """The best tree of all validations.

    Attributes:
        tree: its arrays; the initial ones before the first validation, `None` without validation.
        score: its score; infinite before the first validation.
        num_worse: the number of validations since.
    """

    tree: PyTree
    score: Float[np.ndarray, ""]
    num_worse: Int[np.ndarray, ""]

    def challenged(self, tree: PyTree, score: float) -> "Best":
        """The better of this and a new tree, by its score."""
        if score < self.score:
            return Best(tree, np.array(score), np.array(0))
        return Best(self.tree, self.score, np.array(self.num_worse + 1))


def initial_state(tree: PyTree, optimizer: optax.GradientTransformation) -> State:
    """The state before the first step; it shares no array with `tree`.

    Raises:
        ValueError: if there is nothing to train.
    """
    if not jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array)):
        raise ValueError("tree has no floating-point array, expected at least one to train.")
    with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes
        opt_state = eqx.filter_jit(optimizer.init)(eqx.filter(tree, eqx.is_inexact_array))
    return copied(State(tree, opt_state, jnp.array(0, jnp.int32), no_fault(tree)))


def initial_best(tree: PyTree, *, validates: bool) -> Best:
    """The record before the first validation, or of a run without any."""
    return Best(copied(tree) if validates else None, np.array(np.inf), np.array(0))


def make_step(loss: Loss, optimizer: optax.GradientTransformation, devices: Devices) -> Advance:
    """The one compiled function of a run."""
    optimizer = optax.with_extra_args_support(optimizer)

    @eqx.filter_jit(donate="all-except-first")
    def advance(inputs: tuple[PyTree, Key[Array, ""]], state: State) -> tuple[State, dict]:
        batch, key = inputs

        def objective(tree: PyTree) -> tuple[Array, tuple[dict[str, Array], PyTree]]:
            key_now = jr.fold_in(key, state.step)
            value, metrics, *learned = loss(tree, batch, key=key_now, step=state.step)
            return _checked(value), (_arrays(metrics), _like(tree, *learned))

        values, grads = eqx.filter_value_and_grad(objective, has_aux=True)(state.tree)
        value, (metrics, learned) = values
        params = eqx.filter(state.tree, eqx.is_inexact_array)
        with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes
            updates, opt_state = optimizer.update(grads, state.opt_state, params, value=value)
            tree = eqx.apply_updates(eqx.combine(learned, state.tree), updates)
        squares = squared_norms(grads, value)
        fault = watched(state.fault, state.step, (value, metrics), squares, (updates, learned))
        state = State(tree, opt_state, state.step + jnp.array(1, jnp.int32), fault)
        return replicate((state, {"loss": value, **metrics, **norms(grads, squares)}), devices)

    return advance


def _checked(value: Any) -> Array:
    if jnp.shape(value) != ():
        raise ValueError(f"loss returned an array of shape {value.shape}, expected a scalar.")
    return value


def _arrays(metrics: dict[str, Any]) -> dict[str, Array]:
    for name, metric in metrics.items():
        if name in (*RESERVED, "loss") or name.startswith(NORM):
            raise ValueError(f"loss returned a metric named {name!r}, which fit writes itself.")
        if jnp.ndim(metric) > 1:
            shape = jnp.shape(metric)
            raise ValueError(f"metric {name!r} has shape {shape}, expected a scalar or a vector.")
    return {name: jnp.asarray(metric) for name, metric in metrics.items()}


def _like(tree: PyTree, learned: PyTree = None) -> PyTree:
    """The arrays of the tree that a loss returned, if any; elsewhere `None`."""
    arrays = eqx.filter(tree, eqx.is_array)
    if learned is None:
        return jax.tree.map(lambda leaf: None, arrays)
    learned = eqx.filter(learned, eqx.is_array)
    if _shapes(learned) != _shapes(arrays):
        raise ValueError(
            "loss returned a tree whose arrays differ in number, shape or dtype from those of the "
            "tree it was given."
        )
    return learned


def _shapes(tree: PyTree) -> tuple[Any, list[tuple]]:
    leaves, structure = jax.tree.flatten(tree)
    return structure, [(leaf.shape, leaf.dtype) for leaf in leaves]
