"""The iteration explorer: what each inference iteration buys, on data of the reader's choice."""

from collections.abc import Sequence
from typing import Any

import traitlets
from jaxtyping import Array, ArrayLike, Key

import avfkit

from ._iteration_table import IterationTable
from ._table import front_end, style
from ._table_explorer import AbstractTableExplorer


class IterationExplorer(AbstractTableExplorer):
    """Move the number of inference iterations K and of samples S; see the reconstruction sharpen.

    At every step of `xs` the filter starts at the prior prediction and takes K iterations, each
    with S samples; K = 0 is the prediction itself (Figures 3 and 4b of the AVF paper). What a step
    costs is F_t along one drawn path; how it changed is told by the E-step's own estimates from S
    samples, which scatter.

    On a kernel avfkit computes each picture; in a built page the pictures are a table over K and S,
    of at most 400 kB, and `page.html#iterations?iterations=3&num_samples=4&step=12` opens a state.

    Attributes:
        iterations: K, 0 to `max_iterations`.
        num_samples: S, one of `samples`.
        step: the step that is shown, counted from 1.

    Example:
        >>> explorer = IterationExplorer(model, avf, xs, max_iterations=8, key=jr.key(0))
        >>> explorer.iterations = 2
        >>> explorer
    """

    _esm = front_end("iteration", "lab")
    _css = style()

    iterations = traitlets.Int().tag(sync=True)
    num_samples = traitlets.Int().tag(sync=True)
    step = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        model: avfkit.AbstractModel,
        inference: avfkit.IterativeFilter,
        xs: ArrayLike,
        *,
        max_iterations: int,
        samples: Sequence[int] = (1, 2, 4, 8),
        window: tuple[int, int] | None = None,
        key: Key[Array, ""],
        **first: Any,
    ) -> None:
        """Explore a model and its iterative filter on one sequence.

        Args:
            model: the model, trained or not.
            inference: an `IterativeFilter`; only its update rule is used.
            xs: one sequence, `[time, obs]`, without gaps.
            max_iterations: the largest K.
            samples: the choices of S; all share one compiled function, which draws their least
                common multiple.
            window: the first step shown, counted from 1, and how many; by default the first 16.
                Steps before it are filtered, those after it are not looked at.
            key: randomness of the paths; every picture uses the same.
            **first: `iterations`, `num_samples`, `step` at the start, by default all iterations
                with the fewest samples in the middle of the window.

        Raises:
            TypeError: if `inference` is not an `IterativeFilter`.
            ValueError: if a number or a shape does not fit.
            TraitError: if a first value is not among the choices.
        """
        table = IterationTable(
            model,
            inference,
            xs,
            max_iterations=max_iterations,
            samples=samples,
            window=window,
            key=key,
        )
        steps = table.sliders[-1].choices
        start = dict(iterations=max_iterations, num_samples=min(samples))
        super().__init__(table, start | dict(step=steps[len(steps) // 2]) | first)

    @traitlets.validate("iterations", "num_samples", "step")
    def _valid(self, proposal: Any) -> Any:
        return self._chosen(proposal)
