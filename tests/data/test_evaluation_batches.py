"""Every sequence once and whole, few shapes, the numbering of the data set kept."""

import numpy as np
import pytest

from avfkit.data import Dataset, bucket_lengths, evaluation_batches


def ragged(lengths, observed=None):
    sequences = [np.full((n, 2), i, np.float32) for i, n in enumerate(lengths)]
    return Dataset("ragged", sequences, observed)


def test_every_sequence_comes_once_and_whole():
    lengths = [5, 40, 17, 16, 33, 2, 90]
    batches = evaluation_batches(ragged(lengths), 3)
    assert len(batches) == 3
    seen = []
    for batch in batches:
        assert len(batch.x) <= 3 and batch.x.shape[1] in bucket_lengths(90)
        for x, observed, i in zip(batch.x, batch.observed, batch.indices, strict=True):
            assert observed.sum() == lengths[i] and observed[: lengths[i]].all()
            assert (x[: lengths[i]] == i).all() and (x[lengths[i] :] == 0).all()
            seen.append(int(i))
    assert sorted(seen) == list(range(7))
    assert seen[0] == 6 and seen[-1] == 5  # the longest first
    again = [batch.indices.tolist() for batch in batches]
    assert again == [[6, 1, 4], [2, 3, 0], [5]]


def test_masks_of_entries_stay_masks_of_entries_in_every_batch():
    dataset = ragged([3, 2])
    dataset.sequences[0][1, 0] = np.nan
    shapes = [batch.observed.shape for batch in evaluation_batches(dataset, 1)]
    assert shapes == [(1, 3, 2), (1, 3, 2)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0, expected at least 1."),
        (
            {"batch_size": 1, "buckets": [2]},
            "buckets is [2], expected one of at least 3, the longest sequence.",
        ),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError) as error:
        evaluation_batches(ragged([3]), **options)
    assert str(error.value) == message
