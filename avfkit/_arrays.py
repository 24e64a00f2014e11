"""Arrays that a user hands over, made ours or refused by name."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def said(value: Any) -> str:
    """What was found, in a few words."""
    if isinstance(value, jax.Array | np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    plain = isinstance(value, int | float | complex | str | None)
    return repr(value)[:60] if plain else type(value).__name__


def as_array(name: str, value: Any) -> jax.Array:
    """An argument as an array of real numbers or booleans, or a refusal that names it."""
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} is {said(value)}; expected an array of numbers.") from error
    if not any(jnp.issubdtype(array.dtype, kind) for kind in (jnp.floating, jnp.integer, bool)):
        raise ValueError(f"{name} has dtype {array.dtype}; expected real numbers.")
    return array


def check_batch(batch: Any) -> None:
    """Refuse a batch whose `x` and `observed` are not sequences side by side."""
    for name in ("x", "observed"):
        array = getattr(batch, name, None)
        known = isinstance(array, jax.Array | np.ndarray)
        if not known or array.dtype.kind not in "biufV" or not array.dtype.isnative:
            raise TypeError(f"batch.{name} is {said(array)}; expected an array of numbers.")
    shape, seen = batch.x.shape, batch.observed.shape
    if len(shape) < 2 or seen not in (shape, shape[:2]):
        raise ValueError(
            f"batch.x has shape {shape} and batch.observed {seen}; expected [batch, time, ...] and "
            "the first two or all of these."
        )
