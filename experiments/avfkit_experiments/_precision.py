"""How precise the matrix products of training are."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import jax

PRECISIONS: dict[str, Any] = {
    **{"default": None, "float32": "float32"},
    **{"tf32": "TF32_TF32_F32", "bfloat16": "BF16_BF16_F32"},  # lax.DotAlgorithmPreset
}


def possible(precision: str) -> str:
    """A precision that this device has: XLA multiplies in float32 on a CPU whatever it is told.

    Raises:
        ValueError: products of fewer digits, on a CPU.
    """
    if precision not in ("default", "float32") and jax.default_backend() == "cpu":
        raise ValueError(
            f"precision is {precision!r}; expected default or float32: on a CPU there is no other "
            "product."
        )
    return precision


def products(precision: str) -> AbstractContextManager:
    """Inside, what JAX compiles multiplies matrices so; weights and everything else stay float32.

    What asks for all digits itself keeps them, such as the messages of a latent chain.

    Args:
        precision: one of `PRECISIONS`; "default" is JAX's, and depends on the device.
    """
    return jax.default_matmul_precision(PRECISIONS[precision])


def as_here() -> Callable[[], AbstractContextManager]:
    """Asks, later and inside `products`, for the products that are asked for where this is called.

    The test part is scored where `run` is called, and the validation in the midst of training. Only
    where both ask for the same does JAX compile their common function once.
    """
    return partial(jax.default_matmul_precision, jax.config.jax_default_matmul_precision)  # pyright: ignore[reportAttributeAccessIssue]
