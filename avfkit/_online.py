"""The E-step learned at every time step, as in the AVF authors' code.

Algorithm 1 of the AVF paper adds up the update network's gradients over a sequence and takes one
step of the optimizer. The authors' code takes one at every time step of the batch
(`optimize_inf_online`), so that step t + 1 is inferred by what step t has taught. Here that is a
loss: it does the small steps itself, inside its scan over time, and hands `fit` the tree they
lead to. The model's gradient, the M-step (Eq. 12), flows through the same scan as ever.
"""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from ._arrays import check_batch
from ._inference import AbstractFilter
from ._model import AbstractModel, prepare
from ._objectives import e_step_gradient
from ._trace import Trace
from ._types import State


class Online(eqx.Module):
    """A filter that learns at every time step, with the state of the optimizer that teaches it.

    Attributes:
        inference: the filter; what to evaluate with.
        opt_state: the state of the inner optimizer.

    **Example**

    ```python
    adam = optax.adam(1e-4)
    tree = (model, avfkit.Online.create(avf, adam))
    run = avfkit.train.fit(tree, avfkit.online_e_step_loss(adam), data, optimizer=..., ...)
    model, avf = run.tree[0], run.tree[1].inference
    ```
    """

    inference: AbstractFilter
    opt_state: PyTree

    @classmethod
    def create(cls, inference: AbstractFilter, optimizer: optax.GradientTransformation) -> "Online":
        """A filter and a fresh state of its optimizer."""
        with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes
            return cls(inference, optimizer.init(eqx.filter(inference, eqx.is_inexact_array)))


def online_e_step_loss(
    optimizer: optax.GradientTransformation,
    *,
    kl_weight: Callable[[Array], Array] | None = None,
    context: int = 0,
) -> Callable[..., tuple[Float[Array, ""], dict[str, Array], PyTree]]:
    """A loss for `fit` whose E-step learns at every time step.

    Its value is that of `batch_loss(free_energy)`: nats per observed step. At step t the gradient
    of the step free energies, averaged over the inference iterations and over the sequences that
    observe anything at t, gives one step of `optimizer` on the filter. A step at which none does,
    or within the context, takes none. The value differentiates the model only: whatever optimizer
    `fit` is given, the filter moves by these small steps alone, unless that optimizer moves what
    has no gradient (weight decay; then give it `optax.masked`).

    Args:
        optimizer: of the E-step, the one given to `Online.create`.
        kl_weight: weight of the KL term as a function of the training step; by default 1.
        context: the number of first steps that are filtered but not scored.

    Returns:
        `loss(tree, batch, *, key, step)` -> (scalar, metrics, tree), for trees
        `(model, Online(...))` and batches as in `batch_loss`; the returned tree holds the filter
        after its small steps.

    Raises:
        ValueError: if `context` is negative or leaves no step, or the filter does not iterate.
    """

    def loss(
        tree: PyTree, batch: Any, *, key: Key[Array, ""], step: Int[Array, ""]
    ) -> tuple[Float[Array, ""], dict[str, Array], PyTree]:
        model, online = tree
        check_batch(batch)
        metrics = {} if kl_weight is None else {"kl_weight": kl_weight(step)}
        xs, observed = jax.vmap(lambda x, seen: prepare(model, x, seen))(batch.x, batch.observed)
        if not 0 <= context < xs.shape[1]:
            raise ValueError(
                f"context is {context}; expected from 0 to {xs.shape[1] - 1} for {xs.shape[1]} "
                "steps."
            )
        weight = jnp.asarray(metrics.get("kl_weight", 1.0), xs.dtype)
        keys = jr.split(key, len(xs))
        learned, nats = _learn((model, online), (xs, observed), optimizer, (weight, context), keys)
        metrics["observed_steps"] = jnp.sum(jnp.any(observed[:, context:], axis=-1))
        number = jnp.maximum(metrics["observed_steps"], 1).astype(nats.dtype)
        return nats / number, metrics, (model, learned)

    return loss


