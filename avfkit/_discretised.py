"""The Gaussian of digitised signals: probabilities of bins, not densities of points.

A 16-bit sample or an 8-bit pixel stands for an interval of the signal. Integrating the density over
that interval gives a probability, and probabilities can be compared between models and units; a
density can be made as large as one likes by changing the unit (Marino et al. 2018, section 4.1.1).
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.scipy.special import erfc, ndtr
from jaxtyping import Array, Bool, Float, Key

from ._arrays import check_positive
from ._distributions import LOG_2PI, AbstractDistribution, seen

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(10)
_FAR, _TERMS = 4.0, 16  # where Mills ratios are continued fractions, and of how many terms
_LIMIT = 1.0  # half-width of a bin, in standard deviations, up to which the density is integrated


class DiscretisedGaussian(AbstractDistribution):
    """Independent Gaussian entries that were rounded to bins of width `window`.

    The log-probability of x is that of the bin from `x + offset` to `x + offset + window`. An
    offset of `-window / 2` centres the bin on x, as rounding does; 0 is the one-sided window of the
    AVF authors' code. Where they add 1e-6 to the probability, which makes -13.8 nats the worst that
    an entry can cost, this is exact in both tails, in float32 too, and so are its gradients. The
    probabilities of all levels sum to one if `window` is the distance between levels.

    Attributes:
        mean: of the Gaussian, before rounding.
        log_var: of the Gaussian.
        window: the width of a bin, in units of x.
        offset: where the bin begins, relative to x.

    **Example**

    ```python
    pixel = avfkit.DiscretisedGaussian.centred(mean, log_var, window=1 / 255)  # of levels k / 255
    ```
    """

    mean: Float[Array, " size"]
    log_var: Float[Array, " size"]
    window: float = eqx.field(static=True)
    offset: float = eqx.field(static=True)

    def __check_init__(self) -> None:
        check_positive("window", self.window, "a positive finite width")

    @classmethod
    def centred(
        cls, mean: Float[Array, " size"], log_var: Float[Array, " size"], *, window: float
    ) -> "DiscretisedGaussian":
        """With bins that have x in their middle."""
        return cls(mean, log_var, window, -0.5 * window)

    @property
    def variance(self) -> Float[Array, "*time size"]:
        """The variance of each entry, before rounding."""
        return jnp.exp(self.log_var)

    def log_prob(
        self, value: Float[Array, " size"], observed: Bool[Array, " size"] | None = None
    ) -> Float[Array, ""]:
        """Sum over the observed entries of the log-probability of their bins, in nats."""
        scale = jnp.exp(-0.5 * self.log_var)
        centre = (seen(value, observed) + (self.offset + 0.5 * self.window) - self.mean) * scale
        terms = log_bin_probability(centre, 0.5 * self.window * scale)
        return jnp.sum(terms if observed is None else jnp.where(observed, terms, 0.0))

    def sample(self, *, key: Key[Array, ""]) -> Float[Array, " size"]:
        """One reparameterised draw of the signal before rounding."""
        noise = jr.normal(key, self.mean.shape, self.mean.dtype)
        return self.mean + jnp.exp(0.5 * self.log_var) * noise


@jax.custom_jvp
def log_bin_probability(
    centre: Float[Array, "*size"], half: Float[Array, "*size"]
) -> Float[Array, "*size"]:
    """Log of the standard normal probability of `[centre - half, centre + half]`.

    Three regions, none of which subtracts nearly equal numbers: a narrow bin is integrated by
    Gauss-Legendre quadrature around its centre; a wide bin that holds the mode is a difference of
    distribution functions; a wide bin in a tail is a difference of scaled tails (Mills ratios).
    The gradient is that of the integral in its two ends, not of these three.
    """
    return _log_probability(jnp.abs(centre), half)[0]  # the density is even


@log_bin_probability.defjvp
def _log_bin_probability_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    """The densities at both ends over the probability; the farther is exp(-2 c h) of the nearer."""
    (centre, half), (centre_tangent, half_tangent) = primals, tangents
    c = jnp.abs(centre)
    log_prob, over_edge = _log_probability(c, half)
    nearer = jnp.exp(-over_edge)
    in_centre = jnp.sign(centre) * nearer * jnp.expm1(-2.0 * c * half)
    in_half = nearer * (1.0 + jnp.exp(-2.0 * c * half))
    return log_prob, in_centre * centre_tangent + in_half * half_tangent


def _log_probability(
    c: Float[Array, "*size"], h: Float[Array, "*size"]
) -> tuple[Float[Array, "*size"], Float[Array, "*size"]]:
    """Log P of the bin around c >= 0, and log P - log phi(c - h), the density at the nearer end."""
    narrow = jnp.maximum(h, c * h) <= _LIMIT
    tail = ~narrow & (c >= h)
    c_narrow, h_narrow = jnp.where(narrow, c, 0.0), jnp.where(narrow, h, 0.5 * _LIMIT)
    c_tail, h_tail = jnp.where(tail, c, 4.0), jnp.where(tail, h, 1.0)
    c_mode, h_mode = jnp.where(narrow | tail, 0.0, c), jnp.where(narrow | tail, 2.0, h)
    over_centre = _log_narrow(c_narrow, h_narrow)
    over_edge = _log_tail(c_tail, h_tail)
    around = jnp.log(ndtr(c_mode + h_mode) - ndtr(c_mode - h_mode))
    wide = jnp.where(tail, _log_density(c_tail - h_tail) + over_edge, around)
    wide_edge = jnp.where(tail, over_edge, around - _log_density(c_mode - h_mode))
    narrow_edge = over_centre - h_narrow * (c_narrow - 0.5 * h_narrow)
    log_prob = jnp.where(narrow, _log_density(c_narrow) + over_centre, wide)
    return log_prob, jnp.where(narrow, narrow_edge, wide_edge)


def _log_density(u: Float[Array, "*size"]) -> Float[Array, "*size"]:
    return -0.5 * (u**2 + LOG_2PI)


def _log_narrow(c: Float[Array, "*size"], h: Float[Array, "*size"]) -> Float[Array, "*size"]:
    """Log P - log phi(c): log 2h + log of the mean of phi(c + h t) / phi(c) over t in [-1, 1]."""
    nodes = [(float(t), float(0.5 * w)) for t, w in zip(_NODES, _WEIGHTS, strict=True)]
    mean = sum(w * jnp.exp(-h * t * (c + 0.5 * h * t)) for t, w in nodes)
    return jnp.log(2.0 * h) + jnp.log(mean)


def _log_tail(c: Float[Array, "*size"], h: Float[Array, "*size"]) -> Float[Array, "*size"]:
    """Log P - log phi(a): log of R(a) - exp(-2 c h) R(b), R Mills' ratio, a = c - h, b = c + h."""
    return jnp.log(_mills(c - h) - jnp.exp(-2.0 * c * h) * _mills(c + h))


def _mills(a: Float[Array, "*size"]) -> Float[Array, "*size"]:
    """(1 - Phi(a)) / phi(a) for a >= 0; Laplace's continued fraction from 4 on.

    Not `jax.scipy.special.erfcx`, which is zero (JAX 0.10.2) where `erfc` is a denormal number.
    """
    far = jnp.maximum(a, _FAR)
    fraction = 0.5 * (far + jnp.sqrt(far**2 + 4.0 * _TERMS))  # what the rest converges to
    for k in range(_TERMS - 1, 0, -1):
        fraction = far + k / fraction
    near = jnp.minimum(a, _FAR)
    scaled = math.sqrt(0.5 * math.pi) * jnp.exp(0.5 * near**2) * erfc(near * math.sqrt(0.5))
    return jnp.where(a < _FAR, scaled, 1.0 / fraction)
