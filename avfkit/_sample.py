"""What the model thinks the world does: ancestral samples from Eq. 1."""

import jax
import jax.random as jr
from jaxtyping import Array, Float, Key

from ._checked import Size, checked
from ._model import AbstractModel, step_keys
from ._types import State


@checked
def sample(
    model: AbstractModel, length: Size, *, key: Key[Array, ""], state: State = None
) -> tuple[Float[Array, "time obs"], Float[Array, "time latent"]]:
    """Draw a sequence from the model, step by step (Eq. 1).

    Args:
        model: the generative model.
        length: number of steps, at least 1.
        key: randomness.
        state: where to start: a state of this model; by default its first, `model.init()`. See
            `continuation` for the state after a context.

    Returns:
        The observations and the latents they were drawn from.

    Raises:
        ValueError: `length` is below 1.
    """

    def step(state: State, step_key: Key[Array, ""]) -> tuple[State, tuple]:
        z_key, x_key = jr.split(step_key)
        z = model.prior(state).sample(key=z_key)
        x = model.likelihood(state, z).sample(key=x_key)
        return model.next(state, x, z), (x, z)

    start = model.init() if state is None else state
    return jax.lax.scan(step, start, step_keys(length, key=key))[1]