def _learn(
    tree: tuple[AbstractModel, Online],
    batch: tuple[Float[Array, "batch time obs"], Bool[Array, "batch time obs"]],
    optimizer: optax.GradientTransformation,
    settings: tuple[Float[Array, ""], int],
    keys: Key[Array, " batch"],
) -> tuple[Online, Float[Array, ""]]:
    """Filter a batch, one small step of the E-step's optimizer per time step."""
    (model, online), (weight, context) = tree, settings
    arrays, static = eqx.partition(online, eqx.is_array)
    online = eqx.combine(jax.lax.stop_gradient(arrays), static)
    params, rest = eqx.partition(online.inference, eqx.is_inexact_array)

    def body(carry: tuple, inputs: tuple) -> tuple[tuple, Float[Array, ""]]:
        loops, *learner = carry
        t = inputs[-1]
        inputs = (*inputs[:2], jax.vmap(lambda key: jr.fold_in(key, t))(keys), t >= context)

        def e_step(params: PyTree) -> tuple[Float[Array, ""], tuple]:
            return _filter((model, eqx.combine(params, rest)), loops, inputs, weight)

        gradient, (loops, taught, nats) = jax.grad(e_step, has_aux=True)(learner[0])
        learned = _step(optimizer, jax.lax.stop_gradient(gradient), learner)
        kept = jax.tree.map(lambda new, old: jnp.where(taught, new, old), learned, tuple(learner))
        return (loops, *kept), nats

    xs, observed = (jnp.swapaxes(array, 0, 1) for array in batch)
    start = jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf, (len(keys), *jnp.shape(leaf))),
        (model.init(), online.inference.init(model)),
    )
    carry, inputs = (start, params, online.opt_state), (xs, observed, jnp.arange(len(xs)))
    (_, params, opt_state), nats = jax.lax.scan(body, carry, inputs)
    return Online(eqx.combine(params, rest), opt_state), jnp.sum(nats)


def _filter(
    pair: tuple[AbstractModel, AbstractFilter],
    loops: State,
    inputs: tuple[Array, Array, Array, Array],
    weight: Float[Array, ""],
) -> tuple[Float[Array, ""], tuple[State, Bool[Array, ""], Float[Array, ""]]]:
    """One time step of a batch: the E-step's mean free energy, and what the scan goes on with.

    That is the sequences' states and memories, whether any was observed and scored, and the nats of
    those that were.
    """
    (model, filter), (x, seen, keys, counts) = pair, inputs

    def one(loop: State, x: Array, seen: Array, key: Key[Array, ""]) -> tuple[State, Trace]:
        return filter.step(model, loop, x, seen, key=key, kl_weight=weight)

    loops, trace = jax.vmap(one)(loops, x, seen, keys)
    _check_iterates(filter, trace)
    scored = jnp.any(seen, axis=-1) & counts
    total = jnp.sum(jnp.where(scored, e_step_gradient(trace), 0.0))
    nats = jnp.where(scored, trace.reconstruction + weight * trace.kl, 0.0)
    number = jnp.maximum(scored.sum(), 1).astype(total.dtype)
    return total / number, (loops, jnp.any(scored), jnp.sum(nats))


def _step(
    optimizer: optax.GradientTransformation, gradient: PyTree, learner: Sequence[PyTree]
) -> tuple[PyTree, PyTree]:
    params, opt_state = learner
    with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes
        updates, opt_state = optimizer.update(gradient, opt_state, params)
        return eqx.apply_updates(params, updates), opt_state


def _check_iterates(filter: AbstractFilter, trace: Trace) -> None:
    if trace.iterations.shape[-1] < 2:
        raise ValueError(
            "online_e_step_loss needs a filter that iterates, such as an IterativeFilter with "
            f"num_iterations of 1 or more; this {type(filter).__name__} does not. Use "
            "train.batch_loss(free_energy)."
        )
