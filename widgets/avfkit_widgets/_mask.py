"""The mask explorer: hide a window of a film, and see what is inferred of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets
from jaxtyping import Array, ArrayLike, Key

import avfkit

from ._mask_table import MaskTable
from ._masked_run import Readout
from ._table import front_end, style
from ._table_explorer import AbstractTableExplorer


class MaskExplorer(AbstractTableExplorer):
    """Move a window that inference does not see; read-out, phase space and frames follow.

    Two numbers, such as angle and velocity of a pendulum, are read off every latent. A window
    at the end of the film is a forecast, one before it an imputation. In a built page the windows
    are a table of at most 400 kB. `page.html#mask?start=51&length=50` opens one.

    Attributes:
        start: first hidden step, counted from 1.
        length: number of hidden steps; what lies beyond the end does not count.

    Example:
        >>> MaskExplorer(*tree, film, truth, readout, shape=(24, 24), clean=clean, key=key)
    """

    _esm = front_end("mask", "lab")
    _css = style()

    start = traitlets.Int().tag(sync=True)
    length = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        model: avfkit.AbstractMarkovModel,
        inference: avfkit.AbstractInference,
        film: ArrayLike,
        truth: ArrayLike,
        readout: Readout,
        *,
        shape: tuple[int, int],
        clean: ArrayLike,
        starts: Sequence[int] = tuple(range(1, 92, 10)),
        lengths: Sequence[int] = tuple(range(0, 51, 10)),
        names: tuple[tuple[str, str], tuple[str, str]] = (("angle", "rad"), ("velocity", "rad/s")),
        key: Key[Array, ""],
        **first: Any,
    ) -> None:
        """Explore a model and a method that can do with missing steps on one film.

        Args:
            model: the model, trained; each frame depends on its latent only.
            inference: how its latents are inferred.
            film: `[time, pixels]`, what inference sees where nothing is hidden.
            truth: `[time, 2]`, the two numbers that are read out.
            readout: makes two numbers of a latent, in JAX.
            shape: height and width of a frame.
            clean: `[time, pixels]`, the film without noise, from 0 to 1.
            starts: choices for the first hidden step.
            lengths: choices for the number of hidden steps.
            names: name and unit of the two numbers.
            key: randomness of the drawn paths.
            **first: `start` and `length` at the start, by default the choices in the middle.

        Raises:
            ValueError: if a shape or a choice does not fit.
            TypeError: if the model's frames depend on more than the latent.
            TraitError: if a first value is not among the choices.
        """
        arrays = np.asarray(film), np.asarray(truth)
        options = {"shape": shape, "clean": np.asarray(clean), "names": names, "key": key}
        table = MaskTable(model, inference, *arrays, readout, windows=(starts, lengths), **options)
        middle = {slider.name: slider.choices[len(slider.choices) // 2] for slider in table.sliders}
        super().__init__(table, middle | first)

    @traitlets.validate("start", "length")
    def _valid(self, proposal: Any) -> Any:
        return self._chosen(proposal)
