"""Arrays that a user hands over: what is refused, and in which words."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from avfkit._arrays import as_array, as_numbers, check_batch, check_number, check_positive


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, "None"),
        (np.array([1j]), "complex128 of shape (1,)"),
        (np.array(["1.5"]), "<U3 of shape (1,)"),
        (np.array([1.5], object), "object of shape (1,)"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(value, found):
    for read in (as_array, as_numbers):
        with pytest.raises(TypeError) as caught:
            read("xs", value)
        assert str(caught.value) == f"xs is {found}; expected an array of real numbers."


def test_lists_integers_and_halves_are_numbers():
    for value in ([[1, 2]], np.array([[1, 2]], np.uint8), jnp.array([[1, 2]], jnp.bfloat16)):
        np.testing.assert_array_equal(as_numbers("xs", value), [[1.0, 2.0]])
        assert as_numbers("xs", value, np.float32).dtype == np.float32
    with pytest.raises(TypeError, match=r"^xs is list; expected an array of real numbers\.$"):
        as_numbers("xs", [[1.0], [1.0, 2.0]])


@pytest.mark.parametrize(
    ("value", "error", "found"),
    [
        ("3", TypeError, "'3'"),
        (np.zeros(1), TypeError, "float64 of shape (1,)"),
        (np.float32(np.nan), ValueError, "nan"),
        (-(10**400), ValueError, f"-{10**400}"),
    ],
)
def test_what_is_no_positive_number_is_refused(value, error, found):
    with pytest.raises(error) as caught:
        check_positive("rate", value, "a rate")
    assert str(caught.value) == f"rate is {found}; expected a rate."
    check_number("rate", -(10**400))


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
