"""The rungs of `gap`: free energies of the method, of the best q of its family, and of the best q.

Free energies of draws are compared under the same keys, so that what two methods share cancels;
where everything is linear and Gaussian, those of the best q are exact.
"""

from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Key

from .. import kalman
from .._distributions import DiagonalGaussian, FullGaussian
from .._fivo import fivo_steps
from .._inference import AbstractFilter, AbstractInference
from .._model import AbstractLatentLDS, AbstractModel
from .._smoother import AbstractSmoother, until_last
from ..inference import AmortizedSmoother, FactorisedHead, GaussMarkov, MarginalFilter
from ..nn import LinearGaussian
from ._oracle import expected_free_energy, factorised_chain, filtering_chain, likelihoods
from ._refined import Optimal, Refined, family_of

Data = tuple[Float[Array, "time obs"], Bool[Array, "time obs"]]
Keys = Key[Array, " draws"]
Terms = tuple[Float[Array, "..."], ...]  # [draws, time], or [time] where nothing is drawn


_OTHER = 2**31 - 1  # a number that no step has, for other random numbers


class Effort(NamedTuple):
    """K of the sampling term, gradient steps to the best q, particles for log p(x)."""

    num_samples: int
    num_iterations: int
    num_particles: int


def is_linear(model: AbstractModel) -> bool:
    """Whether exact inference applies."""
    return isinstance(model, AbstractLatentLDS) and isinstance(model.emission, LinearGaussian)


@eqx.filter_jit
def terms(
    model: AbstractModel, inference: AbstractInference, data: Data, keys: Keys, effort: Effort
) -> Terms:
    """Amortization, family, sampling and filtering of each draw and step."""
    if is_linear(model):
        assert isinstance(model, AbstractLatentLDS)
        if not inference.joint or inference.stepper is not None:
            found = _linear(model, inference, data, keys, effort)
        else:
            found = _smoothed(model, inference, data, keys)
    else:
        found = _refined(model, inference, data, keys, effort)
    shape = (len(keys), len(data[0]))
    return tuple(jnp.broadcast_to(term, shape) for term in found)


def _linear(
    model: AbstractLatentLDS, inference: AbstractInference, data: Data, keys: Keys, effort: Effort
) -> Terms:
    """A filter, or beliefs, where q*, r and log p(x) are exact."""
    potentials = likelihoods(model, *data)
    log_p = kalman.filter(model.chain, potentials).log_likelihood
    best, full, diagonal = _optima(inference, model)
    amortization = _energies(model, inference, data, keys) - _energies(model, best, data, keys)
    if not inference.joint:
        family = _energies(model, best, data, keys[:1]) + log_p
        return amortization, family, jnp.zeros_like(log_p), jnp.zeros_like(log_p)
    chain = filtering_chain(model, potentials)
    least = expected_free_energy(chain, model, *data)
    family = jnp.zeros_like(least)
    if diagonal:
        narrow = filtering_chain(model, potentials, diagonal=True)
        family = expected_free_energy(narrow, model, *data) - least
    swarm = _swarms(model, full, data, keys, num_samples=effort.num_samples, single=least)
    return amortization, family, least - swarm, swarm + log_p


def _smoothed(
    model: AbstractLatentLDS, inference: AbstractInference, data: Data, keys: Keys
) -> Terms:
    """A smoother; the steps' free energies under the exact posterior add up to -log p(x)."""
    potentials, inside = likelihoods(model, *data), until_last(data[1])
    posterior = kalman.conditionals(model.chain, potentials)
    least = expected_free_energy(posterior, model, *data)
    best = least
    if isinstance(inference, AmortizedSmoother) and isinstance(inference.head, FactorisedHead):
        path = GaussMarkov(factorised_chain(posterior, inside)).until(inside, model)
        best = expected_free_energy(path.chain, model, *data)
    path = inference.path(model, *data) if isinstance(inference, AbstractSmoother) else None
    if isinstance(path, GaussMarkov):
        own = expected_free_energy(path.until(inside, model).chain, model, *data)
    else:
        own = -_log_weights(model, inference, data, keys)
    return own - best, best - least, jnp.zeros_like(least), jnp.zeros_like(least)


def _refined(
    model: AbstractModel, inference: AbstractInference, data: Data, keys: Keys, effort: Effort
) -> Terms:
    """A filter of any model: q* and r by gradient steps, log p(x) by a particle filter."""
    best, full, diagonal = _improved(inference, model, effort.num_iterations)
    own, lower = (_energies(model, method, data, keys) for method in (inference, best))
    last = full if inference.joint else MarginalFilter(full)
    least = _energies(model, last, data, keys) if diagonal else lower
    others = jax.vmap(lambda key: jr.fold_in(key, _OTHER))(keys)
    number = effort.num_particles
    log_p = -_swarms(model, full, data, others, num_samples=number, single=least)
    if not inference.joint:
        return own - lower, lower - least, jnp.zeros_like(least), least + log_p
    swarm = _swarms(model, full, data, keys, num_samples=effort.num_samples, single=least)
    return own - lower, lower - least, least - swarm, swarm + log_p


def _filters(inference: AbstractInference, model: AbstractModel) -> tuple[AbstractFilter, bool]:
    """The filter that is run, and whether its q_t is diagonal."""
    filter = inference.filter if isinstance(inference, MarginalFilter) else inference.stepper
    if filter is not None:
        return filter, family_of(filter, model) is DiagonalGaussian
    raise TypeError(
        f"gap cannot split {type(inference).__name__} on {type(model).__name__}: it is no filter, "
        "whose q_t could be refined step by step, and the model is not linear and Gaussian. "
        "`evaluate(..., num_samples=...)` gives its whole gap to a tighter bound."
    )


def _optima(
    inference: AbstractInference, model: AbstractModel
) -> tuple[AbstractInference, AbstractFilter, bool]:
    """In closed form: the best q of the method's family, the best q, and whether they differ."""
    _, diagonal = _filters(inference, model)
    best = Optimal(family=DiagonalGaussian if diagonal else FullGaussian)
    return best if inference.joint else MarginalFilter(best), Optimal(family=FullGaussian), diagonal


def _improved(
    inference: AbstractInference, model: AbstractModel, num_iterations: int
) -> tuple[AbstractInference, AbstractFilter, bool]:
    """By gradient steps: the same three."""
    filter, diagonal = _filters(inference, model)
    family = DiagonalGaussian if diagonal else FullGaussian
    best = Refined(filter=filter, family=family, num_iterations=num_iterations)
    full = best
    if diagonal:
        full = Refined(filter=best, family=FullGaussian, num_iterations=num_iterations)
    return best if inference.joint else MarginalFilter(best), full, diagonal


def _energies(
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


def _log_weights(
    model: AbstractModel, inference: AbstractInference, data: Data, keys: Keys
) -> Float[Array, "draws time"]:
    return jax.vmap(lambda key: inference.infer(model, *data, key=key).log_weight)(keys)


def _swarms(
    model: AbstractModel,
    proposal: AbstractFilter,
    data: Data,
    keys: Keys,
    *,
    num_samples: int,
    single: Float[Array, "..."],
) -> Float[Array, "..."]:
    """The bound of a particle filter, step by step; `single` for one particle, as on average."""
    if num_samples == 1:
        return single
    run = partial(fivo_steps, model, proposal, *data, num_samples=num_samples)
    return jax.vmap(lambda key: run(key=key))(keys)
