"""Data for the models of avfkit: sequences of different lengths, with what is missing marked.

A `Dataset` is a record of ragged sequences. `lds` draws one from a known system; `chorales`, `jsb`
and `polyphonic` are music; `timit`, `timit_sample` and `speech_commands` speech; `films`, `kth`,
`moving_digits` and `moving_mnist` video; `pendulum` and `bouncing_ball` are noisy films with their
true motion. `batches` turns one into rectangular batches as a pure function of the step,
`evaluation_batches` into a few that hold each sequence once and whole, `pad` into a single one. The
baselines are what a model has to beat. Everything here is NumPy; what reads a special format or
draws digits is imported where it is used.
"""

from ._ball import BallPaths as BallPaths
from ._ball import BallTruth as BallTruth
from ._ball import bouncing_ball as bouncing_ball
from ._baselines import Score as Score
from ._baselines import bernoulli_baseline as bernoulli_baseline
from ._baselines import bernoulli_frequencies as bernoulli_frequencies
from ._baselines import markov_baseline as markov_baseline
from ._batches import Batch as Batch
from ._batches import Batches as Batches
from ._batches import batches as batches
from ._batches import bucket_lengths as bucket_lengths
from ._batches import pad as pad
from ._cache import cache_folder as cache_folder
from ._chorales import chorales as chorales
from ._commands import speech_commands as speech_commands
from ._dataset import Dataset as Dataset
from ._dataset import Splits as Splits
from ._densities import linear_prediction_baseline as linear_prediction_baseline
from ._densities import pixel_baseline as pixel_baseline
from ._digits import moving_digits as moving_digits
from ._digits import moving_mnist as moving_mnist
from ._evaluation_batches import EvaluationBatch as EvaluationBatch
from ._evaluation_batches import EvaluationBatches as EvaluationBatches
from ._evaluation_batches import evaluation_batches as evaluation_batches
from ._export import to_gif as to_gif
from ._export import to_wav as to_wav
from ._films import films as films
from ._kth import kth as kth
from ._lds import LDSTruth as LDSTruth
from ._lds import lds as lds
from ._levels import Levels as Levels
from ._pendulum import PendulumPaths as PendulumPaths
from ._pendulum import PendulumTruth as PendulumTruth
from ._pendulum import pendulum as pendulum
from ._polyphonic import jsb as jsb
from ._polyphonic import polyphonic as polyphonic
from ._sound import synthesise as synthesise
from ._sound import to_midi as to_midi
from ._speech import waveform as waveform
from ._timit import timit as timit
from ._timit_sample import timit_sample as timit_sample
from ._voices import voices as voices
