import re

import numpy as np
import pytest

from avfkit.data._download import sha256_of
from avfkit.data._recordings import Prepared, decoded, fingerprint, index_path
from data.media import files_below

CLIPS = {"a": np.arange(5, dtype=np.int16), "b": -np.arange(3, dtype=np.int16)}


def clips():
    yield from CLIPS.items()


def never():
    raise AssertionError("decoded again")
    yield


@pytest.mark.parametrize("kind", ["<i2", ">i2", "u1"])
@pytest.mark.parametrize("shape", [(), (2, 3)])
def test_decoded_once_and_mapped(tmp_path, kind, shape):
    made = {n: np.arange(n * 6 + 6).reshape(-1, *shape).astype(kind) for n in range(3)}
    for decode in (lambda: ((str(n), a) for n, a in made.items()), never):
        found = decoded(tmp_path / "x" / "a.npz", decode)
        np.testing.assert_array_equal(found.values, np.concatenate([*made.values()]))
        np.testing.assert_array_equal(found.length, [len(a) for a in made.values()])
        assert found.names.tolist() == ["0", "1", "2"]
    assert isinstance(found.values.base, np.memmap) and not found.values.flags.writeable
    assert files_below(tmp_path) == ["x/a.bin", "x/a.npz"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_interrupted_decoding_leaves_nothing(tmp_path, error):
    def interrupted():
        yield "a", CLIPS["a"]
        raise error("stop")

    with pytest.raises(error, match="stop"):
        decoded(tmp_path / "a.npz", interrupted)
    assert files_below(tmp_path) == []
    assert len(decoded(tmp_path / "a.npz", clips).values) == 8


def test_values_without_index_are_made_anew(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"half")
    np.testing.assert_array_equal(decoded(tmp_path / "a.npz", clips).values[:5], np.arange(5))


@pytest.mark.parametrize("change", ["cut", "longer", "bit", "gone"])
def test_altered_values_are_refused(tmp_path, change):
    decoded(tmp_path / "a.npz", clips)
    path = tmp_path / "a.bin"
    data = bytearray(path.read_bytes())
    data[5] ^= 4 * (change == "bit")
    path.write_bytes(data[:-2] if change == "cut" else data + b"\0" * (change == "longer"))
    if change == "gone":
        path.unlink()
    with pytest.raises(ValueError) as error:
        decoded(tmp_path / "a.npz", never)
    assert str(error.value) == (
        f"{path} is truncated or altered: it is not what was decoded. "
        "Delete it and a.npz, and the next call decodes it anew."
    )


def test_altered_index_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    decoded(path, clips)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match=re.escape(f"{path} is not a readable .npz file")):
        decoded(path, never)


def test_nothing_to_decode(tmp_path):
    with pytest.raises(ValueError, match="^found nothing to decode for a.npz.$"):
        decoded(tmp_path / "a.npz", lambda: iter(()))
    assert files_below(tmp_path) == []


def test_fingerprint_sees_a_change(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"1")
    one, other = (fingerprint([tmp_path / name]) for name in "ab")
    assert one != other and one == fingerprint([tmp_path / "a"])
    (tmp_path / "a").write_bytes(b"12")
    assert fingerprint([tmp_path / "a"]) != one


def test_index_is_named_after_the_decodings(tmp_path):
    path = index_path(tmp_path, "kth", "0123", 1, 12)
    assert path == tmp_path / "kth-v1.12-0123.npz"
    assert path not in (index_path(tmp_path, "kth", "0123", *n) for n in ((11, 2), (2, 12), (1,)))


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    monkeypatch.delenv("AVFKIT_DATA", raising=False)
    (tmp_path / "tiny").mkdir()
    np.savez(tmp_path / "tiny" / "t.npz", wave=np.arange(3))
    return Prepared("Tiny", "tiny", "t.npz", sha256_of(tmp_path / "tiny" / "t.npz"))


def test_prepared_is_found(prepared, tmp_path, monkeypatch):
    for folder in (tmp_path, tmp_path / "tiny", str(tmp_path)):
        np.testing.assert_array_equal(prepared.read(folder, ("wave",))["wave"], np.arange(3))
    monkeypatch.setenv("AVFKIT_DATA", str(tmp_path))
    np.testing.assert_array_equal(prepared.read(None, ("wave",))["wave"], np.arange(3))


def test_prepared_is_not_found(prepared, tmp_path):
    for folder, where in ((None, "AVFKIT_DATA (now unset)"), ("no", "folder 'no'")):
        with pytest.raises(FileNotFoundError) as error:
            prepared.read(folder, ("wave",))
        assert str(error.value) == (
            f"The file of Tiny was not found in {where}. Set AVFKIT_DATA, or pass folder=, to a "
            "folder that holds t.npz or tiny/t.npz."
        )


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_other_bytes_are_refused(prepared, tmp_path, keep):
    path = tmp_path / "tiny" / "t.npz"
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(ValueError) as error:
        prepared.read(tmp_path, ("wave",))
    assert str(error.value) == (
        f"{path} is not the published file of Tiny: its SHA-256 is {sha256_of(path)}, expected "
        f"{prepared.sha256}. It is truncated or altered: fetch or copy it again."
    )


def test_pickled_objects_are_refused_even_if_published(tmp_path):
    path = tmp_path / "t.npz"
    np.savez(path, wave=np.array([print], object))
    entry = Prepared("Tiny", "tiny", "t.npz", sha256_of(path))
    with pytest.raises(ValueError, match="Object arrays cannot be loaded when allow_pickle=False"):
        entry.read(tmp_path, ("wave",))
