"""Noisy films of a pendulum, with its true angles: the second experiment of the structured VAE.

References:
    Zhao and Linderman (2023), "Revisiting structured variational autoencoders", section 4.3, after
    Schirmer et al. (2022). Constants as in the authors' code; theirs shrinks a drawn line by
    Lanczos' filter, here a pixel is the share of it that the rod covers.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from .._checked import checked
from ._dataset import Splits
from ._films import Words
from ._simulated import MOTION, RATE, SIZE, Filming, overlap, pixel_centres

_PULL = 29.43  # 1/s^2: 3 g / L as in the authors' code, g = 9.81 m/s^2, L = 1 m
_FRICTION = 0.1  # 1/s
_KICK = 0.1  # rad/s, standard deviation of what is added to the velocity every 0.01 s
_KICKS = 2  # per frame
_SUBSTEPS = 100  # of semi-implicit Euler between two kicks: 1e-4 s each
_SUBSTEP = 1 / (RATE * _KICKS * _SUBSTEPS)
_ROD, _WIDTH = 55 * SIZE / 128, 8 * SIZE / 128  # length and width, in pixels
_WORDS = Words(
    "pendulum",
    "a pendulum that swings about the middle of the picture",
    "simulated by avfkit.data.pendulum, with the constants of Zhao and Linderman (2023)",
    "MIT",
)


class PendulumPaths(NamedTuple):
    """What one part of the data shows, in the order of its sequences.

    Attributes:
        angles: in radians, unwrapped: 0 hangs down, odd multiples of pi point up, positive is to
            the right of down (counterclockwise); the first lies in [-pi, pi).
        velocities: of the angles, in radians per second.
        frames: the pictures without noise, in [0, 1], float32.
    """

    angles: Float[np.ndarray, "sequences time"]
    velocities: Float[np.ndarray, "sequences time"]
    frames: Float[np.ndarray, "sequences time obs"]


class PendulumTruth(NamedTuple):
    """What made the three parts of the data, and the variance of the noise of each pixel."""

    train: PendulumPaths
    valid: PendulumPaths
    test: PendulumPaths
    noise: float


@checked
def pendulum(
    *,
    num_sequences: tuple[int, int, int] = (100, 20, 100),
    length: int = 100,
    noise: float = 0.1,
    seed: int = 0,
) -> tuple[Splits, PendulumTruth]:
    """Noisy 24 x 24 films of a pendulum with friction, 0.02 s per frame.

    Each starts at rest at any angle and follows theta'' = -29.43 sin(theta) - 0.1 theta' (per
    second squared), by semi-implicit Euler steps of 1e-4 s; every 0.01 s its velocity takes a
    random kick of standard deviation 0.1 rad/s. The rod is 10.3 pixels long and 1.5 wide. Sequence
    i of a part depends on the seed and i alone, its first frames not on `length`.

    Args:
        num_sequences: sequences for training, validation and test.
        length: frames of each.
        noise: variance of the Gaussian noise on every pixel.
        seed: of start, kicks and noise.

    Returns:
        Frames `[time, 576]` of shape (24, 24), and what made them.

    Raises:
        ValueError: if a number of sequences or `length` is below 1, `noise` is not positive and
            finite, or `seed` is negative.

    Example:
        >>> splits, truth = pendulum(num_sequences=(2, 1, 1), length=50)
        >>> splits.train.sequences[0].shape, truth.train.angles.shape
        ((50, 576), (2, 50))

    References:
        Zhao and Linderman (2023), section 4.3: 100 sequences of 100 frames.
    """
    filming = Filming(num_sequences, length, noise, seed)
    train, valid, test = (_paths(filming, part) for part in range(3))
    splits = filming.splits([train.frames, valid.frames, test.frames], _WORDS)
    return splits, PendulumTruth(train, valid, test, noise)


def _paths(filming: Filming, part: int) -> PendulumPaths:
    streams = filming.streams(part, MOTION)
    start = np.array([random.uniform(-np.pi, np.pi) for random in streams])
    shape = (filming.length - 1, _KICKS)
    kicks = _KICK * np.stack([random.standard_normal(shape) for random in streams])
    angles, velocities = _swing(start, kicks)
    return PendulumPaths(angles, velocities, np.stack([_draw(path) for path in angles]))


def _swing(
    start: Float[np.ndarray, " sequences"], kicks: Float[np.ndarray, "sequences steps kicks"]
) -> tuple[Float[np.ndarray, "sequences time"], Float[np.ndarray, "sequences time"]]:
    """Angles and velocities from rest, all sequences at once."""
    angle, velocity = start.copy(), np.zeros_like(start)
    path = [(start, velocity.copy())]
    for step in kicks.transpose(1, 2, 0):
        for kick in step:
            for _ in range(_SUBSTEPS):
                velocity -= _SUBSTEP * (_PULL * np.sin(angle) + _FRICTION * velocity)
                angle += _SUBSTEP * velocity
            velocity += kick
        path.append((angle.copy(), velocity.copy()))
    angles, velocities = np.array(path).transpose(1, 2, 0)
    return angles, velocities


def _draw(angles: Float[np.ndarray, " time"]) -> Float[np.ndarray, "time obs"]:
    """The share of each pixel inside the rod; the pixel is turned with the rod, to be simple."""
    x, y = (place - SIZE / 2 for place in pixel_centres())
    sin, cos = np.sin(angles)[:, None, None], np.cos(angles)[:, None, None]
    along, across = x * sin + y * cos, x * cos - y * sin
    inside = overlap(along, 0.0, _ROD) * overlap(across, -_WIDTH / 2, _WIDTH / 2)
    return inside.reshape(len(angles), -1).astype(np.float32)
