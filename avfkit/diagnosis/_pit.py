"""Where a value falls in a distribution: its probability integral transform."""

import jax.numpy as jnp
import jax.random as jr
from jax.scipy.special import ndtr
from jaxtyping import Array, Bool, Float, Key

from .._checked import checked
from .._discretised import DiscretisedGaussian
from .._distributions import AbstractDistribution, AbstractGaussian, Bernoulli
from ._scores import check_beside


@checked
def pit(
    distribution: AbstractDistribution,
    value: Float[Array, "*shape size"],
    observed: Bool[Array, "*shape size"] | None = None,
    *,
    key: Key[Array, ""] | None,
) -> Float[Array, "*shape size"]:
    """F(x) of each entry's marginal: uniform from 0 to 1 if x comes from the distribution.

    Of a discrete distribution F jumps at x, and F(x) is not uniform; a point drawn from the jump,
    from F(x-) to F(x), is.

    Args:
        distribution: what was predicted; its arrays may carry leading axes, as in a trace.
        value: what came; NaN gives NaN.
        observed: which entries count; NaN for the others.
        key: draws the point of the jump; `None` will do for a Gaussian.

    Raises:
        TypeError: the distribution has no distribution function here.
        ValueError: `key` is `None` and the distribution is discrete.

    **Example**

    ```python
    avfkit.pit(trace.prior, zs, key=None)
    ```

    Reference: Dawid (1984); Czado, Gneiting and Held (2009), Eq. 2, for counts.
    """
    check_beside("value", value, distribution.mean)
    below, at_most = _jump(distribution, value)
    if isinstance(distribution, AbstractGaussian):
        place = at_most
    elif key is None:
        raise ValueError(
            f"key is None; {type(distribution).__name__} is discrete, and its transform is uniform "
            "only if randomised: expected a key."
        )
    else:
        place = below + jr.uniform(key, value.shape, value.dtype) * (at_most - below)
    unknown = jnp.isnan(value) if observed is None else jnp.isnan(value) | ~observed
    return jnp.where(unknown, jnp.nan, place)


def _jump(distribution: AbstractDistribution, value: Array) -> tuple[Array, Array]:
    """F just below each value, and F at it."""
    if isinstance(distribution, Bernoulli):
        off = 1.0 - distribution.mean
        return jnp.where(value > 0.0, off, 0.0), jnp.where(value > 0.0, 1.0, off)
    if isinstance(distribution, AbstractGaussian | DiscretisedGaussian):
        deviation = jnp.sqrt(distribution.variance)
        low, high = (edge - distribution.mean for edge in edges(distribution, value))
        return ndtr(low / deviation), ndtr(high / deviation)
    raise TypeError(
        f"distribution is a {type(distribution).__name__}, whose distribution function is not "
        "known; expected a Gaussian, DiscretisedGaussian or Bernoulli. Use calibration, with draws."
    )


def edges(distribution: AbstractDistribution, value: Array) -> tuple[Array, Array]:
    """The ends of the interval that a value stands for: its bin, if it was rounded."""
    if isinstance(distribution, DiscretisedGaussian):
        low = value + distribution.offset
        return low, low + distribution.window
    return value, value
