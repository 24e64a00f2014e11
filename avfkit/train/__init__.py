"""Training: `fit` takes any pytree and any loss; checkpoints, metrics and progress come with it."""

from avfkit.train._checkpoint import CheckpointError as CheckpointError
from avfkit.train._checkpoint import fingerprint as fingerprint
from avfkit.train._checkpoint import load as load
from avfkit.train._checkpoint import read_header as read_header
from avfkit.train._checkpoint import save as save
from avfkit.train._dropout import Drop as Drop
from avfkit.train._dropout import with_dropout as with_dropout
from avfkit.train._fit import Fit as Fit
from avfkit.train._fit import fit as fit
from avfkit.train._losses import batch_loss as batch_loss
from avfkit.train._losses import linear_anneal as linear_anneal
from avfkit.train._progress import AbstractProgress as AbstractProgress
from avfkit.train._progress import NoProgress as NoProgress
from avfkit.train._progress import TextProgress as TextProgress
from avfkit.train._progress import TqdmProgress as TqdmProgress
