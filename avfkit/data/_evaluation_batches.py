"""A data set of ragged sequences as a few padded batches, each sequence once and whole."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from .._checked import checked
from ._batches import bucket_lengths, pad
from ._dataset import Dataset


class EvaluationBatch(NamedTuple):
    """Whole sequences side by side, padded at their end.

    Attributes:
        x: the observations; 0 where missing or padded.
        observed: `False` where missing or padded; per step, or per entry if the data set has steps
            that are missing in part.
        indices: the number of each sequence in the data set.
    """

    x: Float[np.ndarray, "batch time obs"]
    observed: Bool[np.ndarray, "batch time"] | Bool[np.ndarray, "batch time obs"]
    indices: Int[np.ndarray, " batch"]


@dataclass(frozen=True, eq=False)
class EvaluationBatches:
    """Padded batches of all sequences, made one at a time. Made by `evaluation_batches`.

    Attributes:
        dataset: the sequences.
        batch_size: sequences per batch; the last batch may be smaller.
        buckets: lengths that batches are padded to.
    """

    dataset: Dataset
    batch_size: int
    buckets: tuple[int, ...]

    def __len__(self) -> int:
        """Number of batches."""
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[EvaluationBatch]:
        """The batches, longest first: what does not fit into memory fails at once."""
        order = np.argsort(-self.dataset.lengths, kind="stable")
        for first in range(0, len(order), self.batch_size):
            indices = order[first : first + self.batch_size]
            batch = pad(self.dataset.select(indices), buckets=self.buckets)
            observed = batch.observed
            if self.dataset.per_entry and observed.ndim == 2:
                observed = np.broadcast_to(observed[..., None], batch.x.shape)
            yield EvaluationBatch(batch.x, observed, indices)


@checked
def evaluation_batches(
    dataset: Dataset, batch_size: int, *, buckets: Sequence[int] | None = None
) -> EvaluationBatches:
    """Every sequence once, whole, in batches of similar lengths: for `avfkit.evaluate`.

    Args:
        dataset: the sequences.
        batch_size: sequences per batch at most; memory grows with it.
        buckets: lengths to pad to, by default `bucket_lengths(longest)`, so that few shapes
            compile and little is padding.

    Returns:
        An iterable, which may be gone through again and again.

    Raises:
        ValueError: if `batch_size` is below 1, or no bucket holds the longest sequence.

    Example:
        >>> import numpy as np
        >>> walk = Dataset("walk", tuple(np.zeros((n, 2)) for n in (3, 20, 9)))
        >>> [(b.x.shape, b.indices.tolist()) for b in evaluation_batches(walk, 2)]
        [((2, 20, 2), [1, 2]), ((1, 16, 2), [0])]
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, expected at least 1.")
    longest = int(dataset.lengths.max())
    sizes = bucket_lengths(longest) if buckets is None else tuple(buckets)
    if max(sizes, default=0) < longest:
        raise ValueError(
            f"buckets is {list(sizes)}, expected one of at least {longest}, the longest sequence."
        )
    return EvaluationBatches(dataset, batch_size, sizes)
