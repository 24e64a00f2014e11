"""How precise the matrix products of training are."""

from contextlib import AbstractContextManager
from typing import Any

import jax

import avfkit

PRECISIONS: dict[str, Any] = {
    **{"default": None, "float32": "float32"},
    **{"tf32": "TF32_TF32_F32", "bfloat16": "BF16_BF16_F32"},  # lax.DotAlgorithmPreset
}


def products(precision: str, model: avfkit.AbstractModel | None = None) -> AbstractContextManager:
    """Inside, what JAX compiles multiplies matrices so; weights and everything else stay float32.

    On a CPU "bfloat16" changes nothing, since XLA leaves out a rounding that saves no time, unless
    XLA_FLAGS has `--xla_allow_excess_precision=false`: then it rounds as a GPU does.

    Args:
        precision: one of `PRECISIONS`; "default" is JAX's, and depends on the device.
        model: what is trained, if there may be a reason to refuse.

    Raises:
        ValueError: a precision that the model or the device has no use for.
    """
    if precision not in ("default", "float32") and isinstance(model, avfkit.AbstractLatentLDS):
        raise ValueError(
            f"precision is {precision!r}; expected default or float32: the messages of a latent "
            "chain are matrix products too, and need every digit."
        )
    if precision == "tf32" and jax.default_backend() == "cpu":
        raise ValueError("precision is 'tf32'; expected another one: a CPU has no such products.")
    return jax.default_matmul_precision(PRECISIONS[precision])
