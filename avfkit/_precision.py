"""Matrix products with all digits of their type, whatever an accelerator takes by default.

On a GPU JAX multiplies float32 matrices in tf32, with 10 bits after the point. Networks forgive it;
recursions of covariances do not.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import jax

_F = TypeVar("_F", bound=Callable[..., Any])


def full_precision(function: _F) -> _F:
    """A function whose matrix products, and those of its derivatives, keep all digits."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with jax.default_matmul_precision("highest"):
            return function(*args, **kwargs)

    return cast(_F, wrapper)
