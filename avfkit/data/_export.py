"""Sound and film as files to play elsewhere: written whole, or not at all."""

import wave as riff
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from .._arrays import as_numbers, check_number
from ._cache import written_whole

_FULL_SCALE = 2**15
_CENTISECONDS = 100  # GIF counts time in these


def to_wav(path: str | Path, wave: ArrayLike, rate: int | float) -> None:
    """Writes a wave as a RIFF file: 16 bit, one channel. What leaves -1..1 is clipped.

    Args:
        path: the file to write.
        wave: `[samples]`, in -1..1; from `waveform` or `synthesise`.
        rate: samples per second.

    Raises:
        ValueError: if the wave is not `[samples]`, empty or not finite, or the rate below 1.
    """
    wave = as_numbers("wave", wave)
    check_number("rate", rate)
    if wave.ndim != 1 or len(wave) == 0:
        raise ValueError(f"wave has shape {wave.shape}, expected (samples,) with at least one.")
    _check_finite("wave", wave)
    if not 1 <= rate < 2**31:
        raise ValueError(f"rate is {rate}, expected at least 1 sample per second.")
    levels = np.clip(np.round(wave * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1)
    with written_whole(Path(path)) as file, riff.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(round(rate))
        out.writeframes(levels.astype("<i2").tobytes())


def to_gif(path: str | Path, film: ArrayLike, fps: int | float) -> None:
    """Writes a film as a grey GIF that repeats. What leaves 0..1 is clipped.

    A GIF shows each picture for a number of hundredths of a second: 24 frames per second become 25.

    Args:
        path: the file to write.
        film: `[time, height, width]`, black 0 and white 1.
        fps: frames per second, at most 50, since most players know no more.

    Raises:
        ImportError: if Pillow is not installed.
        ValueError: if the film is not `[time, height, width]`, empty or not finite, or `fps` out of
            range.
    """
    try:
        from PIL import Image
    except ImportError as error:
        message = "to_gif() writes by Pillow: pip install 'avfkit[video]'."
        raise ImportError(message) from error
    film = as_numbers("film", film)
    check_number("fps", fps)
    if film.ndim != 3 or film.size == 0:
        raise ValueError(
            f"film has shape {film.shape}, expected (time, height, width) with at least one frame."
        )
    _check_finite("film", film)
    if not 0 < fps <= 50:
        raise ValueError(f"fps is {fps}, expected more than 0 and at most 50.")
    if _CENTISECONDS / fps >= 2**16:  # what the format has room for
        raise ValueError(f"fps is {fps}, expected frames of less than 655 seconds.")
    levels = np.round(np.clip(film, 0, 1) * 255).astype(np.uint8)
    first, *others = (Image.fromarray(frame) for frame in levels)
    duration = round(_CENTISECONDS / fps) * 1000 // _CENTISECONDS
    with written_whole(Path(path)) as file:
        first.save(file, "GIF", save_all=True, append_images=others, duration=duration, loop=0)


def _check_finite(name: str, array: np.ndarray) -> None:
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds {array[~np.isfinite(array)][0]}, expected finite numbers.")
