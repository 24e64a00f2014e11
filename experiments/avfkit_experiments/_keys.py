"""One key per purpose, so that nothing random is drawn twice."""

from typing import Literal, TypeAlias, get_args

import jax.random as jr
from jaxtyping import Array, Key

Purpose: TypeAlias = Literal["weights", "training", "validation", "test", "samples"]


def key_of(purpose: Purpose, seed: int = 0) -> Key[Array, ""]:
    """The key of a purpose; validation and test are scored with those of seed 0.

    Args:
        purpose: "weights" (the initial ones), "training", "validation", "test" or "samples".
        seed: of the run.
    """
    return jr.fold_in(jr.key(seed), 1 + get_args(Purpose).index(purpose))
