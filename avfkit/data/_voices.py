"""Synthetic voices: vowels, hisses and pauses, for examples that must not need a download.

A vowel is a sum of harmonics of a gliding pitch, each as loud as the resonances of the vocal tract
(the formants) make it: the source-filter model of speech. A hiss is noise of one band. It sounds
like a babbling machine, and like speech it is quiet half of the time, periodic within a frame, and
predictable from its recent past.

References:
    Fant (1960), "Acoustic theory of speech production". Formant frequencies of five English vowels
    spoken by men: Peterson and Barney (1952), "Control methods used in a study of the vowels",
    Table II.
"""

import math

import numpy as np
from jaxtyping import Float

from .._arrays import check_number
from .._checked import checked
from ._dataset import Splits
from ._recordings import Recordings
from ._speech import RATE, Words, speech_splits

_FORMANTS = {  # hertz
    "i": (270, 2290, 3010),
    "e": (530, 1840, 2480),
    "a": (730, 1090, 2440),
    "o": (570, 840, 2410),
    "u": (300, 870, 2240),
}
_BANDWIDTHS = (60.0, 90.0, 150.0)  # hertz
_HARMONICS = 30
_LEVEL = 550.0  # standard deviation in int16 levels, as that of TIMIT
_FLOOR = 2.0  # standard deviation of the room's noise, in levels
_EDGE = 0.015  # seconds over which a segment fades in and out


@checked
def voices(
    num_utterances: tuple[int, int, int] = (48, 8, 8),
    *,
    seconds: float = 2.0,
    samples_per_step: int = 200,
    seed: int = 0,
) -> Splits:
    """Utterances of synthetic voices, 16 kHz; no two speak alike.

    Args:
        num_utterances: for training, validation and test, each at least 1.
        seconds: duration of an utterance.
        samples_per_step: samples in a frame.
        seed: the same seed gives the same voices.

    Returns:
        Frames `[time, samples_per_step]`, in the units of `timit_sample`; see `waveform`.

    Raises:
        ValueError: if a number is too small.
    """
    if min(num_utterances) < 1:
        raise ValueError(f"num_utterances is {num_utterances}; expected three of at least 1.")
    check_number("seconds", seconds)
    if seed < 0:
        raise ValueError(f"seed is {seed}; expected 0 or more.")
    if not seconds * RATE >= samples_per_step:
        raise ValueError(f"seconds is {seconds}; expected at least one step of {samples_per_step}.")
    split = np.repeat(np.arange(3), num_utterances)
    generators = [np.random.default_rng((seed, index)) for index in range(len(split))]
    waves = [_utterance(round(seconds * RATE), generator) for generator in generators]
    values = np.concatenate(waves)
    levels = np.clip(np.rint(values * (_LEVEL / values.std())), -(2**15), 2**15 - 1)
    names = np.array([f"voice {index}" for index in range(len(split))])
    recordings = Recordings(levels.astype(np.int16), np.array([len(w) for w in waves]), names)
    words = Words("synthetic voices", f"drawn by avfkit with seed {seed}", "none needed")
    return speech_splits(recordings, split, words, samples_per_step)


def _utterance(length: int, generator: np.random.Generator) -> Float[np.ndarray, " samples"]:
    """Vowels, hisses and pauses of one speaker, one after another."""
    pitch, tract = generator.uniform(90, 220), generator.uniform(0.95, 1.2)
    wave, start = np.zeros(length), 0
    vowels = list(_FORMANTS)
    while start < length:
        kind = generator.choice(["vowel", "hiss", "pause"], p=[0.55, 0.2, 0.25])
        size = min(round(generator.uniform(0.06, 0.25) * RATE), length - start)
        if kind == "vowel":
            ends = [tract * np.array(_FORMANTS[v]) for v in generator.choice(vowels, 2)]
            glide = pitch * np.exp(generator.normal(0, 0.08, 2))
            piece = _vowel(size, glide, ends)
        elif kind == "hiss":
            piece = 0.25 * _hiss(size, generator)
        else:
            piece = np.zeros(size)
        wave[start : start + size] = piece * _fade(size) * generator.uniform(0.4, 1.0)
        start += size
    loudness = max(float(wave.std()), 1e-9)
    return wave / loudness + generator.normal(0, _FLOOR / _LEVEL, length)


def _vowel(size: int, glide: np.ndarray, ends: list[np.ndarray]) -> Float[np.ndarray, " samples"]:
    """Harmonics of a pitch that glides, through formants that move from one vowel to another."""
    share = np.linspace(0, 1, size)
    frequency = glide[0] + share * (glide[1] - glide[0])
    phase = 2 * math.pi * np.cumsum(frequency) / RATE
    order = np.arange(1, _HARMONICS + 1)[:, None]
    tone = order * frequency
    gain = np.where(tone < RATE / 2, 1.0 / order, 0.0)
    for first, last, width in zip(*ends, _BANDWIDTHS, strict=True):
        centre = first + share * (last - first)
        gain = gain * centre**2 / np.hypot(centre**2 - tone**2, width * tone)
    wave = np.sum(gain * np.cos(order * phase), axis=0)
    return wave / max(float(wave.std()), 1e-9)


def _hiss(size: int, generator: np.random.Generator) -> Float[np.ndarray, " samples"]:
    """Noise around 3 to 6 kHz."""
    spectrum = np.fft.rfft(generator.normal(size=size))
    frequency = np.fft.rfftfreq(size, 1 / RATE)
    band = np.exp(-0.5 * ((frequency - generator.uniform(3000, 6000)) / 900) ** 2)
    noise = np.fft.irfft(spectrum * band, size)
    return noise / max(float(noise.std()), 1e-9)


def _fade(size: int) -> Float[np.ndarray, " samples"]:
    edge = _EDGE * RATE
    distance = np.minimum(np.arange(size) + 1, size - np.arange(size))
    return np.minimum(distance / edge, 1.0)
