"""What the ladders of `gap`, for filters and for smoothers, share."""

from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Key

from .._inference import AbstractInference
from .._model import AbstractLatentLDS, AbstractModel
from ..nn import LinearGaussian
from ._oracle import likelihoods

Data: TypeAlias = tuple[Float[Array, "time obs"], Bool[Array, "time obs"]]
Keys: TypeAlias = Key[Array, " draws"]
Terms: TypeAlias = tuple[Float[Array, "..."], ...]  # [draws, time], or [time] if nothing is drawn

_OTHER = 2**31 - 1  # a number that no step has, for other random numbers


class Effort(NamedTuple):
    """K of the sampling term, gradient steps to the best q, particles for log p(x)."""

    num_samples: int
    num_iterations: int
    num_particles: int


def is_linear(model: AbstractModel) -> bool:
    """Whether exact inference applies."""
    return isinstance(model, AbstractLatentLDS) and isinstance(model.emission, LinearGaussian)


def is_stepwise(inference: AbstractInference) -> bool:
    """Whether it is a filter, along its own path or of beliefs."""
    return not inference.joint or inference.stepper is not None


def other(*, key: Key[Array, ""]) -> Key[Array, ""]:
    """A key for other random numbers."""
    return jr.fold_in(key, _OTHER)


def others(keys: Keys) -> Keys:
    """A key each for other random numbers."""
    return jax.vmap(lambda key: other(key=key))(keys)


def energies(
    model: AbstractModel, inference: AbstractInference, data: Data, keys: Keys
) -> Float[Array, "draws time"]:
    """F_t along drawn paths, its expectation over z_t in closed form where there is one."""

    def one(key: Key[Array, ""]) -> Float[Array, " time"]:
        trace = inference.infer(model, *data, key=key)
        if not (inference.joint and is_linear(model)):
            return trace.free_energy
        at_mean = jax.vmap(lambda z, x, seen: model.likelihood(None, z).log_prob(x, seen))
        spread = likelihoods(model, *data).precision * trace.posterior.covariance
        return trace.kl - at_mean(trace.posterior.mean, *data) + 0.5 * jnp.sum(spread, (1, 2))

    return jax.vmap(one)(keys)
