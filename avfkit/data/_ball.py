"""Noisy films of a ball in a box, with its true path: a second set of pictures that move.

References:
    After Sutskever, Hinton and Taylor (2008), "The recurrent temporal restricted Boltzmann
    machine": here one ball, drawn and made noisy as the pendulum is.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from .._checked import checked
from ._dataset import Splits
from ._films import Words
from ._simulated import MOTION, RATE, SIZE, Filming, pixel_centres

_RADIUS = 2.5  # pixels
_ROOM = SIZE - 2 * _RADIUS  # where the centre may be, per axis
_SPEED = (25.0, 50.0)  # pixels per second: half a pixel to one per frame
_WORDS = Words(
    "bouncing ball",
    "a ball that bounces off the edges of the picture",
    "simulated by avfkit.data.bouncing_ball",
    "MIT",
)


class BallPaths(NamedTuple):
    """What one part of the data shows, in the order of its sequences.

    Attributes:
        positions: of the centre, in pixels right of and below the top left corner.
        velocities: of the centre, in pixels per second.
        frames: the pictures without noise, in [0, 1], float32.
    """

    positions: Float[np.ndarray, "sequences time 2"]
    velocities: Float[np.ndarray, "sequences time 2"]
    frames: Float[np.ndarray, "sequences time obs"]


class BallTruth(NamedTuple):
    """What made the three parts of the data, and the variance of the noise of each pixel."""

    train: BallPaths
    valid: BallPaths
    test: BallPaths
    noise: float


@checked
def bouncing_ball(
    *,
    num_sequences: tuple[int, int, int] = (100, 20, 100),
    length: int = 100,
    noise: float = 0.1,
    seed: int = 0,
) -> tuple[Splits, BallTruth]:
    """Noisy 24 x 24 films of a ball that bounces off elastic walls, 0.02 s per frame.

    A ball of radius 2.5 pixels starts anywhere in any direction, at 25 to 50 pixels per second,
    which it keeps: but for the walls its motion is linear. Sequence i of a part depends on the seed
    and i alone, its first frames not on `length`.

    Args:
        num_sequences: sequences for training, validation and test.
        length: frames of each.
        noise: variance of the Gaussian noise on every pixel.
        seed: of starts and noise.

    Returns:
        Frames `[time, 576]` of shape (24, 24), and what made them.

    Raises:
        ValueError: if a number of sequences or `length` is below 1, `noise` is not positive and
            finite, or `seed` is negative.

    Example:
        >>> splits, truth = bouncing_ball(num_sequences=(2, 1, 1), length=50)
        >>> splits.train.sequences[0].shape, truth.train.positions.shape
        ((50, 576), (2, 50, 2))
    """
    filming = Filming(num_sequences, length, noise, seed)
    train, valid, test = (_paths(filming, part) for part in range(3))
    splits = filming.splits([train.frames, valid.frames, test.frames], _WORDS)
    return splits, BallTruth(train, valid, test, noise)


def _paths(filming: Filming, part: int) -> BallPaths:
    roll = [_roll(filming.length, random) for random in filming.streams(part, MOTION)]
    positions, velocities = map(np.stack, zip(*roll, strict=True))
    return BallPaths(positions, velocities, np.stack([_draw(path) for path in positions]))


def _roll(
    length: int, random: np.random.Generator
) -> tuple[Float[np.ndarray, "time 2"], Float[np.ndarray, "time 2"]]:
    """Positions and velocities: a straight path, folded at the walls as paper is."""
    start = random.uniform(0.0, _ROOM, size=2)
    direction, speed = random.uniform(0.0, 2 * np.pi), random.uniform(*_SPEED)
    velocity = speed * np.array([np.cos(direction), np.sin(direction)])
    path = np.mod(start + velocity * np.arange(length)[:, None] / RATE, 2 * _ROOM)
    way = np.where(path < _ROOM, 1.0, -1.0)
    return _RADIUS + _ROOM - np.abs(path - _ROOM), way * velocity


def _draw(positions: Float[np.ndarray, "time 2"]) -> Float[np.ndarray, "time obs"]:
    """The share of each pixel inside the ball; its rim is straight within a pixel, to be simple."""
    x, y = pixel_centres()
    right, down = positions.T[:, :, None, None]
    inside = np.clip(_RADIUS + 0.5 - np.hypot(x - right, y - down), 0.0, 1.0)
    return inside.reshape(len(positions), -1).astype(np.float32)
