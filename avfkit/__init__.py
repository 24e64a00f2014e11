"""Amortized variational filtering and structured VAEs in JAX: any model, any inference method.

Models say what the world does, inference methods say what may have happened, and one free energy
judges them all.
"""

from . import data as data
from . import kalman as kalman
from . import nn as nn
from . import train as train
from ._discretised import DiscretisedGaussian as DiscretisedGaussian
from ._distributions import AbstractDistribution as AbstractDistribution
from ._distributions import AbstractGaussian as AbstractGaussian
from ._distributions import Bernoulli as Bernoulli
from ._distributions import DiagonalGaussian as DiagonalGaussian
from ._distributions import FullGaussian as FullGaussian
from ._divergence import kl as kl
from ._evaluation import Evaluation as Evaluation
from ._evaluation import evaluate as evaluate
from ._fivo import fivo as fivo
from ._imputation import Imputation as Imputation
from ._imputation import coverage as coverage
from ._imputation import imputation as imputation
from ._inference import AbstractFilter as AbstractFilter
from ._inference import AbstractInference as AbstractInference
from ._inference import AbstractScanFilter as AbstractScanFilter
from ._inference import StepProblem as StepProblem
from ._model import AbstractLatentLDS as AbstractLatentLDS
from ._model import AbstractMarkovModel as AbstractMarkovModel
from ._model import AbstractModel as AbstractModel
from ._model import AbstractRecurrentModel as AbstractRecurrentModel
from ._objectives import free_energy as free_energy
from ._objectives import iwae as iwae
from ._online import Online as Online
from ._online import online_e_step_loss as online_e_step_loss
from ._prediction import OneStep as OneStep
from ._prediction import continuation as continuation
from ._prediction import one_step as one_step
from ._prediction import predictive_log_likelihood as predictive_log_likelihood
from ._sample import sample as sample
from ._smoother import AbstractPath as AbstractPath
from ._smoother import AbstractSmoother as AbstractSmoother
from ._trace import Trace as Trace
from .diagnosis import Certificate as Certificate
from .diagnosis import Gap as Gap
from .diagnosis import Problem as Problem
from .diagnosis import certify as certify
from .diagnosis import gap as gap
from .diagnosis import linear_gaussian_problems as linear_gaussian_problems
from .inference import AbstractAmortizedUpdate as AbstractAmortizedUpdate
from .inference import AbstractExpectation as AbstractExpectation
from .inference import AbstractPathHead as AbstractPathHead
from .inference import AbstractUpdate as AbstractUpdate
from .inference import AmortizedSmoother as AmortizedSmoother
from .inference import Autoregressive as Autoregressive
from .inference import Cubature as Cubature
from .inference import DirectFilter as DirectFilter
from .inference import FactorisedHead as FactorisedHead
from .inference import GaussMarkov as GaussMarkov
from .inference import GradientUpdate as GradientUpdate
from .inference import IterativeFilter as IterativeFilter
from .inference import KalmanFilter as KalmanFilter
from .inference import KalmanSmoother as KalmanSmoother
from .inference import LearnedUpdate as LearnedUpdate
from .inference import LinearHead as LinearHead
from .inference import MarginalFilter as MarginalFilter
from .inference import Masked as Masked
from .inference import MonteCarlo as MonteCarlo
from .inference import NonlinearHead as NonlinearHead
from .inference import RecurrentFilter as RecurrentFilter
from .inference import Rematerialised as Rematerialised
from .inference import StructuredFilter as StructuredFilter
from .inference import StructuredSmoother as StructuredSmoother
from .models import LDS as LDS
from .models import SRNN as SRNN
from .models import SVG as SVG
from .models import VRNN as VRNN

__version__ = "0.1.0"
