"""Inference from the whole sequence at once: a distribution over paths, and a replay of the model.

Reference: Zhao and Linderman (2023), section 2, for the posteriors that are paths.
"""

from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Key

from ._distributions import AbstractGaussian
from ._inference import AbstractInference, select
from ._model import AbstractModel, prepare
from ._trace import Trace
from ._types import Observations, Observed, State


class AbstractPath(eqx.Module):
    """A distribution over whole latent paths, as a chain of conditionals."""

    @abstractmethod
    def sample(self, *, key: Key[Array, ""]) -> Float[Array, "time latent"]:
        """One joint draw of z_1..T."""

    @abstractmethod
    def conditionals(self, zs: Float[Array, "time latent"]) -> AbstractGaussian:
        """q(z_t | z_<t, x) at each step along a path (arrays carry a leading time axis)."""

    @abstractmethod
    def until(self, inside: Bool[Array, " time"], model: AbstractModel) -> "AbstractPath":
        """The path that leaves what comes after the last observation to the model, if it can."""

    @abstractmethod
    def divergence(self, model: AbstractModel) -> Float[Array, " time"] | None:
        """KL(q_t || p_t) in nats in expectation over the path; None without a closed form."""


class AbstractSmoother(AbstractInference):
    """Infers all latents from the whole sequence at once: sample a path, then replay the model."""

    @property
    def joint(self) -> bool:
        """Yes."""
        return True

    @property
    def stepper(self) -> None:
        """None: it sees the whole sequence."""

    @abstractmethod
    def path(
        self,
        model: AbstractModel,
        xs: Float[Array, "time obs"],
        observed: Bool[Array, "time obs"],
    ) -> AbstractPath:
        """The approximate posterior over paths, after checking that it fits the model."""

    def infer(
        self,
        model: AbstractModel,
        xs: Observations,
        observed: Observed = None,
        *,
        key: Key[Array, ""],
        kl_weight: Float[Array, ""] | float = 1.0,
    ) -> Trace:
        """Draw a path from the posterior and let the model replay it."""
        del kl_weight
        xs, observed = prepare(model, xs, observed)
        return replayed(model, self.path(model, xs, observed), xs, observed, key=key)


def replayed(
    model: AbstractModel,
    path: AbstractPath,
    xs: Float[Array, "time obs"],
    observed: Bool[Array, "time obs"],
    *,
    key: Key[Array, ""],
) -> Trace:
    """The trace of a draw from a path, along which the model is run.

    After the last observation the posterior is the prior, whatever the path says: padding changes
    no free energy.

    Args:
        model: the model.
        path: the approximate posterior.
        xs: what is to be reconstructed, as `prepare` gives it.
        observed: which entries of it count.
        key: randomness of the draw, and of entries that the model has to fill in.
    """
    path_key, replay_key = jr.split(key)
    inside = until_last(observed)
    path = path.until(inside, model)
    zs = path.sample(key=path_key)
    states = model.states(xs, observed, zs, key=replay_key)

    def reconstruct(state: State, z: Array, x: Array, seen: Array) -> Float[Array, ""]:
        return -model.likelihood(state, z).log_prob(x, seen)

    prior, divergence = jax.vmap(model.prior)(states), path.divergence(model)
    return Trace(
        z=zs,
        posterior=jax.vmap(select)(inside, path.conditionals(zs), prior),
        prior=prior,
        reconstruction=jax.vmap(reconstruct)(states, zs, xs, observed),
        iterations=jnp.zeros((len(xs), 0), xs.dtype),
        divergence=None if divergence is None else jnp.where(inside, divergence, 0.0),
    )


def until_last(observed: Bool[Array, "time obs"]) -> Bool[Array, " time"]:
    """The steps up to the last one of which anything was observed."""
    return jnp.flip(jnp.cumsum(jnp.flip(jnp.any(observed, axis=-1))) > 0)
