"""Activations that JAX does not name."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checked import checked


@checked
def clipped_leaky_relu(values: Float[Array, "*size"]) -> Float[Array, "*size"]:
    """Slope 1/3 below zero, then clipped to [-3, 3]: the activation of the SRNN.

    Reference: Fraccaro, Sønderby, Paquet and Winther (2016), section 5; their code.
    """
    return jnp.clip(jax.nn.leaky_relu(values, 1.0 / 3.0), -3.0, 3.0)
