"""The Kalman filter: predict with the dynamics, update with the potential.

The update is written with potentials (J, h) rather than with an observation and its noise: one
formula serves any number of observed entries, and a missing step (J = h = 0) leaves the prediction
untouched, exactly and with finite gradients.

Reference: Kalman (1960); Särkkä (2013), section 4.3.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._chain import Chain, Potentials


class Filtered(NamedTuple):
    """Moments of p(z_t | x_<=t), of the prediction p(z_t | x_<t), and log p(x_t | x_<t) in nats."""

    mean: Float[Array, "time latent"]
    cov: Float[Array, "time latent latent"]
    predicted_mean: Float[Array, "time latent"]
    predicted_cov: Float[Array, "time latent latent"]
    log_likelihood: Float[Array, " time"]


def predict(
    chain: Chain, mean: Float[Array, " latent"], cov: Float[Array, "latent latent"]
) -> tuple[Float[Array, " latent"], Float[Array, "latent latent"]]:
    """Moments of z_{t+1} from moments of z_t: (A m + b, A P A' + Q)."""
    dynamics = chain.dynamics
    return dynamics @ mean + chain.bias, symmetric(dynamics @ cov @ dynamics.T + chain.noise_cov)


def update(
    mean: Float[Array, " latent"],
    cov: Float[Array, "latent latent"],
    precision: Float[Array, "latent latent"],
    linear: Float[Array, " latent"],
) -> tuple[Float[Array, " latent"], Float[Array, "latent latent"], Float[Array, ""]]:
    """Multiply N(m, P) by the potential exp(-z'Jz/2 + h'z) and normalise.

    Returns:
        The mean m + P'(h - Jm) and covariance P' = (I + PJ)^-1 P of the product, and the logarithm
        of its normaliser in nats.
    """
    eye = jnp.eye(mean.shape[-1], dtype=mean.dtype)
    factor = eye + cov @ precision
    triangles, pivots = jax.scipy.linalg.lu_factor(factor)
    updated = symmetric(jax.scipy.linalg.lu_solve((triangles, pivots), cov))
    residual = linear - precision @ mean
    log_normaliser = (
        0.5 * residual @ updated @ residual
        + linear @ mean
        - 0.5 * mean @ precision @ mean
        - 0.5 * jnp.sum(jnp.log(jnp.abs(jnp.diagonal(triangles))))
    )
    return mean + updated @ residual, updated, log_normaliser


def filter(chain: Chain, potentials: Potentials) -> Filtered:  # noqa: A001
    """The exact filtering posteriors of a chain, one sequential pass.

    Returns:
        `Filtered`, whose `log_likelihood` sums to the log-normaliser: log p(x_1..T) in nats when
        the potentials are densities of observations. In float32 it is good to about 1e-7 times
        the sum of x^2 / r, since terms of that size cancel: enable x64 where noise is tiny.
    """

    def step(
        predicted: tuple[Float[Array, " latent"], Float[Array, "latent latent"]],
        potential: Potentials,
    ) -> tuple[tuple, Filtered]:
        mean, cov, log_normaliser = update(*predicted, potential.precision, potential.linear)
        log_likelihood = log_normaliser + potential.log_scale
        return predict(chain, mean, cov), Filtered(mean, cov, *predicted, log_likelihood)

    start = (chain.initial_mean, chain.initial_cov)
    return jax.lax.scan(step, start, potentials)[1]


def symmetric(matrix: Float[Array, "latent latent"]) -> Float[Array, "latent latent"]:
    """The symmetric part: rounding never makes a covariance lopsided."""
    return 0.5 * (matrix + matrix.T)
