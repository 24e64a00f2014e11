import re

import numpy as np
import pytest

from avfkit.data import Dataset


def test_record_of_ragged_sequences():
    data = Dataset("d", (np.zeros((3, 2)), np.ones((5, 2), int)), step="1 s")
    assert (len(data), data.obs_size, data.num_steps) == (2, 2, 8)
    np.testing.assert_array_equal(data.lengths, [3, 5])
    assert {s.dtype for s in data.sequences} == {np.dtype(np.float32)}


def test_lists_become_tuples():
    data = Dataset("d", [np.zeros((1, 1))], observed=[np.array([True])])
    assert isinstance(data.sequences, tuple) and isinstance(data.observed, tuple)


INDICES = [
    slice(1, None),
    range(1, 3),
    [1, 2],
    (-2, -1),
    np.array([1, 2]),
    np.array([1, 2], np.uint8),
    [False, True, True],
    np.array([False, True, True]),
]


@pytest.mark.parametrize("indices", INDICES, ids=repr)
def test_select_keeps_masks_and_words(indices):
    sequences = tuple(np.full((n, 1), n) for n in (1, 2, 3))
    masks = tuple(np.arange(n) > 0 for n in (1, 2, 3))
    chosen = Dataset("d", sequences, masks, licence="MIT").select(indices)
    assert [float(s[0, 0]) for s in chosen.sequences] == [2, 3]
    assert chosen.observed is not None and [len(m) for m in chosen.observed] == [2, 3]
    assert chosen.licence == "MIT"


def test_select_nothing_is_refused():
    data = Dataset("d", (np.zeros((1, 1)),))
    with pytest.raises(ValueError, match=re.escape("d: found no sequences, expected at least one")):
        data.select([])


def test_select_keeps_the_order():
    data = Dataset("d", tuple(np.full((1, 1), n) for n in range(3)))
    chosen = data.select(range(2, -1, -1))
    assert [float(s[0, 0]) for s in chosen.sequences] == [2, 1, 0]


WHAT = "expected a slice, a list of integers, or a Boolean mask."
BAD_INDICES = {
    "d: indices is a mask of 2 entries, expected 3.": [True, False],
    "d: indices is a mask of 4 entries, expected 3.": np.ones(4, bool),
    "d: indices has 3, expected -3 to 2.": [0, 3],
    "d: indices has -4, expected -3 to 2.": range(-4, 0),
    f"d: indices is [True, 2], {WHAT}": [True, 2],
    f"d: indices is array([1.]), {WHAT}": np.array([1.0]),
    f"d: indices is array([[0, 1]]), {WHAT}": np.array([[0, 1]]),
    f"d: indices is array(1), {WHAT}": np.array(1),
}


@pytest.mark.parametrize("message", BAD_INDICES)
def test_bad_indices(message):
    data = Dataset("d", tuple(np.full((1, 1), n) for n in range(3)))
    with pytest.raises((ValueError, IndexError)) as error:
        data.select(BAD_INDICES[message])
    assert str(error.value) == message
    assert (type(error.value) is IndexError) == (" has " in message)


@pytest.mark.parametrize(
    ("observed", "nan", "per_entry"),
    [
        (None, [], False),
        (None, [(0, 0)], True),
        (None, [(0, 0), (0, 1)], False),
        ("entry", [], True),
    ],
)
def test_per_entry(observed, nan, per_entry):
    x = np.zeros((3, 2))
    for place in nan:
        x[place] = np.nan
    masks = None if observed is None else (np.ones((3, 2), bool),)
    assert Dataset("d", (x,), masks).per_entry is per_entry


BAD_SEQUENCES = {
    "d: found no sequences, expected at least one.": (),
    "d: sequences[0] has shape (3,), expected (time, obs).": (np.zeros(3),),
    "d: sequences[1] is empty: shape (0, 2), expected at least one step.": (
        np.zeros((1, 2)),
        np.zeros((0, 2)),
    ),
    "d: sequences[1] has 3 columns, expected 2 as sequences[0].": (
        np.zeros((1, 2)),
        np.zeros((1, 3)),
    ),
    "d: sequences[0] is infinite at step 1, column 0; expected finite numbers, or NaN for a "
    "missing entry.": (np.array([[0.0], [np.inf]]),),
    "d: sequences[0] is infinite at step 0, column 0; expected finite numbers, or NaN for a missing"
    " entry.": (np.array([[1e300]]),),
}


@pytest.mark.parametrize("message", BAD_SEQUENCES)
def test_bad_sequences(message):
    with pytest.raises(ValueError) as error:
        Dataset("d", BAD_SEQUENCES[message])
    assert str(error.value) == message


BAD_MASKS = {
    "d: observed has 1 masks, expected 2.": (np.ones(3, bool),),
    "d: observed[0] has dtype int64, expected bool.": (np.ones(3, np.int64), np.ones(2, bool)),
    "d: observed[1] has shape (3,), expected (2,) or (2, 4).": (np.ones(3, bool),) * 2,
    "d: observed mixes masks per step and per entry; give one kind.": (
        np.ones(3, bool),
        np.ones((2, 4), bool),
    ),
}


@pytest.mark.parametrize("message", BAD_MASKS)
def test_bad_masks(message):
    with pytest.raises(ValueError) as error:
        Dataset("d", (np.zeros((3, 4)), np.zeros((2, 4))), BAD_MASKS[message])
    assert str(error.value) == message


BAD_WORDS = {
    "d: scale is 0.0; expected a positive finite number.": {"scale": 0.0},
    "d: offset is inf; expected a finite number.": {"offset": float("inf")},
    "d: window is -1.0; expected None or a positive finite number.": {"window": -1.0},
    "d: rate is nan; expected None or a positive finite number.": {"rate": float("nan")},
    "d: shape is (2, 3), expected 4 entries, one per column.": {"shape": (2, 3)},
}


@pytest.mark.parametrize("message", BAD_WORDS)
def test_bad_units(message):
    with pytest.raises(ValueError) as error:
        Dataset("d", (np.zeros((3, 4)),), **BAD_WORDS[message])
    assert str(error.value) == message


def test_units_are_kept_by_select():
    words = {"offset": 1.0, "scale": 2.0, "window": 0.5, "rate": 25, "shape": (2, 2)}
    chosen = Dataset("d", (np.zeros((3, 4)),) * 2, **words).select([1])
    assert {name: getattr(chosen, name) for name in words} == words
