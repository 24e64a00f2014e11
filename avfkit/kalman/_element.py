"""The associative element of a chain with potentials, and how two of them combine.

An element says of an interval of steps what a neighbour needs to know: as a function of the latent
before the interval and of its last latent, with everything between integrated out, it is

    N(z; A z0 + b, C) exp(-z0'J z0 / 2 + eta'z0)        (up to a constant)

so (A, b, C) is a forward conditional and (J, eta) the message of the interval to the past.

Reference: Särkkä and García-Fernández (2021), section 3; the products below are congruences, so
that covariances and precisions stay symmetric and positive semidefinite in float32.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checked import checked
from .._linalg import solve
from .._precision import full_precision
from ._chain import Conditionals, Potentials
from ._condition import conditioned, symmetric


class Element(NamedTuple):
    """What an interval does to the latent before it and leaves of the latent at its end."""

    dynamics: Float[Array, "*time latent latent"]
    bias: Float[Array, "*time latent"]
    cov: Float[Array, "*time latent latent"]
    precision: Float[Array, "*time latent latent"]
    linear: Float[Array, "*time latent"]


def element(prior: Conditionals, potential: Potentials) -> Element:
    """Of a single step: the arrays carry no time axis.

    Raises:
        ValueError: an array has another shape.
    """
    says = (potential.precision, potential.linear)
    _of_a_step(prior.dynamics, prior.bias, prior.noise_cov, *says, log_scale=potential.log_scale)
    now, message = conditioned(prior, *says)
    return Element(now.dynamics, now.bias, now.noise_cov, message[0], message[1])


@checked
def _of_a_step(
    dynamics: Float[Array, "latent latent"],
    bias: Float[Array, " latent"],
    noise_cov: Float[Array, "latent latent"],
    precision: Float[Array, "latent latent"],
    linear: Float[Array, " latent"],
    *,
    log_scale: Float[Array, ""],
) -> None:
    """Refuses what does not fit together."""


@checked
@full_precision
def combine(earlier: Element, later: Element) -> Element:
    """The element of two neighbouring intervals.

    Reference: Särkkä and García-Fernández (2021), section 3; without potentials Zhao and Linderman
    (2023), section 3.2.
    """
    size = len(earlier.bias)
    eye = jnp.eye(size, dtype=earlier.bias.dtype)
    inverse = solve(eye + earlier.cov @ later.precision, eye)
    dynamics, cov = inverse @ earlier.dynamics, inverse @ earlier.cov
    forward = inverse @ (earlier.bias + earlier.cov @ later.linear)
    both = inverse @ earlier.cov @ inverse.T + cov @ later.precision @ cov.T
    seen = later.precision + later.precision @ earlier.cov @ later.precision
    residual = later.linear - later.precision @ earlier.bias
    return Element(
        later.dynamics @ dynamics,
        later.dynamics @ forward + later.bias,
        symmetric(later.dynamics @ both @ later.dynamics.T + later.cov),
        symmetric(dynamics.T @ seen @ dynamics + earlier.precision),
        dynamics.T @ residual + earlier.linear,
    )
