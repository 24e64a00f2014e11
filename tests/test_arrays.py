"""Arrays that a user hands over: what is refused, and in which words."""

from types import SimpleNamespace

import numpy as np
import pytest

from avfkit._arrays import as_array, check_batch


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "xs is None; expected an array of real numbers."),
        (np.array([1j]), "xs is complex128 of shape (1,); expected an array of real numbers."),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(value, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        as_array("xs", value)
    assert str(caught.value) == message


X, SEEN = np.zeros((2, 3, 4)), np.ones((2, 3), bool)


@pytest.mark.parametrize(
    ("x", "observed", "message"),
    [
        (None, SEEN, "batch.x is None; expected an array of real numbers."),
        (
            X,
            SEEN.astype(str),
            "batch.observed is <U5 of shape (2, 3); expected an array of real numbers.",
        ),
        (
            *(X, SEEN[:, :1]),
            "batch.x has shape (2, 3, 4) and batch.observed (2, 1); expected [batch, time, ...] "
            "and the first two or all of these.",
        ),
    ],
)
def test_a_batch_is_two_arrays_side_by_side(x, observed, message):
    check_batch(SimpleNamespace(x=X, observed=SEEN))
    with pytest.raises((TypeError, ValueError)) as caught:
        check_batch(SimpleNamespace(x=x, observed=observed))
    assert str(caught.value) == message
