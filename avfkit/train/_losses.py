"""From an objective of one sequence to the loss of a batch, and weights that change with the step.

KL annealing is a loss that sees the step. `batch_loss` makes one::

    loss = batch_loss(free_energy, kl_weight=linear_anneal(1_000))

and nothing hinders anybody from writing it out, for any tree and any batch::

    anneal = linear_anneal(1_000)

    def loss(tree, batch, *, key, step):
        model, inference = tree
        weight = anneal(step)  # `step` is an array, so a new weight compiles nothing
        nats = free_energy(model, inference, batch, key=key, kl_weight=weight)
        return nats / len(batch), {"kl_weight": weight}
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from avfkit._arrays import check_batch
from avfkit._checked import checked
from avfkit.train._step import Loss

Schedule: TypeAlias = Callable[[Array], Array]
"""From the step (an integer array) to a number (an array)."""


@checked
def linear_anneal(num_steps: int) -> Schedule:
    """A weight that grows in equal steps from 0 at step 0 to 1 at step `num_steps`, and stays.

    The schedule that the AVF paper states (appendix B); its authors' code squares the weight.

    Args:
        num_steps: the length of the growth, in training steps.

    Raises:
        ValueError: if `num_steps` is less than 1.
    """
    if num_steps < 1:
        raise ValueError(f"num_steps is {num_steps}, expected at least 1.")

    def weight(step: Int[Array, ""]) -> Float[Array, ""]:
        return jnp.minimum(jnp.asarray(step, float) / num_steps, 1.0)

    return weight


def batch_loss(
    objective: Callable[..., Array], *, kl_weight: Schedule | None = None, context: int = 0
) -> Loss:
    """The objective of a batch of sequences, in nats per step.

    The sum of the objective over the sequences is divided by the number of steps at which anything
    is observed, so that padding and missing steps do not dilute it.

    Args:
        objective: `objective(model, inference, x, observed, *, key)` -> scalar, in nats, of one
            sequence; for instance `free_energy`. Or -> (scalar, dict of scalars and vectors in
            nats), as `free_energy_terms`: these are logged, averaged as the loss is.
        kl_weight: passed on as `kl_weight=kl_weight(step)`; by default nothing is.
        context: the number of first steps not scored; passed on as `context=...` unless 0.

    Returns:
        `loss(tree, batch, *, key, step)` for `fit`. The tree is (model, inference); the batch has
        `x`, of shape [batch, time, ...], and `observed`, bool, of the first two or of all
        dimensions of `x`. The metrics are `observed_steps`, `kl_weight` if it is given, and what
        the objective adds.

    Raises:
        ValueError: if `context` is negative.
    """
    if context < 0:
        raise ValueError(f"context is {context}, expected at least 0.")

    def loss(
        tree: PyTree, batch: Any, *, key: Key[Array, ""], step: Int[Array, ""]
    ) -> tuple[Float[Array, ""], dict[str, Array]]:
        model, inference = tree
        check_batch(batch)
        options: dict[str, Any] = {"context": context} if context else {}
        metrics = {} if kl_weight is None else {"kl_weight": kl_weight(step)}

        def nats(x: Array, observed: Array, key: Key[Array, ""]) -> tuple[Array, dict[str, Array]]:
            found = objective(model, inference, x, observed, key=key, **options, **metrics)
            return found if isinstance(found, tuple) else (found, {})

        found = jax.vmap(nats)(batch.x, batch.observed, jr.split(key, len(batch.x)))
        total, terms = jax.tree.map(lambda values: jnp.sum(values, axis=0), found)
        num_steps = jnp.sum(_any_observed(batch.x, batch.observed)[:, context:])
        count = jnp.maximum(num_steps, 1).astype(total.dtype)
        means = {name: term / count for name, term in terms.items()}
        return total / count, {**metrics, "observed_steps": num_steps, **means}

    return loss


def _any_observed(x: Array, observed: Array) -> Bool[Array, "batch time"]:
    """NaN counts as missing, as everywhere in the library."""
    entries = observed.reshape(observed.shape + (1,) * (x.ndim - observed.ndim)) & ~jnp.isnan(x)
    return jnp.any(entries.reshape(*x.shape[:2], -1), axis=-1)
