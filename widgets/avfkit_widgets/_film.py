"""The film explorer: frames before and after the filter has seen them."""

from typing import Any

import numpy as np
import traitlets
from jaxtyping import Array, ArrayLike, Key

import avfkit

from ._film_table import FilmTable
from ._table import front_end, style
from ._table_explorer import AbstractTableExplorer


class FilmExplorer(AbstractTableExplorer):
    """Step through a film: data, prediction and reconstruction, and what each frame costs.

    With an `IterativeFilter` there is a slider of K, the iterations at each frame; any other method
    is shown as it is. In a built page the frames are a table of one byte per pixel, of at most
    400 kB: 20 frames of 64 x 64 pixels with one filter, or a few K of smaller ones.
    `page.html#film?step=5` opens a frame.

    Attributes:
        step: the frame, counted from 1.
        iterations: K, where the filter iterates.

    Example:
        >>> FilmExplorer(model, own_filter, film, (64, 64), key=jr.key(0))
    """

    _esm = front_end("film", "lab")
    _css = style()

    step = traitlets.Int().tag(sync=True)
    iterations = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        model: avfkit.AbstractModel,
        inference: avfkit.AbstractInference,
        film: ArrayLike,
        shape: tuple[int, int],
        *,
        max_iterations: int | None = None,
        key: Key[Array, ""],
        **first: Any,
    ) -> None:
        """Explore a model and its inference on one film.

        Args:
            model: the model, trained or not.
            inference: how its latents are inferred.
            film: `[time, height * width]`, or `[time, height, width]`, pixels from 0 to 1.
            shape: height and width of a frame.
            max_iterations: the largest K of an `IterativeFilter`; by default its own.
            key: randomness of the path.
            **first: `step` and `iterations` at the start, by default the middle frame after all
                iterations.

        Raises:
            ValueError: if a shape, a pixel or a number does not fit.
            TraitError: if a first value is not among the choices.
        """
        film = np.asarray(film)
        film = film.reshape(len(film), -1) if film.ndim == 3 else film
        table = FilmTable(model, inference, film, shape, max_iterations=max_iterations, key=key)
        start = {slider.name: slider.choices[-1] for slider in table.sliders}
        super().__init__(table, start | dict(step=(len(film) + 1) // 2) | first)

    @traitlets.validate("step", "iterations")
    def _valid(self, proposal: Any) -> Any:
        return self._chosen(proposal)
