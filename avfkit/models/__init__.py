"""Generative models: what the world does."""

from ._lds import LDS as LDS
from ._srnn import SRNN as SRNN
from ._svg import SVG as SVG
from ._vrnn import VRNN as VRNN
