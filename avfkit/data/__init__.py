"""Data for the models of avfkit: sequences of different lengths, with what is missing marked.

A `Dataset` is a record of ragged sequences; `lds` draws one from a known system, `chorales` and
`jsb` are real music; `batches` turns one into rectangular batches as a pure function of the step,
`pad` into one batch for evaluation. Everything here is NumPy.
"""

from ._baselines import Score as Score
from ._baselines import bernoulli_baseline as bernoulli_baseline
from ._baselines import markov_baseline as markov_baseline
from ._batches import Batch as Batch
from ._batches import Batches as Batches
from ._batches import batches as batches
from ._batches import bucket_lengths as bucket_lengths
from ._batches import pad as pad
from ._chorales import chorales as chorales
from ._dataset import Dataset as Dataset
from ._dataset import Splits as Splits
from ._lds import LDSTruth as LDSTruth
from ._lds import lds as lds
from ._polyphonic import jsb as jsb
from ._polyphonic import polyphonic as polyphonic
from ._sound import synthesise as synthesise
from ._sound import to_midi as to_midi
