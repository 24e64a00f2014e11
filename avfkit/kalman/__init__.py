"""Message passing in linear-Gaussian chains: arrays in, arrays out, one sequence.

Knows no network and no model. A chain says how the latent moves; potentials say what each step's
observation thinks of it. A missing step is a potential of zeros.
"""

from ._chain import Chain as Chain
from ._chain import Potentials as Potentials
from ._chain import linear_gaussian_potentials as linear_gaussian_potentials
from ._filter import Filtered as Filtered
from ._filter import filter as filter
from ._filter import predict as predict
from ._filter import update as update
from ._smoother import Conditionals as Conditionals
from ._smoother import Smoothed as Smoothed
from ._smoother import conditionals as conditionals
from ._smoother import sample as sample
from ._smoother import smoother as smoother
