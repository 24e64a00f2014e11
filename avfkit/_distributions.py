"""A few small distributions: diagonal and full Gaussians, Bernoulli, and nothing else.

Each holds one vector. In a trace the arrays carry a leading time axis: moments are then those of
every step, the other methods want `jax.vmap`. An entry not `observed` adds nothing to `log_prob`.
"""

import math
from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Key

from ._checked import check_fields
from ._linalg import cholesky, solve_lower

LOG_2PI = math.log(2.0 * math.pi)


class AbstractDistribution(eqx.Module):
    """A distribution over one vector, with a `mean`."""

    mean: eqx.AbstractVar[Float[Array, " size"]]

    def __check_init__(self) -> None:
        """Refuses arrays that do not fit together."""
        check_fields(self)

    @property
    @abstractmethod
    def variance(self) -> Float[Array, "*time size"]:
        """The (marginal) variance of each entry."""

    @abstractmethod
    def log_prob(
        self, value: Float[Array, " size"], observed: Bool[Array, " size"] | None = None
    ) -> Float[Array, ""]:
        """Log probability (density) of the observed entries of `value`, in nats."""

    @abstractmethod
    def sample(self, *, key: Key[Array, ""]) -> Float[Array, " size"]:
        """One draw; reparameterised where the distribution allows it."""


class AbstractGaussian(AbstractDistribution):
    """A Gaussian: a location and an invertible scale applied to standard normal noise."""

    @property
    @abstractmethod
    def covariance(self) -> Float[Array, "*time size size"]:
        """The covariance matrix."""

    @abstractmethod
    def transform(self, noise: Float[Array, " size"]) -> Float[Array, " size"]:
        """Map standard normal noise to a draw (the reparameterisation)."""

    @classmethod
    @abstractmethod
    def of(cls, gaussian: "AbstractGaussian") -> "AbstractGaussian":
        """The member of this family with the mean and the (marginal) variances of another."""

    def sample(self, *, key: Key[Array, ""]) -> Float[Array, " size"]:
        """One reparameterised draw: gradients flow to the mean and the scale."""
        return self.transform(jr.normal(key, self.mean.shape, self.mean.dtype))


class DiagonalGaussian(AbstractGaussian):
    """A Gaussian with independent entries, held as mean and log-variance (the paper's lambda).

    **Example**

    ```python
    q = avfkit.DiagonalGaussian(mean=jnp.zeros(2), log_var=jnp.log(jnp.array([1.0, 4.0])))
    ```
    """

    mean: Float[Array, " size"]
    log_var: Float[Array, " size"]

    @property
    def variance(self) -> Float[Array, "*time size"]:
        """The variance of each entry."""
        return jnp.exp(self.log_var)

    @property
    def covariance(self) -> Float[Array, "*time size size"]:
        """The diagonal covariance matrix."""
        return _on_diagonal(self.variance)

    def transform(self, noise: Float[Array, " size"]) -> Float[Array, " size"]:
        """Mean plus standard deviation times noise."""
        return self.mean + jnp.exp(0.5 * self.log_var) * noise

    def log_prob(
        self, value: Float[Array, " size"], observed: Bool[Array, " size"] | None = None
    ) -> Float[Array, ""]:
        """Sum over the observed entries of the Gaussian log density, in nats."""
        scaled = (seen(value, observed) - self.mean) ** 2 * jnp.exp(-self.log_var)
        return _masked_sum(-0.5 * (LOG_2PI + self.log_var + scaled), observed)

    @classmethod
    def of(cls, gaussian: AbstractGaussian) -> "DiagonalGaussian":
        """Keep the mean and the marginal variances of any Gaussian."""
        if isinstance(gaussian, DiagonalGaussian):
            return gaussian
        return cls(gaussian.mean, jnp.log(gaussian.variance))


