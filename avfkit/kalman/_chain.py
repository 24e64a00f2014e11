"""A linear-Gaussian chain, and the potentials that observations place on it."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float

LOG_2PI = 1.8378770664093453


class Chain(NamedTuple):
    """The latent chain z_1 ~ N(m1, P1), z_t = A z_{t-1} + b + N(0, Q)."""

    initial_mean: Float[Array, " latent"]
    initial_cov: Float[Array, "latent latent"]
    dynamics: Float[Array, "latent latent"]
    bias: Float[Array, " latent"]
    noise_cov: Float[Array, "latent latent"]


class Potentials(NamedTuple):
    """Gaussian potentials log psi_t(z) = -z'J_t z / 2 + h_t'z + c_t, one per step.

    `precision` is J, `linear` is h and `log_scale` is c (nats). A missing step has all three zero:
    nothing is inverted, so nothing is infinite.
    """

    precision: Float[Array, "time latent latent"]
    linear: Float[Array, "time latent"]
    log_scale: Float[Array, " time"]


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
