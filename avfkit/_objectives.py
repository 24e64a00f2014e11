"""What is minimised: one free energy for every model and every inference method.

Reference: Marino, Cvitkovic and Yue (2018), Eq. 7-9, for the filtering free energy; Burda, Grosse
and Salakhutdinov (2016) for the importance-weighted bound. The particle filter's bound is `fivo`.
"""

import math

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from ._checked import Size, checked
from ._inference import AbstractInference
from ._model import AbstractModel
from ._trace import Trace
from ._types import Observations, Observed


@checked
def free_energy(
    model: AbstractModel,
    inference: AbstractInference,
    xs: Observations,
    observed: Observed = None,
    *,
    key: Key[Array, ""],
    context: int = 0,
    kl_weight: Float[Array, ""] | float = 1.0,
) -> Float[Array, ""]:
    """The free energy of one sequence (Eq. 7), one sample, in nats.

    On average an upper bound on -log p(x), for every method that draws a joint path. For
    `MarginalFilter` it is the length of x coded by the filter's predictions.

    Its gradient serves both steps of variational filtering EM. In the model's parameters it is the
    M-step (Eq. 12). In the parameters of an amortized filter it is the E-step: for iterative
    inference, the mean over iterations of the gradient of each iteration's step free energy, with
    model and past held fixed.

    Args:
        model: the generative model.
        inference: how its latents are inferred.
        xs: the observations; NaN means missing.
        observed: which steps or entries were observed; all if `None`.
        key: randomness of the path.
        context: this many first steps are filtered but not scored. The published AVF numbers
            condition on the first step: `context=1`.
        kl_weight: weight of the KL term, for annealing; 1 is the free energy.

    Returns:
        A scalar, nats for the whole sequence. Divide by the number of steps for nats per step.

    Raises:
        ValueError: `context` is negative or leaves no step to score.
    """
    options = {"key": key, "context": context, "kl_weight": kl_weight}
    return free_energy_terms(model, inference, xs, observed, **options)[0]


@checked
def free_energy_terms(
    model: AbstractModel,
    inference: AbstractInference,
    xs: Observations,
    observed: Observed = None,
    *,
    key: Key[Array, ""],
    context: int = 0,
    kl_weight: Float[Array, ""] | float = 1.0,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """`free_energy`, and the terms it is made of: `reconstruction` and `kl`, in nats.

    The KL term is given before `kl_weight`. `train.batch_loss` logs the terms, and a run that
    breaks off names the one that was not finite.

    Args:
        model: the generative model.
        inference: how its latents are inferred.
        xs: the observations; NaN means missing.
        observed: which steps or entries were observed; all if `None`.
        key: randomness of the path.
        context: this many first steps are filtered but not scored.
        kl_weight: weight of the KL term.

    Raises:
        ValueError: `context` is negative or leaves no step to score.
    """
    trace = inference.infer(model, xs, observed, key=key, kl_weight=kl_weight)
    weight, kl = jnp.asarray(kl_weight, trace.reconstruction.dtype), trace.kl
    energy = trace.reconstruction + weight * kl + e_step_gradient(trace)
    terms = {"reconstruction": trace.reconstruction, "kl": kl}
    return _scored(energy, context), {name: _scored(term, context) for name, term in terms.items()}


@checked
def iwae(
    model: AbstractModel,
    inference: AbstractInference,
    xs: Observations,
    observed: Observed = None,
    *,
    key: Key[Array, ""],
    num_samples: Size,
    context: int = 0,
) -> Float[Array, ""]:
    """The importance-weighted bound on -log p(x) with `num_samples` whole paths, in nats.

    Burda, Grosse and Salakhutdinov (2016), Eq. 8, with the sign of a free energy.
    Tightens as the number of samples grows; with one sample it is, on average, the free energy.
    Only the drawn paths differentiate it: an iterative filter's network gets the gradient of its
    E-step, as in `free_energy`.

    Raises:
        TypeError: the method draws no joint path, as `MarginalFilter`.
        ValueError: `num_samples` is below 1, or `context` leaves no step to score.
    """
    if not inference.joint:
        raise TypeError(
            f"iwae needs a method that draws a joint path; {type(inference).__name__} draws from "
            "each step's belief on its own. Use the filter inside it, or a smoother."
        )

    def path(path_key: Key[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        trace = inference.infer(model, xs, observed, key=path_key)
        return _scored(trace.log_weight, context), _scored(e_step_gradient(trace), context)

    log_weights, e_steps = jax.vmap(path)(jr.split(key, num_samples))
    mean_weight = jax.nn.logsumexp(log_weights) - math.log(num_samples)
    return jnp.mean(e_steps) - mean_weight


def _scored(terms: Float[Array, " time"], context: int) -> Float[Array, ""]:
    """The sum over the steps after the context."""
    check_scored(context, len(terms))
    return jnp.sum(terms[context:])


def check_scored(context: int, length: int) -> None:
    """Refuse a context that leaves nothing to score."""
    if not 0 <= context < length:
        raise ValueError(
            f"context is {context}; expected from 0 to {length - 1} for {length} steps."
        )


def e_step_gradient(trace: Trace) -> Float[Array, " time"]:
    """Zero, with the gradient of the mean step free energy over the inference iterations."""
    updated = trace.iterations[:, 1:]
    if updated.shape[1] == 0:
        return jnp.zeros_like(trace.reconstruction)
    energy = jnp.mean(updated, axis=1)
    return energy - jax.lax.stop_gradient(energy)
