"""Evaluation: the numbers papers report, with their units and both ways of averaging."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, Key

from ._inference import AbstractInference
from ._model import AbstractModel, prepare


class Evaluation(NamedTuple):
    """Free energy of a set of sequences, in nats per step.

    Attributes:
        all_steps: total free energy over total steps, the convention of most music papers.
        mean_of_sequences: the mean over sequences of each one's mean, the AVF authors' convention.
        reconstruction: the reconstruction part, over all steps.
        kl: the KL part, over all steps.
        per_iteration: the E-step's free energy after 0, 1, ..., K iterations, over all steps (0 is
            the prior prediction); empty for methods that do not iterate.
        standard_error: of `all_steps`, from the spread over sequences; NaN for one sequence.
        steps: number of scored steps.
    """

    all_steps: float
    mean_of_sequences: float
    reconstruction: float
    kl: float
    per_iteration: list[float]
    standard_error: float
    steps: int


def evaluate(
    model: AbstractModel,
    inference: AbstractInference,
    batches: Iterable[Any],
    *,
    key: Key[Array, ""],
    context: int = 0,
) -> Evaluation:
    """Free energy per step of whole sequences, one sample each.

    Args:
        model: the generative model.
        inference: how its latents are inferred.
        batches: objects with `x` `[batch, time, obs]` and `observed` `[batch, time(, obs)]`; steps
            at which nothing is observed are not counted.
        key: randomness; each sequence has its own.
        context: this many first steps condition and are not scored (1 in the AVF authors' code).

    Raises:
        ValueError: there is nothing to score.
    """
    sums: list[tuple] = []
    for batch in batches:
        first = sum(len(parts[0]) for parts in sums)
        keys = jax.vmap(lambda i: jr.fold_in(key, i))(first + jnp.arange(len(batch.x)))
        sums.append(_sequence_sums(model, inference, (batch.x, batch.observed), keys, context))
    if not sums:
        raise ValueError("batches is empty; expected at least one batch of sequences.")
    recon, kl, iterations, steps = (np.concatenate(parts) for parts in zip(*sums, strict=True))
    scored = steps > 0
    if not scored.any():
        raise ValueError(f"no step is scored: all are missing, or within the context of {context}.")
    energy, count = recon + kl, steps.sum()
    return Evaluation(
        all_steps=float(energy.sum() / count),
        mean_of_sequences=float(np.mean(energy[scored] / steps[scored])),
        reconstruction=float(recon.sum() / count),
        kl=float(kl.sum() / count),
        per_iteration=[float(total / count) for total in iterations.sum(0)],
        standard_error=_standard_error(energy, steps),
        steps=int(count),
    )


def _standard_error(
    energy: Float[np.ndarray, " sequences"], steps: Int[np.ndarray, " sequences"]
) -> float:
    """Of the ratio total energy / total steps, sequences being independent."""
    number = int(np.sum(steps > 0))
    if number < 2:
        return float("nan")
    residual = energy - steps * energy.sum() / steps.sum()
    return float(np.sqrt(np.sum(residual**2) * number / (number - 1)) / steps.sum())


@eqx.filter_jit
def _sequence_sums(
    model: AbstractModel,
    inference: AbstractInference,
    batch: tuple[Array, Array],
    keys: Key[Array, " batch"],
    context: int,
) -> tuple[
    Float[Array, " batch"],
    Float[Array, " batch"],
    Float[Array, "batch iterations"],
    Int[Array, " batch"],
]:
    def one(x: Array, observed: Array, key: Key[Array, ""]) -> tuple[Array, Array, Array, Array]:
        x, observed = prepare(model, x, observed)
        trace = inference.infer(model, x, observed, key=key)
        scored = jnp.any(observed, axis=-1) & (jnp.arange(len(x)) >= context)
        total = (
            jnp.where(scored, trace.reconstruction, 0.0).sum(),
            jnp.where(scored, trace.kl, 0.0).sum(),
            jnp.where(scored[:, None], trace.iterations, 0.0).sum(0),
        )
        return *total, scored.sum()

    return jax.vmap(one)(*batch, keys)
