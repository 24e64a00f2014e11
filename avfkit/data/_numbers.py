"""Numbers that a user hands over: one, or an array of them."""

from typing import Any

import numpy as np

from .._arrays import said


def check_number(name: str, value: Any) -> None:
    """Refuse what is no real number, or not finite."""
    real = isinstance(value, int | float | np.integer | np.floating)
    if not real or not np.isfinite(value):
        raise TypeError(f"{name} is {said(value)}, expected a finite number.")


def as_numbers(name: str, value: Any) -> np.ndarray:
    """An argument as an array of NumPy's floating-point numbers, or a refusal that names it."""
    try:
        return np.asarray(value, float)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} is {said(value)}, expected an array of numbers.") from error
