"""The structured posterior: Gaussian potentials on each latent, and exact message passing.

What the observation says of z_t is a Gaussian potential psi_t(z_t); what the dynamics say is the
model's own. Their product, normalised, is the posterior q(z_1..T), or, filtered,
q_t = p(z_t | z_{t-1}) psi_t(z_t) / Z. The potential is a network's in the structured VAE and the
likelihood itself in exact inference (see `_exact`). A step of which nothing was observed has no
potential, so missing steps cost nothing and change nothing. Of a step that was observed in part
the likelihood as a potential drops the missing entries; a network reads zeros in their place.

Reference: Johnson et al. (2016); Zhao and Linderman (2023), section 3.
"""

from abc import abstractmethod
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from .. import kalman
from .._distributions import AbstractGaussian, DiagonalGaussian, FullGaussian
from .._inference import AbstractScanFilter
from .._linalg import solve_lower
from .._model import AbstractLatentLDS, AbstractModel, nothing_seen
from .._problem import StepProblem
from .._smoother import AbstractPath, AbstractSmoother
from .._types import Carry
from ._path import GaussMarkov

Recognition = Callable[[Float[Array, " obs"]], AbstractGaussian]


class AbstractStructuredFilter(AbstractScanFilter):
    """A filter whose q_t is the prior times a Gaussian potential of x_t."""

    @property
    def through_past(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Gradients flow: the posterior is a differentiable function of model and potential."""
        return True

    @abstractmethod
    def potentials(
        self,
        model: AbstractModel,
        xs: Float[Array, "time obs"],
        observed: Bool[Array, "time obs"],
    ) -> kalman.Potentials:
        """What each observation says of its latent, after checking that the model fits."""

    def init(self, model: AbstractModel) -> Carry:
        """No memory; checks that the model fits."""
        x, observed = nothing_seen(model)
        self.potentials(model, x[None], observed[None])

    def posterior(
        self, carry: Carry, problem: StepProblem, *, key: Key[Array, ""]
    ) -> tuple[AbstractGaussian, Float[Array, " iterations"], Carry]:
        """Prior times potential, normalised."""
        del key
        potential = self.potentials(problem.model, problem.x[None], problem.observed[None])
        prior = problem.prior
        mean, cov, _ = kalman.update(
            prior.mean, prior.covariance, potential.precision[0], potential.linear[0]
        )
        return FullGaussian.from_covariance(mean, cov), jnp.zeros((0,), mean.dtype), carry


class AbstractStructuredSmoother(AbstractSmoother):
    """A smoother whose posterior is the model's chain times Gaussian potentials."""

    @abstractmethod
    def potentials(
        self,
        model: AbstractModel,
        xs: Float[Array, "time obs"],
        observed: Bool[Array, "time obs"],
    ) -> kalman.Potentials:
        """What each observation says of its latent, after checking that the model fits."""

    def path(
        self,
        model: AbstractModel,
        xs: Float[Array, "time obs"],
        observed: Bool[Array, "time obs"],
    ) -> AbstractPath:
        """The chain of conditionals of prior times potentials."""
        potentials = self.potentials(model, xs, observed)
        assert isinstance(model, AbstractLatentLDS)
        return GaussMarkov(kalman.conditionals(model.chain, potentials), forecasts=True)


class StructuredSmoother(AbstractStructuredSmoother):
    """The posterior of the structured VAE: potentials of a network, smoothed by the model's chain.

    Attributes:
        potential: maps x_t to a Gaussian over the latent, the potential in mean form.

    **Example**

    ```python
    net = nn.Conditional(24, 3, head=nn.FullGaussianHead, width=20, depth=2, key=key)
    svae = avfkit.StructuredSmoother(net)
    ```

    Reference: Zhao and Linderman (2023), section 2.1 and Figure 1 (a).
    """

    potential: Recognition

    def potentials(
        self,
        model: AbstractModel,
        xs: Float[Array, "time obs"],
        observed: Bool[Array, "time obs"],
    ) -> kalman.Potentials:
        """What the network makes of each observation."""
        return _recognised(self, model, xs, observed)


class StructuredFilter(AbstractStructuredFilter):
    """The structured posterior in one direction: q_t is the prior times the potential of x_t.

    `MarginalFilter(StructuredFilter(net))` is the Kalman filter on the potentials.

    Attributes:
        potential: maps x_t to a Gaussian over the latent, the potential in mean form.

    **Example**

    ```python
    causal = avfkit.StructuredFilter(svae.potential)
    ```
    """

    potential: Recognition

    def potentials(
        self,
        model: AbstractModel,
        xs: Float[Array, "time obs"],
        observed: Bool[Array, "time obs"],
    ) -> kalman.Potentials:
        """What the network makes of each observation."""
        return _recognised(self, model, xs, observed)


def _recognised(
    method: StructuredFilter | StructuredSmoother,
    model: AbstractModel,
    xs: Float[Array, "time obs"],
    observed: Bool[Array, "time obs"],
) -> kalman.Potentials:
    if not isinstance(model, AbstractLatentLDS):
        raise TypeError(
            f"{type(method).__name__} needs a model with linear-Gaussian latent dynamics (a "
            f"subclass of AbstractLatentLDS); {type(model).__name__} is not one. Use "
            "AmortizedSmoother or a filter."
        )
    found = jax.vmap(method.potential)(xs)
    if found.mean.shape[1] != model.latent_size:
        raise ValueError(
            f"potential is over {found.mean.shape[1]} entries; expected {model.latent_size}, the "
            f"latent of this {type(model).__name__}."
        )
    seen = jnp.any(observed, axis=-1)
    if isinstance(found, DiagonalGaussian):
        return kalman.diagonal_potentials(found.mean, found.variance, seen)
    scale = FullGaussian.of(found).scale_tril
    inverse = jax.vmap(solve_lower, (0, None))(scale, jnp.eye(scale.shape[-1], dtype=scale.dtype))
    return kalman.full_potentials(found.mean, jnp.matrix_transpose(inverse) @ inverse, seen)
