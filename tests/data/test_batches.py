from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avfkit.data import Batch, Dataset, batches, bucket_lengths, pad

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=12)


def numbered(lengths, missing=()):
    """Sequence i, step t, holds (i + 1, t); so that a batch tells where each step came from."""
    sequences = [np.stack([np.full(n, i + 1), np.arange(n)], 1).astype(float)
                 for i, n in enumerate(lengths)]  # fmt: skip
    for i, t in missing:
        sequences[i][t] = np.nan
    return Dataset("numbered", tuple(sequences))


@given(LENGTHS, st.integers(1, 6), st.integers(0, 9))
def test_every_sequence_exactly_once_per_epoch(lengths, batch_size, seed):
    data = numbered(lengths)
    schedule = batches(data, batch_size, length=3, seed=seed)
    epochs = 3
    seen = np.concatenate(
        [schedule.indices(s) for s in range(-(-epochs * len(data) // batch_size))]
    )
    for epoch in seen[: epochs * len(data)].reshape(epochs, len(data)):
        assert sorted(epoch) == list(range(len(data)))


@given(LENGTHS, st.integers(1, 6), st.integers(1, 50))
def test_a_crop_is_a_run_of_steps_of_one_sequence(lengths, batch_size, length):
    schedule = batches(numbered(lengths), batch_size, length=length, seed=0)
    for step in range(3):
        x, observed = schedule(step)
        assert x.shape == (batch_size, length, 2) and x.dtype == np.float32
        assert observed.shape == (batch_size, length)
        for row, mask, i in zip(x, observed, schedule.indices(step), strict=True):
            steps = min(length, lengths[i])
            np.testing.assert_array_equal(mask, np.arange(length) < steps)
            np.testing.assert_array_equal(row[:steps, 0], i + 1)
            np.testing.assert_array_equal(np.diff(row[:steps, 1]), 1)
            np.testing.assert_array_equal(row[steps:], 0)
            assert row[:steps, 1].max() < lengths[i]


@given(LENGTHS, st.integers(1, 6), st.integers(0, 30))
def test_whole_sequences_padded_to_a_bucket(lengths, batch_size, step):
    schedule = batches(numbered(lengths), batch_size, seed=1)
    x, observed = schedule(step)
    assert x.shape[1] in bucket_lengths(max(lengths))
    np.testing.assert_array_equal(observed.sum(1), [lengths[i] for i in schedule.indices(step)])


@given(LENGTHS, st.integers(0, 20))
def test_a_pure_function_of_the_step(lengths, step):
    data = numbered(lengths)
    used, fresh = (batches(data, 3, length=4, seed=5) for _ in range(2))
    for other in (3, 0, 17):
        used(other)
    for a, b in zip(used(step), fresh(step), strict=True):
        np.testing.assert_array_equal(a, b)


def test_seeds_and_epochs_and_crops_differ():
    data = numbered([40] * 12)
    schedule = batches(data, 12, length=4, seed=0)
    assert list(schedule.indices(0)) != list(schedule.indices(1))
    assert list(schedule.indices(0)) != list(batches(data, 12, length=4, seed=1).indices(0))
    assert len({float(t) for t in schedule(0).x[:, 0, 1]}) > 1


def test_crops_reach_the_first_and_the_last_step():
    schedule = batches(numbered([4]), 1, length=2, seed=0)
    starts = Counter(float(schedule(step).x[0, 0, 1]) for step in range(300))
    assert sorted(starts) == [0, 1, 2]
    assert min(starts.values()) > 60  # each with probability 1/3


@pytest.mark.parametrize(("sequences", "size", "steps"), [(4, 2, 2), (5, 2, 3), (3, 8, 1)])
def test_epoch_steps(sequences, size, steps):
    assert batches(numbered([2] * sequences), size, seed=0).epoch_steps == steps


def test_step_may_be_a_numpy_integer():
    schedule = batches(numbered([2, 3]), 2, seed=0)
    np.testing.assert_array_equal(schedule(np.int64(4)).x, schedule(4).x)


@given(LENGTHS)
def test_pad_loses_nothing(lengths):
    data = numbered(lengths)
    x, observed = pad(data)
    assert x.shape == (len(lengths), max(lengths), 2)
    for i, sequence in enumerate(data.sequences):
        np.testing.assert_array_equal(x[i][observed[i]], sequence)
    assert not x[~observed].any()


def test_pad_lengths_and_arrays():
    sequences = [np.ones((3, 2)), np.ones((5, 2))]
    assert pad(sequences).x.shape == (2, 5, 2)
    assert pad(sequences, 9).x.shape == (2, 9, 2)
    assert pad(sequences, buckets=[4, 16, 8]).x.shape == (2, 8, 2)


def test_missing_steps_and_entries():
    by_step = pad(numbered([3, 2], missing=[(0, 1), (1, 0)]))
    np.testing.assert_array_equal(by_step.observed, [[1, 0, 1], [0, 1, 0]])
    by_entry = pad(numbered([3, 2], missing=[(0, (1, 0)), (1, (0, 1))]))
    assert by_entry.observed.shape == (2, 3, 2)
    np.testing.assert_array_equal(by_entry.observed[0], [[1, 1], [0, 1], [1, 1]])
    for batch in (by_step, by_entry):
        assert np.isfinite(batch.x).all()


def test_masks_are_cropped_with_their_sequences():
    x = np.arange(20.0)[:, None]
    data = Dataset("d", (x,), observed=(np.arange(20) % 3 > 0,))
    schedule = batches(data, 1, length=6, seed=0)
    for step in range(5):
        batch = schedule(step)
        shown = batch.x[0, :, 0][batch.observed[0]]
        assert len(shown) == 4 and (shown % 3 > 0).all()


def test_bucket_lengths():
    assert bucket_lengths(160) == (16, 24, 32, 48, 64, 96, 128, 160)
    assert bucket_lengths(5) == (5,)


def test_batch_is_a_tuple():
    assert Batch._fields == ("x", "observed")


DATA = numbered([3, 5])
BAD = {
    "batch_size is 0, expected at least 1.": lambda: batches(DATA, 0, seed=0),
    "length is 0, expected at least 1.": lambda: batches(DATA, 1, length=0, seed=0),
    "seed is -1, expected 0 or more.": lambda: batches(DATA, 1, seed=-1),
    "give length or buckets, not both: found 2 and [8].": lambda: batches(
        DATA, 1, length=2, buckets=[8], seed=0
    ),
    "buckets is [4], expected one of at least 5, the longest sequence.": lambda: batches(
        DATA, 1, buckets=[4], seed=0
    ),
    "step is -1, expected 0 or more.": lambda: batches(DATA, 1, seed=0)(-1),
    "length is 4, expected at least 5, the longest sequence.": lambda: pad(DATA, 4),
    "give length or buckets, not both: found 6 and [8].": lambda: pad(DATA, 6, buckets=[8]),
    "data: sequences[0] has shape (3,), expected (time, obs).": lambda: pad([np.zeros(3)]),
    "data: found no sequences, expected at least one.": lambda: pad([]),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input(message):
    with pytest.raises(ValueError) as error:
        BAD[message]()
    assert str(error.value) == message
