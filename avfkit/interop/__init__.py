"""To and from other libraries: dynamax for linear-Gaussian models, xarray and ArviZ for draws.

Neither is needed to import avfkit: `pip install 'avfkit[interop]'` brings both.
"""

from ._dynamax import from_dynamax as from_dynamax
from ._dynamax import to_dynamax as to_dynamax
from ._xarray import to_xarray as to_xarray
