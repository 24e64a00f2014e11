"""The rungs of `gap` for smoothers: free energies of whole paths.

A smoother knows the future, so that nothing is lost by filtering. Where everything is linear and
Gaussian, the best path and log p(x) are exact. Elsewhere the best path q* of the family and r, the
best of all linear-Gaussian chains, are refined from the smoother's own, and log p(x) is estimated
by importance-weighted paths of r.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from .. import kalman
from .._inference import AbstractInference
from .._model import AbstractLatentLDS, AbstractModel
from .._smoother import AbstractPath, AbstractSmoother, replayed, until_last
from ..inference import GaussMarkov
from ._oracle import expected_free_energy, factorised_chain, likelihoods
from ._paths import Chains, improved, paths_of
from ._rungs import Data, Effort, Keys, Terms, energies, is_linear, is_stepwise, other


def is_exact(model: AbstractModel, inference: AbstractInference, data: Data) -> bool:
    """Whether q*, r and log p(x) have closed forms."""
    if not is_linear(model) or is_stepwise(inference):
        return is_linear(model)
    family = eqx.filter_eval_shape(paths_of, model, inference, data)
    return family is None or isinstance(family, Chains)


def linear_smoother(
    model: AbstractLatentLDS, inference: AbstractInference, data: Data, keys: Keys, effort: Effort
) -> Terms:
    """On a linear model; the steps' free energies under the exact posterior add up to -log p(x)."""
    posterior = kalman.conditionals(model.chain, likelihoods(model, *data))
    least = best = expected_free_energy(posterior, model, *data)
    family = paths_of(model, inference, data)
    if isinstance(family, Chains) and family.factorised:
        mean_field = GaussMarkov(factorised_chain(posterior, until_last(data[1])))
        best = _costs(model, mean_field, data, keys)
    elif family is not None and not isinstance(family, Chains):
        path = improved(model, family, data, effort.num_iterations, key=other(key=keys[0]))
        best = _costs(model, path, data, keys)
    if isinstance(inference, AbstractSmoother):
        own = _costs(model, inference.path(model, *data), data, keys)
    else:
        own = jax.vmap(lambda k: -inference.infer(model, *data, key=k).log_weight)(keys)
    return own - best, best - least, jnp.zeros_like(least), jnp.zeros_like(least)


def _costs(
    model: AbstractLatentLDS, path: AbstractPath, data: Data, keys: Keys
) -> Float[Array, "..."]:
    """The free energies of a path on a linear model: in closed form for a chain, else of draws."""
    if isinstance(path, GaussMarkov):
        return expected_free_energy(path.until(until_last(data[1]), model).chain, model, *data)
    return jax.vmap(lambda key: -replayed(model, path, *data, key=key).log_weight)(keys)


def replayed_smoother(
    model: AbstractModel, inference: AbstractInference, data: Data, keys: Keys, effort: Effort
) -> Terms:
    """On any other model: what no chain reaches is the family's, less what K paths save of it."""
    family, search_key = paths_of(model, inference, data), other(key=other(key=keys[0]))
    if family is None:
        raise TypeError(
            f"gap cannot split {type(inference).__name__} on {type(model).__name__}: the model is "
            "not linear and Gaussian, and the method is neither a filter, whose q_t could be "
            "refined step by step, nor a smoother with a path of its own, a GaussMarkov for "
            "instance. `evaluate(..., num_samples=...)` gives its whole gap to a tighter bound."
        )
    best = full = improved(model, family, data, effort.num_iterations, key=search_key)
    wider = family.wider(best)
    if wider is not None:
        full = improved(model, wider, data, effort.num_iterations, key=other(key=search_key))

    def costs(path: AbstractPath) -> Float[Array, "draws time"]:
        return jax.vmap(lambda key: replayed(model, path, *data, key=key).free_energy)(keys)

    own, lower = energies(model, inference, data, keys), costs(best)
    least = lower if wider is None else costs(full)
    weights = _log_weights(model, full, data, keys, effort.num_samples + effort.num_particles)
    saved, reached = (_gain(w) for w in jnp.split(weights, [effort.num_samples], axis=1))
    return own - lower, lower - least + reached - saved, saved, jnp.zeros_like(saved)


def _log_weights(
    model: AbstractModel, path: AbstractPath, data: Data, keys: Keys, number: int
) -> Float[Array, "draws paths time"]:
    """Of so many paths for each draw, independent of the draw's own."""

    def one(key: Key[Array, ""]) -> Float[Array, " time"]:
        return replayed(model, path, *data, key=key).log_weight

    return jax.vmap(lambda key: jax.vmap(one)(jr.split(other(key=key), number)))(keys)


def _gain(log_weights: Float[Array, "draws paths time"]) -> Float[Array, "draws time"]:
    """F - L_N: by how much N paths together, importance-weighted, beat one of them on average.

    Only a whole path has a weight. What the whole gains is split over the steps by their share of
    the variance of its logarithm, Cov(log w_t, sum_s log w_s), over all paths of all draws: a step
    that pays early what another gets back has no share.
    """
    total = jnp.sum(log_weights, axis=-1)
    number = log_weights.shape[1]
    gain = jax.nn.logsumexp(total, axis=1) - math.log(number) - jnp.mean(total, axis=1)
    share = jnp.mean(log_weights * (total - jnp.mean(total))[..., None], axis=(0, 1))
    whole = jnp.sum(share)
    return gain[:, None] * jnp.where(whole > 0.0, share / jnp.where(whole > 0.0, whole, 1.0), 0.0)
