"""The continuous ranked probability score: how far a belief lies from what came true, in its units.

    CRPS(F, y) = integral of (F(x) - 1{y <= x})^2 dx = E|X - y| - E|X - X'| / 2,

with X and X' independent draws from F. It is proper: the truth's own distribution has the lowest
expected score. A belief of no width scores the absolute error.

Reference: Gneiting and Raftery (2007), Eq. 20 and 21.
"""

import math

import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm
from jaxtyping import Array, ArrayLike, Float, Num

from .._arrays import as_float
from .._checked import checked
from .._distributions import AbstractGaussian


@checked
def crps(
    samples: Num[ArrayLike, " samples *shape"], truth: Num[ArrayLike, "*shape"]
) -> Float[Array, "*shape"]:
    """The score of each entry from draws, in the units of the truth; lower is better.

    Unbiased for any number of draws: E|X - X'| is the mean over pairs of different draws, so a
    single score may be negative. Costs a sort, not all pairs.

    Args:
        samples: independent draws from what is believed of each entry, at least two.
        truth: the values; the score of NaN is NaN.

    Raises:
        ValueError: there are fewer than two draws, or the truth has another shape than a draw.

    Reference: Gneiting and Raftery (2007), Eq. 21; Ferro (2014), "Fair scores for ensemble
    forecasts", for the mean over different draws.
    """
    samples, truth = draws_and_truth(samples, truth)
    number = len(samples)
    # The sum of |X - X'| over pairs: the draw of rank i is the larger of i pairs, the smaller of
    # number - 1 - i.
    ranks = jnp.arange(number, dtype=samples.dtype)
    weights = (2.0 * ranks - (number - 1)) / (number * (number - 1) / 2)
    between = jnp.tensordot(weights, jnp.sort(samples, axis=0), axes=1)
    return jnp.mean(jnp.abs(samples - truth), axis=0) - 0.5 * between


def draws_and_truth(samples: ArrayLike, truth: ArrayLike) -> tuple[Array, Array]:
    """Both as floating-point arrays of one type, after checking that they fit."""
    samples, truth = as_float("samples", samples), as_float("truth", truth)
    if samples.ndim == 0 or samples.shape[1:] != truth.shape:
        raise ValueError(
            f"samples has shape {samples.shape}; expected [samples, ...] with the shape of truth, "
            f"{truth.shape}."
        )
    if len(samples) < 2:
        raise ValueError(f"samples holds {len(samples)} draws; expected at least 2.")
    return samples, truth.astype(samples.dtype)


def check_beside(name: str, value: Array, mean: Array) -> None:
    """Refuse values that cannot stand beside the means of what is believed of them."""
    try:
        np.broadcast_shapes(value.shape, mean.shape)
    except ValueError:
        raise ValueError(
            f"{name} has shape {value.shape}; expected {mean.shape}, as the distribution."
        ) from None


@checked
def gaussian_crps(
    gaussian: AbstractGaussian, truth: Float[Array, "*shape size"]
) -> Float[Array, "*shape size"]:
    """The score of each entry under a Gaussian's marginals, in closed form.

    Args:
        gaussian: what is believed; its arrays may carry leading axes, as in a trace.
        truth: the values; the score of NaN is NaN.

    **Example**

    ```python
    belief = avfkit.MarginalFilter(avfkit.KalmanFilter()).infer(lds, xs, key=key).posterior
    avfkit.gaussian_crps(belief, zs)
    ```

    Reference: Gneiting and Raftery (2007), the display after Eq. 21.
    """
    check_beside("truth", truth, gaussian.mean)
    deviation = jnp.sqrt(gaussian.variance)
    shift = (truth - gaussian.mean) / deviation
    inside = shift * (2.0 * norm.cdf(shift) - 1.0) + 2.0 * norm.pdf(shift)
    return deviation * (inside - 1.0 / math.sqrt(math.pi))
