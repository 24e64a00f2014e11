"""How good an inference method is, and whether what it believes can be believed."""

from ._calibration import Calibration as Calibration
from ._calibration import calibration as calibration
from ._pit import pit as pit
from ._scores import crps as crps
from ._scores import gaussian_crps as gaussian_crps
from ._simulated import predictive_calibration as predictive_calibration
from ._simulated import simulated_calibration as simulated_calibration
