"""Building blocks: conditional distributions, highway layers, memory, sequences, images."""

from ._activations import clipped_leaky_relu as clipped_leaky_relu
from ._affine import affine as affine
from ._conditional import Conditional as Conditional
from ._conditional import LinearGaussian as LinearGaussian
from ._dynamics import AbstractDynamics as AbstractDynamics
from ._dynamics import DiagonalDynamics as DiagonalDynamics
from ._dynamics import FreeDynamics as FreeDynamics
from ._dynamics import RotationDynamics as RotationDynamics
from ._dynamics import StableDynamics as StableDynamics
from ._frames import FrameDecoder as FrameDecoder
from ._frames import FrameEncoder as FrameEncoder
from ._heads import LOG_VAR_RANGE as LOG_VAR_RANGE
from ._heads import BernoulliHead as BernoulliHead
from ._heads import DiscretisedGaussianHead as DiscretisedGaussianHead
from ._heads import FullGaussianHead as FullGaussianHead
from ._heads import GaussianHead as GaussianHead
from ._highway import Highway as Highway
from ._images import ImageDecoder as ImageDecoder
from ._images import ImageEncoder as ImageEncoder
from ._memory import DeepMemory as DeepMemory
from ._memory import Memory as Memory
from ._sequence import BidirectionalRNN as BidirectionalRNN
from ._sequence import TemporalCNN as TemporalCNN
