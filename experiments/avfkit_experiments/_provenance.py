"""Where a number comes from: what one needs to believe it, or to make it again."""

import functools
import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from avfkit.data import Splits

from ._cluster import is_first

_LIBRARIES = ("jax", "equinox", "optax", "numpy")


def provenance(command: str, seed: int, seconds: Mapping[str, float]) -> dict[str, Any]:
    """Command, version, libraries, seed, device, seconds and date of a run that ends now.

    Args:
        command: what one types to do it again.
        seed: of the run.
        seconds: by what they were spent on; `seconds` is their sum.
    """
    device = jax.devices()[0]
    kind = "" if device.device_kind == device.platform else f" ({device.device_kind})"
    number, processes = jax.device_count(), jax.process_count()
    many = f", {number} devices" if number > 1 else ""
    many += f" of {processes} processes" if processes > 1 else ""
    return {
        "command": command,
        "version": version("avfkit"),
        "commit": commit(),
        "libraries": {name: version(name) for name in _LIBRARIES},
        "python": platform.python_version(),
        "seed": seed,
        "device": f"{device.platform}{kind}, {os.cpu_count()} cores{many}",
        "seconds": round(sum(seconds.values()), 1),
        "seconds_by_part": {name: round(value, 1) for name, value in seconds.items()},
        "date": datetime.now(UTC).date().isoformat(),
    }


@functools.cache
def commit() -> str | None:
    """The commit of this source tree at the first call; `None` if installed.

    It ends in `-dirty` if the tree holds changes.
    """
    here = Path(__file__)
    try:
        _git(here.parent, "ls-files", "--error-unmatch", here.name)
        return _git(here.parent, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return done.stdout.strip()


def checksum(splits: Splits) -> str:
    """SHA-256 of all sequences and masks, part by part."""
    sha = hashlib.sha256()
    for part in (splits.train, splits.valid, splits.test):
        for index in range(len(part)):
            arrays = [part.sequences[index]]
            arrays += [] if part.observed is None else [part.observed[index]]
            for array in arrays:
                sha.update(f"{array.dtype.str} {array.shape}\n".encode())
                sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Writes JSON to a file that appears whole or not at all; of several processes one writes."""
    if not is_first():
        return
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    temporary.replace(path)
