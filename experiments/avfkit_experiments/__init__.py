"""Experiments with avfkit: presets named after the papers, recipes, and the command `avfkit`.

A preset says what is trained on which data and how (`presets.vrnn_jsb()`); `train` runs one, and
`run` does the same for any (model, inference) and any data. Both keep a run in a folder, resume it,
score the whole test set and write `result.json`.
"""

from . import presets as presets
from ._inference import make_inference as make_inference
from ._inference import make_tree as make_tree
from ._inference import parameter_counts as parameter_counts
from ._preset import Preset as Preset
from ._recipe import Recipe as Recipe
from ._run import Outcome as Outcome
from ._run import run as run
from ._samples import write_samples as write_samples
from ._scores import score as score
from ._train import Choice as Choice
from ._train import evaluate as evaluate
from ._train import restore as restore
from ._train import train as train
