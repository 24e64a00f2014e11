"""The gap explorer: where the nats go, as the noise, the gaps and the iterations change."""

from collections.abc import Callable, Sequence
from typing import Any

import traitlets
from jaxtyping import Array, Key

import avfkit

from ._gap_table import GapTable
from ._table import front_end, style
from ._table_explorer import AbstractTableExplorer


class GapExplorer(AbstractTableExplorer):
    """Bars of `avfkit.gap`: amortization, family, sampling, filtering and their sum.

    On a kernel avfkit computes each picture; in a built page the pictures are a table, and
    `page.html#gap?snr=10&missing=50&iterations=4` opens a state.

    Attributes:
        snr: what the world is made with, one of `snrs`.
        missing: per cent of the steps that are missing.
        iterations: inference iterations.

    Example:
        >>> explorer = GapExplorer(world, inference, snrs=(1, 10), length=20, key=jr.key(0))
        >>> explorer.iterations = 2
        >>> explorer
    """

    _esm = front_end("gap", "lab")
    _css = style()

    snr = traitlets.Any().tag(sync=True)
    missing = traitlets.Any().tag(sync=True)
    iterations = traitlets.Any().tag(sync=True)

    def __init__(
        self,
        world: Callable[[float], avfkit.LDS],
        inference: avfkit.IterativeFilter,
        *,
        snrs: Sequence[float],
        missing: Sequence[int] = (0, 25, 50),
        iterations: Sequence[int] = (1, 2, 4, 8, 16, 32),
        length: int = 20,
        num_sequences: int = 16,
        num_samples: int = 4,
        key: Key[Array, ""],
        **first: Any,
    ) -> None:
        """Explore an iterative filter on the sequences of linear-Gaussian worlds.

        Args:
            world: makes a model with a linear emission for an SNR; all of one size.
            inference: the filter; its number of iterations is moved.
            snrs: the choices of the signal-to-noise ratio.
            missing: the choices of the share of missing steps, in per cent.
            iterations: the choices of the number of iterations.
            length: steps of a sequence.
            num_sequences: sequences to average over.
            num_samples: particles of the sampling term.
            key: randomness of the sequences and of the draws.
            **first: `snr`, `missing`, `iterations` at the start.

        Raises:
            TypeError: if `inference` is not an `IterativeFilter`.
            TraitError: if a first value is not among the choices.
        """
        choices = dict(snr=tuple(snrs), missing=tuple(missing), iterations=tuple(iterations))
        sizes = (length, num_sequences, num_samples)
        table = GapTable(world, inference, choices, sizes, key=key)
        start = {name: values[len(values) // 2] for name, values in choices.items()}
        super().__init__(table, start | dict(missing=choices["missing"][0]) | first)

    @traitlets.validate("snr", "missing", "iterations")
    def _valid(self, proposal: Any) -> Any:
        return self._chosen(proposal)
