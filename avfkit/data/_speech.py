"""Speech in frames: what `timit`, `timit_sample` and `speech_commands` have in common.

A step is a frame of successive samples, standardised by one mean and one standard deviation, those
of the training samples. The samples are integers, so that a density must be integrated over one
level of them, and nats per step do not depend on the scale.

References:
    Chung et al. (2015), "A recurrent latent variable model for sequential data", section 4:
    200 samples a step. Marino, Cvitkovic and Yue (2018), "A general method for amortizing
    variational filtering": the probability of a level.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from .._arrays import as_numbers
from ._dataset import Dataset, Splits
from ._levels import Levels
from ._recordings import Recordings

RATE = 16_000  # of all sets here, samples per second
_PARTS = ("train", "valid", "test")
_FULL_SCALE = 2**15


class Words(NamedTuple):
    """What a reader must know of a speech set."""

    title: str
    source: str
    licence: str


def waveform(data: Dataset, frames: ArrayLike) -> Float[np.ndarray, " samples"]:
    """The sound of frames of a speech set, in -1..1, at `data.rate` samples per second.

    Args:
        data: where the frames come from, or were learned from; tells offset and scale.
        frames: `[time, obs]` or `[time]`; `data.sequences[i]`, or a sample of a model.

    Returns:
        `(offset + scale * x) / 2**15`, a wave of `time * obs` samples to play or for `to_wav`.

    Raises:
        ValueError: if `data` is no sound.
    """
    if data.rate is None or data.shape is not None:
        raise ValueError(f"{data.name} is no sound: its rate is {data.rate}, shape {data.shape}.")
    levels = data.offset + data.scale * as_numbers("frames", frames).ravel()
    sound = levels / _FULL_SCALE
    if np.any(np.abs(sound) > np.finfo(np.float32).max):
        raise ValueError(f"frames holds {np.nanmax(np.abs(frames)):g}; expected less than that.")
    return sound.astype(np.float32)


def speech_splits(
    recordings: Recordings, split: np.ndarray, words: Words, samples_per_step: int
) -> Splits:
    """Recordings of int16 samples as frames, standardised by the training samples.

    Args:
        recordings: the samples, end to end.
        split: 0, 1 or 2 of each recording.
        words: for the reader.
        samples_per_step: samples in a frame.

    Raises:
        ValueError: if a frame has no sample, or a part has no utterance as long as a frame.
    """
    if samples_per_step < 1:
        raise ValueError(f"samples_per_step is {samples_per_step}, expected at least 1.")
    waves = np.split(recordings.values, np.cumsum(recordings.length)[:-1])
    offset, scale = _moments([w for w, part in zip(waves, split, strict=True) if part == 0])

    def part(code: int) -> Dataset:
        mine = [w for w, p in zip(waves, split, strict=True) if p == code]
        frames = [w[: len(w) // samples_per_step * samples_per_step] for w in mine]
        frames = [f.reshape(-1, samples_per_step) for f in frames if len(f)]
        if not frames:
            raise ValueError(
                f"{words.title}: the {_PARTS[code]} part holds {len(mine)} utterances, and none of "
                f"at least {samples_per_step} samples; expected one or more."
            )
        return Dataset(
            name=f"{words.title}, {_PARTS[code]}",
            sequences=tuple(Levels(f, offset, scale) for f in frames),
            description=f"frames of {samples_per_step} samples at 16 kHz, standardised by the "
            "training samples: offset + scale * x are int16 levels",
            source=words.source,
            licence=words.licence,
            step=f"{1000 * samples_per_step / RATE:g} ms",
            offset=offset,
            scale=scale,
            window=1 / scale,
            rate=float(RATE),
        )

    return Splits(part(0), part(1), part(2))


def _moments(waves: list[np.ndarray]) -> tuple[float, float]:
    """Mean and standard deviation of all samples, exact, one recording at a time.

    Raises:
        ValueError: if there is no sample, or all are equal.
    """
    count, total, squares = 0, 0, 0
    for wave in waves:
        samples = wave.astype(np.int64)
        count += len(samples)
        total += int(samples.sum())
        squares += int(samples @ samples)
    spread = count * squares - total**2  # of integers: no cancellation
    if spread <= 0:
        raise ValueError(f"the {count} training samples are all equal: nothing to standardise by.")
    return total / count, math.sqrt(spread) / count
