"""A filter that outputs q_t directly: the models' own filters, without a memory of their own."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from .._distributions import AbstractGaussian, DiagonalGaussian
from .._inference import AbstractFilter, StepProblem
from .._model import AbstractModel
from .._types import Carry
from ..nn import Conditional, GaussianHead


class DirectFilter(AbstractFilter):
    """q_t = encoder(features of x_t, context): the VRNN's own filter (Chung et al. 2015, Eq. 9).

    The encoder reads what the model offers: its features of x_t and its summary of the past.
    Missing entries of x_t are zeros for the encoder. `through_past=False` trains it in AVF's
    detached scheme, as the AVF authors' code does for its baselines; the default is end to end, as
    in the VRNN paper.

    **Example**

    ```python
    own = avfkit.DirectFilter.create(model, width=500, depth=4, key=key)
    ```
    """

    encoder: Conditional[DiagonalGaussian]
    through_past: bool = eqx.field(default=True, static=True)

    @classmethod
    def create(
        cls, model: AbstractModel, *, width: int, depth: int, key: Key[Array, ""]
    ) -> "DirectFilter":
        """An encoder of `depth` hidden ReLU layers of `width` units that fits the model."""
        encoder = Conditional(
            _inputs(model),
            model.latent_size,
            head=GaussianHead,
            width=width,
            depth=depth,
            key=key,
        )
        return cls(encoder=encoder)

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
        del key
        model = problem.model
        inputs = jnp.append(model.features(problem.x), model.context(problem.state))
        return self.encoder(inputs), jnp.zeros((0,), inputs.dtype), carry


def _inputs(model: AbstractModel) -> int:
    features = eqx.filter_eval_shape(lambda m: m.features(jnp.zeros(m.obs_size)), model)
    context = eqx.filter_eval_shape(lambda m: m.context(m.init()), model)
    return features.shape[0] + context.shape[0]
