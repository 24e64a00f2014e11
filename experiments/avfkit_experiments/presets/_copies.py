"""Data that nobody may hand on: the user's own copy."""

import os
from pathlib import Path


def own_copy(folder: str | Path | None, title: str) -> str | Path:
    """The folder that was given, or else the one that the environment variable AVFKIT_DATA names.

    Raises:
        FileNotFoundError: neither is known.
    """
    found = folder or os.environ.get("AVFKIT_DATA")
    if not found:
        raise FileNotFoundError(
            f"{title} cannot be downloaded. Name the folder of your own copy: --data DIR, or the "
            "environment variable AVFKIT_DATA."
        )
    return found
