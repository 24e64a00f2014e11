"""The sentinel: which step first went wrong, in what, found on the device so that no step waits.

A few flags travel with the state. The host reads them when it logs, validates or saves; whatever
happened in between, they still tell of the first bad step.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from avfkit.train._progress import NORM

WATCHED = 32
"""So many of the metrics of a loss, in the order of their names, are watched."""

_NAMED = 3


class Fault(eqx.Module):
    """The first step whose loss or update was not finite.

    Attributes:
        step: its index, or -1.
        loss: the loss at that step.
        metrics: which metrics of the loss were not finite, in the order of their names.
        gradients: which parameters had a gradient whose norm was not finite.
        updates: which parameters had an update that was not finite.
    """

    step: Int[Array, ""]
    loss: Float[Array, ""]
    metrics: Bool[Array, " watched"]
    gradients: Bool[Array, " parameters"]
    updates: Bool[Array, " parameters"]


def no_fault(tree: PyTree) -> Fault:
    """What is known before the first step."""
    none = jnp.zeros(len(_parameters(tree)), bool)
    return Fault(jnp.array(-1, jnp.int32), jnp.zeros(()), jnp.zeros(WATCHED, bool), none, none)


def watched(
    fault: Fault,
    step: Int[Array, ""],
    values: tuple[Float[Array, ""], Mapping[str, Array]],
    squares: Float[Array, " parameters"],
    updates: Sequence[PyTree],
) -> Fault:
    """The fault known so far, or that of this step.

    Args:
        fault: of the steps before.
        step: the index of this step.
        values: its loss and the metrics of it. Metrics that are not finite are no fault.
        squares: of the norms of the gradients, by parameter. One that is not finite is no fault if
            the update is.
        updates: trees of what enters the parameters.
    """
    loss, metrics = values
    flags = [_bad(metrics[name]) for name in sorted(metrics)][:WATCHED]
    flags = jnp.zeros(WATCHED, bool).at[: len(flags)].set(jnp.array(flags, bool))
    wrong = [_bad_parameters(tree, loss) for tree in updates if jax.tree.leaves(tree)]
    update = jnp.any(jnp.array(wrong), axis=0)
    now = Fault(step, loss.astype(fault.loss.dtype), flags, ~jnp.isfinite(squares), update)
    new = (_bad(loss) | jnp.any(update)) & (fault.step == jnp.array(-1, jnp.int32))
    return jax.tree.map(lambda a, b: jnp.where(new, a, b), now, fault)


def squared_norms(gradients: PyTree, like: Float[Array, ""]) -> Float[Array, " parameters"]:
    """Of the gradient of each parameter: all that a step asks of gradients, in one pass.

    Written as `optax.tree.norm` writes it, so that a compiler makes the sums once for both.
    """
    return _stack([jnp.sum((x.conj() * x).real) for _, x in _parameters(gradients)], like)


def norms(gradients: PyTree, squares: Float[Array, " parameters"]) -> dict[str, Float[Array, ""]]:
    """The Euclidean norm of a gradient, and of each part of it: the children of the tree."""
    parts: dict[str, list[int]] = {}
    for number, (path, _) in enumerate(_parameters(gradients)):
        parts.setdefault(jax.tree_util.keystr(path[:1]), []).append(number)
    rows = [[*range(len(squares))], *(parts.values() if len(parts) > 1 else [])]
    names = ["", *parts][: len(rows)]
    found = jnp.sqrt(jnp.array([jnp.sum(squares[np.array(row)]) for row in rows]))
    return {f"{NORM}{name}": found[number] for number, name in enumerate(names)}


def check_finite(fault: Fault, tree: PyTree, values: Sequence[str], kept: str) -> None:
    """Waits for the last step.

    Args:
        fault: carried by the state.
        tree: whose parameters it speaks of.
        values: the names of what a step logs: the loss, its metrics, the norms.
        kept: what the message ends with, about the checkpoint.

    Raises:
        FloatingPointError: if any step since the beginning had a loss or an update that is not
            finite; the message names the first, and in what.
    """
    step, loss = int(fault.step), float(fault.loss)
    if step < 0:
        return
    message = f"the loss is {loss} at step {step} (counted from 0)"
    message += ", but the update is not finite." if np.isfinite(loss) else "."
    names = [name for name in sorted(values) if name != "loss" and not name.startswith(NORM)]
    terms = [name for name, bad in zip(names, fault.metrics, strict=False) if bad]
    paths = [jax.tree_util.keystr(path) or "the tree" for path, _ in _parameters(tree)]
    for kind, flags in (("gradient", fault.gradients), ("update", fault.updates)):
        bad = [path for path, flag in zip(paths, flags, strict=True) if flag]
        if bad:
            terms.append(f"the {kind} of {_some(bad)} ({len(bad)} of {len(paths)} parameters)")
            break
    message += f" Not finite: {'; '.join(terms)}." if terms else ""
    raise FloatingPointError(message + kept)


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _parameters(tree: PyTree) -> list[tuple[Any, Any]]:
    return jax.tree_util.tree_leaves_with_path(eqx.filter(tree, eqx.is_inexact_array))


def _bad_parameters(tree: PyTree, like: Array) -> Bool[Array, " parameters"]:
    """Whether zero times each is not zero: one sum for each, where a test of flags takes three.

    There may be a hundred parameters, and each of these is a kernel to compile.
    """
    sums = [jnp.sum(0.0 * jnp.abs(leaf)) for _, leaf in _parameters(tree)]
    return jnp.isnan(_stack(sums, like))


def _stack(scalars: Sequence[Array], like: Array) -> Array:
    return jnp.array([scalar.astype(like.dtype) for scalar in scalars], like.dtype)


def _bad(value: Array) -> Bool[Array, ""]:
    return ~jnp.all(jnp.isfinite(value))
