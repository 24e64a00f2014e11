import tracemalloc

import jax.numpy as jnp
import numpy as np
import pytest

from avfkit.data import Dataset, Levels, batches, pad

RAW = np.random.default_rng(0).integers(-(2**15), 2**15, (50, 4)).astype(np.int16)


def both(lengths=(20, 7, 50), window=None):
    """The same sequences as levels and as floats."""
    levels = [Levels(RAW[:n], offset=3.5, scale=550.0) for n in lengths]
    floats = [((RAW[:n].astype(float) - 3.5) / 550).astype(np.float32) for n in lengths]
    return Dataset("levels", levels), Dataset("floats", floats)


@pytest.mark.parametrize(
    "index",
    [0, -1, slice(2, 9), slice(None, None, 3), [4, 1], (3, 2), (slice(3), 1), RAW[:, 0] > 0],
)
def test_any_index_reads_standardised(index):
    levels, floats = both((50,))
    found = levels.sequences[0][index]
    np.testing.assert_allclose(found, floats.sequences[0][index], rtol=2e-7, atol=1e-7)
    assert found.dtype == np.float32


def test_bytes_over_255_are_exact():
    raw = np.arange(256, dtype=np.uint8)[:, None]
    np.testing.assert_array_equal(
        Levels(raw, 0.0, 255.0)[:], raw.astype(np.float32) / np.float32(255)
    )


def test_every_level_comes_back():
    raw = np.arange(-(2**15), 2**15).astype(np.int16)[:, None]
    x = Levels(raw, offset=-4.8005, scale=2590.6)[:].astype(float)
    np.testing.assert_array_equal(np.round(-4.8005 + 2590.6 * x), raw)


def test_as_an_array():
    sequence = both()[0].sequences[0]
    expected = both()[1].sequences[0]
    assert (sequence.shape, sequence.ndim, sequence.size, len(sequence)) == ((20, 4), 2, 80, 20)
    assert sequence.dtype == np.asarray(sequence).dtype == np.float32
    assert np.asarray(sequence, float).dtype == np.float64
    for array in (np.asarray(sequence), np.stack([sequence])[0], jnp.asarray(sequence)):
        np.testing.assert_allclose(array, expected, rtol=2e-7, atol=1e-7)
    with pytest.raises(ValueError) as error:
        np.array(sequence, copy=False)
    assert str(error.value) == (
        "levels are standardised when read: no array of them without a copy."
    )


def test_batches_and_pad_do_not_see_the_difference():
    levels, floats = both()
    for a, b in [
        (pad(levels), pad(floats)),
        (pad(levels.select([2, 0])), pad(floats.select([2, 0]))),
        *((batches(levels, 2, length=9, seed=1)(s), batches(floats, 2, length=9, seed=1)(s))
          for s in range(4)),
        (batches(levels, 2, seed=1)(0), batches(floats, 2, seed=1)(0)),
    ]:  # fmt: skip
        np.testing.assert_allclose(a.x, b.x, rtol=2e-7, atol=1e-7)
        np.testing.assert_array_equal(a.observed, b.observed)
    assert (levels.obs_size, levels.num_steps, levels.per_entry) == (4, 77, False)


def test_masks_go_with_levels():
    masks = [np.arange(n) % 2 == 0 for n in (20, 7)]
    data = Dataset("masked", [Levels(RAW[:n], 0.0, 1.0) for n in (20, 7)], masks)
    batch = pad(data)
    np.testing.assert_array_equal(batch.observed[0], masks[0])
    assert not batch.x[~batch.observed].any()


@pytest.fixture
def long_recording(tmp_path):
    """A sparse file of half a gigabyte: 2**18 steps of 1,000 samples."""
    path = tmp_path / "long.bin"
    shape = (2**18, 1000)
    with path.open("wb") as file:
        file.truncate(2 * shape[0] * shape[1])
    raw = np.memmap(path, np.int16, "r+", shape=shape)
    raw[123_456, 7] = 1234
    return raw


def test_a_crop_reads_only_the_crop(long_recording):
    tracemalloc.start()
    try:
        data = Dataset("long", [Levels(long_recording, 0.0, 2.0)] * 3)
        schedule = batches(data.select([0, 2]), 2, length=40, seed=0)
        for step in range(5):
            assert schedule(step).x.shape == (2, 40, 1000)
        found = data.sequences[1][123_400:123_500]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found[56, 7] == 617 and np.count_nonzero(found) == 1
    assert peak < 10e6


def test_bad_input():
    with pytest.raises(TypeError) as error:
        Levels(np.zeros((2, 2)), 0.0, 1.0)
    assert str(error.value) == "raw has dtype float64, expected integers."
    for offset, scale, message in (
        (0.0, 0.0, "scale is 0.0; expected a positive finite number."),
        (0.0, float("inf"), "scale is inf; expected a positive finite number."),
        (float("nan"), 1.0, "offset is nan; expected a finite number."),
    ):
        with pytest.raises(ValueError) as error:
            Levels(RAW, offset, scale)
        assert str(error.value) == message
    with pytest.raises(ValueError) as error:
        Dataset("d", [Levels(RAW[0], 0.0, 1.0)])
    assert str(error.value) == "d: sequences[0] has shape (4,), expected (time, obs)."
