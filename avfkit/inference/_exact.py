"""Exact inference where all is linear and Gaussian: the potential is the likelihood."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .. import kalman
from .._model import AbstractLatentLDS, AbstractModel
from ..nn import LinearGaussian
from ._structured import AbstractStructuredFilter, AbstractStructuredSmoother


class KalmanFilter(AbstractStructuredFilter):
    """The exact solution of every step: q_t = p(z_t | z_{t-1}, x_t).

    This minimises every step free energy (Eq. 11); it is the Kalman update of the prior that the
    drawn z_{t-1} implies. A far-sighted q_t, which pays more at step t for an easier step t + 1,
    can have a lower total. Wrap it in `MarginalFilter` for the Kalman filter proper,
    p(z_t | x_<=t), which takes the expectation over the past exactly.

    **Example**

    ```python
    trace = avfkit.KalmanFilter().infer(lds, xs, key=key)
    ```
    """

    def potentials(
        self,
        model: AbstractModel,
        xs: Float[Array, "time obs"],
        observed: Bool[Array, "time obs"],
    ) -> kalman.Potentials:
        """The likelihoods themselves."""
        return _likelihoods(self, model, xs, observed)


class KalmanSmoother(AbstractStructuredSmoother):
    """The exact posterior over paths, p(z_1..T | x_1..T).

    With it the free energy is -log p(x) and every drawn path has the same total log-weight,
    log p(x).

    **Example**

    ```python
    trace = avfkit.KalmanSmoother().infer(lds, xs, key=key)
    ```
    """

    def potentials(
        self,
        model: AbstractModel,
        xs: Float[Array, "time obs"],
        observed: Bool[Array, "time obs"],
    ) -> kalman.Potentials:
        """The likelihoods themselves."""
        return _likelihoods(self, model, xs, observed)


def _likelihoods(
    method: KalmanFilter | KalmanSmoother,
    model: AbstractModel,
    xs: Float[Array, "time obs"],
    observed: Bool[Array, "time obs"],
) -> kalman.Potentials:
    emission = _linear_emission(method, model)
    variance = jnp.exp(emission.log_var)
    return kalman.linear_gaussian_potentials(emission.matrix, emission.bias, variance, xs, observed)


def _linear_emission(method: KalmanFilter | KalmanSmoother, model: AbstractModel) -> LinearGaussian:
    if isinstance(model, AbstractLatentLDS) and isinstance(model.emission, LinearGaussian):
        return model.emission
    found = type(model).__name__
    if isinstance(model, AbstractLatentLDS):
        found += f" with emission {type(model.emission).__name__}"
    raise TypeError(
        f"{type(method).__name__} needs a model with linear-Gaussian latent dynamics (a subclass "
        f"of AbstractLatentLDS) and a LinearGaussian emission; {found} is not one. Use "
        "IterativeFilter or DirectFilter."
    )
