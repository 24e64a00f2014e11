"""A tabulated explorer as a widget: computed on a kernel, looked up in a page."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import traitlets

from ._live import AbstractLiveExplorer
from ._packing import pack
from ._table import AbstractTable, table_html


class AbstractTableExplorer(AbstractLiveExplorer):
    """A widget around a table: its traits are the values of the table's sliders.

    Attributes:
        table: the pure functions behind the widget.
    """

    _setup = traitlets.Dict().tag(sync=True)

    def __init__(self, table: AbstractTable, first: Mapping[str, Any]) -> None:
        """Show a table.

        Args:
            table: what is shown.
            first: a value for each slider.

        Raises:
            TraitError: if a value is not among its slider's choices.
        """
        self.table = table
        super().__init__(**first)
        constants = pack(table.constants, table.bits, table.ranges)
        words = {"markup": table.markup("", "", "Computed by the kernel.")}
        self._setup = table.setup(self._values(), constants) | words

    def _values(self) -> dict[str, Any]:
        return {slider.name: getattr(self, slider.name) for slider in self.table.sliders}

    def _arrays(self) -> dict[str, np.ndarray]:
        return self.table.arrays(tuple(getattr(self, axis.name) for axis in self.table.axes))

    def _chosen(self, proposal: Mapping[str, Any]) -> Any:
        """Check a value against its slider's choices."""
        name, value = proposal["trait"].name, proposal["value"]
        choices = next((s.choices for s in self.table.sliders if s.name == name), ())
        if value in choices:
            return value
        whole = len(choices) > 2 and choices == tuple(range(choices[0], choices[-1] + 1))
        words = f"{choices[0]} to {choices[-1]}" if whole else ", ".join(map(repr, choices))
        raise traitlets.TraitError(f"{name} must be one of {words}, found {value!r}")

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The widget view for a kernel and the HTML for a page; each picks its own."""
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return {**data, "text/html": table_html(self.table, self._values())}, metadata
