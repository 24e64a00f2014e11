"""FIVO: the filtering variational objective, a bound from a particle filter that any filter guides.

The particle filter's estimate of p(x),

    Z = prod_t sum_n W_{t-1}^n alpha_t^n,    W the normalised weights before step t,

is unbiased, so -log Z is on average an upper bound on -log p(x). Without resampling it is the
importance-weighted bound of `iwae`.

Reference: Maddison et al. (2017), Eq. 1 and Algorithm 1; Le et al. (2018); Naesseth et al. (2018).
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ._checked import Size, checked
from ._inference import AbstractInference
from ._model import AbstractModel, prepare
from ._objectives import check_scored
from ._particles import stepper_of, swarm
from ._types import Observations, Observed


@checked
def fivo(
    model: AbstractModel,
    filter: AbstractInference,
    xs: Observations,
    observed: Observed = None,
    *,
    key: Key[Array, ""],
    num_samples: Size,
    context: int = 0,
) -> Float[Array, ""]:
    """The particle filter's bound on -log p(x) with `num_samples` particles, in nats.

    Maddison et al. (2017), Algorithm 1, with the sign of a free energy.
    The particles are those of `particle_filter`. With the same key it equals `iwae` if nothing is
    resampled, so always for one particle.

    Its gradient is the usual biased one, without the score of the resampling. An iterative filter's
    network gets the gradient of its E-step, as in `free_energy`, averaged over the particles.

    Args:
        model: the generative model.
        filter: the proposal, any `AbstractFilter`.
        xs: the observations; NaN means missing.
        observed: which steps or entries were observed; all if `None`.
        key: randomness; step t's does not depend on the length.
        num_samples: N, the number of particles.
        context: this many first steps are filtered but neither weighed nor scored; the bound is
            then on the code length of the rest, with q for the belief about the context.

    Returns:
        A scalar, nats for the whole sequence.

    Raises:
        TypeError: `filter` is not a filter.
        ValueError: `num_samples` is below 1, or `context` leaves no step to score.
    """
    terms = fivo_steps(
        model, filter, xs, observed, key=key, num_samples=num_samples, context=context
    )
    return jnp.sum(terms)


def fivo_steps(
    model: AbstractModel,
    filter: AbstractInference,
    xs: Observations,
    observed: Observed,
    *,
    key: Key[Array, ""],
    num_samples: Size,
    context: int = 0,
) -> Float[Array, " time"]:
    """The bound of `fivo`, step by step: minus the logarithm of each factor of Z, in nats."""
    proposal = stepper_of(filter, "fivo")
    xs, observed = prepare(model, xs, observed)
    check_scored(context, len(xs))
    particles, e_steps = swarm(
        model, proposal, (xs, observed), context, key=key, number=num_samples
    )
    return e_steps - particles.log_evidence
