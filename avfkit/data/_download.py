"""Fetching a public file: whole and as expected, or not at all."""

import hashlib
from pathlib import Path

from ._cache import part_folder

_ATTEMPTS = 3  # a connection that breaks is tried again from the start
_CHUNK = 2**20


def download(
    title: str,
    url: str,
    path: Path,
    *,
    sha256: str | None = None,
    advice: str = "",
    bar: bool = True,
) -> None:
    """Fetches a file, checks it, and only then puts it in its place.

    Args:
        title: of the data set, for messages.
        url: where the file lies.
        path: where to put it. Nothing stands there before the download is complete and checked,
            and nothing is left beside it when it fails.
        sha256: the SHA-256 of its bytes; by default the caller checks the content.
        advice: what to do instead, for messages.
        bar: show a progress bar.

    Raises:
        ImportError: if pooch is not installed.
        FileNotFoundError: if the file could not be downloaded.
        ValueError: if other bytes came.
    """
    with part_folder(path) as folder:
        part = folder / path.name
        _fetch(title, url, part, advice, bar)
        if sha256 is not None and (found := sha256_of(part)) != sha256:
            raise ValueError(
                f"{url} delivered other bytes than those of {title}: their SHA-256 is {found}, "
                f"expected {sha256}. Nothing was kept: try again later."
            )
        part.replace(path)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(title: str, url: str, path: Path, advice: str, bar: bool) -> None:
    try:
        import pooch
        import requests
    except ImportError as error:
        raise ImportError(
            f"{title} was not found; downloading it needs pooch: pip install 'avfkit[data]'. "
            f"{advice}"
        ) from error
    fetch = pooch.HTTPDownloader(progressbar=bar and _has_tqdm(), timeout=60, chunk_size=_CHUNK)
    broken = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    for attempt in range(_ATTEMPTS):
        try:
            fetch(url, str(path), None)
            return
        except requests.RequestException as error:
            if error.response is not None:
                error.response.close()
            if isinstance(error, broken) and attempt + 1 < _ATTEMPTS:
                continue
            raise FileNotFoundError(
                f"{title} was not found, and {url} could not be downloaded "
                f"({type(error).__name__}). {advice}"
            ) from error


def _has_tqdm() -> bool:
    try:
        import tqdm  # noqa: F401
    except ImportError:
        return False
    return True
