"""Evaluation: the numbers papers report, with their units and both ways of averaging."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, Key

from ._activity import ACTIVE_VARIANCE, collapse_warning, latent_sums, mean_variance
from ._arrays import check_batch
from ._checked import Count, Size, checked
from ._fivo import fivo
from ._inference import AbstractInference
from ._model import AbstractModel, prepare
from ._objectives import iwae

_BOUNDS = 2**31 - 1  # a number that no step has, for the key of the bounds


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
        bits_per_entry: total free energy over the number of observed entries in scored steps, over
            ln 2: bits per sample of audio, per pixel, per key. For a density, not a probability
            of bins, it depends on the units of x and may be negative.
        iwae: the importance-weighted bound over all steps; `None` without `num_samples`.
        iwae_standard_error: of `iwae`, as above.
        fivo: the particle filter's bound over all steps; `None` without `num_samples`, and for
            methods that are no filters.
        fivo_standard_error: of `fivo`, as above.
        kl_per_dimension: what each entry of z adds to the KL along the drawn paths, over all steps;
            see `avfkit.kl_per_dimension`.
        mean_variance: of each entry of z, the variance of the posterior mean over all steps.
    """

    all_steps: float
    mean_of_sequences: float
    reconstruction: float
    kl: float
    per_iteration: list[float]
    standard_error: float
    steps: int
    bits_per_entry: float
    iwae: float | None
    iwae_standard_error: float | None
    fivo: float | None
    fivo_standard_error: float | None
    kl_per_dimension: list[float]
    mean_variance: list[float]

    @property
    def active_units(self) -> int:
        """Entries of z whose posterior mean has a variance over the data above 0.01.

        A latent whose prior moves by itself may be active in this sense and carry nothing: look at
        `kl_per_dimension` too.

        References:
            Burda, Grosse and Salakhutdinov (2016), section 5.3.
        """
        return sum(variance > ACTIVE_VARIANCE for variance in self.mean_variance)

    @property
    def collapse(self) -> str:
        """A warning if more than half of the entries of z have a KL below 0.01 nats per step.

        Empty otherwise.
        """
        return collapse_warning(self.kl_per_dimension)


@checked
def evaluate(
    model: AbstractModel,
    inference: AbstractInference,
    batches: Iterable[Any],
    *,
    key: Key[Array, ""],
    context: Count = 0,
    num_samples: Size | None = None,
) -> Evaluation:
    """Free energy per step of whole sequences, one sample each, and tighter bounds if wanted.

    One batch is held at a time, and of each sequence only its sums are kept. A sequence's key is
    `fold_in(key, i)`, with i its number in the data set: for filters, neither the size of the
    batches, nor their order, nor padding changes a result beyond rounding.

    Args:
        model: the generative model.
        inference: how its latents are inferred.
        batches: objects with `x` `[batch, time, obs]` and `observed` `[batch, time(, obs)]`; steps
            at which nothing is observed are not counted. If they have `indices` `[batch]`, as those
            of `data.evaluation_batches`, these number the sequences; otherwise the sequences are
            counted as they come.
        key: randomness; each sequence has its own.
        context: this many first steps condition and are not scored (1 in the AVF authors' code).
        num_samples: paths and particles for `iwae` and `fivo`; memory grows with it.

    Raises:
        ValueError: there is nothing to score.
    """
    parts: list[dict[str, np.ndarray]] = []
    for batch in batches:
        check_batch(batch)
        counted = sum(len(part["steps"]) for part in parts) + np.arange(len(batch.x))
        numbers = jnp.asarray(getattr(batch, "indices", counted))
        keys = jax.vmap(lambda i: jr.fold_in(key, i))(numbers)
        bounds = None if num_samples is None else (context, num_samples)
        data, first = (batch.x, batch.observed), jnp.asarray(context)
        sums = sequence_sums((model, inference), data, keys, first, bounds)
        parts.append({name: np.asarray(values) for name, values in sums.items()})
    if not parts:
        raise ValueError("batches is empty; expected at least one batch of sequences.")
    sums = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if not sums["steps"].any():
        raise ValueError(f"no step is scored: all are missing, or within the context of {context}.")
    return summary(sums)


def summary(sums: dict[str, Any]) -> Evaluation:
    """What `sequence_sums` says of a set of sequences, each array of one number for each."""
    sums = {name: np.asarray(values) for name, values in sums.items()}
    steps, energy = sums["steps"], sums["reconstruction"] + sums["kl"]
    scored, count = steps > 0, steps.sum()
    bounds: dict[str, Any] = {}
    for name in ("iwae", "fivo"):
        nats = sums.get(name)
        bounds[name] = None if nats is None else float(nats.sum() / count)
        error = None if nats is None else _standard_error(nats, steps)
        bounds[f"{name}_standard_error"] = error
    return Evaluation(
        all_steps=float(energy.sum() / count),
        mean_of_sequences=float(np.mean(energy[scored] / steps[scored])),
        reconstruction=float(sums["reconstruction"].sum() / count),
        kl=float(sums["kl"].sum() / count),
        per_iteration=[float(total / count) for total in sums["iterations"].sum(0)],
        standard_error=_standard_error(energy, steps),
        steps=int(count),
        bits_per_entry=float(energy.sum() / sums["entries"].sum() / math.log(2)),
        kl_per_dimension=(sums["kl_per_dimension"].sum(0) / count).tolist(),
        mean_variance=mean_variance(sums),
        **bounds,
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
def sequence_sums(
    pair: tuple[AbstractModel, AbstractInference],
    batch: tuple[Array, Array],
    keys: Key[Array, " batch"],
    first: Int[Array, ""],
    bounds: tuple[int, int] | None,
) -> dict[str, Array]:
    """Nats and counts of each sequence of a batch, over its steps from the first scored one on."""

    def one(x: Array, observed: Array, key: Key[Array, ""]) -> dict[str, Array]:
        x, observed = prepare(pair[0], x, observed)
        trace = pair[1].infer(pair[0], x, observed, key=key)
        scored = jnp.any(observed, axis=-1) & (jnp.arange(len(x)) >= first)
        return {
            "reconstruction": jnp.where(scored, trace.reconstruction, 0.0).sum(),
            "kl": jnp.where(scored, trace.kl, 0.0).sum(),
            "iterations": jnp.where(scored[:, None], trace.iterations, 0.0).sum(0),
            "steps": scored.sum(),
            "entries": jnp.sum(observed & scored[:, None]),
            **latent_sums(trace, scored),
            **_bounds(pair, x, observed, bounds, key=jr.fold_in(key, _BOUNDS)),
        }

    return jax.vmap(one)(*batch, keys)


def _bounds(
    pair: tuple[AbstractModel, AbstractInference],
    x: Array,
    observed: Array,
    options: tuple[int, int] | None,
    *,
    key: Key[Array, ""],
) -> dict[str, Float[Array, ""]]:
    """The bounds of one sequence in nats, those that are wanted and possible."""
    if options is None:
        return {}
    context, num_samples = options
    bounds = [iwae] if pair[1].joint else []
    bounds += [fivo] if pair[1].stepper else []
    if len(x) <= context:  # nothing is scored, which a bound refuses
        return {bound.__name__: jnp.zeros((), x.dtype) for bound in bounds}
    settings: dict[str, Any] = {"num_samples": num_samples, "context": context}
    return {
        bound.__name__: bound(*pair, x, observed, key=bound_key, **settings)
        for bound, bound_key in zip(bounds, jr.split(key), strict=False)
    }
