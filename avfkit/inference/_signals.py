"""What tells a learned update where to go: free-energy gradients, or precision-weighted errors.

Both say how far prediction and observation are apart, at the data and at the latent. Gradients pass
the error of the data back through the likelihood; the errors themselves leave that to the network
(Marino, Yue and Mandt 2018, section 4.1; Marino et al. 2018, section 3.2).
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._distributions import AbstractGaussian, DiagonalGaussian
from .._model import AbstractModel
from .._problem import StepProblem

_FLOOR = 1e-6


def gradients(
    estimate: DiagonalGaussian, gradient: DiagonalGaussian, problem: StepProblem
) -> list[Float[Array, " size"]]:
    """The gradients of F_t in the mean and in the log-variance of q_t (Eq. 13)."""
    del estimate, problem
    return [gradient.mean, gradient.log_var]


def errors(
    estimate: AbstractGaussian, gradient: AbstractGaussian, problem: StepProblem
) -> list[Float[Array, " size"]]:
    """(x_t - mean) / variance of the likelihood at q's mean, and of q's mean under the prior.

    Missing entries of x_t have no error. Variances count as at least 1e-6, so that a Bernoulli
    that is sure of itself has an error too.
    """
    del gradient
    predicted = problem.model.likelihood(problem.state, estimate.mean)
    data = (problem.x - predicted.mean) / jnp.maximum(predicted.variance, _FLOOR)
    prior = problem.prior
    latent = (estimate.mean - prior.mean) / jnp.maximum(prior.variance, _FLOOR)
    return [jnp.where(problem.observed, data, 0.0), latent]


def signal_sizes(signal: Callable, model: AbstractModel) -> list[int]:
    """How many numbers each part of a signal has."""

    def parts(model: AbstractModel) -> list[Float[Array, " size"]]:
        state, zeros = model.init(), jnp.zeros(model.latent_size)
        q = DiagonalGaussian(zeros, zeros)
        x, seen = jnp.zeros(model.obs_size), jnp.ones(model.obs_size, bool)
        return signal(q, q, StepProblem(model, state, model.prior(state), x, seen, 1.0))

    with jax.numpy_dtype_promotion("standard"):  # only shapes are read
        return [len(part) for part in eqx.filter_eval_shape(parts, model)]
