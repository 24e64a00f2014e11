"""What is known exactly of a linear-Gaussian model: the posteriors that inference aims at.

Three questions have three answers. A filter that follows its own path is asked for z_t given the
drawn z_{t-1} and x_t: p(z_t | z_{t-1}, x_t). A smoother is asked for the whole path:
p(z_t | z_{t-1}, x_{t:T}) along its draw. A filter of beliefs is asked for p(z_t | x_{1:t}).
"""

from enum import Enum
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .. import kalman
from .._distributions import AbstractGaussian, FullGaussian
from .._inference import AbstractInference
from .._model import AbstractLatentLDS, AbstractModel
from ..inference import GaussMarkov, KalmanFilter


class Target(Enum):
    """The exact posterior that a method is compared with."""

    STEP = "p(z_t | z_t-1, x_t)"
    PATH = "p(z_t | z_t-1, x_t:T)"
    BELIEF = "p(z_t | x_1:t)"


def target_of(inference: AbstractInference) -> Target:
    """By what the method says of itself: beliefs, a filter along its own path, or a smoother."""
    if not inference.joint:
        return Target.BELIEF
    return Target.PATH if inference.stepper is None else Target.STEP


class Truth(NamedTuple):
    """All that is known of a sequence: three posteriors and log p(x) of every step, in nats."""

    filtering: kalman.Conditionals
    smoothing: kalman.Conditionals
    beliefs: FullGaussian
    log_p: Float[Array, " time"]

    def of(self, target: Target, zs: Float[Array, "time latent"]) -> AbstractGaussian:
        """The exact posterior of each step, along a path where there is one."""
        if target is Target.BELIEF:
            return self.beliefs
        chain = self.smoothing if target is Target.PATH else self.filtering
        return GaussMarkov(chain).conditionals(zs)


@eqx.filter_jit
def truth(
    model: AbstractLatentLDS, xs: Float[Array, "time obs"], observed: Bool[Array, "time obs"]
) -> Truth:
    """What is exact, by message passing."""
    potentials = likelihoods(model, xs, observed)
    found = kalman.filter(model.chain, potentials)
    return Truth(
        filtering_chain(model, potentials),
        kalman.conditionals(model.chain, potentials),
        jax.vmap(FullGaussian.from_covariance)(found.mean, found.cov),
        found.log_likelihood,
    )


def likelihoods(
    model: AbstractModel, xs: Float[Array, "time obs"], observed: Bool[Array, "time obs"]
) -> kalman.Potentials:
    """The observations as potentials on the latent; refuses a model that is not all linear."""
    return KalmanFilter().potentials(model, xs, observed)  # pyright: ignore[reportCallIssue]


def filtering_chain(
    model: AbstractLatentLDS, potentials: kalman.Potentials, *, diagonal: bool = False
) -> kalman.Conditionals:
    """The optimal filter of every step, as a chain, in the full or in the diagonal family.

    Full, it is p(z_t | z_{t-1}, x_t), of precision L_t = Q^-1 + J_t. The best diagonal Gaussian
    has the same mean and variances 1 / diag(L_t), whatever z_{t-1}. A step without an observation
    keeps the prior.
    """

    def step(prior: kalman.Conditionals, said: kalman.Potentials) -> kalman.Conditionals:
        mean, cov, _ = kalman.update(prior.bias, prior.noise_cov, said.precision, said.linear)
        dynamics = prior.dynamics - cov @ said.precision @ prior.dynamics
        if diagonal:
            seen = jnp.any(said.precision != 0.0)
            cov = jnp.where(seen, narrowed(cov), cov)
        return kalman.Conditionals(dynamics, mean, cov)

    return jax.vmap(step)(kalman.unrolled(model.chain, len(potentials.linear)), potentials)


def narrowed(cov: Float[Array, "latent latent"]) -> Float[Array, "latent latent"]:
    """The covariance of the diagonal Gaussian q that is closest in KL(q || N(m, cov))."""
    return jnp.diag(1.0 / jnp.diagonal(jnp.linalg.inv(cov)))


def factorised_chain(
    posterior: kalman.Conditionals, inside: Bool[Array, " time"]
) -> kalman.Conditionals:
    """The closest chain of independent latents, KL(q || posterior): mean field.

    It has the posterior's means, and at each step the inverse of the posterior's precision block,
    Q_t^-1 + A_{t+1}' Q_{t+1}^-1 A_{t+1}; steps that are not `inside` follow the model and ask
    nothing of those before them.
    """
    mean = kalman.marginals(posterior).mean
    precision = jnp.linalg.inv(posterior.noise_cov)
    pull = jnp.einsum("tji,tjk,tkl->til", posterior.dynamics, precision, posterior.dynamics)
    pull = jnp.where(inside[:, None, None], pull, 0.0)
    cov = jnp.linalg.inv(precision.at[:-1].add(pull[1:]))
    return kalman.Conditionals(jnp.zeros_like(cov), mean, cov)


def expected_free_energy(
    q: kalman.Conditionals,
    model: AbstractLatentLDS,
    xs: Float[Array, "time obs"],
    observed: Bool[Array, "time obs"],
) -> Float[Array, " time"]:
    """E_q of each step's free energy (Eq. 9) in nats, in closed form, for a chain q."""
    mean, cov, _ = kalman.marginals(q)
    curvature = likelihoods(model, xs, observed).precision
    at_mean = -jax.vmap(lambda z, x, seen: model.emission(z).log_prob(x, seen))(mean, xs, observed)
    spread = 0.5 * jnp.sum(curvature * cov, axis=(1, 2))
    return at_mean + spread + kalman.divergence(q, model.chain)
