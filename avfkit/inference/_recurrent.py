"""A filter with a memory of its own: what has been seen, read by an LSTM."""

import equinox as eqx
import jax.random as jr
from jaxtyping import Array, Float, Key

from .._checked import Size, checked
from .._distributions import AbstractGaussian
from .._inference import AbstractScanFilter
from .._model import AbstractModel, feature_size
from .._problem import StepProblem
from .._types import Carry
from ..nn import DeepMemory, GaussianHead
from ._detached import amortized


class RecurrentFilter(AbstractScanFilter):
    """q_t = head(LSTM(features of x_1..x_t)): SVG's own filter (Denton and Fergus 2018, Eq. 3).

    It reads the observations only, through the model's features, and never the model's state.
    Missing entries of x_t are zeros for it. `embed=False` leaves out the linear embedding before
    the LSTM, as the AVF authors' code does. `through_past=False` trains it in AVF's detached EM
    scheme, as for `DirectFilter`; the E-step's gradient then runs back through its memory.

    **Example**

    ```python
    own = avfkit.RecurrentFilter.create(model, hidden_size=256, key=key)
    ```
    """

    memory: DeepMemory
    head: GaussianHead
    sizes: tuple[int, int] = eqx.field(static=True)
    through_past: bool = eqx.field(default=True, static=True)

    @classmethod
    @checked
    def create(
        cls,
        model: AbstractModel,
        *,
        hidden_size: Size = 256,
        depth: Size = 1,
        embed: bool = True,
        through_past: bool = True,
        key: Key[Array, ""],
    ) -> "RecurrentFilter":
        """An LSTM of `depth` layers that fits the model."""
        memory_key, head_key = jr.split(key)
        sizes = _sizes(model)
        memory = DeepMemory(sizes[0], hidden_size, depth=depth, embed=embed, key=memory_key)
        head = GaussianHead(hidden_size, sizes[1], key=head_key)
        return cls(memory=memory, head=head, sizes=sizes, through_past=through_past)

    def init(self, model: AbstractModel) -> Carry:
        """The learned initial memory, after checking the sizes against the model."""
        expected = _sizes(model)
        if self.sizes != expected:
            raise ValueError(
                f"RecurrentFilter maps {self.sizes[0]} features to a latent of {self.sizes[1]}; "
                f"this {type(model).__name__} has {expected[0]} features and a latent of "
                f"{expected[1]}."
            )
        return self.memory.initial

    def posterior(
        self, carry: Carry, problem: StepProblem, *, key: Key[Array, ""]
    ) -> tuple[AbstractGaussian, Float[Array, " iterations"], Carry]:
        """Read the observation into the memory, then say what it implies."""
        return amortized(_encode, self, carry, problem, key=key)


def _encode(
    filter: RecurrentFilter, carry: Carry, problem: StepProblem
) -> tuple[AbstractGaussian, Carry]:
    carry = filter.memory(carry, problem.model.features(problem.x))
    return filter.head(carry[-1][0]), carry


def _sizes(model: AbstractModel) -> tuple[int, int]:
    return feature_size(model), model.latent_size
