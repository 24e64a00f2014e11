"""Numbers and arrays that a user hands over, made ours or refused by name."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_REAL = (jnp.floating, jnp.integer, jnp.bool_)


def said(value: Any) -> str:
    """What was found, in a few words."""
    if isinstance(value, jax.Array | np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    plain = isinstance(value, int | float | complex | str | None)
    return repr(value)[:60] if plain else type(value).__name__


def check_number(name: str, value: Any) -> None:
    """Refuse what is no real number, or not finite."""
    real = isinstance(value, int | float | np.integer | np.floating)
    if not real or not (isinstance(value, int) or np.isfinite(value)):
        raise TypeError(f"{name} is {said(value)}; expected a finite number.")


def check_real(name: str, value: Any) -> None:
    """Refuse what is no array of real numbers or booleans that JAX can take."""
    known = isinstance(value, jax.Array | np.ndarray)
    if not known or not any(jnp.issubdtype(value.dtype, kind) for kind in _REAL):
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


def as_numbers(name: str, value: Any) -> np.ndarray:
    """An argument as an array of NumPy's floating-point numbers."""
    try:
        array = np.asarray(value)
        if array.dtype.kind != "c":
            return array.astype(float)
    except (TypeError, ValueError):
        pass
    raise TypeError(f"{name} is {said(value)}; expected an array of real numbers.")


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
