"""Message passing in linear-Gaussian chains: arrays in, arrays out, one sequence.

Knows no network and no model. A chain says how the latent moves; potentials say what each step's
observation thinks of it. A missing step is a potential of zeros.
"""

from ._chain import Chain as Chain
from ._chain import Conditionals as Conditionals
from ._chain import Markov as Markov
from ._chain import Potentials as Potentials
from ._chain import diagonal_potentials as diagonal_potentials
from ._chain import full_potentials as full_potentials
from ._chain import linear_gaussian_potentials as linear_gaussian_potentials
from ._chain import unrolled as unrolled
from ._condition import update as update
from ._element import Element as Element
from ._element import combine as combine
from ._element import element as element
from ._filter import Filtered as Filtered
from ._filter import filter as filter
from ._filter import predict as predict
from ._marginals import Marginals as Marginals
from ._marginals import divergence as divergence
from ._marginals import marginals as marginals
from ._marginals import sample as sample
from ._smoother import Posterior as Posterior
from ._smoother import Smoothed as Smoothed
from ._smoother import conditionals as conditionals
from ._smoother import log_normaliser as log_normaliser
from ._smoother import posterior as posterior
from ._smoother import smoother as smoother
