"""Distributions over whole latent paths."""

import jax
from jaxtyping import Array, Float, Key

from .. import kalman
from .._distributions import AbstractGaussian, FullGaussian
from .._smoother import AbstractPath


class GaussMarkov(AbstractPath):
    """A linear-Gaussian chain of conditionals: the exact and the structured posteriors.

    **Example**

    ```python
    path = GaussMarkov(avfkit.kalman.conditionals(chain, potentials))
    zs = path.sample(key=key)
    ```
    """

    chain: kalman.Conditionals

    def sample(self, *, key: Key[Array, ""]) -> Float[Array, "time latent"]:
        """One exact joint draw."""
        return kalman.sample(self.chain, key=key)

    def conditionals(self, zs: Float[Array, "time latent"]) -> AbstractGaussian:
        """N(A_t z_{t-1} + b_t, Q_t) along the path."""
        dynamics, bias, noise_cov = self.chain
        mean = bias.at[1:].add(jax.vmap(lambda a, z: a @ z)(dynamics[1:], zs[:-1]))
        return jax.vmap(FullGaussian.from_covariance)(mean, noise_cov)
