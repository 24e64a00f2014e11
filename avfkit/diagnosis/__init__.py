"""How far an inference method is from the truth, why, and whether it can be believed."""

from ._calibration import Calibration as Calibration
from ._calibration import calibration as calibration
from ._certificate import Certificate as Certificate
from ._certificate import certify as certify
from ._compute import ComputePoint as ComputePoint
from ._compute import compute_curve as compute_curve
from ._compute import with_compute as with_compute
from ._gap import TERMS as TERMS
from ._gap import Gap as Gap
from ._gap import gap as gap
from ._pit import pit as pit
from ._problems import Problem as Problem
from ._problems import linear_gaussian_problems as linear_gaussian_problems
from ._scores import crps as crps
from ._scores import gaussian_crps as gaussian_crps
from ._simulated import predictive_calibration as predictive_calibration
from ._simulated import simulated_calibration as simulated_calibration