class FullGaussian(AbstractGaussian):
    """A Gaussian with correlated entries, held by unconstrained numbers; see `from_covariance`.

    The covariance is `L @ L.T`, with `L` the lower triangle of `lower` and `exp(log_scale)` on its
    diagonal: a gradient step on these numbers never leaves the family.

    **Example**

    ```python
    q = avfkit.FullGaussian.from_covariance(mean, covariance)
    ```
    """

    mean: Float[Array, " size"]
    log_scale: Float[Array, " size"]
    lower: Float[Array, "size size"]

    @classmethod
    def from_covariance(
        cls, mean: Float[Array, " size"], covariance: Float[Array, "size size"]
    ) -> "FullGaussian":
        """From mean and a positive-definite covariance; outside `jax.jit` others are refused."""
        scale = cholesky(covariance)
        if isinstance(scale, Tracer) or jnp.isfinite(scale).all():
            return cls.from_scale(mean, scale)
        raise ValueError("covariance is not positive definite; expected positive variances.")

    @classmethod
    def from_scale(
        cls, mean: Float[Array, " size"], scale: Float[Array, "size size"]
    ) -> "FullGaussian":
        """From mean and lower-triangular scale with a positive diagonal."""
        return cls(mean, jnp.log(jnp.diagonal(scale)), jnp.tril(scale, -1))

    @property
    def scale_tril(self) -> Float[Array, "*time size size"]:
        """The lower-triangular scale `L`."""
        return jnp.tril(self.lower, -1) + _on_diagonal(jnp.exp(self.log_scale))

    @property
    def variance(self) -> Float[Array, "*time size"]:
        """The marginal variance of each entry."""
        return jnp.sum(self.scale_tril**2, axis=-1)

    @property
    def covariance(self) -> Float[Array, "*time size size"]:
        """The covariance matrix."""
        return self.scale_tril @ jnp.matrix_transpose(self.scale_tril)

    def transform(self, noise: Float[Array, " size"]) -> Float[Array, " size"]:
        """Mean plus triangular scale times noise."""
        return self.mean + self.scale_tril @ noise

    def log_prob(
        self, value: Float[Array, " size"], observed: Bool[Array, " size"] | None = None
    ) -> Float[Array, ""]:
        """Log density of the observed entries (their marginal), in nats."""
        scale, shift = self.scale_tril, value - self.mean
        if observed is not None:
            keep = observed[:, None] & observed[None, :]
            padding = _on_diagonal(1.0 - observed.astype(self.mean.dtype))
            scale = cholesky(jnp.where(keep, self.covariance, 0.0) + padding)
            shift = jnp.where(observed, shift, 0.0)
        noise = solve_lower(scale, shift)
        return _masked_sum(-0.5 * (LOG_2PI + noise**2) - jnp.log(jnp.diagonal(scale)), observed)

    @classmethod
    def of(cls, gaussian: AbstractGaussian) -> "FullGaussian":
        """The same Gaussian, held by its triangular scale."""
        if isinstance(gaussian, FullGaussian):
            return gaussian
        lower = jnp.zeros_like(gaussian.covariance)
        return cls(gaussian.mean, 0.5 * jnp.log(gaussian.variance), lower)


class Bernoulli(AbstractDistribution):
    """Binary entries, held as logits; no gradient flows through a draw. For piano rolls.

    **Example**

    ```python
    keys = avfkit.Bernoulli(jnp.zeros(88))
    ```
    """

    logits: Float[Array, " size"]

    def __init__(self, logits: Float[Array, " size"]) -> None:
        self.logits = logits

    @property
    def mean(self) -> Float[Array, " size"]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The probability that each entry is one."""
        return jax.nn.sigmoid(self.logits)

    @property
    def variance(self) -> Float[Array, "*time size"]:
        """Of each entry, p (1 - p)."""
        return self.mean * jax.nn.sigmoid(-self.logits)

    def log_prob(
        self, value: Float[Array, " size"], observed: Bool[Array, " size"] | None = None
    ) -> Float[Array, ""]:
        """Sum over the observed entries of the log probability, in nats."""
        terms = seen(value, observed) * self.logits - jax.nn.softplus(self.logits)
        return _masked_sum(terms, observed)

    def sample(self, *, key: Key[Array, ""]) -> Float[Array, " size"]:
        """One draw of zeros and ones, in the dtype of the logits."""
        return jr.bernoulli(key, self.mean).astype(self.logits.dtype)


def seen(value: Float[Array, "*size"], observed: Array | None) -> Float[Array, "*size"]:
    """The value with zeros where it is missing: NaN there would be NaN in every gradient."""
    return value if observed is None else jnp.where(observed, value, 0.0)


def _masked_sum(terms: Array, observed: Array | None) -> Float[Array, ""]:
    return jnp.sum(terms if observed is None else jnp.where(observed, terms, 0.0))


def _on_diagonal(values: Float[Array, "*time size"]) -> Float[Array, "*time size size"]:
    return values[..., None] * jnp.eye(values.shape[-1], dtype=values.dtype)
