"""Hearing a piano roll: a small additive synthesiser, and a writer of MIDI files."""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from .._arrays import as_numbers, check_number, check_positive
from ._cache import written_whole
from ._rolls import KEYS, LOWEST_NOTE

_PARTIALS = ((1, 1.0), (2, 0.4), (3, 0.2), (4, 0.1))  # harmonic, amplitude
_DECAY, _ATTACK, _RELEASE = 1.2, 0.01, 0.04  # seconds
_PEAK = 0.9
_TICKS = 480  # MIDI ticks per step


def synthesise(
    roll: ArrayLike, rate: int = 22_050, *, seconds_per_step: float = 0.5
) -> Float[np.ndarray, " samples"]:
    """The sound of a piano roll: each note a decaying sine with three overtones.

    Neighbouring steps of a key are one held note, since a roll does not tell a repeated note from a
    held one.

    Args:
        roll: `[time, 88]`; a key sounds where the entry is above 0.5.
        rate: samples per second.
        seconds_per_step: duration of a step.

    Returns:
        A wave in -1..1, `time * seconds_per_step * rate` samples; play it with
        `IPython.display.Audio(wave, rate=rate)`.

    Raises:
        ValueError: if the roll is not `[time, 88]` or empty, or a number is not positive.
    """
    roll = _checked(roll, seconds_per_step)
    check_number("rate", rate)
    if rate < 1:
        raise ValueError(f"rate is {rate}, expected at least 1 sample per second.")
    wave = np.zeros(round(len(roll) * seconds_per_step * rate))
    for key, start, end in _notes(roll):
        first, last = (round(step * seconds_per_step * rate) for step in (start, end))
        wave[first:last] += _tone(LOWEST_NOTE + key, last - first, rate)
    loudest = np.abs(wave).max(initial=0)
    return (wave * (_PEAK / loudest if loudest > 0 else 1)).astype(np.float32)


def to_midi(roll: ArrayLike, path: str | Path, *, seconds_per_step: float = 0.5) -> None:
    """Writes a piano roll as a MIDI file of one track (format 0); neighbouring steps are held.

    Args:
        roll: `[time, 88]`; a key sounds where the entry is above 0.5.
        path: the file to write.
        seconds_per_step: duration of a step, to the microsecond, below 16.7 s.

    Raises:
        ValueError: if the roll is not `[time, 88]` or empty, or the duration is out of range.
    """
    roll = _checked(roll, seconds_per_step)
    tempo = round(seconds_per_step * 1e6)
    if not 1 <= tempo < 2**24:
        raise ValueError(f"seconds_per_step is {seconds_per_step}, expected 1e-6 to 16.7.")
    notes = [*_notes(roll)]
    events = [(start, 1, key) for key, start, _ in notes] + [(end, 0, key) for key, _, end in notes]
    track = b"\x00\xff\x51\x03" + tempo.to_bytes(3, "big")
    now = 0
    for step, on, key in sorted(events):  # at one step, notes end before others begin
        status = (0x90, LOWEST_NOTE + key, 80) if on else (0x80, LOWEST_NOTE + key, 0)
        track += _variable((step - now) * _TICKS) + bytes(status)
        now = step
    track += _variable((len(roll) - now) * _TICKS) + b"\xff\x2f\x00"
    header = b"MThd" + struct.pack(">IHHH", 6, 0, 1, _TICKS)
    with written_whole(Path(path)) as file:
        file.write(header + b"MTrk" + struct.pack(">I", len(track)) + track)


def _notes(roll: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Key, first step and the step after the last of every held note."""
    sounding = np.pad((roll > 0.5).astype(np.int8), ((1, 1), (0, 0)))
    change = np.diff(sounding, axis=0).T
    for key in range(KEYS):
        starts, ends = np.flatnonzero(change[key] > 0), np.flatnonzero(change[key] < 0)
        for start, end in zip(starts, ends, strict=True):
            yield key, int(start), int(end)


def _tone(note: int, samples: int, rate: int) -> Float[np.ndarray, " samples"]:
    time = np.arange(samples) / rate
    frequency = 440 * 2 ** ((note - 69) / 12)
    heard = [(k, a) for k, a in _PARTIALS if k * frequency < rate / 2]
    tone = sum((a * np.sin(2 * np.pi * k * frequency * time) for k, a in heard), np.zeros(samples))
    left = (samples - np.arange(samples)) / rate
    fade = np.minimum(np.clip(time / _ATTACK, 0, 1), np.clip(left / _RELEASE, 0, 1))
    return tone * np.exp(-time / _DECAY) * fade


def _variable(number: int) -> bytes:
    """A MIDI variable-length quantity: seven bits a byte, the highest bit says that more follow."""
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(number & 0x7F | 0x80)
    return bytes(reversed(groups))


def _checked(roll: ArrayLike, seconds_per_step: float) -> np.ndarray:
    roll = as_numbers("roll", roll)
    if roll.ndim != 2 or len(roll) == 0 or roll.shape[1] != KEYS:
        raise ValueError(
            f"roll has shape {roll.shape}, expected (time, {KEYS}) with at least one step."
        )
    check_positive("seconds_per_step", seconds_per_step)
    return roll
