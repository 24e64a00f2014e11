"""The roll explorer: hide a part of a piano roll and let the filter fill it in."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import traitlets
from jaxtyping import Array, ArrayLike, Bool, Key

import avfkit

from ._roll_table import RollTable
from ._table import front_end, style
from ._table_explorer import AbstractTableExplorer


class RollExplorer(AbstractTableExplorer):
    """Choose what is hidden of a piano roll; see which notes the model fills in.

    With an `IterativeFilter` there is a slider of K, the iterations at each step; any other method
    is shown as it is. On a kernel avfkit computes each picture; in a built page the pictures are a
    table over what is hidden and K, of at most 400 kB.

    Attributes:
        hidden: the name of what is hidden, one of `hidden`'s.
        iterations: K, where the filter iterates.

    Example:
        >>> RollExplorer(model, avf, roll, key=jr.key(0))
    """

    _esm = front_end("roll", "lab")
    _css = style()

    hidden = traitlets.Unicode().tag(sync=True)
    iterations = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        model: avfkit.AbstractModel,
        inference: avfkit.AbstractInference,
        roll: ArrayLike,
        *,
        max_iterations: int | None = None,
        hidden: Mapping[str, Bool[np.ndarray, "time keys"]] | None = None,
        lowest: int = 21,
        key: Key[Array, ""],
        **first: Any,
    ) -> None:
        """Explore a model and its inference on one piano roll.

        Args:
            model: the model, trained or not.
            inference: how its latents are inferred.
            roll: `[time, keys]`, 1 where a note sounds.
            max_iterations: the largest K of an `IterativeFilter`; by default its own.
            hidden: what can be hidden, masks of the roll's shape by name, `True` where hidden;
                names read like "the lowest notes". By default `roll_masks(roll)`.
            lowest: MIDI number of the first key; 21 for the 88 keys of a piano.
            key: randomness of the path.
            **first: `iterations` at the start, by default all; `choice`, the name of what is
                hidden at the start, by default the second one (the lowest notes).

        Raises:
            ValueError: if a shape, an entry or a number does not fit.
            TraitError: if a first value is not among the choices.
        """
        table = RollTable(
            model,
            inference,
            np.asarray(roll),
            max_iterations=max_iterations,
            hidden=hidden,
            lowest=lowest,
            key=key,
        )
        start = {slider.name: slider.choices[-1] for slider in table.sliders}
        names = table.sliders[-1].choices
        start["hidden"] = first.pop("choice", names[min(1, len(names) - 1)])
        super().__init__(table, start | first)

    @traitlets.validate("hidden", "iterations")
    def _valid(self, proposal: Any) -> Any:
        return self._chosen(proposal)
