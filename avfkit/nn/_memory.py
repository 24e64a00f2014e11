"""Recurrent memory: an LSTM with a learned initial state."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Key


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

    def __init__(self, in_size: int, hidden_size: int, *, key: Key[Array, ""]) -> None:
        self.cell = eqx.nn.LSTMCell(in_size, hidden_size, key=key)
        self.initial = (jnp.zeros(hidden_size), jnp.zeros(hidden_size))

    def __call__(
        self,
        state: tuple[Float[Array, " hidden"], Float[Array, " hidden"]],
        inputs: Float[Array, " inputs"],
    ) -> tuple[Float[Array, " hidden"], Float[Array, " hidden"]]:
        """The next (hidden, cell) pair."""
        return self.cell(inputs, state)
