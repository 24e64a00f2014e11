"""Widgets of the book: alive on a kernel, in a page without one, and drawn without JavaScript."""

from ._explorer import FilterExplorer as FilterExplorer
from ._explorer import explorer_html as explorer_html
from ._explorer import front_end as front_end
from ._figures import ExplorerArrays as ExplorerArrays
from ._figures import ExplorerState as ExplorerState
from ._figures import evaluate as evaluate
from ._figures import explorer_arrays as explorer_arrays
from ._figures import summary as summary
from ._film import FilmExplorer as FilmExplorer
from ._gap import GapExplorer as GapExplorer
from ._iterations import IterationExplorer as IterationExplorer
from ._mask import MaskExplorer as MaskExplorer
from ._posterior import PosteriorExplorer as PosteriorExplorer
from ._roll import RollExplorer as RollExplorer
from ._roll_table import roll_masks as roll_masks
from ._scan import ScanExplorer as ScanExplorer
from ._stream import StreamExplorer as StreamExplorer
from ._table import table_html as table_html
