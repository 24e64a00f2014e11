"""Self-supervised masking: a window is hidden from inference and has to be reconstructed."""

import jax.numpy as jnp
import jax.random as jr
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int, Key

from .._checked import Size, check_fields, checked
from .._inference import AbstractInference
from .._model import AbstractModel, prepare
from .._smoother import AbstractSmoother, replayed, until_last
from .._trace import Trace
from .._types import Observations, Observed


class Masked(AbstractInference):
    """A smoother that does not see a random window of the sequence, and is scored on all of it.

    The window lies between the first step and the last one observed: padding does not move it.

    A path that explains what inference could not see needs dynamics that are right. In the
    structured posterior the window's potentials are dropped; a network reads zeros there. Train
    with it, and evaluate with the smoother inside.

    Attributes:
        smoother: what is trained.
        fraction: share of the steps that one window hides, from 0 to below 1; an array, so that it
            may change in the course of a training without compiling again.

    **Example**

    ```python
    masked = avfkit.Masked(avfkit.StructuredSmoother(net), jnp.array(0.4))
    ```

    Reference: Zhao and Linderman (2023), section 3.3: up to 40 % of the steps.
    """

    smoother: AbstractSmoother
    fraction: Float[Array, ""]

    def __check_init__(self) -> None:
        check_fields(self)
        known = not isinstance(self.fraction, Tracer)
        if known and not 0.0 <= self.fraction < 1.0:
            raise ValueError(f"fraction is {self.fraction}; expected from 0 to below 1.")

    @property
    def joint(self) -> bool:
        """As the smoother."""
        return self.smoother.joint

    @property
    def stepper(self) -> None:
        """None: it sees the whole sequence."""

    def infer(
        self,
        model: AbstractModel,
        xs: Observations,
        observed: Observed = None,
        *,
        key: Key[Array, ""],
        kl_weight: Float[Array, ""] | float = 1.0,
    ) -> Trace:
        """Infer from what is outside of a window, reconstruct all."""
        del kl_weight
        window_key, key = jr.split(key)
        xs, observed = prepare(model, xs, observed)
        steps = jnp.sum(until_last(observed))
        hidden = window(len(xs), self.fraction, key=window_key, within=steps)
        shown = observed & ~hidden[:, None]
        path = self.smoother.path(model, jnp.where(shown, xs, 0.0), shown)
        return replayed(model, path, xs, observed, key=key)


@checked
def window(
    length: Size,
    fraction: Float[Array, ""] | float,
    *,
    key: Key[Array, ""],
    within: Int[Array, ""] | int | None = None,
) -> Bool[Array, " time"]:
    """One contiguous window of round(fraction * within) steps, anywhere in the first `within`.

    That is all of `length` if `within` is None; else the same window, whatever the length.
    """
    within = length if within is None else within
    fraction = jnp.asarray(fraction)
    size = jnp.round(fraction * jnp.asarray(within, fraction.dtype)).astype(int)
    start = jr.randint(key, (), 0, within - size + 1)
    steps = jnp.arange(length)
    return (steps >= start) & (steps < start + size)
