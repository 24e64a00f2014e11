"""Recurrent memory: LSTMs with a learned initial state."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from .._checked import Size, checked

Cell = tuple[Float[Array, " hidden"], Float[Array, " hidden"]]


class Memory(eqx.Module):
    """An LSTM cell whose initial hidden and cell vectors are learned, as in the AVF authors' code.

    **Example**

    ```python
    memory = nn.Memory(in_size=10, hidden_size=20, key=key)
    state = memory(memory.initial, inputs)
    ```
    """

    cell: eqx.nn.LSTMCell
    initial: tuple[Float[Array, " hidden"], Float[Array, " hidden"]]

    @checked
    def __init__(self, in_size: Size, hidden_size: Size, *, key: Key[Array, ""]) -> None:
        self.cell = eqx.nn.LSTMCell(in_size, hidden_size, key=key)
        self.initial = (jnp.zeros(hidden_size), jnp.zeros(hidden_size))

    def __call__(
        self,
        state: tuple[Float[Array, " hidden"], Float[Array, " hidden"]],
        inputs: Float[Array, " inputs"],
    ) -> tuple[Float[Array, " hidden"], Float[Array, " hidden"]]:
        """The next (hidden, cell) pair."""
        return self.cell(inputs, state)


class DeepMemory(eqx.Module):
    """LSTMs on top of each other, the first behind a linear embedding; SVG is made of these.

    The state holds a (hidden, cell) pair per layer; what the stack says is the last hidden vector.
    `embed=False` leaves the embedding out, as the AVF authors' code does.

    **Example**

    ```python
    memory = nn.DeepMemory(in_size=10, hidden_size=20, depth=2, key=key)
    state = memory(memory.initial, inputs)
    output = state[-1][0]
    ```
    """

    embedding: eqx.nn.Linear | None
    layers: tuple[Memory, ...]

    @checked
    def __init__(
        self,
        in_size: Size,
        hidden_size: Size,
        *,
        depth: Size = 1,
        embed: bool = True,
        key: Key[Array, ""],
    ) -> None:
        embed_key, *layer_keys = jr.split(key, depth + 1)
        self.embedding = eqx.nn.Linear(in_size, hidden_size, key=embed_key) if embed else None
        sizes = [hidden_size if embed else in_size, *[hidden_size] * (depth - 1)]
        pairs = zip(sizes, layer_keys, strict=True)
        self.layers = tuple(Memory(size, hidden_size, key=k) for size, k in pairs)

    @property
    def initial(self) -> tuple[Cell, ...]:
        """The learned state before the first input."""
        return tuple(layer.initial for layer in self.layers)

    def __call__(
        self, state: tuple[Cell, ...], inputs: Float[Array, " inputs"]
    ) -> tuple[Cell, ...]:
        """The next state of every layer."""
        hidden = inputs if self.embedding is None else self.embedding(inputs)
        following = []
        for layer, cell in zip(self.layers, state, strict=True):
            following.append(layer(cell, hidden))
            hidden = following[-1][0]
        return tuple(following)
