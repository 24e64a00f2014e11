"""The record every data set of avfkit is: ragged sequences, what is missing, where they came from.

One sequence is `[time, obs]`, float32. Lengths differ. A missing entry is a NaN, or a `False` in
the mask of its sequence; both mean the same and are joined where batches are made. A long recording
may be `Levels`: integers, on disk if need be, that become float32 when they are sliced.
"""

import math
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int

from .._arrays import as_numbers, check_number, check_positive
from ._levels import Levels


@dataclass(frozen=True, eq=False)
class Dataset:
    """Sequences of one kind, with what a reader needs to know about them.

    Attributes:
        name: a short name, used in error messages and results.
        sequences: one array `[time, obs]` each, stored as float32, NaN where an entry is missing;
            or one `Levels` each, kept as it is.
        observed: `None`, or a Boolean mask `[time]` or `[time, obs]` per sequence; `False` marks
            what is missing.
        description: what an entry is, with its unit.
        source: where the data came from.
        licence: under which terms.
        step: what one time step is ("quarter note", "12.5 ms", ...).
        offset: the value, in the unit of the recording, that an entry of 0 stands for.
        scale: units of the recording per 1: an entry x stands for `offset + scale * x`.
        window: what a discretised density integrates over, in units of x: the width of one level of
            sound, 1 / scale, and a little less for films, whose convention `films` states. `None`
            if the values are not levels.
        rate: samples, or frames, per second; `None` if time is not in seconds.
        shape: how the columns of a step are laid out, such as (64, 64) for a picture.

    Example:
        >>> import numpy as np
        >>> walk = Dataset("walk", (np.zeros((3, 2)), np.ones((5, 2))))
        >>> len(walk), walk.obs_size, walk.lengths.tolist()
        (2, 2, [3, 5])

    Raises:
        TypeError: if a sequence holds no real numbers, or a unit is no number.
        ValueError: if there is no sequence, a sequence is empty, has the wrong rank or holds an
            infinite value, the sequences differ in their number of columns, or a mask, a unit or
            the shape does not fit.
    """

    name: str
    sequences: Sequence[np.ndarray | Levels]
    observed: Sequence[np.ndarray] | None = None
    description: str = ""
    source: str = ""
    licence: str = ""
    step: str = ""
    offset: int | float = 0.0
    scale: int | float = 1.0
    window: int | float | None = None
    rate: int | float | None = None
    shape: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Checks the sequences and masks, and stores them as float32 and Boolean arrays."""
        sequences = check_sequences(self.name, self.sequences)
        object.__setattr__(self, "sequences", sequences)
        if self.observed is not None:
            masks = _check_masks(self.name, sequences, self.observed)
            object.__setattr__(self, "observed", masks)
        _check_description(self)

    def __len__(self) -> int:
        """Number of sequences."""
        return len(self.sequences)

    @property
    def obs_size(self) -> int:
        """Number of columns of each sequence."""
        return self.sequences[0].shape[1]

    @cached_property
    def lengths(self) -> Int[np.ndarray, " sequences"]:
        """Number of steps of each sequence."""
        return np.array([len(s) for s in self.sequences])

    @property
    def num_steps(self) -> int:
        """Number of steps of all sequences together."""
        return int(self.lengths.sum())

    @cached_property
    def per_entry(self) -> bool:
        """Whether some step may be missing in part, so that masks need one flag per entry."""
        if self.observed is not None and self.observed[0].ndim == 2:
            return True
        missing = (np.isnan(s) for s in self.sequences if not isinstance(s, Levels))
        return any(bool((m.any(1) & ~m.all(1)).any()) for m in missing)

    def select(self, indices: slice | Sequence[int] | np.ndarray) -> "Dataset":
        """The data set of some of the sequences.

        Args:
            indices: a slice; or numbers of sequences, in the wanted order, negative ones counted
                from the end; or a Boolean mask with one entry per sequence.

        Raises:
            ValueError: if `indices` are none of these, a mask has another length, or nothing is
                chosen.
            IndexError: if there is no sequence of such a number.
        """
        chosen = _positions(self.name, len(self), indices)
        observed = self.observed and tuple(self.observed[i] for i in chosen)
        return replace(self, sequences=tuple(self.sequences[i] for i in chosen), observed=observed)


def _positions(name: str, count: int, indices: slice | Sequence[int] | np.ndarray) -> Sequence[int]:
    if isinstance(indices, slice):
        return range(count)[indices]
    array = np.asarray(indices)
    mixed = len({isinstance(i, bool | np.bool_) for i in indices}) > 1 if array.ndim else False
    if array.ndim != 1 or mixed or (array.size and array.dtype.kind not in "biu"):
        raise ValueError(
            f"{name}: indices is {reprlib.repr(indices)}, expected a slice, a list of "
            "integers, or a Boolean mask."
        )
    if array.dtype == np.bool_:
        if len(array) != count:
            raise ValueError(
                f"{name}: indices is a mask of {len(array)} entries, expected {count}."
            )
        return np.flatnonzero(array).tolist()
    for i in array:
        if not -count <= i < count:
            raise IndexError(f"{name}: indices has {i}, expected {-count} to {count - 1}.")
    return [int(i) for i in array]


@dataclass(frozen=True, eq=False)
class Splits:
    """A data set cut for training, validation and test."""

    train: Dataset
    valid: Dataset
    test: Dataset


def check_sequences(
    name: str, sequences: Sequence[np.ndarray | Levels]
) -> tuple[np.ndarray | Levels, ...]:
    """The sequences as float32 arrays `[time, obs]`; `Levels` as they are, unread.

    Raises:
        TypeError: if one holds no real numbers.
        ValueError: if there is none, or one is empty, of the wrong rank or width, or infinite.
    """
    with np.errstate(over="ignore"):  # a number too large for float32 is reported below
        arrays = tuple(
            s if isinstance(s, Levels) else as_numbers(f"{name}: sequences[{i}]", s, np.float32)
            for i, s in enumerate(sequences)
        )
    if not arrays:
        raise ValueError(f"{name}: found no sequences, expected at least one.")
    for i, a in enumerate(arrays):
        where = f"{name}: sequences[{i}]"
        if a.ndim != 2:
            raise ValueError(f"{where} has shape {a.shape}, expected (time, obs).")
        if a.size == 0:
            raise ValueError(f"{where} is empty: shape {a.shape}, expected at least one step.")
        if a.shape[1] != arrays[0].shape[1]:
            width = arrays[0].shape[1]
            raise ValueError(f"{where} has {a.shape[1]} columns, expected {width} as sequences[0].")
        if not isinstance(a, Levels) and np.isinf(a).any():
            step, column = np.argwhere(np.isinf(a))[0]
            raise ValueError(
                f"{where} is infinite at step {step}, column {column}; expected finite numbers, "
                "or NaN for a missing entry."
            )
    return arrays


def _check_masks(
    name: str, sequences: tuple[np.ndarray | Levels, ...], observed: Sequence[np.ndarray]
) -> tuple[np.ndarray, ...]:
    masks = tuple(np.asarray(m) for m in observed)
    if len(masks) != len(sequences):
        raise ValueError(f"{name}: observed has {len(masks)} masks, expected {len(sequences)}.")
    for i, (mask, sequence) in enumerate(zip(masks, sequences, strict=True)):
        where = f"{name}: observed[{i}]"
        if mask.dtype != np.bool_:
            raise ValueError(f"{where} has dtype {mask.dtype}, expected bool.")
        if mask.shape not in (sequence.shape[:1], sequence.shape):
            time, obs = sequence.shape
            raise ValueError(
                f"{where} has shape {mask.shape}, expected ({time},) or ({time}, {obs})."
            )
    if len({m.ndim for m in masks}) > 1:
        raise ValueError(f"{name}: observed mixes masks per step and per entry; give one kind.")
    return masks


def _check_description(data: Dataset) -> None:
    check_number(f"{data.name}: offset", data.offset)
    check_positive(f"{data.name}: scale", data.scale)
    for field, number in {"window": data.window, "rate": data.rate}.items():
        if number is not None:
            check_positive(f"{data.name}: {field}", number, "None or a positive finite number")
    if data.shape is not None and math.prod(data.shape) != data.obs_size:
        raise ValueError(
            f"{data.name}: shape is {data.shape}, expected {data.obs_size} entries, one per column."
        )


def mask_of(sequence: np.ndarray, observed: np.ndarray | None) -> Bool[np.ndarray, "time obs"]:
    """The mask of every entry: `observed` where given, and `False` where the entry is NaN."""
    mask = ~np.isnan(sequence)
    if observed is None:
        return mask
    return mask & (observed if observed.ndim == 2 else observed[:, None])
