"""Readers of the file formats in which the polyphonic music sets are passed around.

No file is trusted: arrays are loaded without pickle, and a pickle is read by an unpickler that
knows nothing but integers, lists and numpy's integer scalars, so that reading one runs nothing.
"""

import io
import json
import pickle
import pickletools
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ._cache import read_arrays, read_bytes
from ._mat import read_cells
from ._rolls import KEYS, PARTS, Rolls, rolls_of, rolls_of_arrays, rolls_of_notes

_MEMO = ("PUT", "BINPUT", "LONG_BINPUT")
_LARGEST = 2**27  # bytes; the largest published file has about ten million


def read_rolls(path: Path) -> Rolls:
    """The songs of a file: `.npz`, `.json`, `.pickle`, `.pkl` or `.mat`, by its suffix.

    Raises:
        ValueError: if the suffix is another, or the file is truncated, altered or hostile.
    """
    readers = {".npz": _npz, ".json": _json, ".pickle": _pickle, ".pkl": _pickle, ".mat": _mat}
    if path.suffix not in readers:
        raise ValueError(f"{path} ends in {path.suffix!r}, expected one of {sorted(readers)}.")
    return readers[path.suffix](path)


def _npz(path: Path) -> Rolls:
    return rolls_of_arrays(str(path), read_arrays(path, ("roll", "length", "split")))


def _json(path: Path) -> Rolls:
    try:
        parts = json.loads(read_bytes(path, _LARGEST))
    except RecursionError as error:
        raise ValueError(
            f"{path} is nested too deeply, expected lists of lists of lists of notes. "
            "It is altered: delete it, and fetch it again."
        ) from error
    except ValueError as error:
        raise ValueError(
            f"{path} is not valid JSON ({error}). "
            "It is truncated or altered: delete it, and fetch it again."
        ) from error
    return rolls_of_notes(str(path), parts)


def _pickle(path: Path) -> Rolls:
    try:
        parts = _IntegerUnpickler(io.BytesIO(_checked(path)), encoding="latin1").load()
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path} was refused: {error}.") from error
    except Exception as error:  # a broken stream may fail in any opcode
        raise ValueError(
            f"{path} is not a readable pickle ({type(error).__name__}: {error}). "
            "It is truncated or altered: delete it, and fetch or copy it again."
        ) from error
    return rolls_of_notes(str(path), parts)


def _checked(path: Path) -> bytes:
    """The bytes of a pickle, if none of its memo numbers asks for more memory than it has bytes.

    The unpickler of the standard library keeps its memo in an array as long as the largest number.
    """
    data = read_bytes(path, _LARGEST)
    for opcode, number, _ in pickletools.genops(data):
        if opcode.name in _MEMO and isinstance(number, int) and number > len(data):
            raise pickle.UnpicklingError(f"it asks for a memo of {number:,} entries")
    return data


class _IntegerUnpickler(pickle.Unpickler):
    """Builds lists, dictionaries, strings and integers; every other name is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """Numpy's integer scalars, as re-saved copies hold them; nothing else.

        Raises:
            pickle.UnpicklingError: for any other name.
        """
        if (module, name) == ("numpy", "dtype"):
            return _Kind
        if (module, name) in {(f"numpy.{c}.multiarray", "scalar") for c in ("core", "_core")}:
            return _integer
        if (module, name) == ("_codecs", "encode"):
            return _latin1
        raise pickle.UnpicklingError(
            f"it asks for {module}.{name}, and a file of notes needs only lists and integers"
        )


class _Kind:
    """What a pickled numpy dtype says, without being one: an integer code such as `i8`."""

    def __init__(self, code: str, *_: Any) -> None:
        if not (isinstance(code, str) and code[:1] in ("i", "u") and code[1:] in tuple("1248")):
            raise pickle.UnpicklingError(f"it holds numpy scalars of kind {code!r}, not integers")
        self.code, self.order = code, "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1] if state[1] in ("<", ">") else "<"


def _latin1(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes into old pickles: as text in latin1."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it holds bytes in the encoding {encoding!r}, not latin1")
    return text.encode("latin1")


def _integer(kind: _Kind, data: bytes | str) -> int:
    raw = data.encode("latin1") if isinstance(data, str) else data
    return int(np.frombuffer(raw, kind.order + kind.code, count=1)[0])


def _mat(path: Path) -> Rolls:
    content = read_bytes(path, _LARGEST)
    try:
        file = read_cells(content)
        if missing := [part for part in PARTS if f"{part}data" not in file]:
            raise ValueError(f"it has no cell {missing[0]}data, only {sorted(file)}")
    except (ValueError, zlib.error, StopIteration) as error:
        raise ValueError(
            f"{path} is not a MATLAB file of piano rolls ({error}). "
            "It is truncated or altered: delete it, and fetch or copy it again."
        ) from error
    cells = [file[f"{part}data"] for part in PARTS]
    songs = [song for part in cells for song in part]
    split = [code for code, part in enumerate(cells) for _ in part]
    if any(song.ndim != 2 or song.shape[1] != KEYS for song in songs):
        raise ValueError(f"{path} holds rolls that are not (time, 88).")
    return rolls_of(songs, split)
