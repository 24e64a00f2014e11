"""Stochastic moving digits: films whose future is not determined by their past.

References:
    Denton and Fergus (2018), "Stochastic video generation with a learned prior", section 4.1:
    digits move in a straight line, and leave each wall with a new random velocity.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8

from ._dataset import Splits
from ._films import WHITE, Words, film_splits
from ._mnist import PREPARED, PUBLIC
from ._original import content
from ._recordings import Recordings

_RATE = 10  # frames per second when shown; nothing else depends on it
_SPEED = 16  # the fastest digit crosses the picture in so many frames


class _Digits(NamedTuple):
    """Pictures of digits 0 to 255, those of the training, validation and test part apart."""

    parts: tuple[UInt8[np.ndarray, "digits height width"], ...]
    words: Words


@dataclass(frozen=True)
class _Scene:
    size: int
    num_digits: int
    length: int
    seed: int
    digit_size: int

    def __post_init__(self) -> None:
        for name in ("size", "num_digits", "length", "digit_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least 1.")
        if self.digit_size >= self.size:
            raise ValueError(
                f"digit_size is {self.digit_size}, expected less than size, which is {self.size}."
            )
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}, expected 0 or more.")


def moving_digits(
    *,
    size: int = 64,
    num_digits: int = 2,
    length: int = 20,
    num_films: tuple[int, int, int] = (800, 100, 100),
    seed: int = 0,
    digit_size: int | None = None,
) -> Splits:
    """Stochastic moving digits, drawn with the 1,797 handwritten digits inside scikit-learn.

    Each digit starts anywhere, at a velocity of at most 1/16 of the picture per frame and axis, and
    leaves each wall at a new random velocity. Where digits overlap their brightness adds up, to
    white at most. Nothing is downloaded. The digits of the three parts differ, 80 / 10 / 10 per
    cent; film i of a part depends on the seed and i, not on how many are asked for.

    Args:
        size: height and width of a frame, in pixels.
        num_digits: digits in a film.
        length: frames of a film.
        num_films: films for training, validation and test.
        seed: of digits and motion.
        digit_size: height and width of a digit, enlarged from 8 pixels; by default half of `size`.

    Returns:
        Frames `[time, size * size]` of shape (size, size) in [0, 1]; of their `window` see `films`.

    Raises:
        ImportError: if scikit-learn or Pillow is not installed.
        ValueError: if a size is below 1 or does not fit, or `seed` is negative.

    References:
        Denton and Fergus (2018), section 4.1; digits: Alpaydin and Kaynak (1998), UCI repository.
    """
    scene = _Scene(size, num_digits, length, seed, size // 2 if digit_size is None else digit_size)
    return _splits(_sklearn_digits(), scene, num_films)


def moving_mnist(
    folder: str | Path | None = None,
    *,
    download: bool = False,
    cache: str | Path | None = None,
    size: int = 64,
    num_digits: int = 2,
    length: int = 20,
    num_films: tuple[int, int, int] = (800, 100, 100),
    seed: int = 0,
    digit_size: int | None = None,
) -> Splits:
    """Stochastic moving MNIST: as `moving_digits`, with the 10,000 test digits of MNIST.

    8,000 / 1,000 / 1,000 digits for the three parts.

    Args:
        folder: where `mnist_t10k.npz` lies, there or in its `mnist_t10k/`; by default the folder
            that the environment variable `AVFKIT_DATA` names, and then the cache.
        download: fetch the published file (2 MB) if none is found; `folder` must not be given.
        cache: where it is then kept, by default `AVFKIT_CACHE` or the user's cache folder.
        size: height and width of a frame, in pixels.
        num_digits: digits in a film.
        length: frames of a film.
        num_films: films for training, validation and test.
        seed: of digits and motion.
        digit_size: height and width of a digit, from 28 pixels; by default half of `size`.

    Returns:
        Frames `[time, size * size]` of shape (size, size) in [0, 1]; of their `window` see `films`.

    Raises:
        FileNotFoundError: if there is no such file, or it could not be downloaded.
        ImportError: if Pillow, or pooch, which downloads, is not installed.
        ValueError: if the file is truncated or altered, both `folder` and `download` are given, a
            size is below 1 or does not fit, or `seed` is negative.

    References:
        Denton and Fergus (2018), section 4.1.
    """
    scene = _Scene(size, num_digits, length, seed, size // 2 if digit_size is None else digit_size)
    images = content(PREPARED, PUBLIC, folder, download=download, cache=cache)["image"]
    words = Words(
        "moving MNIST",
        "handwritten digits that leave each wall at a random velocity",
        "generated by avfkit.data.moving_mnist from the test digits of MNIST",
        "digits: CC BY-SA 3.0, Yann LeCun and Corinna Cortes",
    )
    return _splits(_Digits(_shares(images), words), scene, num_films)


def _sklearn_digits() -> _Digits:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            "moving_digits() draws the digits that scikit-learn carries: "
            "pip install 'avfkit[video]'."
        ) from error
    images = load_digits().images * (WHITE / 16)  # type: ignore[union-attr]
    words = Words(
        "moving digits",
        "handwritten digits that leave each wall at a random velocity",
        "generated by avfkit.data.moving_digits from the digits inside scikit-learn",
        "digits: CC BY 4.0, Alpaydin and Kaynak (1998), UCI Machine Learning Repository",
    )
    return _Digits(_shares(np.round(images).astype(np.uint8)), words)


def _shares(images: np.ndarray) -> tuple[np.ndarray, ...]:
    """80, 10 and 10 per cent of the images, in their order."""
    tenth = len(images) // 10
    return tuple(np.split(images, [len(images) - 2 * tenth, len(images) - tenth]))


def _splits(digits: _Digits, scene: _Scene, num_films: tuple[int, int, int]) -> Splits:
    if len(num_films) != 3 or min(num_films) < 1:
        raise ValueError(f"num_films is {num_films}, expected three numbers of at least 1.")
    parts = [_resized(images, scene.digit_size) for images in digits.parts]
    frames = [
        _film(parts[code], scene, np.random.default_rng((scene.seed, code, i)))
        for code, count in enumerate(num_films)
        for i in range(count)
    ]
    split = np.repeat(np.arange(3), num_films)
    lengths = np.full(len(frames), scene.length)
    recordings = Recordings(np.concatenate(frames), lengths, split.astype(str))
    words = digits.words._replace(title=f"{digits.words.title} (seed={scene.seed})")
    return film_splits(recordings, split, words, _RATE)


def _resized(images: np.ndarray, size: int) -> UInt8[np.ndarray, "digits size size"]:
    try:
        from PIL import Image
    except ImportError as error:
        message = "resizing digits needs Pillow: pip install 'avfkit[video]'."
        raise ImportError(message) from error
    resized = (Image.fromarray(i).resize((size, size), Image.Resampling.BILINEAR) for i in images)
    return np.stack([np.asarray(image) for image in resized])


def _film(
    digits: UInt8[np.ndarray, "digits size size"], scene: _Scene, random: np.random.Generator
) -> UInt8[np.ndarray, "time height width"]:
    frames = np.zeros((scene.length, scene.size, scene.size), np.uint16)
    for number in random.integers(len(digits), size=scene.num_digits):
        for frame, (top, left) in zip(frames, _path(scene, random), strict=True):
            bottom, right = top + scene.digit_size, left + scene.digit_size
            frame[top:bottom, left:right] += digits[number]
    return np.minimum(frames, WHITE).astype(np.uint8)


def _path(scene: _Scene, random: np.random.Generator) -> Int[np.ndarray, "time 2"]:
    """Where the top left corner is: along straight lines from wall to wall."""
    room, fastest = scene.size - scene.digit_size, max(scene.size // _SPEED, 1)
    place = random.integers(room, size=2, endpoint=True)
    velocity = random.integers(-fastest, fastest, size=2, endpoint=True)
    path = []
    for _ in range(scene.length):
        path.append(place)
        place = place + velocity
        away = (place < 0).astype(int) - (place > room)  # from the wall, per axis; 0: no wall
        if away.any():
            velocity = random.integers(-fastest, fastest, size=2, endpoint=True)
            leaving = random.integers(1, fastest, size=2, endpoint=True)
            velocity = np.where(away != 0, away * leaving, velocity)
        place = np.clip(place, 0, room)
    return np.array(path)
