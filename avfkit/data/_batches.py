"""Ragged sequences as rectangular batches: padding, crops, and an order that only knows the step.

`batches(...)` is a pure function of the step number. Nothing is carried from one step to the next,
so a run that resumes at step 1,000 sees exactly what an uninterrupted run would have seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import index
from typing import NamedTuple, SupportsIndex

import numpy as np
from jaxtyping import Bool, Float, Int

from .._checked import checked
from ._dataset import Dataset, check_sequences, mask_of

_ORDER, _CROP = 0, 1  # what a random stream is for


class Batch(NamedTuple):
    """Sequences side by side, padded at their end.

    Attributes:
        x: the observations; 0 where missing or padded.
        observed: `False` where missing or padded; per step, or per entry if the data set has steps
            that are missing in part.
    """

    x: Float[np.ndarray, "batch time obs"]
    observed: Bool[np.ndarray, "batch time"] | Bool[np.ndarray, "batch time obs"]


@checked
def pad(
    data: Dataset | Sequence[np.ndarray],
    length: int | None = None,
    *,
    buckets: Sequence[int] | None = None,
) -> Batch:
    """All sequences in one batch, padded at their end to a common length; nothing is ever cut.

    Args:
        data: a data set, or arrays `[time, obs]`.
        length: the common length in steps; by default that of the longest sequence.
        buckets: allowed lengths; the shortest that fits is taken, so that few shapes compile.

    Raises:
        ValueError: if `length` or every bucket is shorter than the longest sequence, or both are
            given, or a sequence is malformed (see `Dataset`).
    """
    if not isinstance(data, Dataset):
        data = Dataset("data", check_sequences("data", data))
    longest = int(data.lengths.max())
    if length is not None and buckets is not None:
        raise ValueError(f"give length or buckets, not both: found {length} and {list(buckets)}.")
    if buckets is not None:
        length = _bucket(longest, buckets)
    elif length is None:
        length = longest
    if length < longest:
        raise ValueError(f"length is {length}, expected at least {longest}, the longest sequence.")
    return _stack(data, range(len(data)), np.zeros(len(data), int), length)


@checked
def bucket_lengths(longest: int) -> tuple[int, ...]:
    """The lengths 16, 24, 32, 48, 64, 96, ... below `longest`, and `longest` itself.

    With these, at most about a third of a batch of equal lengths is padding, and a data set needs
    two shapes for each doubling of the length.
    """
    lengths = [size for k in range(4, 40) for size in (2**k, 3 * 2 ** (k - 1)) if size < longest]
    return (*lengths, longest)


@dataclass(frozen=True, eq=False)
class Batches:
    """A schedule of batches: call it with a step number. Made by `batches`.

    Attributes:
        dataset: the sequences.
        batch_size: sequences per batch.
        length: steps per crop, or `None` for whole sequences.
        seed: of the order and of the crops.
        buckets: lengths that whole sequences are padded to.
    """

    dataset: Dataset
    batch_size: int
    length: int | None
    seed: int
    buckets: tuple[int, ...]

    @property
    def epoch_steps(self) -> int:
        """Steps after which every sequence was seen (sequences / batch size, rounded up)."""
        return -(-len(self.dataset) // self.batch_size)

    def indices(self, step: int) -> Int[np.ndarray, " batch"]:
        """Which sequences the batch of `step` holds.

        The permutations of epochs 0, 1, 2, ... stand end to end, and batches are cut from that row:
        each sequence comes exactly once per epoch, and a batch may reach into the next epoch.
        """
        position = step * self.batch_size + np.arange(self.batch_size)
        epoch, place = np.divmod(position, len(self.dataset))
        return np.concatenate([self._order(int(e))[place[epoch == e]] for e in np.unique(epoch)])

    def _order(self, epoch: int) -> Int[np.ndarray, " sequences"]:
        return _generator(self.seed, _ORDER, epoch).permutation(len(self.dataset))

    def __call__(self, step: SupportsIndex) -> Batch:
        """The batch of a step, which counts from 0.

        Raises:
            ValueError: if `step` is negative.
        """
        step = index(step)
        if step < 0:
            raise ValueError(f"step is {step}, expected 0 or more.")
        chosen = self.indices(step)
        lengths = self.dataset.lengths[chosen]
        if self.length is None:
            size = _bucket(int(lengths.max()), self.buckets)
            return _stack(self.dataset, chosen, np.zeros(len(chosen), int), size)
        room = np.maximum(lengths - self.length, 0)
        starts = _generator(self.seed, _CROP, step).integers(room, endpoint=True)
        return _stack(self.dataset, chosen, starts, self.length)


@checked
def batches(
    dataset: Dataset,
    batch_size: int,
    *,
    length: int | None = None,
    seed: int,
    buckets: Sequence[int] | None = None,
) -> Batches:
    """A schedule of batches of a data set: a pure function of the step number.

    Args:
        dataset: the sequences.
        batch_size: sequences per batch; every batch is full.
        length: if given, each sequence is cropped at random to this many steps (a shorter one is
            padded); if not, sequences are whole, padded to the shortest fitting bucket.
        seed: of the order and the crops; the same seed gives the same batches.
        buckets: lengths to pad whole sequences to, by default `bucket_lengths(longest)`.

    Returns:
        `step -> Batch`, with `epoch_steps`.

    Raises:
        ValueError: if `batch_size` or `length` is below 1, `seed` is negative, `buckets` is given
            together with `length`, or no bucket holds the longest sequence.

    Example:
        >>> import numpy as np
        >>> walk = Dataset("walk", tuple(np.zeros((n, 2)) for n in (3, 5, 9)))
        >>> schedule = batches(walk, 2, length=4, seed=0)
        >>> schedule.epoch_steps, schedule(7).x.shape
        (2, (2, 4, 2))
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, expected at least 1.")
    if length is not None and length < 1:
        raise ValueError(f"length is {length}, expected at least 1.")
    if seed < 0:
        raise ValueError(f"seed is {seed}, expected 0 or more.")
    if length is not None and buckets is not None:
        raise ValueError(f"give length or buckets, not both: found {length} and {list(buckets)}.")
    longest = int(dataset.lengths.max())
    sizes = bucket_lengths(longest) if buckets is None else tuple(buckets)
    _bucket(longest, sizes)
    return Batches(dataset, batch_size, length, seed, sizes)


def _generator(seed: int, purpose: int, counter: int) -> np.random.Generator:
    return np.random.default_rng((seed, purpose, counter))


def _bucket(longest: int, buckets: Sequence[int]) -> int:
    fitting = [size for size in buckets if size >= longest]
    if not fitting:
        raise ValueError(
            f"buckets is {list(buckets)}, expected one of at least {longest}, the longest sequence."
        )
    return min(fitting)


def _stack(
    data: Dataset, indices: Sequence[int] | np.ndarray, starts: np.ndarray, length: int
) -> Batch:
    """Steps `start .. start + length` of the chosen sequences, padded at the end."""
    x = np.zeros((len(indices), length, data.obs_size), np.float32)
    observed = np.zeros(x.shape, bool)
    for row, (i, start) in enumerate(zip(indices, starts, strict=True)):
        sequence = data.sequences[i][start : start + length]
        mask = None if data.observed is None else data.observed[i][start : start + length]
        entries = mask_of(sequence, mask)
        x[row, : len(sequence)] = np.where(entries, sequence, 0)
        observed[row, : len(sequence)] = entries
    return Batch(x, observed if data.per_entry else observed[..., 0])
