"""Exact inference where the model is linear and Gaussian throughout."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from .. import kalman
from .._distributions import AbstractGaussian, FullGaussian
from .._inference import AbstractScanFilter, StepProblem
from .._model import AbstractLatentLDS, AbstractModel
from .._smoother import AbstractPath, AbstractSmoother
from .._types import Carry
from ..nn import LinearGaussian
from ._path import GaussMarkov


class KalmanFilter(AbstractScanFilter):
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

    @property
    def through_past(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Gradients flow: the posterior is a differentiable function of the model."""
        return True

    def init(self, model: AbstractModel) -> Carry:
        """No memory; checks that the model is linear-Gaussian."""
        _linear_emission(self, model)

    def posterior(
        self, carry: Carry, problem: StepProblem, *, key: Key[Array, ""]
    ) -> tuple[AbstractGaussian, Float[Array, " iterations"], Carry]:
        """Prior times likelihood, normalised."""
        del key
        emission = _linear_emission(self, problem.model)
        potential = _potentials(emission, problem.x[None], problem.observed[None])
        prior = problem.prior
        mean, cov, _ = kalman.update(
            prior.mean, prior.covariance, potential.precision[0], potential.linear[0]
        )
        return FullGaussian.from_covariance(mean, cov), jnp.zeros((0,), mean.dtype), carry


class KalmanSmoother(AbstractSmoother):
    """The exact posterior over paths, p(z_1..T | x_1..T).

    With it the free energy is -log p(x) and every drawn path has the same total log-weight,
    log p(x).

    **Example**

    ```python
    trace = avfkit.KalmanSmoother().infer(lds, xs, key=key)
    ```
    """

    def path(
        self,
        model: AbstractModel,
        xs: Float[Array, "time obs"],
        observed: Bool[Array, "time obs"],
    ) -> AbstractPath:
        """The chain of exact conditionals."""
        potentials = _potentials(_linear_emission(self, model), xs, observed)
        assert isinstance(model, AbstractLatentLDS)
        return GaussMarkov(kalman.conditionals(model.chain, potentials))


def _linear_emission(
    method: AbstractScanFilter | AbstractSmoother, model: AbstractModel
) -> LinearGaussian:
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


def _potentials(
    emission: LinearGaussian, xs: Float[Array, "time obs"], observed: Bool[Array, "time obs"]
) -> kalman.Potentials:
    return kalman.linear_gaussian_potentials(
        emission.matrix, emission.bias, jnp.exp(emission.log_var), xs, observed
    )
