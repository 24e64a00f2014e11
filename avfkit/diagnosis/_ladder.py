"""The rungs of `gap` for filters: free energies of the method, of the best q of its family, of r.

Free energies of draws are compared under the same keys, so that what two methods share cancels;
where everything is linear and Gaussian, those of the best q are exact.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import kalman
from .._distributions import DiagonalGaussian, FullGaussian
from .._fivo import fivo_steps
from .._inference import AbstractFilter, AbstractInference
from .._model import AbstractLatentLDS, AbstractModel
from ..inference import MarginalFilter
from ._oracle import expected_free_energy, filtering_chain, likelihoods
from ._refined import Optimal, Refined, family_of
from ._rungs import Data, Effort, Keys, Terms, energies, is_linear, is_stepwise, others
from ._smoothers import linear_smoother, replayed_smoother


@eqx.filter_jit
def terms(
    model: AbstractModel, inference: AbstractInference, data: Data, keys: Keys, effort: Effort
) -> Terms:
    """Amortization, family, sampling and filtering of each draw and step."""
    stepwise = is_stepwise(inference)
    if is_linear(model):
        assert isinstance(model, AbstractLatentLDS)
        find = _linear if stepwise else linear_smoother
        found = find(model, inference, data, keys, effort)
    else:
        find = _refined if stepwise else replayed_smoother
        found = find(model, inference, data, keys, effort)
    shape = (len(keys), len(data[0]))
    return tuple(jnp.broadcast_to(term, shape) for term in found)


def _linear(
    model: AbstractLatentLDS, inference: AbstractInference, data: Data, keys: Keys, effort: Effort
) -> Terms:
    """A filter, or beliefs, where q*, r and log p(x) are exact."""
    potentials = likelihoods(model, *data)
    log_p = kalman.filter(model.chain, potentials).log_likelihood
    best, full, diagonal = _optima(inference, model)
    amortization = energies(model, inference, data, keys) - energies(model, best, data, keys)
    if not inference.joint:
        family = energies(model, best, data, keys[:1]) + log_p
        return amortization, family, jnp.zeros_like(log_p), jnp.zeros_like(log_p)
    chain = filtering_chain(model, potentials)
    least = expected_free_energy(chain, model, *data)
    family = jnp.zeros_like(least)
    if diagonal:
        narrow = filtering_chain(model, potentials, diagonal=True)
        family = expected_free_energy(narrow, model, *data) - least
    swarm = _swarms(model, full, data, keys, num_samples=effort.num_samples, single=least)
    return amortization, family, least - swarm, swarm + log_p


def _refined(
    model: AbstractModel, inference: AbstractInference, data: Data, keys: Keys, effort: Effort
) -> Terms:
    """A filter of any model: q* and r by gradient steps, log p(x) by a particle filter."""
    best, full, diagonal = _improved(inference, model, effort.num_iterations)
    own, lower = (energies(model, method, data, keys) for method in (inference, best))
    last = full if inference.joint else MarginalFilter(full)
    least = energies(model, last, data, keys) if diagonal else lower
    number = effort.num_particles
    log_p = -_swarms(model, full, data, others(keys), num_samples=number, single=least)
    if not inference.joint:
        return own - lower, lower - least, jnp.zeros_like(least), least + log_p
    swarm = _swarms(model, full, data, keys, num_samples=effort.num_samples, single=least)
    return own - lower, lower - least, least - swarm, swarm + log_p


def _filters(inference: AbstractInference, model: AbstractModel) -> tuple[AbstractFilter, bool]:
    """The filter that is run, and whether its q_t is diagonal."""
    filter = inference.filter if isinstance(inference, MarginalFilter) else inference.stepper
    assert filter is not None
    return filter, family_of(filter, model) is DiagonalGaussian


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
