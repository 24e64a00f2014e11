"""Numbers and arrays that a user hands over, made ours or refused by name."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

_REAL = (jnp.floating, jnp.integer, jnp.bool_)


def said(value: Any) -> str:
    """What was found, in a few words."""
    if isinstance(value, jax.Array | np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    plain = isinstance(value, int | float | complex | str | None)
    return repr(value)[:60] if plain else type(value).__name__


def check_number(name: str, value: Any, expected: str = "a finite number") -> None:
    """Refuse what is no real number, or not finite."""
    if not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{name} is {said(value)}; expected {expected}.")
    if not (isinstance(value, int) or np.isfinite(value)):
        raise ValueError(f"{name} is {value}; expected {expected}.")


def check_positive(name: str, value: Any, expected: str = "a positive finite number") -> None:
    """Refuse what is no real number, not finite, or not positive."""
    check_number(name, value, expected)
    if not value > 0:
        raise ValueError(f"{name} is {value}; expected {expected}.")


def check_real(name: str, value: Any) -> None:
    """Refuse what is no array of real numbers or booleans that JAX can take."""
    if not isinstance(value, jax.Array | np.ndarray) or not _is_real(value):
        raise TypeError(f"{name} is {said(value)}; expected an array of real numbers.")
    if isinstance(value, np.ndarray) and not value.dtype.isnative:
        raise TypeError(f"{name} is {said(value)}; expected the byte order of this machine.")


def as_array(name: str, value: Any) -> jax.Array:
    """An argument as an array of real numbers or booleans of JAX."""
    if not isinstance(value, jax.Array | np.ndarray):
        try:
            value = jnp.asarray(value)
        except (TypeError, ValueError):
            pass
    check_real(name, value)
    return jnp.asarray(value)


def as_float(name: str, value: Any) -> jax.Array:
    """The same of floating-point numbers: integers and booleans take JAX's default type."""
    array = as_array(name, value)
    floating = jnp.issubdtype(array.dtype, jnp.floating)
    return array if floating else array.astype(jnp.result_type(float))


def as_numbers(name: str, value: Any, kind: type = float) -> np.ndarray:
    """An argument as an array of NumPy's floating-point numbers."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):  # as of a list of lists of different lengths
        array = None
    if array is None or not _is_real(array):
        raise TypeError(f"{name} is {said(value)}; expected an array of real numbers.")
    return array.astype(kind, copy=False)


def as_levels(value: Any) -> jax.Array:
    """The levels of intervals: a vector of probabilities, refused if one can be seen to be none."""
    levels = as_float("levels", value)
    if levels.ndim != 1:
        raise ValueError(f"levels has shape {levels.shape}; expected a vector.")
    if not isinstance(levels, Tracer):
        for level in np.asarray(levels):
            if not 0.0 <= level <= 1.0:
                raise ValueError(f"levels holds {level:g}; expected probabilities from 0 to 1.")
    return levels


def _is_real(array: jax.Array | np.ndarray) -> bool:
    return any(jnp.issubdtype(array.dtype, kind) for kind in _REAL)


def check_batch(batch: Any) -> None:
    """Refuse a batch whose `x` and `observed` are not sequences side by side."""
    for name in ("x", "observed"):
        check_real(f"batch.{name}", getattr(batch, name, None))
    shape, seen = batch.x.shape, batch.observed.shape
    if len(shape) < 2 or seen not in (shape, shape[:2]):
        raise ValueError(
            f"batch.x has shape {shape} and batch.observed {seen}; expected [batch, time, ...] and "
            "the first two or all of these."
        )
