"""The trace: what every inference method yields, and all that an objective needs to know."""

import equinox as eqx
import jax
from jaxtyping import Array, Float

from ._distributions import AbstractGaussian
from ._divergence import kl


class Trace(eqx.Module):
    """The record of one inferred path.

    Attributes:
        z: the path, drawn from the approximate posterior.
        posterior: q_t at each step (its arrays carry a leading time axis).
        prior: p_t at each step.
        reconstruction: -log p(x_t | z_<=t, x_<t) in nats, zero where nothing was observed.
        iterations: the step free energy in nats after 0, 1, ..., K inference iterations, 0 being
            the prior prediction; no columns for methods that do not iterate.
        divergence: KL(q_t || p_t) in expectation over z_<t, where it is known in closed form.
    """

    z: Float[Array, "*time latent"]
    posterior: AbstractGaussian
    prior: AbstractGaussian
    reconstruction: Float[Array, "*time"]
    iterations: Float[Array, "*time iterations"]
    divergence: Float[Array, "*time"] | None = None

    @property
    def kl(self) -> Float[Array, " time"]:
        """KL(q_t || p_t) in nats: in closed form if that is known, else along the drawn path."""
        return self.path_kl if self.divergence is None else self.divergence

    @property
    def path_kl(self) -> Float[Array, " time"]:
        """KL(q_t || p_t) in nats, given the drawn z_<t; `kl` is its expectation."""
        return jax.vmap(kl)(self.posterior, self.prior)

    @property
    def free_energy(self) -> Float[Array, " time"]:
        """The step free energy F_t in nats (Eq. 9)."""
        return self.reconstruction + self.kl

    @property
    def log_weight(self) -> Float[Array, " time"]:
        """Log p(x_t, z_t | past) - log q(z_t | past, x) in nats, along the drawn path."""
        log_prob = jax.vmap(lambda gaussian, z: gaussian.log_prob(z))
        ratio = log_prob(self.prior, self.z) - log_prob(self.posterior, self.z)
        return ratio - self.reconstruction
