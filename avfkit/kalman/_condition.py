"""A Gaussian, or one step of a chain, times a potential: the Bayes' rule of all messages here."""

from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checked import checked
from .._linalg import cholesky, solve, solve_lower
from .._precision import full_precision
from ._chain import Conditionals

Message: TypeAlias = tuple[Float[Array, "latent latent"], Float[Array, " latent"]]
"""What a latent hears: exp(-z'J z / 2 + h'z) as (J, h)."""


@checked
def update(
    mean: Float[Array, " latent"],
    cov: Float[Array, "latent latent"],
    precision: Float[Array, "latent latent"],
    linear: Float[Array, " latent"],
) -> tuple[Float[Array, " latent"], Float[Array, "latent latent"], Float[Array, ""]]:
    """Multiply N(m, P) by the potential exp(-z'Jz/2 + h'z) and normalise.

    P' is computed as L S^-1 L' with P = L L' and S = I + L'J L, whose eigenvalues are 1 or more: P'
    is positive semidefinite in float32 too, as long as J is. (A J of low rank that is 10^7 times as
    sharp as P, and not diagonal, is indefinite once rounded.) P may be singular.

    Returns:
        The mean m + P'(h - Jm) and covariance P' = (I + PJ)^-1 P of the product, and the logarithm
        of its normaliser in nats.
    """
    return _update(mean, symmetric(cov), symmetric(precision), linear)


@jax.custom_jvp
@full_precision
def _update(mean: Array, cov: Array, precision: Array, linear: Array) -> tuple[Array, Array, Array]:
    eye = jnp.eye(len(mean), dtype=mean.dtype)
    scale = cholesky(cov, least=0.0)
    factor = cholesky(eye + scale.T @ precision @ scale, least=1.0)
    half = solve_lower(factor, scale.T)
    residual = linear - precision @ mean
    log_normaliser = (
        0.5 * jnp.sum((half @ residual) ** 2)
        + linear @ mean
        - 0.5 * mean @ precision @ mean
        - jnp.sum(jnp.log(jnp.diagonal(factor)))
    )
    updated = half.T @ half
    return mean + updated @ residual, updated, log_normaliser


@_update.defjvp
@full_precision
def _update_jvp(primals: tuple, tangents: tuple) -> tuple[tuple, tuple]:
    """Without the factor of P, which has no derivative where P is singular.

    With M = I - P'J and u = h - J m',

        dm' = M (dm + dP u) + P'(dh - dJ m'),   dP' = M dP M' - P' dJ P',
        dlog = u'dm + (uu' - J M) . dP / 2 + m''dh - (m'm'' + P') . dJ / 2.
    """
    mean, cov, log_normaliser = _update(*primals)
    (_, _, precision, linear), (dmean, dcov, dprecision, dlinear) = primals, tangents
    shrink = jnp.eye(len(mean), dtype=mean.dtype) - cov @ precision
    pull = linear - precision @ mean
    told = dlinear - dprecision @ mean
    dlog = pull @ dmean + 0.5 * (pull @ dcov @ pull - jnp.sum((precision @ shrink) * dcov))
    dlog = dlog + dlinear @ mean - 0.5 * (mean @ dprecision @ mean + jnp.sum(cov * dprecision))
    changed = shrink @ (dmean + dcov @ pull) + cov @ told
    return (mean, cov, log_normaliser), (
        changed,
        shrink @ dcov @ shrink.T - cov @ dprecision @ cov,
        dlog,
    )


@full_precision
def conditioned(
    prior: Conditionals,
    precision: Float[Array, "latent latent"],
    linear: Float[Array, " latent"],
) -> tuple[Conditionals, Message]:
    """One step N(z; A z0 + b, Q) of a chain times exp(-z'J z / 2 + h'z), normalised.

    With M = (I + Q J)^-1 the product is N(z; M A z0 + M (b + Q h), M Q) times a message to z0, of
    precision A'J M A, computed as a sum of squares, and linear part (M A)'(h - J b).

    Args:
        prior: (A, b, Q) of this step, without a time axis.
        precision: J.
        linear: h.

    Returns:
        The conditional given z0, and the message to z0.
    """
    dynamics, bias, noise = prior
    eye = jnp.eye(len(bias), dtype=bias.dtype)
    mean, cov, _ = update(bias, noise, precision, linear)
    now = solve(eye + noise @ precision, dynamics)
    seen = precision @ now
    backward = symmetric(now.T @ seen + seen.T @ noise @ seen), now.T @ (linear - precision @ bias)
    return Conditionals(now, mean, cov), backward


def symmetric(matrix: Float[Array, "*time latent latent"]) -> Float[Array, "*time latent latent"]:
    """The symmetric part: rounding never makes a covariance lopsided."""
    return 0.5 * (matrix + jnp.matrix_transpose(matrix))
