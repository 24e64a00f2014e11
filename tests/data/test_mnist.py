"""The test digits of MNIST: the prepared file, and the published one from a server."""

import gzip
import struct

import numpy as np
import pytest

from avfkit.data import moving_mnist
from avfkit.data._mnist import PREPARED, PUBLIC, original
from avfkit.data._original import content
from data.media import answering, files_below, message_of

IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
IDX = struct.pack(">4i", 2051, *IMAGES.shape) + IMAGES.tobytes()
DIGEST = original("", "", IMAGES.shape).digest_of({"image": IMAGES})


def load(address, cache):
    public = original(f"{address}/digits.gz", DIGEST, IMAGES.shape)
    return content(PREPARED, public, None, download=True, cache=cache)["image"]


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """No data folder, and an empty cache."""
    monkeypatch.delenv("AVFKIT_DATA", raising=False)
    monkeypatch.setenv("AVFKIT_CACHE", str(tmp_path / "cache"))


def test_downloaded_once(tmp_path):
    packed = gzip.compress(IDX)
    with answering((packed, len(packed))) as (address, asked):
        np.testing.assert_array_equal(load(address, tmp_path), IMAGES)
    np.testing.assert_array_equal(load(address, tmp_path), IMAGES)  # the server is gone
    assert len(asked) == 1


OTHER = {
    "delivered no gzip file": IDX,
    "delivered more or fewer than the 40 bytes": gzip.compress(IDX[:-1]),
    "delivered more or fewer than the 40 bytes of": gzip.compress(IDX + b"x"),
    "does not hold the MNIST test digits": gzip.compress(IDX[:-1] + b"x"),
}


@pytest.mark.parametrize("message", OTHER)
def test_other_bytes_are_refused_and_not_kept(message, tmp_path):
    data = OTHER[message]
    with answering((data, len(data))) as (address, _):
        assert message in message_of(ValueError, lambda: load(address, tmp_path))
    assert files_below(tmp_path) == []


def test_nowhere_to_be_found():
    assert message_of(FileNotFoundError, moving_mnist).endswith(
        "or pass download=True to fetch the MNIST test digits (2 MB)."
    )


def test_the_prepared_file_is_the_published_one(data_folder):
    assert PUBLIC.digest_of(PREPARED.read(data_folder, ("image",))) == PUBLIC.digest
