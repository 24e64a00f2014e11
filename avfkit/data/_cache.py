"""Where prepared data are kept between sessions, and how a file gets there whole or not at all."""

import glob
import lzma
import os
import shutil
import struct
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

_PART = ".part"  # what is being written, beside its place
_FORGOTTEN = 3600  # seconds after which a part that nobody writes to is swept away
UNREADABLE = (  # what reading a broken zip file raises
    *(ValueError, EOFError, OSError, KeyError, RuntimeError, MemoryError, OverflowError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
)
LARGEST = 2**30  # bytes that the arrays of one `.npz` may unpack to


def cache_folder(folder: str | Path | None = None) -> Path:
    """The folder for what can be made again, such as prepared data.

    Args:
        folder: this one, if any; else what `AVFKIT_CACHE` names, else the user's cache folder.

    Returns:
        The folder; it need not exist yet.
    """
    if folder is not None:
        return Path(folder).expanduser()
    if named := os.environ.get("AVFKIT_CACHE"):
        return Path(named).expanduser()
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "avfkit"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "avfkit"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "avfkit"


@contextmanager
def part_folder(path: Path) -> Iterator[Path]:
    """A folder beside the place of a file, to prepare it in; gone when the block ends."""
    sweep(path)
    with tempfile.TemporaryDirectory(
        dir=path.parent, prefix=f"{path.name}.", suffix=_PART
    ) as folder:
        yield Path(folder)


def sweep(path: Path) -> None:
    """Makes the folder of a file, and removes what a killed process left there in its stead."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f"{glob.escape(path.name)}.*{_PART}"):
        try:
            newest = max(p.stat().st_mtime for p in (left, *left.rglob("*")))
        except FileNotFoundError:  # another process has just finished with it
            continue
        if time.time() - newest > _FORGOTTEN:
            shutil.rmtree(left, True) if left.is_dir() else left.unlink(missing_ok=True)


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file to write, put in place when the block ends well: the old file or the new, no part."""
    sweep(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=_PART)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _check_size(file: IO[bytes]) -> None:
    """Refuses what is no zip file, or would fill the memory; leaves the file at its start."""
    with zipfile.ZipFile(file) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > LARGEST:
        raise ValueError(f"it unpacks to {size:,} bytes, expected at most {LARGEST:,}")
    file.seek(0)


def read_bytes(path: Path, most: int) -> bytes:
    """The bytes of an ordinary file, no device or pipe, of at most so many.

    Raises:
        ValueError: if it is another kind of file, or larger.
    """
    if not path.is_file():
        path.stat()  # raises FileNotFoundError
        raise ValueError(f"{path} is not an ordinary file.")
    if (size := path.stat().st_size) > most:
        raise ValueError(f"{path} has {size:,} bytes, expected at most {most:,}.")
    return path.read_bytes()


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes an `.npz` in one stroke: a reader sees the old file or the new one, never a part."""
    with written_whole(path) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def read_arrays(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The named arrays of an `.npz`; pickled objects are refused.

    Raises:
        ValueError: if the file is truncated, is no `.npz`, holds objects, or lacks an array.
    """
    try:
        with path.open("rb") as data:
            _check_size(data)
            with np.load(data, allow_pickle=False) as file:
                missing = [name for name in names if name not in file]
                if missing:
                    raise ValueError(f"it has no array {missing[0]!r}, only {sorted(file)}")
                return {name: file[name] for name in names}
    except FileNotFoundError:
        raise
    except Exception as error:  # a broken header may fail in any way
        raise ValueError(
            f"{path} is not a readable .npz file ({error}). It is truncated or altered: "
            "fetch or copy it again."
        ) from error
