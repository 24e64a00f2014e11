"""A linear-Gaussian chain, and the potentials that observations place on it."""

from typing import NamedTuple, TypeAlias

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float

from .._checked import checked
from .._precision import full_precision

LOG_2PI = 1.8378770664093453


class Chain(NamedTuple):
    """The latent chain z_1 ~ N(m1, P1), z_t = A z_{t-1} + b + N(0, Q), the same at every step."""

    initial_mean: Float[Array, " latent"]
    initial_cov: Float[Array, "latent latent"]
    dynamics: Float[Array, "latent latent"]
    bias: Float[Array, " latent"]
    noise_cov: Float[Array, "latent latent"]


class Conditionals(NamedTuple):
    """A chain of its own at every step: z_t ~ N(A_t z_{t-1} + b_t, Q_t), with A_1 = 0.

    The form of a posterior over paths, and of a prior whose parameters vary with time. Whatever
    A_1 holds is not read.
    """

    dynamics: Float[Array, "time latent latent"]
    bias: Float[Array, "time latent"]
    noise_cov: Float[Array, "time latent latent"]


Markov: TypeAlias = Chain | Conditionals
"""A linear-Gaussian chain, of shared or of time-varying parameters."""


class Potentials(NamedTuple):
    """Gaussian potentials log psi_t(z) = -z'J_t z / 2 + h_t'z + c_t, one per step.

    `precision` is J, `linear` is h and `log_scale` is c (nats). A missing step has all three zero:
    nothing is inverted, so nothing is infinite.
    """

    precision: Float[Array, "time latent latent"]
    linear: Float[Array, "time latent"]
    log_scale: Float[Array, " time"]


@checked
def unrolled(chain: Markov, length: int) -> Conditionals:
    """The chain written out for `length` steps.

    Raises:
        ValueError: a time-varying chain has another number of steps.
    """
    if isinstance(chain, Conditionals):
        if len(chain.bias) != length:
            raise ValueError(
                f"chain has {len(chain.bias)} steps; expected {length}, as potentials."
            )
        return chain
    size = len(chain.bias)
    return Conditionals(
        jnp.broadcast_to(chain.dynamics, (length, size, size)).at[0].set(0.0),
        jnp.broadcast_to(chain.bias, (length, size)).at[0].set(chain.initial_mean),
        jnp.broadcast_to(chain.noise_cov, (length, size, size)).at[0].set(chain.initial_cov),
    )


@checked
@full_precision
def linear_gaussian_potentials(
    emission_matrix: Float[Array, "obs latent"],
    emission_bias: Float[Array, " obs"],
    emission_var: Float[Array, " obs"],
    xs: Float[Array, "time obs"],
    observed: Bool[Array, "time obs"],
) -> Potentials:
    """The potentials psi_t(z) = N(x_t; C z + d, diag(r)) of the observed entries.

    Args:
        emission_matrix: C.
        emission_bias: d.
        emission_var: r, the noise variance of each entry, positive.
        xs: observations; missing entries hold any finite number.
        observed: which entries were observed.

    Returns:
        J_t = C' diag(o_t / r) C, h_t = C' (o_t (x_t - d) / r), and the constant that makes psi_t
        the density of the observed entries.

    Raises:
        ValueError: a variance is not positive (seen outside `jax.jit` only).
    """
    if not isinstance(emission_var, Tracer) and not np.all(np.asarray(emission_var) > 0.0):
        raise ValueError(
            f"emission_var holds {np.min(emission_var):g}; expected positive noise variances."
        )
    weight = jnp.where(observed, 1.0 / emission_var, 0.0)
    shift = jnp.where(observed, xs - emission_bias, 0.0)
    constant = jnp.where(observed, LOG_2PI + jnp.log(emission_var), 0.0)
    return Potentials(
        jnp.einsum("ni,tn,nj->tij", emission_matrix, weight, emission_matrix),
        (weight * shift) @ emission_matrix,
        -0.5 * jnp.sum(constant + weight * shift**2, axis=-1),
    )


@checked
def diagonal_potentials(
    mean: Float[Array, "time latent"],
    variance: Float[Array, "time latent"],
    observed: Bool[Array, " time"] | None = None,
) -> Potentials:
    """Potentials psi_t(z) proportional to N(z; mean, diag(variance)), placed on the latent itself.

    Args:
        mean: where each step's potential is centred.
        variance: of each entry, positive; infinite where the potential says nothing.
        observed: steps whose potentials count; those of the others are dropped.

    Returns:
        Potentials whose highest value is 1 (so `log_scale` makes no density of them).
    """
    weight = 1.0 / variance
    if observed is not None:
        weight = jnp.where(observed[:, None], weight, 0.0)
    shift = jnp.where(weight > 0.0, mean, 0.0)
    precision = weight[..., None] * jnp.eye(mean.shape[-1], dtype=mean.dtype)
    return Potentials(precision, weight * shift, -0.5 * jnp.sum(weight * shift**2, axis=-1))


@checked
@full_precision
def full_potentials(
    mean: Float[Array, "time latent"],
    precision: Float[Array, "time latent latent"],
    observed: Bool[Array, " time"] | None = None,
) -> Potentials:
    """Potentials psi_t(z) proportional to N(z; mean, precision^-1), placed on the latent itself.

    Args:
        mean: where each step's potential is centred.
        precision: symmetric and positive semidefinite; zero where the potential says nothing.
        observed: steps whose potentials count; those of the others are dropped.

    Returns:
        Potentials whose highest value is 1 (so `log_scale` makes no density of them).
    """
    if observed is not None:
        precision = jnp.where(observed[:, None, None], precision, 0.0)
    linear = jnp.einsum("tij,tj->ti", precision, mean)
    return Potentials(precision, linear, -0.5 * jnp.sum(linear * mean, axis=-1))
