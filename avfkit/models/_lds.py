"""The linear dynamical system: a linear-Gaussian chain seen through an emission."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float

from .._arrays import as_float
from .._distributions import AbstractDistribution, AbstractGaussian, FullGaussian
from .._model import AbstractLatentLDS
from ..kalman import Chain
from ..nn import AbstractDynamics, FreeDynamics, LinearGaussian


class LDS(AbstractLatentLDS):
    """z_1 ~ N(m1, P1), z_t = A z_{t-1} + b + N(0, Q), x_t ~ emission(z_t).

    With a `LinearGaussian` emission everything is linear and Gaussian and exact inference applies;
    any other map from a latent to a distribution makes it a structured VAE's generative model.
    The covariances are held by unconstrained numbers (log-diagonal Cholesky), so any gradient step
    leaves them positive definite; `dynamics` holds A, freely or so that it stays stable.

    **Example**

    ```python
    emission = avfkit.nn.LinearGaussian.from_parameters(C, d, r)
    lds = avfkit.LDS.from_parameters(m1, P1, A, b, Q, emission=emission)
    ```

    Reference: Zhao and Linderman (2023), section 2.1 (the paper numbers no equations).
    """

    first: FullGaussian
    dynamics: AbstractDynamics
    noise: FullGaussian
    emission: Callable[[Float[Array, " latent"]], AbstractDistribution]
    obs_size: int = eqx.field(static=True)
    latent_size: int = eqx.field(static=True)

    @classmethod
    def from_parameters(
        cls,
        m1: ArrayLike,
        P1: ArrayLike,  # noqa: N803
        A: ArrayLike,  # noqa: N803
        b: ArrayLike,
        Q: ArrayLike,  # noqa: N803
        *,
        emission: Callable[[Float[Array, " latent"]], AbstractDistribution],
    ) -> "LDS":
        """From the moments of the first latent, the dynamics and an emission.

        Args:
            m1: mean of z_1, `[latent]`.
            P1: covariance of z_1, `[latent, latent]`, positive definite.
            A: dynamics, `[latent, latent]`.
            b: bias of the dynamics, `[latent]`.
            Q: covariance of the dynamics noise, `[latent, latent]`, positive definite.
            emission: maps z_t to the distribution of x_t.

        Raises:
            ValueError: a shape does not match, or a covariance is not positive definite.
        """
        m1, A, b = as_float("m1", m1), as_float("A", A), as_float("b", b)
        if m1.ndim != 1:
            raise ValueError(f"m1 has shape {m1.shape}; expected [latent].")
        _check_sizes(m1.shape[0], A, b, emission)
        size = m1.shape[0]
        first = FullGaussian.from_scale(m1, _cholesky("P1", P1, size))
        noise = FullGaussian.from_scale(b, _cholesky("Q", Q, size))
        out = eqx.filter_eval_shape(lambda: emission(m1).mean)
        return cls(
            first=first,
            dynamics=FreeDynamics(A),
            noise=noise,
            emission=emission,
            obs_size=out.shape[0],
            latent_size=size,
        )

    @classmethod
    def create(
        cls,
        dynamics: AbstractDynamics,
        *,
        noise_var: float = 1.0,
        emission: Callable[[Float[Array, " latent"]], AbstractDistribution],
    ) -> "LDS":
        """The initial model of the structured VAE: m1 = 0, P1 = I, b = 0, Q = `noise_var` I.

        Args:
            dynamics: holds A.
            noise_var: variance of the dynamics noise, per entry and step.
            emission: maps z_t to the distribution of x_t.

        Raises:
            ValueError: `noise_var` is not positive, or the emission reads another latent.
        """
        if not noise_var > 0.0:
            raise ValueError(f"noise_var is {noise_var}; expected a positive variance.")
        zero, eye = jnp.zeros(dynamics.size), jnp.eye(dynamics.size)
        start = cls.from_parameters(zero, eye, eye, zero, noise_var * eye, emission=emission)
        return eqx.tree_at(lambda model: model.dynamics, start, dynamics)

    @property
    def chain(self) -> Chain:
        """The arrays (m1, P1, A, b, Q)."""
        first, noise = self.first, self.noise
        return Chain(
            first.mean, first.covariance, self.dynamics.matrix, noise.mean, noise.covariance
        )

    def initial(self) -> AbstractGaussian:
        """N(m1, P1)."""
        return self.first

    def transition(self, z: Float[Array, " latent"]) -> AbstractGaussian:
        """N(A z + b, Q)."""
        noise = self.noise
        return FullGaussian(self.dynamics.matrix @ z + noise.mean, noise.log_scale, noise.lower)


def _check_sizes(size: int, dynamics: Array, bias: Array, emission: Callable) -> None:
    for name, array, shape in [("A", dynamics, (size, size)), ("b", bias, (size,))]:
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}; expected {shape} to match m1.")
    if isinstance(emission, LinearGaussian) and emission.matrix.shape[1] != size:
        raise ValueError(
            f"emission has C of shape {emission.matrix.shape}; expected [obs, {size}] to match m1."
        )


def _cholesky(name: str, covariance: ArrayLike, size: int) -> Float[Array, "latent latent"]:
    covariance = as_float(name, covariance)
    if covariance.shape != (size, size):
        expected = (size, size)
        raise ValueError(f"{name} has shape {covariance.shape}; expected {expected} to match m1.")
    scale = jnp.linalg.cholesky(covariance)
    if isinstance(scale, Tracer):
        return scale
    if not np.allclose(covariance, covariance.T, equal_nan=True):
        raise ValueError(f"{name} is not symmetric; expected a covariance.")
    if not np.all(np.isfinite(scale)):
        raise ValueError(
            f"{name} is not positive definite (smallest eigenvalue "
            f"{np.linalg.eigvalsh(np.asarray(covariance)).min():.3g}); expected a covariance."
        )
    return scale
