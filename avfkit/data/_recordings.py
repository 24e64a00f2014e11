"""Integers end to end with their lengths: how recordings are kept, in a prepared file or the cache.

Decoding thousands of sound files or films takes minutes and their floats would fill the memory.
They are decoded once, into one flat file of integers in the cache, which is then memory-mapped.
The file is named after the decoding too: when a decoder changes, its number is raised, and what an
earlier one left in the cache is never read again.
"""

import hashlib
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ._cache import read_arrays, write_arrays, written_whole
from ._download import sha256_of

_PIECE = 2**24  # bytes read at a time when a cached file is checked

_PATIENCE = 5  # seconds of decoding without a progress bar


class Recordings(NamedTuple):
    """Sequences that lie end to end.

    Attributes:
        values: integers, `[time]` or `[time, ...]`; perhaps memory-mapped.
        length: of each sequence.
        names: of each sequence.
    """

    values: np.ndarray
    length: np.ndarray
    names: np.ndarray


class Prepared(NamedTuple):
    """A published file, looked for as `file` and `folder/file`; `sha256` is that of its bytes."""

    title: str
    folder: str
    file: str
    sha256: str

    def read(
        self, folder: str | Path | None, names: tuple[str, ...], advice: str = ""
    ) -> dict[str, np.ndarray]:
        """The named arrays of the file, found in `folder` or below `AVFKIT_DATA`.

        `advice` ends the message if it is not found.

        Raises:
            FileNotFoundError: if there is no such file; it says what to do.
            ValueError: if it is not the published one, byte for byte.
        """
        path = self.find(folder)
        if path is None:
            raise FileNotFoundError(
                f"The file of {self.title} was not found {place_of(folder)}. Set AVFKIT_DATA, or "
                f"pass folder=, to a folder that holds {self.file} or {self.folder}/{self.file}"
                f"{advice}."
            )
        if (found := sha256_of(path)) != self.sha256:
            raise ValueError(
                f"{path} is not the published file of {self.title}: its SHA-256 is {found}, "
                f"expected {self.sha256}. It is truncated or altered: fetch or copy it again."
            )
        return read_arrays(path, names)

    def find(self, folder: str | Path | None) -> Path | None:
        """The file, if it is there."""
        candidates = (p / self.file for p in places(folder, self.folder))
        return next((path for path in candidates if path.is_file()), None)


def places(folder: str | Path | None, below: str) -> tuple[Path, ...]:
    """Where to look for a user's copy: `folder` or else `AVFKIT_DATA`, and the folder below it."""
    named = os.environ.get("AVFKIT_DATA") if folder is None else folder
    return () if not named else (Path(named).expanduser(), Path(named).expanduser() / below)


def check_one_source(folder: str | Path | None, *, download: bool) -> None:
    """Refuses a folder of the user's and a download at the same time."""
    if download and folder is not None:
        raise ValueError(f"give folder or download, not both: found {str(folder)!r} and True.")


def place_of(folder: str | Path | None) -> str:
    """Where was looked, for messages."""
    if folder is not None:
        return f"in folder {str(folder)!r}"
    named = os.environ.get("AVFKIT_DATA")
    return f"in AVFKIT_DATA (now {repr(named) if named else 'unset'})"


def fingerprint(files: Iterable[Path]) -> str:
    """A short name for the present state of files: their paths, sizes and times of change."""
    sha = hashlib.sha256()
    for path in files:
        state = path.stat()
        sha.update(f"{path}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
    return sha.hexdigest()[:16]


def index_path(folder: Path, title: str, source: str, *decodings: int) -> Path:
    """Where the index of decoded recordings lies in the cache.

    Args:
        folder: the cache folder.
        title: of the data set.
        source: stands for the files that are decoded; see `fingerprint`.
        decodings: the number of each piece of code that the integers depend on.
    """
    return folder / f"{title}-v{'.'.join(map(str, decodings))}-{source}.npz"


def decoded(
    path: Path, decode: Callable[[], Iterator[tuple[str, np.ndarray]]], total: int | None = None
) -> Recordings:
    """The recordings kept in the cache under `path`, which are decoded first if there are none.

    What takes longer than some seconds shows its progress, if tqdm is installed.

    Args:
        path: of the index; the values lie beside it in a `.bin`.
        decode: yields name and integers of each recording, all of one dtype and shape but for
            their length; called once.
        total: how many it will yield, if known.

    Raises:
        ValueError: if the cached files are truncated or altered.
    """
    if not path.exists():
        _write(path, shown(decode(), path.stem, total))
    index = read_arrays(path, ("length", "names", "kind", "shape", "crc"))
    _check_index(path, index)
    length, flat = index["length"], path.with_suffix(".bin")
    shape = (int(length.sum()), *(int(n) for n in index["shape"]))
    dtype = np.dtype(str(index["kind"]))
    whole = flat.is_file() and flat.stat().st_size == np.prod(shape, dtype=object) * dtype.itemsize
    if not whole or _crc(flat) != int(index["crc"]):
        raise ValueError(
            f"{flat} is truncated or altered: it is not what was decoded. "
            f"Delete it and {path.name}, and the next call decodes it anew."
        )
    values = np.memmap(flat, dtype, "r", shape=shape)
    return Recordings(np.asarray(values), length, index["names"])


def _check_index(path: Path, index: dict[str, np.ndarray]) -> None:
    """Refuses numbers and kinds that no decoding has written."""
    length, names, shape = (index[name] for name in ("length", "names", "shape"))
    numbers = all(a.dtype == np.int64 for a in (length, shape, index["crc"]))
    fits = length.ndim == shape.ndim == 1 and index["crc"].ndim == 0 and names.shape == length.shape
    kind = index["kind"].ndim == 0 and re.fullmatch(r"[<|][iu][1248]", str(index["kind"]))
    if not (numbers and fits and kind and (length >= 0).all() and (shape >= 0).all()):
        raise ValueError(
            f"{path} was altered: it is no index of decoded integers. Delete it, and the next call "
            "decodes anew."
        )


def shown(
    recordings: Iterator[tuple[str, np.ndarray]], title: str, total: int | None
) -> Iterator[tuple[str, np.ndarray]]:
    """The same recordings, with a bar if they take longer than some seconds."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield from recordings
        return
    yield from tqdm(recordings, f"decoding {title}", total, delay=_PATIENCE, unit=" recordings")


def _write(path: Path, recordings: Iterator[tuple[str, np.ndarray]]) -> None:
    """The values first, then the index: while there is no index, there is nothing."""
    names, lengths, crc = list[str](), list[int](), 0
    kind, shape = "", ()
    with written_whole(path.with_suffix(".bin")) as file:
        for name, values in recordings:
            kind, shape = values.dtype.newbyteorder("<").str, values.shape[1:]
            data = np.ascontiguousarray(values, kind).tobytes()
            file.write(data)
            crc = zlib.crc32(data, crc)
            names.append(name)
            lengths.append(len(values))
        if not names:
            raise ValueError(f"found nothing to decode for {path.name}.")
    index = {"length": lengths, "names": names, "kind": kind, "shape": shape, "crc": crc}
    kinds = {"length": np.int64, "shape": np.int64, "crc": np.int64}
    write_arrays(path, {k: np.array(v, kinds.get(k)) for k, v in index.items()})


def _crc(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while data := file.read(_PIECE):
            crc = zlib.crc32(data, crc)
    return crc
