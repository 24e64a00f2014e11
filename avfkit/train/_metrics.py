"""The metrics of a run: a list of records, and a file of one strict JSON object per line.

`step` counts the steps done; `seconds` is the training time, summed over resumed runs.
"""

import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from avfkit.train._checkpoint import replace, written
from avfkit.train._progress import Record

RESERVED = ("kind", "step", "seconds")


class Metrics:
    """Collects records, and appends them to a file if there is one.

    Attributes:
        records: all records up to now, those of a resumed run included.
    """

    records: list[Record]

    def __init__(self, path: Path | None, step: int) -> None:
        """Takes up the records of the first `step` steps and drops later ones, in the file too."""
        self._path = path
        self.records = [] if path is None else _read(path, step)
        if path is not None:
            replace(path, [_line(record) for record in self.records])
        before = self.records[-1]["seconds"] if self.records else 0.0
        self._began = time.perf_counter() - before

    def add(self, kind: str, step: int, values: Mapping[str, Any]) -> Record:
        """Appends a record (which waits for its values to be computed) and returns it.

        Raises:
            ValueError: a value has a name of the record's own, or cannot be written.
            OSError: the file cannot be written.
        """
        seconds = round(time.perf_counter() - self._began, 3)
        for name in RESERVED:
            if name in values:
                raise ValueError(f"{kind} logs a value named {name!r}, which fit writes itself.")
        plain = {name: _plain(name, value) for name, value in jax.device_get(dict(values)).items()}
        record = {"kind": kind, "step": step, "seconds": seconds, **plain}
        self.records.append(record)
        if self._path is not None:
            with written(self._path), self._path.open("ab") as file:
                file.write(_line(record))
        return record

    def sync(self) -> None:
        """Waits until all records are on the disk."""
        if self._path is not None:
            with written(self._path), self._path.open("ab") as file:
                os.fsync(file.fileno())


def _read(path: Path, step: int) -> list[Record]:
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    if lines and not lines[-1].endswith(b"\n"):
        del lines[-1]  # the process was killed while it wrote this one
    records = [_parse(path, number, line) for number, line in enumerate(lines, start=1)]
    return [record for record in records if record["step"] <= step]


def _parse(path: Path, number: int, line: bytes) -> Record:
    try:
        record = json.loads(line, parse_constant=_refused)
        known = {"step": int(record["step"]), "seconds": float(record["seconds"])}
        return {**record, "kind": str(record["kind"]), **known}
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"{path}, line {number}: expected a record, found {line!r}.") from error


def _refused(name: str) -> None:
    raise ValueError(f"{name} is no number of strict JSON")


def _line(record: Record) -> bytes:
    return json.dumps(record, allow_nan=False).encode() + b"\n"


def _plain(name: str, value: Any) -> Any:
    """What JSON can hold: words, a number, or a list of numbers."""
    if isinstance(value, str):
        return value
    array = np.asarray(value)
    if array.ndim > 1 or array.dtype.kind not in "biuf":
        found = f"{array.dtype} of shape {array.shape}"
        raise ValueError(f"{name} is {found}; expected words, a number or a vector to log.")
    numbers = [number if math.isfinite(number) else None for number in array.reshape(-1).tolist()]
    return numbers if array.ndim else numbers[0]
