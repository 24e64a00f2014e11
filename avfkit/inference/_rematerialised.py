"""Long sequences in little memory: keep a few states, compute the rest again.

To differentiate a filter, JAX keeps what every step computed, so memory grows with the length. Cut
into about sqrt(T) segments of sqrt(T) steps, only the states between segments are kept, and one
segment at a time is filtered again when its gradient is due: memory grows like sqrt(T), apart from
the data and the trace, and a training step costs one more filtering.

Reference: Griewank (1992); Chen, Xu, Zhang and Guestrin (2016), section 4.
"""

import math
from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from .._checked import Size, check_fields
from .._inference import AbstractFilter, AbstractInference
from .._model import AbstractModel, prepare
from .._trace import Trace
from .._types import Observations, Observed


class Rematerialised(AbstractInference):
    """The same filter, differentiated in less memory and more time; values and gradients are equal.

    Attributes:
        filter: the filter.
        every: steps between the states that are kept; about sqrt(T) if `None`.

    **Example**

    ```python
    long = avfkit.Rematerialised(avfkit.IterativeFilter(update, num_iterations=1))
    ```
    """

    filter: AbstractFilter
    every: Size | None = eqx.field(default=None, static=True)

    def __check_init__(self) -> None:
        check_fields(self)

    @property
    def joint(self) -> bool:
        """As the filter."""
        return self.filter.joint

    @property
    def stepper(self) -> AbstractFilter:
        """The filter itself."""
        return self.filter

    def infer(
        self,
        model: AbstractModel,
        xs: Observations,
        observed: Observed = None,
        *,
        key: Key[Array, ""],
        kl_weight: Float[Array, ""] | float = 1.0,
    ) -> Trace:
        """Filter one sequence, segment by segment."""
        xs, observed = prepare(model, xs, observed)
        options = {"key": key, "kl_weight": kl_weight, "scan": partial(_scan, self.every)}
        return self.filter.filtered(model, xs, observed, **options)[0]


def _scan(
    every: Size | None, body: Callable, start: PyTree, inputs: PyTree
) -> tuple[PyTree, PyTree]:
    """`jax.lax.scan` over segments that are rematerialised; the final carry is not the scan's.

    The last segment is filled with copies of the last step, whose results are dropped.
    """
    length = len(jax.tree.leaves(inputs)[0])
    count = math.ceil(length / (every or math.isqrt(length)))
    steps = math.ceil(length / count)

    def cut(array: Array) -> Array:
        order = jnp.minimum(jnp.arange(count * steps), length - 1)
        return array[order].reshape(count, steps, *array.shape[1:])

    @partial(jax.checkpoint, prevent_cse=False)  # a scan keeps the two computations apart
    def segment(carry: PyTree, inputs: PyTree) -> tuple[PyTree, PyTree]:
        return jax.lax.scan(body, carry, inputs)

    carry, outputs = jax.lax.scan(segment, start, jax.tree.map(cut, inputs))
    return carry, jax.tree.map(lambda a: a.reshape(count * steps, *a.shape[2:])[:length], outputs)
