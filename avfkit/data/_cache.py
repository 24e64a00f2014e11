"""Where prepared data are kept between sessions, and how a file gets there whole or not at all."""

import os
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

import numpy as np

_UNREADABLE = (ValueError, EOFError, OSError, KeyError, zipfile.BadZipFile, zlib.error)


def cache_folder(folder: str | Path | None = None) -> Path:
    """The folder for prepared data: `folder`, else `AVFKIT_CACHE`, else the user's cache folder."""
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


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes an `.npz` in one stroke: a reader sees the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_arrays(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The named arrays of an `.npz`; pickled objects are refused.

    Raises:
        ValueError: if the file is truncated, is no `.npz`, holds objects, or lacks an array.
    """
    try:
        with path.open("rb") as data, np.load(data, allow_pickle=False) as file:
            missing = [name for name in names if name not in file]
            if missing:
                raise ValueError(f"it has no array {missing[0]!r}, only {sorted(file)}")
            return {name: file[name] for name in names}
    except FileNotFoundError:
        raise
    except (*_UNREADABLE, AttributeError, TypeError) as error:
        raise ValueError(
            f"{path} is not a readable .npz file ({error}). It is truncated or altered: "
            "fetch or copy it again."
        ) from error
