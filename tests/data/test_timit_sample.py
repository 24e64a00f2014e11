"""TIMIT's open sample: its prepared file, and the same from a server of single files."""

import numpy as np
import pytest

from avfkit.data import timit_sample
from avfkit.data._original import content
from avfkit.data._timit_sample import _LINES, PREPARED, PUBLIC, cut, names_of, original
from data.media import files_below, message_of, noise, riff, sphere
from data.music import served

SPEAKERS = ("dr1-fvmh0 sa1 sx26", "dr3-falk0 sa1", "dr5-ftlg0 sa2")
WAVES = [noise(450, 0), noise(300, 1), noise(220, 2), noise(410, 3)]
SOUND = {"wave": np.concatenate(WAVES), "length": np.array([450, 300, 220, 410])}
DIGEST = original("", "", SPEAKERS).digest_of(SOUND)
NAMES = names_of(SPEAKERS)


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """No data folder, and an empty cache."""
    monkeypatch.delenv("AVFKIT_DATA", raising=False)
    monkeypatch.setenv("AVFKIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def shelf(tmp_path):
    """The folder of a server, with a SPHERE file and three RIFF files."""
    for kind, wave, (speaker, sentence) in zip((sphere, *[riff] * 3), WAVES, NAMES, strict=True):
        folder = tmp_path / "shelf" / speaker
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{sentence}.wav").write_bytes(kind(wave))
    return tmp_path / "shelf"


def load(address, cache, digest=DIGEST):
    public = original(address, digest, SPEAKERS)
    return cut(content(PREPARED, public, None, download=True, cache=cache), NAMES, 100)


def test_downloaded_once_and_cut_by_speaker(shelf, tmp_path):
    with served(shelf) as address:
        first = load(address, tmp_path / "kept")
    assert files_below(tmp_path / "kept") == [f"timit_sample-{DIGEST[:8]}.npz"]
    again = load("http://localhost:1", tmp_path / "kept")  # the server is gone
    for splits in (first, again):
        parts = (splits.train, splits.valid, splits.test)
        assert [part.lengths.tolist() for part in parts] == [[4, 3], [2], [4]]
        x = (WAVES[3][:400].reshape(4, 100) - splits.test.offset) / splits.test.scale
        np.testing.assert_allclose(splits.test.sequences[0][:], x, rtol=1e-5, atol=1e-6)


def test_other_sound_is_refused_and_not_kept(shelf, tmp_path):
    with served(shelf) as address:
        message = message_of(ValueError, lambda: load(address, tmp_path / "kept", "0" * 64))
    assert message == (
        f"{address} does not hold the TIMIT sample: the SHA-256 of its content is {DIGEST}, "
        f"expected {'0' * 64}. Nothing was kept: try again later."
    )
    assert files_below(tmp_path / "kept") == []


def test_a_file_that_is_not_there_leaves_nothing(shelf, tmp_path):
    (shelf / "dr5-ftlg0" / "sa2.wav").unlink()
    with served(shelf) as address:
        message = message_of(FileNotFoundError, lambda: load(address, tmp_path / "kept"))
    assert message == (
        f"The TIMIT sample was not found, and {address}/dr5-ftlg0/sa2.wav could not be downloaded "
        "(HTTPError). Set AVFKIT_DATA, or pass folder=, to use a copy of your own."
    )
    assert files_below(tmp_path / "kept") == []


def test_an_altered_cache_is_refused(tmp_path):
    path = tmp_path / f"timit_sample-{DIGEST[:8]}.npz"
    np.savez(path, wave=SOUND["wave"] + 1, length=SOUND["length"])
    message = message_of(ValueError, lambda: load("http://localhost:1", tmp_path))
    assert message.startswith(
        f"{path} does not hold the TIMIT sample: the SHA-256 of its content is "
    )
    assert message.endswith(f"expected {DIGEST}. Delete it, and fetch it again.")


def test_nowhere_to_be_found():
    assert message_of(FileNotFoundError, timit_sample) == (
        "The file of the TIMIT sample was not found in AVFKIT_DATA (now unset). Set AVFKIT_DATA, "
        "or pass folder=, to a folder that holds timit_nltk_sample.npz or "
        "timit_sample/timit_nltk_sample.npz; or pass download=True to fetch the TIMIT sample "
        "(16 MB)."
    )


def test_folder_and_download():
    message = message_of(ValueError, lambda: timit_sample("here", download=True))
    assert message == "give folder or download, not both: found 'here' and True."


def test_the_prepared_file_is_the_public_sample(data_folder):
    arrays = PREPARED.read(data_folder, ("wave", "length", "speaker", "utterance", "split"))
    assert PUBLIC.digest_of(arrays) == PUBLIC.digest
    assert names_of(_LINES) == list(zip(arrays["speaker"], arrays["utterance"], strict=True))
    splits = timit_sample(data_folder)
    for code, part in enumerate((splits.train, splits.valid, splits.test)):
        steps = arrays["length"][arrays["split"] == code] // 200
        np.testing.assert_array_equal(part.lengths, steps)
