"""How the expectation under q in the step free energy (Eq. 9) is taken during the E-step."""

from abc import abstractmethod

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from .._checked import Size, check_fields


class AbstractExpectation(eqx.Module):
    """Equally weighted standard-normal points; q maps them to latents by reparameterisation."""

    @abstractmethod
    def points(
        self, like: Float[Array, " latent"], *, key: Key[Array, ""]
    ) -> Float[Array, "points latent"]:
        """The points, in the shape and dtype of one latent."""


class MonteCarlo(AbstractExpectation):
    """Fresh random points at every iteration; unbiased for any likelihood.

    The paper's experiments use one sample.
    """

    num_samples: Size = eqx.field(default=1, static=True)

    def __check_init__(self) -> None:
        check_fields(self)

    def points(
        self, like: Float[Array, " latent"], *, key: Key[Array, ""]
    ) -> Float[Array, "points latent"]:
        """`num_samples` independent standard-normal draws."""
        return jr.normal(key, (self.num_samples, *like.shape), like.dtype)


class Cubature(AbstractExpectation):
    """The 2 x latent points +-sqrt(latent) e_i: exact wherever the log-likelihood is quadratic.

    For a linear-Gaussian likelihood the E-step then has no noise at all. Reference: the
    third-degree spherical-radial rule, Särkkä (2013), section 6.5.
    """

    def points(
        self, like: Float[Array, " latent"], *, key: Key[Array, ""]
    ) -> Float[Array, "points latent"]:
        """The fixed points; the key is not used."""
        del key
        size = like.shape[-1]
        axes = jnp.sqrt(float(size)) * jnp.eye(size, dtype=like.dtype)
        return jnp.concatenate([axes, -axes])
