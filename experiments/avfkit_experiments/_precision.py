"""How precise the matrix products of training are."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import jax

import avfkit

PRECISIONS: dict[str, Any] = {
    **{"default": None, "float32": "float32"},
    **{"tf32": "TF32_TF32_F32", "bfloat16": "BF16_BF16_F32"},  # lax.DotAlgorithmPreset
}


def products(precision: str, model: avfkit.AbstractModel | None = None) -> AbstractContextManager:
    """Inside, what JAX compiles multiplies matrices so; weights and everything else stay float32.

    Args:
        precision: one of `PRECISIONS`; "default" is JAX's, and depends on the device.
        model: what is trained, to refuse what would do it harm or nothing.

    Raises:
        ValueError: a model or a device that has no use for products of fewer digits. XLA multiplies
            in float32 on a CPU whatever it is told.
    """
    if model is not None and precision not in ("default", "float32"):
        found = f"precision is {precision!r}; expected default or float32:"
        if isinstance(model, avfkit.AbstractLatentLDS):
            raise ValueError(
                f"{found} the messages of a latent chain are matrix products too, and need every "
                "digit."
            )
        if jax.default_backend() == "cpu":
            raise ValueError(f"{found} on a CPU there is no other product.")
    return jax.default_matmul_precision(PRECISIONS[precision])


def as_here() -> Callable[[], AbstractContextManager]:
    """Asks, later and inside `products`, for the products that are asked for where this is called.

    The test part is scored where `run` is called, and the validation in the midst of training. Only
    where both ask for the same does JAX compile their common function once.
    """
    return partial(jax.default_matmul_precision, jax.config.jax_default_matmul_precision)  # pyright: ignore[reportAttributeAccessIssue]
