"""Building blocks: conditional distributions, their heads, highway layers, recurrent memory."""

from ._conditional import LOG_VAR_RANGE as LOG_VAR_RANGE
from ._conditional import BernoulliHead as BernoulliHead
from ._conditional import Conditional as Conditional
from ._conditional import GaussianHead as GaussianHead
from ._conditional import LinearGaussian as LinearGaussian
from ._highway import Highway as Highway
from ._memory import Memory as Memory
