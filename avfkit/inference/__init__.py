"""Inference methods: each is wiring of a filter or a smoother with one rule."""

from ._direct import DirectFilter as DirectFilter
from ._exact import KalmanFilter as KalmanFilter
from ._exact import KalmanSmoother as KalmanSmoother
from ._expectation import AbstractExpectation as AbstractExpectation
from ._expectation import Cubature as Cubature
from ._expectation import MonteCarlo as MonteCarlo
from ._iterative import IterativeFilter as IterativeFilter
from ._learned import LearnedUpdate as LearnedUpdate
from ._learned import layer_norm as layer_norm
from ._learned import learned_step as learned_step
from ._learned import output_gate as output_gate
from ._learned import signed_log as signed_log
from ._marginal import MarginalFilter as MarginalFilter
from ._path import GaussMarkov as GaussMarkov
from ._recurrent import RecurrentFilter as RecurrentFilter
from ._rematerialised import Rematerialised as Rematerialised
from ._signals import errors as errors
from ._signals import gradients as gradients
from ._update import AbstractAmortizedUpdate as AbstractAmortizedUpdate
from ._update import AbstractUpdate as AbstractUpdate
from ._update import GradientUpdate as GradientUpdate
