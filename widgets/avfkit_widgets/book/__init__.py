"""The machinery of the chapters: figures, verified equations, exercises, results, footer.

    from avfkit_widgets.book import LIGHT, figure, footer, verify

Every chapter ends with `footer()`. Each name's own documentation holds a snippet to copy.
"""

from avfkit_widgets.book._answer import answer_box as answer_box
from avfkit_widgets.book._compute import compute_figure as compute_figure
from avfkit_widgets.book._equations import verify as verify
from avfkit_widgets.book._executed import store as store
from avfkit_widgets.book._exercises import check as check
from avfkit_widgets.book._exercises import exercise as exercise
from avfkit_widgets.book._exercises import solution as solution
from avfkit_widgets.book._figure import Figure as Figure
from avfkit_widgets.book._figure import figure as figure
from avfkit_widgets.book._footer import footer as footer
from avfkit_widgets.book._html import Html as Html
from avfkit_widgets.book._palette import BACKGROUND as BACKGROUND
from avfkit_widgets.book._palette import DARK as DARK
from avfkit_widgets.book._palette import LIGHT as LIGHT
from avfkit_widgets.book._palette import SERIES as SERIES
from avfkit_widgets.book._palette import contrast as contrast
from avfkit_widgets.book._palette import fade as fade
from avfkit_widgets.book._project import cache_folder as cache_folder
from avfkit_widgets.book._project import calm_kernels as calm_kernels
from avfkit_widgets.book._project import keep_compiled as keep_compiled
from avfkit_widgets.book._project import library_hash as library_hash
from avfkit_widgets.book._project import project_root as project_root
from avfkit_widgets.book._results import read_benchmark as read_benchmark
from avfkit_widgets.book._results import read_result as read_result
from avfkit_widgets.book._results import results_table as results_table
from avfkit_widgets.book._results import table as table
from avfkit_widgets.book._training import training_figure as training_figure
