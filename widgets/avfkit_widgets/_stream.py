"""The stream explorer: a stream arrives, and the filter says what it believes and expects."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import traitlets
from jaxtyping import Array, ArrayLike, Key

import avfkit

from ._stream_table import StreamTable
from ._table import front_end, style
from ._table_explorer import AbstractTableExplorer


class StreamExplorer(AbstractTableExplorer):
    """Let a stream arrive, by hand or by itself, with or without gaps.

    At each step: what came, in which interval it was expected, what the filter believes of the
    first latent, where the next values are expected, and what the step costs. The first entry of x
    is shown. In a built page the patterns of gaps are a table of at most 400 kB.
    `page.html#stream?step=20` opens a step.

    Attributes:
        gap: the name of the pattern of gaps.
        step: how many steps have come.

    Example:
        >>> gaps = {"nothing": np.ones(xs.shape, bool)}
        >>> StreamExplorer(avfkit.OnlineFilter(model, filter), xs, gaps, key=key)
    """

    _esm = front_end("stream", "lab")
    _css = style()

    gap = traitlets.Unicode().tag(sync=True)
    step = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        online: avfkit.OnlineFilter,
        xs: ArrayLike,
        gaps: Mapping[str, ArrayLike],
        *,
        horizon: int = 12,
        key: Key[Array, ""],
        **first: Any,
    ) -> None:
        """Explore a model and a filter on one stream.

        Args:
            online: the model and the filter.
            xs: the stream, `[time, obs]`, without gaps.
            gaps: what the filter sees, `[time, obs]`, by a name that tells what is hidden.
            horizon: how many steps to look ahead.
            key: randomness.
            **first: `gap` and `step` at the start, by default the first pattern, half-way.

        Raises:
            ValueError: if a shape or a number does not fit.
            TraitError: if a first value is not among the choices.
        """
        masks = {name: np.asarray(seen) for name, seen in gaps.items()}
        table = StreamTable(online, np.asarray(xs), masks, horizon=horizon, key=key)
        start = dict(gap=table.sliders[0].choices[0], step=(len(table.constants["data"]) + 1) // 2)
        super().__init__(table, start | first)

    @traitlets.validate("gap", "step")
    def _valid(self, proposal: Any) -> Any:
        return self._chosen(proposal)
