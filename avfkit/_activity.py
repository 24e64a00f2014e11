"""Which entries of a latent are used: statistics of a trace that tell of posterior collapse.

Reference: Burda, Grosse and Salakhutdinov (2016), section 5.3, for active units.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from ._divergence import kl_per_dimension
from ._trace import Trace

ACTIVE_VARIANCE = 0.01
"""A unit is active if the variance of its posterior mean over the data is larger."""

UNUSED_NATS = 0.01
"""An entry of the latent is unused if its KL is less, in nats per step."""


def latent_sums(trace: Trace, scored: Bool[Array, " time"]) -> dict[str, Array]:
    """Of one sequence: the KL of each entry of z, and the moments of the posterior mean.

    Args:
        trace: what was inferred.
        scored: which steps count.

    Returns:
        `kl_per_dimension`, summed, in nats; `mean`, the mean of the posterior mean over the steps;
        `scatter`, the sum of its squared deviations from that; all `[latent]`.
    """
    nats = jax.vmap(kl_per_dimension)(trace.posterior, trace.prior)
    mean = trace.posterior.mean
    count = jnp.maximum(jnp.sum(scored), 1).astype(mean.dtype)
    centre = jnp.sum(jnp.where(scored[:, None], mean, 0.0), axis=0) / count
    scatter = jnp.where(scored[:, None], (mean - centre) ** 2, 0.0).sum(0)
    nats = jnp.where(scored[:, None], nats, 0.0).sum(0)
    return {"kl_per_dimension": nats, "mean": centre, "scatter": scatter}


def mean_variance(sums: Mapping[str, np.ndarray]) -> list[float]:
    """The variance of the posterior mean over the steps of all sequences, from their moments."""
    steps, centres = sums["steps"][:, None], sums["mean"].astype(float)
    count = steps.sum()
    centre = (steps * centres).sum(0) / count
    scatter = sums["scatter"].astype(float).sum(0) + (steps * (centres - centre) ** 2).sum(0)
    return (scatter / count).tolist()


def collapse_warning(kl: Sequence[float]) -> str:
    """A sentence if more than half of the latent is unused, else nothing.

    Args:
        kl: of each entry, in nats per step.
    """
    unused = sum(nats < UNUSED_NATS for nats in kl)
    if 2 * unused <= len(kl):
        return ""
    return (
        f"posterior collapse: {unused} of {len(kl)} entries of the latent carry less than "
        f"{UNUSED_NATS} nats per step."
    )
