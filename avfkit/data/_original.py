"""The public original of a prepared file: fetched where no copy is at hand, compared, and kept."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ._cache import cache_folder, read_arrays, write_arrays
from ._recordings import Prepared, check_one_source

Arrays = dict[str, np.ndarray]

ADVICE = "Set AVFKIT_DATA, or pass folder=, to use a copy of your own."
"""What to do where a download fails."""


class Original(NamedTuple):
    """Where the content of a prepared file comes from.

    Attributes:
        address: for messages.
        size: of what is fetched, for messages.
        fetch: `fetch(path)` gives its arrays; it may work beside `path`, where they will be kept.
        names: of the arrays, in the order of the digest.
        digest: of the arrays, see `digest_of`.
    """

    address: str
    size: str
    fetch: Callable[[Path], Arrays]
    names: tuple[str, ...]
    digest: str

    def digest_of(self, arrays: Arrays) -> str:
        """The SHA-256 of all integers and shapes, whatever the width of the integers."""
        sha = hashlib.sha256()
        for name in self.names:
            values = arrays[name]
            sha.update(f"{name} {values.dtype.kind} {values.shape}\n".encode())
            sha.update(np.ascontiguousarray(values, "<i8").tobytes())
        return sha.hexdigest()


def content(
    prepared: Prepared,
    original: Original,
    folder: str | Path | None,
    *,
    download: bool,
    cache: str | Path | None,
) -> Arrays:
    """The arrays of a prepared file, or the same from the cache, or from their public original.

    Args:
        prepared: the file.
        original: where its content comes from.
        folder: where the file lies; by default the folder that `AVFKIT_DATA` names, then the cache.
        download: fetch the original if nothing is found; `folder` must not be given.
        cache: where it is then kept, by default `AVFKIT_CACHE` or the user's cache folder.

    Raises:
        FileNotFoundError: if nothing is found, or the original could not be downloaded.
        ValueError: if something is truncated or altered, or both `folder` and `download` are given.
    """
    check_one_source(folder, download=download)
    path = cache_folder(cache) / f"{prepared.folder}-{original.digest[:8]}.npz"
    if folder is not None or prepared.find(None) or not (download or path.exists()):
        advice = f"; or pass download=True to fetch {prepared.title} ({original.size})"
        return prepared.read(folder, original.names, advice)
    kept = path.exists()
    arrays = read_arrays(path, original.names) if kept else original.fetch(path)
    if (found := original.digest_of(arrays)) != original.digest:
        where = path if kept else original.address
        what = "Delete it, and fetch it again." if kept else "Nothing was kept: try again later."
        raise ValueError(
            f"{where} does not hold {prepared.title}: the SHA-256 of its content is {found}, "
            f"expected {original.digest}. {what}"
        )
    if not kept:
        write_arrays(path, arrays)
    return arrays
