"""What the models share when they are made."""

from collections.abc import Callable

import equinox as eqx
import jax
from jaxtyping import Array, Key


def mlp(
    in_size: int,
    width: int,
    depth: int,
    activation: Callable = jax.nn.relu,
    *,
    key: Key[Array, ""],
) -> eqx.nn.MLP:
    """`depth` layers of `width` units, each followed by the activation."""
    return eqx.nn.MLP(
        in_size,
        width,
        width_size=width,
        depth=depth - 1,
        activation=activation,
        final_activation=activation,
        key=key,
    )
