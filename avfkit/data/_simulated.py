"""Noisy films of one thing that moves by known laws: what pendulum and bouncing ball share.

Films are 24 x 24 pixels, 50 frames per second. A picture is drawn by coverage: the share of each
pixel that lies inside the thing. The noise leaves [0, 1] and is not clipped, so that the Gaussian
likelihood with the stated variance is the true one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from .._arrays import check_positive
from ._dataset import Dataset, Splits
from ._films import Words

SIZE = 24  # height and width of a frame, in pixels
RATE = 50  # frames per second
MOTION, PIXELS = 0, 1  # what a random stream is for
_PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class Filming:
    """How many films are made, how long, under how much noise, from which random streams.

    Raises:
        ValueError: if a number of sequences or the length is below 1, `noise` is not positive and
            finite, or `seed` is negative.
    """

    num_sequences: tuple[int, int, int]
    length: int
    noise: float
    seed: int

    def __post_init__(self) -> None:
        """Checks the arguments."""
        if len(self.num_sequences) != 3 or min(self.num_sequences) < 1:
            raise ValueError(
                f"num_sequences is {self.num_sequences}, expected three numbers of at least 1."
            )
        if self.length < 1:
            raise ValueError(f"length is {self.length}, expected at least 1.")
        check_positive("noise", self.noise, "a positive finite variance")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}, expected 0 or more.")

    def streams(self, part: int, purpose: int) -> list[np.random.Generator]:
        """One random stream for each sequence of part 0, 1 or 2: `MOTION` or `PIXELS`."""
        count = self.num_sequences[part]
        return [np.random.default_rng((self.seed, part, i, purpose)) for i in range(count)]

    def splits(self, clean: Sequence[Float[np.ndarray, "_ time obs"]], words: Words) -> Splits:
        """The clean frames of the three parts, each with its noise, as data sets."""
        return Splits(*(self._part(code, frames, words) for code, frames in enumerate(clean)))

    def _part(self, code: int, clean: Float[np.ndarray, "_ time obs"], words: Words) -> Dataset:
        scale = np.float32(np.sqrt(self.noise))
        pairs = zip(clean, self.streams(code, PIXELS), strict=True)
        return Dataset(
            name=f"{words.title} (noise={self.noise}, seed={self.seed}), {_PARTS[code]}",
            sequences=tuple(f + scale * r.standard_normal(f.shape, np.float32) for f, r in pairs),
            description=f"{words.description}; {SIZE}x{SIZE} grey pixels, 0 background and 1 "
            f"inside, in rows from the top left, with unclipped noise of variance {self.noise}",
            source=words.source,
            licence=words.licence,
            step=f"{1 / RATE:.2f} s",
            rate=float(RATE),
            shape=(SIZE, SIZE),
        )


def pixel_centres() -> tuple[Float[np.ndarray, " width"], Float[np.ndarray, "height 1"]]:
    """How far right of and below the top left corner the centre of each pixel lies, in pixels."""
    along = np.arange(SIZE) + 0.5
    return along, along[:, None]


def overlap(centre: Float[np.ndarray, "..."], low: float, high: float) -> Float[np.ndarray, "..."]:
    """The length that the unit interval around `centre` shares with [low, high]."""
    return np.maximum(np.minimum(centre + 0.5, high) - np.maximum(centre - 0.5, low), 0.0)
