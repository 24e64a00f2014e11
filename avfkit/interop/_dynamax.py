"""Linear-Gaussian models to and from dynamax (Linderman et al. 2025).

Its letters for ours: F = A, b = b, Q = Q, H = C, d = d, R = diag(r), and both start at z_1.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._model import AbstractLatentLDS, AbstractModel
from ..models import LDS
from ..nn import LinearGaussian


def to_dynamax(model: AbstractModel) -> Any:
    """The parameters of a linear-Gaussian model as dynamax's `ParamsLGSSM`, without inputs.

    Args:
        model: any LDS with a `LinearGaussian` emission; its noise becomes a diagonal matrix.

    Raises:
        TypeError: the model is not linear and Gaussian.
        ImportError: dynamax is not installed.

    **Example**

    ```python
    params = avfkit.interop.to_dynamax(lds)
    lgssm_filter(params, xs).marginal_loglik
    ```
    """
    if not isinstance(model, AbstractLatentLDS) or not isinstance(model.emission, LinearGaussian):
        found = type(model).__name__
        if isinstance(model, AbstractLatentLDS):
            found += f" with emission {type(model.emission).__name__}"
        raise TypeError(
            "to_dynamax needs a model with linear-Gaussian latent dynamics (a subclass of "
            f"AbstractLatentLDS) and a LinearGaussian emission; {found} is not one."
        )
    try:
        from dynamax.linear_gaussian_ssm.inference import make_lgssm_params
    except ImportError as error:
        message = "to_dynamax() needs dynamax: pip install 'avfkit[interop]'."
        raise ImportError(message) from error
    m1, P1, A, b, Q = model.chain
    C, d, log_var = model.emission.matrix, model.emission.bias, model.emission.log_var
    noise = jnp.diag(jnp.exp(log_var))
    return make_lgssm_params(m1, P1, A, Q, C, noise, dynamics_bias=b, emissions_bias=d)


def from_dynamax(params: Any) -> LDS:
    """An LDS with the parameters of dynamax's `ParamsLGSSM`.

    Args:
        params: constant in time, without inputs, and with independent noise of the entries of x: an
            avfkit emission knows no other. Covariances come back to rounding, all else bit for bit.

    Raises:
        ValueError: there are inputs, a parameter varies with time, the noise of the emission is
            correlated, or a covariance is not positive definite.
    """
    initial, dynamics, emissions = params.initial, params.dynamics, params.emissions
    parts = {"dynamics": dynamics, "emissions": emissions}
    for name, part in parts.items():
        if np.size(part.input_weights) > 0:
            raise ValueError(
                f"params.{name}.input_weights has shape {np.shape(part.input_weights)}; expected "
                "no inputs, which an LDS does not have."
            )
        for field, dims in (("weights", 2), ("bias", 1)):
            _check_constant(f"params.{name}.{field}", getattr(part, field), dims)
    _check_constant("params.dynamics.cov", dynamics.cov, 2)
    variance = _variance(emissions.cov, np.shape(emissions.weights)[0])
    emission = LinearGaussian.from_parameters(emissions.weights, emissions.bias, variance)
    chain = (initial.mean, initial.cov, dynamics.weights, dynamics.bias, dynamics.cov)
    return LDS.from_parameters(*chain, emission=emission)


def _check_constant(name: str, array: Any, dims: int) -> None:
    if callable(array) or np.ndim(array) != dims:
        found = "is a function" if callable(array) else f"has shape {np.shape(array)}"
        raise ValueError(f"{name} {found}; expected {dims} axes, the same at every step.")


def _variance(cov: Array, size: int) -> Array:
    """The diagonal of a noise covariance, given as such or as a matrix."""
    shape = np.shape(cov)
    if shape == (size,):
        return cov
    if shape != (size, size):
        raise ValueError(
            f"params.emissions.cov has shape {shape}; expected {(size, size)} or {(size,)}, the "
            "same at every step."
        )
    across = np.abs(np.asarray(cov) - np.diag(np.diag(cov))).max()
    if across > 0.0:
        raise ValueError(
            f"params.emissions.cov holds {across:.3g} off its diagonal; expected independent noise "
            "of the entries, as LinearGaussian has. Rotate x by the eigenvectors first."
        )
    return jnp.diagonal(jnp.asarray(cov))
