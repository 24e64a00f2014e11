"""What tells a learned update where to go: free-energy gradients, or precision-weighted errors.

Both say how far prediction and observation are apart, at the data and at the latent. Gradients pass
the error of the data back through the likelihood; the errors themselves leave that to the network
(Marino, Yue and Mandt 2018, section 4.1; Marino et al. 2018, section 3.2).
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._distributions import AbstractGaussian, DiagonalGaussian
from .._inference import StepProblem
from .._model import AbstractModel


def gradients(
    estimate: DiagonalGaussian, gradient: DiagonalGaussian, problem: StepProblem
) -> list[Float[Array, " size"]]:
    """The gradients of F_t in the mean and in the log-variance of q_t (Eq. 13)."""
    del estimate, problem
    return [gradient.mean, gradient.log_var]


def errors(
    estimate: AbstractGaussian, gradient: AbstractGaussian, problem: StepProblem
) -> list[Float[Array, " size"]]:
    """(x_t - mean) / sd of the likelihood at q's mean, and (q's mean - prior's mean) / prior's sd.

    Missing entries of x_t have no error.
    """
    del gradient
    predicted = problem.model.likelihood(problem.state, estimate.mean)
    data = (problem.x - predicted.mean) / jnp.sqrt(predicted.variance)
    latent = (estimate.mean - problem.prior.mean) / jnp.sqrt(problem.prior.variance)
    return [jnp.where(problem.observed, data, 0.0), latent]


def signal_size(signal: object, model: AbstractModel) -> int:
    """How many numbers a signal has.

    Raises:
        ValueError: it is neither `gradients` nor `errors`.
    """
    if signal not in (gradients, errors):
        raise ValueError(f"signal is {signal!r}; expected avfkit.inference.gradients or errors.")
    return model.latent_size + (model.latent_size if signal is gradients else model.obs_size)
