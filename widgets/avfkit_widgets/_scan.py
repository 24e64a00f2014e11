"""The scan explorer: all prefixes of a chain, one by one and by a tree, round by round."""

from typing import Any

import traitlets

from avfkit import kalman

from ._scan_table import ScanTable, last_round
from ._table import front_end, style
from ._table_explorer import AbstractTableExplorer


class ScanExplorer(AbstractTableExplorer):
    """Move the rounds, and see which prefixes are done one by one and by a tree; count the time.

    Each position of a chain holds the Gaussian element of the steps it has gathered; once these
    begin with the first step, its mean is the filter's. A round is one combination of each worker;
    before each level of the tree, and before each step of the other way, all wait for a pause.

    In a built page `page.html#scan?length=64&workers=8&latency=10&round=5` opens a state.

    Attributes:
        length: T, of 8, 16, 32 and 64 those that the chain has.
        workers: how many combinations of the tree can be done at once, 1 to 32.
        latency: the pause before a level, in combinations' time.
        round: rounds done, at most as many as both ways need.

    Example:
        >>> ScanExplorer(chain, potentials)
    """

    _esm = front_end("scan", "lab")
    _css = style()

    length = traitlets.Int().tag(sync=True)
    workers = traitlets.Int().tag(sync=True)
    latency = traitlets.Int().tag(sync=True)
    round = traitlets.Int().tag(sync=True)

    def __init__(
        self, chain: kalman.Markov, potentials: kalman.Potentials, *, entry: int = 0, **first: int
    ) -> None:
        """Explore the scan of a chain.

        Args:
            chain: the prior, of shared or of time-varying parameters.
            potentials: what each step's observation says of its latent; 8 steps or more, of which
                the first 64 are shown.
            entry: which entry of the latent is drawn, from 0.
            **first: `length`, `workers`, `latency`, `round` at the start, by default the most steps
                up to 32, 16 workers, a pause of 10, and the last round of the tree.

        Raises:
            ValueError: if there are fewer than 8 steps, there is no such entry, or the chain has
                another number of steps than the potentials.
            TraitError: if a first value is not among the choices.
        """
        table = ScanTable(chain, potentials, entry=entry)
        start: dict[str, Any] = dict(length=min(32, table.sliders[0].choices[-1]))
        start |= dict(workers=16, latency=10) | first
        start.setdefault("round", table.tree_rounds(start))
        super().__init__(table, start)

    @traitlets.validate("length", "workers", "latency", "round")
    def _valid(self, proposal: Any) -> Any:
        return self._chosen(proposal)

    @traitlets.observe("length", "workers")
    def _shortened(self, change: object) -> None:
        """What both ways need bounds the rounds."""
        del change
        if self.length and self.workers:
            self.round = min(self.round, last_round(self.length, self.workers))
