"""Samples as files one can hear or see: wav for speech, MIDI for music, GIF for video, CSV else."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

import avfkit
from avfkit import data
from avfkit.data import Dataset

from ._preset import Kind, Preset

SUFFIX: Mapping[Kind, str] = {"speech": ".wav", "music": ".mid", "video": ".gif", "series": ".csv"}
LENGTH: Mapping[Kind, int] = {"speech": 160, "music": 64, "video": 40, "series": 200}
_LOUDEST = 0.9


def write_samples(
    path: str | Path,
    preset: Preset,
    tree: tuple,
    *,
    length: int | None = None,
    given: Float[np.ndarray, "time obs"] | None = None,
    key: Key[Array, ""],
) -> Path:
    """Draws one sequence from a trained model and writes it.

    Args:
        path: the file; its suffix must fit the kind of data, and is added if there is none.
        preset: says the kind of data, and how many samples or frames a second has.
        tree: (model, inference); inference is asked only if something is given.
        length: steps to draw; by default some seconds.
        given: a context to filter and to go on from; it is written too, before what is drawn.
        key: randomness.

    Returns:
        The path that was written.

    Raises:
        ValueError: the suffix does not fit, or the preset of a film or wave has no rate.
    """
    kind = preset.kind
    path = Path(path) if Path(path).suffix else Path(path).with_suffix(SUFFIX[kind])
    if path.suffix != SUFFIX[kind]:
        raise ValueError(f"path ends in {path.suffix!r}; {kind} is written as {SUFFIX[kind]!r}.")
    model, inference = tree
    length = LENGTH[kind] if length is None else length
    if given is None:
        xs = np.asarray(avfkit.sample(model, length, key=key)[0])
    else:
        context = jnp.asarray(given, float)
        drawn = avfkit.continuation(model, inference, context, length, key=key)[0]
        xs = np.concatenate([given, np.asarray(drawn)])
    path.parent.mkdir(parents=True, exist_ok=True)
    _WRITERS[kind](path, xs, preset)
    return path


def context_of(dataset: Dataset, sequence: int, length: int) -> Float[np.ndarray, "time obs"]:
    """The first steps of a sequence.

    Raises:
        ValueError: there is no such sequence, or it is shorter.
    """
    if not 0 <= sequence < len(dataset):
        raise ValueError(f"sequence is {sequence}; expected from 0 to {len(dataset) - 1}.")
    steps = int(dataset.lengths[sequence])
    if length > steps:
        raise ValueError(f"context is {length}; sequence {sequence} has {steps} steps.")
    return np.asarray(dataset.sequences[sequence][:length])


def _music(path: Path, xs: np.ndarray, preset: Preset) -> None:
    del preset  # a step of music has no length in seconds
    data.to_midi(xs, path)


def _speech(path: Path, xs: np.ndarray, preset: Preset) -> None:
    wave = np.nan_to_num(xs).reshape(-1)
    data.to_wav(path, wave * (_LOUDEST / max(float(np.abs(wave).max()), 1e-6)), _rate(preset))


def _video(path: Path, xs: np.ndarray, preset: Preset) -> None:
    side = round(xs.shape[1] ** 0.5)
    film = np.clip(np.nan_to_num(xs), 0.0, 1.0).reshape(len(xs), side, side)
    data.to_gif(path, film, _rate(preset))


def _series(path: Path, xs: np.ndarray, preset: Preset) -> None:
    del preset
    np.savetxt(path, xs, fmt="%.9g", delimiter=",")


def _rate(preset: Preset) -> float:
    if preset.rate is None:
        raise ValueError(
            f"the preset {preset.name!r} has no rate; {preset.kind} needs one to be written, in "
            "samples or frames per second."
        )
    return preset.rate


_WRITERS: Mapping[str, Callable[[Path, Any, Preset], None]] = {
    "music": _music,
    "speech": _speech,
    "video": _video,
    "series": _series,
}
