"""Generative models."""

from ._lds import LDS as LDS
from ._vrnn import VRNN as VRNN
