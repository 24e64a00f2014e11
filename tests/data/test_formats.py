"""Every format gives the same rolls; what is truncated, altered or hostile is refused."""

import os
import pickle
import re

import numpy as np
import pytest
from scipy.io import savemat

from avfkit.data._formats import read_rolls
from avfkit.data._rolls import rolls_of_notes
from data.music import NOTES, ROLLS, write_json, write_npz, write_pickle


def assert_tiny(rolls):
    for found, expected in zip(rolls, ROLLS, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert rolls.digest() == ROLLS.digest()


def test_rolls_of_notes():
    train = ROLLS.songs(0)
    assert [s.shape for s in train] == [(3, 88), (1, 88)]
    np.testing.assert_array_equal(np.argwhere(train[0]), [[0, 39], [0, 43], [0, 46], [2, 39]])
    np.testing.assert_array_equal(np.argwhere(ROLLS.songs(2)[0]), [[0, 0], [0, 87], [1, 39]])
    assert ROLLS.counts() == (2, 1, 1)


def test_npz(tmp_path):
    assert_tiny(read_rolls(write_npz(tmp_path / "a.npz")))


def test_json(tmp_path):
    assert_tiny(read_rolls(write_json(tmp_path / "a.json")))


@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
def test_pickle(tmp_path, protocol):
    assert_tiny(read_rolls(write_pickle(tmp_path / "a.pickle", protocol=protocol)))


@pytest.mark.parametrize("kind", ["i8", "u1", ">i4"])
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_pickle_of_numpy_integers(tmp_path, kind, protocol):
    scalar = np.dtype(kind).type if kind != ">i4" else lambda n: np.array([n], kind)[0]
    parts = {p: [[[scalar(n) for n in s] for s in song] for song in NOTES[p]] for p in NOTES}
    assert_tiny(read_rolls(write_pickle(tmp_path / "a.pkl", parts, protocol)))


def test_pickle_of_python_2(tmp_path):
    """Written as Python 2 did: strings without encoding, numpy's old module name."""
    dtype = b"cnumpy\ndtype\np0\n(S'i8'\nI0\nI1\ntRp1\n(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
    note = (
        b"cnumpy.core.multiarray\nscalar\n("
        + dtype
        + b"S'<\\x00\\x00\\x00\\x00\\x00\\x00\\x00'\ntR"
    )
    songs = {"train": note, "valid": b"I60\n", "test": b"L61L\n"}
    items = b"".join(b"S'%s'\n(l(l(l%saaas" % (k.encode(), v) for k, v in songs.items())
    (tmp_path / "a.pickle").write_bytes(b"(d" + items + b".")
    expected = rolls_of_notes("", {"train": [[[60]]], "valid": [[[60]]], "test": [[[61]]]})
    assert read_rolls(tmp_path / "a.pickle").digest() == expected.digest()


def test_mat(tmp_path):
    cells = {}
    for code, part in enumerate(("train", "valid", "test")):
        songs = ROLLS.songs(code)
        cells[f"{part}data"] = np.empty((1, len(songs)), object)
        cells[f"{part}data"][0, :] = [s.astype(np.uint8) for s in songs]
    savemat(tmp_path / "a.mat", cells)
    assert_tiny(read_rolls(tmp_path / "a.mat"))


class Call:
    """Pickles as a call of a function: what a hostile file does."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("function", "name"),
    [(os.system, "os.system|posix.system|nt.system"), (eval, "builtins.eval|__builtin__.eval")],
)
def test_hostile_pickle_runs_nothing(tmp_path, function, name, protocol):
    mark = tmp_path / "executed"
    code = f"touch {mark}" if function is os.system else f"__import__('os').mkdir({str(mark)!r})"
    path = write_pickle(tmp_path / "a.pickle", {"train": Call(function, code)}, protocol)
    message = rf"was refused: it asks for ({name}), and a file of notes needs only lists and "
    with pytest.raises(ValueError, match=message + "integers\\.$"):
        read_rolls(path)
    assert not mark.exists()
    pickle.loads(path.read_bytes())  # the file is hostile indeed: an ordinary reader runs it
    assert mark.exists()


def test_object_scalar_is_refused(tmp_path):
    data = (
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'O8'\nI0\nI1\ntR(I3\nS'|'\nNtbS'x'\ntR."
    )
    (tmp_path / "a.pickle").write_bytes(data)
    message = "a.pickle was refused: it holds numpy scalars of kind 'O8', not integers."
    with pytest.raises(ValueError, match=re.escape(message)):
        read_rolls(tmp_path / "a.pickle")


@pytest.mark.parametrize("suffix", ["npz", "json", "pickle", "mat"])
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.95])
def test_truncated_file(tmp_path, suffix, keep):
    path = tmp_path / f"a.{suffix}"
    if suffix == "mat":
        savemat(path, {"traindata": np.zeros((3, 88))})
    else:
        {"npz": write_npz, "json": write_json, "pickle": write_pickle}[suffix](path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))} is not .*truncated or altered"):
        read_rolls(path)


def test_npz_with_objects_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    roll = np.array([Call(os.system, f"touch {tmp_path / 'executed'}")], object)
    np.savez(path, roll=roll, length=np.ones(1, int), split=np.zeros(1, int))
    message = "Object arrays cannot be loaded when allow_pickle=False"
    with pytest.raises(ValueError, match=message):
        read_rolls(path)
    assert not (tmp_path / "executed").exists()


L, S, P = ROLLS.length, ROLLS.split, ROLLS.packed
BAD_NPZ = {
    "roll is float64 (8, 11), expected uint8 (steps, 11).": (P.astype(float), L, S),
    "roll is uint8 (8, 10), expected uint8 (steps, 11).": (P[:, :10], L, S),
    "length (4,) and split (3,) must be vectors of the same size, with lengths of at least 1.": (
        P,
        L,
        S[:3],
    ),
    "roll has 6 steps, expected 8, the sum of length. The file is truncated or altered: "
    "delete it, and fetch or copy it again.": (P[:6], L, S),
    "split must be 0, 1 or 2, ascending.": (P, L, S[::-1]),
}


@pytest.mark.parametrize("message", BAD_NPZ)
def test_altered_npz(tmp_path, message):
    roll, length, split = BAD_NPZ[message]
    path = tmp_path / "a.npz"
    np.savez(path, roll=roll, length=length, split=split)
    with pytest.raises(ValueError) as error:
        read_rolls(path)
    assert str(error.value) == f"{path}: {message}"


@pytest.mark.parametrize(("place", "value"), [(4, 99), (6, 1), (6, 32), (6, 64), (8, 77)])
def test_npz_of_a_kind_that_is_not_read(tmp_path, place, value):
    """A later version, an encrypted or patched member, another compression."""
    path = write_npz(tmp_path / "a.npz")
    data = bytearray(path.read_bytes())
    central = data.index(b"PK\x01\x02")
    data[central + place + 2] = data[place] = value
    path.write_bytes(data)
    with pytest.raises(ValueError, match="is not a readable .npz file .* truncated or altered"):
        read_rolls(path)


def test_npz_without_an_array(tmp_path):
    np.savez(tmp_path / "a.npz", roll=P)
    message = "it has no array 'length', only ['roll']"
    with pytest.raises(ValueError, match=re.escape(message)):
        read_rolls(tmp_path / "a.npz")


def test_deeply_nested_json(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b'{"train": ' + b"[" * 100_000)
    with pytest.raises(ValueError) as error:
        read_rolls(path)
    assert str(error.value) == (
        f"{path} is nested too deeply, expected lists of lists of lists of notes. "
        "It is altered: delete it, and fetch it again."
    )


def test_deeply_nested_pickle(tmp_path):
    depth = 100_000
    song = b"]" * depth + b"a" * (depth - 1)
    items = b"".join(b"\x8c" + bytes([len(k)]) + k + song for k in (b"train", b"valid", b"test"))
    (tmp_path / "a.pickle").write_bytes(b"\x80\x04}(" + items + b"u.")
    with pytest.raises(ValueError) as error:
        read_rolls(tmp_path / "a.pickle")
    assert str(error.value) == (
        f"{tmp_path / 'a.pickle'}: train song 0, step 0: found the note [[[[[[[...]]]]]]], "
        "expected an integer in 21..108."
    )


BAD_NOTES = {
    " holds ['train'], expected the parts ['train', 'valid', 'test'].": {"train": []},
    " holds list, expected the parts ['train', 'valid', 'test'].": [1],
    " holds no songs.": {"train": [], "valid": [], "test": []},
    ": train is not a list of songs.": NOTES | {"train": 3},
    ": valid song 0 is empty, expected at least one step.": NOTES | {"valid": [[]]},
    ": test song 0 is not a list of lists of notes.": NOTES | {"test": [[60, 61]]},
    ": train song 1, step 0: found the note 109, expected an integer in 21..108.": NOTES
    | {"train": [[[60]], [[109]]]},
    ": train song 0, step 0: found the note 60.5, expected an integer in 21..108.": NOTES
    | {"train": [[[60.5]]]},
    ": train song 0, step 0: found the note [60], expected an integer in 21..108.": NOTES
    | {"train": [[[[60]]]]},
}


@pytest.mark.parametrize("message", BAD_NOTES)
@pytest.mark.parametrize("write", [write_json, write_pickle])
def test_altered_notes(tmp_path, message, write):
    path = write(tmp_path / ("a.json" if write is write_json else "a.pickle"), BAD_NOTES[message])
    with pytest.raises(ValueError) as error:
        read_rolls(path)
    assert str(error.value) == str(path) + message


def test_other_suffix(tmp_path):
    with pytest.raises(ValueError) as error:
        read_rolls(tmp_path / "a.txt")
    formats = "['.json', '.mat', '.npz', '.pickle', '.pkl']"
    assert str(error.value) == f"{tmp_path / 'a.txt'} ends in '.txt', expected one of {formats}."
