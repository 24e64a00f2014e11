"""Which crops a training step sees: a pure function of the step."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from avfkit.data import Batch, Dataset, batches

from ._recipe import Recipe

_TRANSPOSITION = 2  # what a random stream is for


def crops(train: Dataset, recipe: Recipe, seed: int) -> Callable[[int], Batch]:
    """Training batches as a pure function of the step; transposed if the recipe says so.

    Raises:
        ValueError: the recipe transposes what is no piano roll.
    """
    schedule = batches(train, recipe.batch_size, length=recipe.length, seed=seed)
    reach = recipe.transpose
    if reach == 0:
        return schedule
    if train.obs_size != 88:
        raise ValueError(f"transpose is {reach}, but {train.name} is no piano roll of 88 keys.")

    def transposed(step: int) -> Batch:
        random = np.random.default_rng((seed, _TRANSPOSITION, step))
        batch = schedule(step)
        shifts = random.integers(-reach, reach, len(batch.x), endpoint=True)
        rolls = [shifted(x, int(s)) for x, s in zip(batch.x, shifts, strict=True)]
        return Batch(np.stack(rolls), batch.observed)

    return transposed


def shifted(roll: Float[np.ndarray, "time keys"], semitones: int) -> Float[np.ndarray, "time keys"]:
    """The roll so many keys higher; what falls off the keyboard is lost."""
    moved = np.roll(roll, semitones, axis=1)
    if semitones > 0:
        moved[:, :semitones] = 0
    elif semitones < 0:
        moved[:, semitones:] = 0
    return moved
