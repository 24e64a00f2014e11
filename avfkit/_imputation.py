"""What a method makes of hidden entries, and whether its intervals hold what they promise."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from ._arrays import as_levels
from ._checked import Size, checked
from ._inference import AbstractInference
from ._model import AbstractModel, prepare
from ._prediction import inferred
from ._types import Observations, Observed


class Imputation(NamedTuple):
    """What the observed entries of a sequence say of those that were hidden, by Monte Carlo.

    Observed entries hold NaN.

    Attributes:
        mean: of p(x_hidden | x_observed), in the units of x.
        deviation: its standard deviation.
        log_likelihood: log p(x_hidden | x_observed) of the true values, all at once, in nats for
            each hidden entry; on average a lower bound that rises with the number of paths.
        error: root mean square of mean minus truth, in the units of x.
    """

    mean: Float[Array, "time obs"]
    deviation: Float[Array, "time obs"]
    log_likelihood: Float[Array, ""]
    error: Float[Array, ""]


@checked
def imputation(
    model: AbstractModel,
    inference: AbstractInference,
    xs: Observations,
    observed: Observed,
    *,
    key: Key[Array, ""],
    num_samples: Size,
) -> Imputation:
    """Hide entries of a sequence from inference, fill them in, and compare with the truth.

    Each sample draws a path given what is left; its likelihoods are mixed. A smoother knows what
    comes after a gap, a filter does not.

    Args:
        model: the generative model.
        inference: how the latents are inferred; it sees the observed entries only.
        xs: the sequence with the true values; where there is none, NaN, nothing is scored.
        observed: which steps or entries are not hidden.
        key: randomness.
        num_samples: paths.

    Raises:
        ValueError: `num_samples` is below 1, or `xs` or `observed` is malformed.

    Reference: Zhao and Linderman (2023), section 3.3, for what the windows hide.
    """
    shown = prepare(model, xs, observed)[1]
    xs, known = prepare(model, xs, None)
    scored = known & ~shown

    def path(path_key: Key[Array, ""]) -> tuple[Array, Array, Array]:
        trace, states, _ = inferred(model, inference, xs, shown, key=path_key)
        likelihood = jax.vmap(model.likelihood)(states, trace.z)
        nats = jax.vmap(lambda p, x, seen: p.log_prob(x, seen))(likelihood, xs, scored)
        return likelihood.mean, likelihood.variance, jnp.sum(nats)

    means, variances, nats = jax.vmap(path)(jr.split(key, num_samples))
    mean, variance = means.mean(0), variances.mean(0) + means.var(0)
    count = jnp.sum(scored).astype(xs.dtype)
    square = jnp.sum(jnp.where(scored, (mean - xs) ** 2, 0.0))
    return Imputation(
        mean=jnp.where(shown, jnp.nan, mean),
        deviation=jnp.where(shown, jnp.nan, jnp.sqrt(variance)),
        log_likelihood=(jax.nn.logsumexp(nats) - math.log(num_samples)) / count,
        error=jnp.sqrt(square / count),
    )


@checked
def coverage(
    samples: Float[Array, " samples *shape"],
    truth: Float[Array, " *shape"],
    levels: Sequence[float] | Float[Array, " levels"],
) -> Float[Array, " levels"]:
    """The share of true values inside central intervals of samples: that of `levels` at best.

    The interval of level 0.9 goes from the 5 % to the 95 % quantile of the samples of each entry.

    Args:
        samples: draws from what is believed of each entry.
        truth: the values; NaN counts for nothing.
        levels: probabilities from 0 to 1.

    **Example**

    ```python
    avfkit.coverage(draws, angles, [0.5, 0.9])
    ```

    Reference: Gneiting, Balabdaoui and Raftery (2007), "Probabilistic forecasts, calibration and
    sharpness".
    """
    levels = as_levels(levels).astype(samples.dtype)
    if len(samples) == 0:
        raise ValueError("samples is empty; expected at least one.")
    tails = (1.0 - levels) / 2.0
    low, high = (jnp.quantile(samples, edge, axis=0) for edge in (tails, 1.0 - tails))
    inside = (low <= truth) & (truth <= high) & ~jnp.isnan(truth)
    axes = tuple(range(1, inside.ndim))
    return jnp.sum(inside, axis=axes) / jnp.sum(~jnp.isnan(truth))
