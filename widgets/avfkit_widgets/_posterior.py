"""The posterior explorer: what a family of posteriors can and cannot say, at any SNR and size."""

from collections.abc import Sequence
from typing import Any

import traitlets

from ._posterior_table import PosteriorTable
from ._table import front_end, style
from ._table_explorer import AbstractTableExplorer


class PosteriorExplorer(AbstractTableExplorer):
    """Choose a family of posteriors, the SNR and the size; see its gap to the exact posterior.

    The data come from the linear dynamical systems of Zhao and Linderman (2023), section 4.1, whose
    exact posterior is known. Each family is shown by a member that needs no training:

    - "mean field" (RNN-MF): of all posteriors without links between steps the one of least
      divergence,
    - "diagonal hints": the structured posterior whose hints have the likelihood's means and only
      the diagonal of its precision,
    - "full hints" (SVAE, RNN-AR-L, RNN-AR-NL): the exact posterior, which these families contain,
    - "filter" and "5 ahead" (CNN-AR-L): the chain whose step t knows the observations of t to
      t + 0, t + 5; what a filter, or a convolution of finite reach, can know.

    On a kernel avfkit computes each picture; in a built page the pictures are a table, and
    `page.html#posterior?family=filter&snr=0.1&latent=5` opens a state.

    Attributes:
        family: the posterior, a word.
        snr: q / r, one of `snrs`.
        latent: entries of the latent, one of those of `sizes`.

    Example:
        >>> PosteriorExplorer(family="filter", snr=1)
    """

    _esm = front_end("posterior", "lab")
    _css = style()

    family = traitlets.Unicode().tag(sync=True)
    snr = traitlets.Float().tag(sync=True)
    latent = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        sizes: Sequence[tuple[int, int]] = ((3, 5), (5, 10), (10, 20)),
        snrs: Sequence[float] = (0.001, 0.01, 0.1, 1, 10),
        reaches: Sequence[int] = (0, 1, 3, 5, 15),
        *,
        length: int = 50,
        state_noise: float = 0.1,
        seed: int = 0,
        **first: Any,
    ) -> None:
        """Explore families of posteriors.

        Args:
            sizes: pairs of latent and observed entries (the paper's D and N).
            snrs: the choices of q / r, ascending (the paper's are 0.001, 0.1 and 1).
            reaches: how many steps ahead the chains see; 0 is the filter.
            length: steps of the sequence.
            state_noise: q; the noise of the observations is q / SNR.
            seed: of the systems and the noise.
            **first: `family`, `snr`, `latent` at the start; by default the mean field at the second
                SNR of the first size.

        Raises:
            ValueError: if a number does not fit.
            TraitError: if a first value is not among the choices.
        """
        table = PosteriorTable(
            sizes, snrs, reaches, length=length, state_noise=state_noise, seed=seed
        )
        start = {slider.name: slider.choices[0] for slider in table.sliders}
        super().__init__(table, start | dict(snr=snrs[min(1, len(snrs) - 1)]) | first)

    @traitlets.validate("family", "snr", "latent")
    def _valid(self, proposal: Any) -> Any:
        return self._chosen(proposal)
