"""A filter that outputs q_t directly: the models' own filters, without a memory of their own."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from .._checked import Count, Size, checked
from .._distributions import AbstractGaussian, DiagonalGaussian
from .._inference import AbstractScanFilter
from .._model import AbstractModel, feature_size
from .._problem import StepProblem
from .._types import Carry
from ..nn import Conditional, GaussianHead
from ._detached import amortized


class DirectFilter(AbstractScanFilter):
    """q_t = encoder(features of x_t, context): the VRNN's own filter (Chung et al. 2015, Eq. 9).

    The encoder reads what the model offers: its features of x_t and its summary of the past.
    Missing entries of x_t are zeros for the encoder. `through_past=False` trains it in AVF's
    detached EM scheme, as the AVF authors' code does for its baselines: an E-step for the encoder
    with model and past fixed, an M-step for the model with the draws and the encoder fixed. The
    default is end to end, as in the VRNN paper. With `residual_mean` the encoder's mean is added to
    the prior's: the SRNN's own filter (Fraccaro et al. 2016, Eq. 10).

    **Example**

    ```python
    own = avfkit.DirectFilter.create(model, width=500, depth=4, key=key)
    ```
    """

    encoder: Conditional[DiagonalGaussian]
    through_past: bool = eqx.field(default=True, static=True)
    residual_mean: bool = eqx.field(default=False, static=True)

    @classmethod
    @checked
    def create(
        cls,
        model: AbstractModel,
        *,
        width: Size,
        depth: Count,
        residual_mean: bool = False,
        through_past: bool = True,
        activation: Callable = jax.nn.relu,
        key: Key[Array, ""],
    ) -> "DirectFilter":
        """An encoder of `depth` hidden layers of `width` units that fits the model."""
        encoder = Conditional(
            _inputs(model),
            model.latent_size,
            head=GaussianHead,
            width=width,
            depth=depth,
            activation=activation,
            key=key,
        )
        return cls(encoder=encoder, residual_mean=residual_mean, through_past=through_past)

    def init(self, model: AbstractModel) -> Carry:
        """No memory; checks the encoder's sizes against the model."""
        found = (self.encoder.in_size, self.encoder.out_size)
        expected = (_inputs(model), model.latent_size)
        if found != expected:
            raise ValueError(
                f"encoder maps {found[0]} inputs to a latent of {found[1]}; this "
                f"{type(model).__name__} needs {expected[0]} inputs (features and context) and a "
                f"latent of {expected[1]}."
            )

    def posterior(
        self, carry: Carry, problem: StepProblem, *, key: Key[Array, ""]
    ) -> tuple[AbstractGaussian, Float[Array, " iterations"], Carry]:
        """Encode the observation and the past."""
        return amortized(_encode, self, carry, problem, key=key)


def _encode(
    filter: DirectFilter, carry: Carry, problem: StepProblem
) -> tuple[DiagonalGaussian, Carry]:
    model = problem.model
    inputs = jnp.append(model.features(problem.x), model.context(problem.state))
    q = filter.encoder(inputs)
    if filter.residual_mean:
        q = DiagonalGaussian(problem.prior.mean + q.mean, q.log_var)
    return q, carry


def _inputs(model: AbstractModel) -> int:
    context = eqx.filter_eval_shape(lambda m: m.context(m.init()), model)
    return feature_size(model) + len(context)
