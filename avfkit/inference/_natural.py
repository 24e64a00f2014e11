"""The natural gradient of a diagonal Gaussian, as an optax optimizer for variational filtering EM.

A step of size rho in the geometry of q is, in the natural parameters, a step along the gradient in
the expectation parameters (Khan and Lin 2017, section 3). In mean and variance it reads

    1 / v' = 1 / v + 2 rho dF/dv,    m' = m - rho v' dF/dm:

the precision goes the share rho of its way to the curvature of F, and the mean goes as far as a
Newton step with that precision. The rate has no unit, so one rate serves latents of every scale.
"""

import math
from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from .._arrays import check_positive
from .._distributions import DiagonalGaussian


def natural_gradient(
    rate: optax.ScalarOrSchedule, *, trust: float = 2.0
) -> optax.GradientTransformation:
    """An optimizer of diagonal Gaussians for `GradientUpdate`: natural-gradient steps.

    Where F is quadratic with a diagonal curvature, rate 1 finds the optimum in one iteration. The
    curvature is estimated by the samples of the E-step; a rate below 1 averages over iterations.

    Args:
        rate: rho, in (0, 1], or a schedule of it over the iterations.
        trust: the most by which an iteration moves the mean, its length counted in standard
            deviations of q, and each log standard deviation: what a sample says of F, and what a
            diagonal says of correlated latents, is not true far away.

    Raises:
        ValueError: rate or trust is not positive and finite, or rate is above 1.
        TypeError: one is no number, or the optimizer is given anything but a diagonal Gaussian.

    **Example**

    ```python
    vfem = avfkit.IterativeFilter(avfkit.GradientUpdate(natural_gradient(0.3)), num_iterations=10)
    ```

    Reference: Khan and Lin (2017), "Conjugate-computation variational inference".
    """
    if not callable(rate):
        expected = "a number in (0, 1], or a schedule"
        check_positive("rate", rate, expected)
        if rate > 1.0:
            raise ValueError(f"rate is {rate}; expected {expected}.")
    check_positive("trust", trust)

    def init(params: Any) -> Any:
        _diagonal(params)
        return optax.ScaleByScheduleState(jnp.zeros((), int))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        gradient, q = _diagonal(updates), _diagonal(params)
        rho = rate(state.count) if callable(rate) else rate
        step = _step(gradient, q, jnp.asarray(rho, q.mean.dtype), trust)
        return step, optax.ScaleByScheduleState(state.count + 1)

    return optax.GradientTransformation(init, update)


def _step(
    gradient: DiagonalGaussian, q: DiagonalGaussian, rho: Float[Array, ""], trust: float
) -> DiagonalGaussian:
    """The change of mean and log-variance; a curvature below zero counts as zero."""
    least = jnp.maximum(1.0 - rho, math.exp(-2.0 * trust))
    growth = jnp.maximum(1.0 + 2.0 * rho * gradient.log_var, least)  # of the precision
    log_var = -jnp.minimum(jnp.log(growth), 2.0 * trust)
    mean = -rho * jnp.exp(q.log_var) / growth * gradient.mean
    length = jnp.linalg.norm(mean * jnp.exp(-0.5 * q.log_var))
    return DiagonalGaussian(mean * trust / jnp.maximum(length, trust), log_var)


def _diagonal(q: Any) -> DiagonalGaussian:
    if isinstance(q, DiagonalGaussian):
        return q
    raise TypeError(f"natural_gradient was given a {type(q).__name__}; expected DiagonalGaussian.")
