"""Rounded, deflated, base64: how far what comes out is from what went in."""

import json

import numpy as np
import pytest

from avfkit_widgets._packing import pack, unpack

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(("bits", "relative"), [(8, 1 / 510), (16, 1 / 131070)])
def test_the_error_is_at_most_half_a_level(bits, relative):
    array = RANDOM.normal(size=(3, 4, 5)) * 100
    packed = pack({"x": array}, {"x": bits})
    found = unpack(json.loads(json.dumps(packed)))["x"]
    reach = array.max() - array.min()
    assert found.shape == array.shape
    assert np.abs(found - array).max() <= relative * reach * (1 + 1e-9)
    assert np.abs(found - array).max() > 0.5 * relative * reach


def test_the_ends_of_a_range_are_exact_and_what_is_beyond_becomes_an_end():
    values = np.array([-0.2, 0.0, 0.4, 1.0, 7.0])
    found = unpack(pack({"x": values}, {"x": 8}, {"x": (0.0, 1.0)}))["x"]
    np.testing.assert_array_equal(found, [0.0, 0.0, 0.4, 1.0, 1.0])


def test_pixels_of_one_byte_come_back_to_the_last_digit():
    pixels = np.arange(256) / 255
    found = unpack(pack({"x": pixels}, {"x": 8}, {"x": (0.0, 1.0)}))["x"]
    np.testing.assert_allclose(found, pixels, rtol=0, atol=1e-15)


def test_arrays_of_both_widths_share_a_text():
    arrays = {"a": RANDOM.random(3), "b": RANDOM.random((2, 2)), "c": np.full(5, -3.25)}
    found = unpack(pack(arrays, {"a": 8, "b": 16, "c": 8}))
    assert list(found) == ["a", "b", "c"]
    np.testing.assert_allclose(found["b"], arrays["b"], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(found["c"], arrays["c"])


def test_what_cannot_be_packed_is_named():
    with pytest.raises(ValueError, match=r"^energy is nan at \(1, 0\); expected finite numbers\.$"):
        pack({"energy": np.array([[1.0], [np.nan]])}, {"energy": 16})
    with pytest.raises(ValueError, match=r"^energy: bits is 12, expected 8 or 16\.$"):
        pack({"energy": np.ones(1)}, {"energy": 12})
