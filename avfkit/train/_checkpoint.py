"""A checkpoint is one file: one line of JSON, then the arrays of a pytree.

The line says what the file is (format, version of the library), what the user wants to know again
(hyperparameters), what follows (path, shape and dtype of every leaf, in order), how its modules are
set (classes and static fields), and the SHA-256 of all of it. The arrays follow as bytes, nothing
between them. There is no pickle in a checkpoint: reading one runs nothing that it contains.
`head -1 file` shows the line.

A file is written beside its destination and renamed over it: a process killed at any moment
leaves the old file or the new one, never half of one.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import metadata
from itertools import zip_longest
from pathlib import Path
from typing import Any

from jaxtyping import PyTree

from avfkit.train._leaves import describe, from_bytes, num_bytes, say, to_bytes
from avfkit.train._settings import first_difference, settings

_FORMAT = "avfkit-checkpoint-2"
_START = b'{"format": "avfkit-checkpoint-'
_FIELDS = {
    **{"version": str, "hyperparameters": dict, "run": dict},
    **{"leaves": list, "settings": dict, "sha256": str},
}


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names the file and what is wrong with it."""


def save(path: str | Path, tree: PyTree, *, hyperparameters: Mapping[str, Any]) -> None:
    """Writes a pytree to one file, atomically.

    Arrays are stored: JAX arrays, NumPy arrays, typed keys. Of Python numbers and strings the file
    keeps the value, and of every `eqx.Module` the class and the static fields (of functions and
    classes among them the name); `load` compares them all. Functions that are leaves are not
    stored.

    Args:
        path: the file to write, in a folder that exists; an older file is replaced.
        tree: any pytree, usually (model, inference).
        hyperparameters: what one needs to build such a tree again; anything that JSON can hold.

    Raises:
        ValueError: if JSON cannot hold the hyperparameters.
    """
    write(Path(path), tree, hyperparameters=hyperparameters, run={})


def load(path: str | Path, like: PyTree) -> PyTree:
    """Reads a pytree from a file written by `save`.

    Args:
        path: the file to read.
        like: a pytree of the same structure. Its arrays (or `jax.ShapeDtypeStruct`s, as
            `eqx.filter_eval_shape` makes them) say what is expected; its other leaves are kept. Its
            modules must be of the same classes, with the same static fields.

    Returns:
        `like`, with the arrays of the file.

    Raises:
        CheckpointError: if the file is no checkpoint, is truncated or altered, or holds another
            tree; in the last case the message names the first leaf that differs, or else the first
            setting: a class or a static field.
    """
    path = Path(path)
    return restore(path, read_verified(path), like)


def read_verified(path: Path) -> tuple[dict[str, Any], bytes]:
    """The header and the bytes of a checkpoint, as they were written.

    Raises:
        CheckpointError: if the file is no checkpoint, or is truncated or altered.
    """
    header, content = _read(path)
    found, expected = _digest(header, [content]), header["sha256"]
    if found != expected:
        raise CheckpointError(
            f"{path}: truncated or altered: SHA-256 is {found}, expected {expected}."
        )
    return header, content


def restore(path: Path, checkpoint: tuple[dict[str, Any], bytes], like: PyTree) -> PyTree:
    """Does what `load` does, with what `read_verified` has read from `path`."""
    header, content = checkpoint
    for index, (there, here) in enumerate(zip_longest(header["leaves"], describe(like))):
        if there != here:
            raise CheckpointError(
                f"{path}: a checkpoint of another tree: leaf {index} is {say(there)} in the file, "
                f"expected {say(here)}."
            )
    if difference := first_difference(header["settings"], settings(like)):
        name, found, expected = difference
        raise CheckpointError(
            f"{path}: a checkpoint of another tree: the setting {name} is {found} in the file, "
            f"expected {expected}."
        )
    if len(content) != (expected := num_bytes(like)):
        raise CheckpointError(
            f"{path}: truncated or altered: {len(content)} bytes of arrays, expected {expected}."
        )
    return from_bytes(content, like)


def read_header(path: str | Path) -> dict[str, Any]:
    """Reads the first line of a checkpoint, which tells what the file holds.

    Args:
        path: the file to read.

    Returns:
        A dict of `format`, `version` (of avfkit), `hyperparameters`, `run` (what `fit` notes about
        its run), `leaves`, `settings` and `sha256`, none of them compared with the content: only
        `load` notices an altered file.

    Raises:
        CheckpointError: if the file is no checkpoint.
    """
    return _read(Path(path), content=False)[0]


def write(path: Path, tree: PyTree, *, hyperparameters: Mapping, run: Mapping) -> None:
    """Does what `save` does; `run` enters the header too."""
    header = {
        "format": _FORMAT,
        "version": _version(),
        "hyperparameters": as_json("hyperparameters", hyperparameters),
        "run": dict(run),
        "leaves": describe(tree),
        "settings": settings(tree),
    }
    content = to_bytes(tree)
    header["sha256"] = _digest(header, content)
    replace(path, [json.dumps(header, allow_nan=False).encode() + b"\n", *content])


def replace(path: Path, chunks: Iterable[Any]) -> None:
    """Writes bytes to a file that appears whole or not at all; an `OSError` names it."""
    temporary = path.with_name(path.name + ".tmp")
    with written(path):
        try:
            temporary.unlink(missing_ok=True)  # were it a link, it would lead elsewhere
            with temporary.open("xb") as file:
                for chunk in chunks:
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


@contextmanager
def written(path: Path) -> Iterator[None]:
    """Says of what could not be written which file it is, and that nothing is lost."""
    try:
        yield
    except OSError as error:
        raise OSError(
            error.errno, f"{path} cannot be written ({error.strerror}); what was there is kept"
        ) from error


def as_json(name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping as JSON would give it back (its tuples are lists then), or a clear refusal."""
    try:
        return json.loads(json.dumps(dict(value), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{name} must be what strict JSON can hold: {error}.") from error


def digest(tree: PyTree) -> str:
    """The SHA-256 of the leaves of a pytree."""
    return _digest({"leaves": describe(tree)}, to_bytes(tree))


def fingerprint(tree: PyTree) -> str:
    """The SHA-256 of a pytree: its arrays, its modules' classes and their static fields.

    It is the same in every process, and on every machine, for the same tree.
    """
    return _digest({"leaves": describe(tree), "settings": settings(tree)}, to_bytes(tree))


def _digest(header: Mapping[str, Any], content: Iterable[Any]) -> str:
    facts = {name: value for name, value in header.items() if name != "sha256"}
    sha256 = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for chunk in content:
        sha256.update(chunk)
    return sha256.hexdigest()


def _read(path: Path, *, content: bool = True) -> tuple[dict[str, Any], bytes]:
    with path.open("rb") as file:
        line = file.read(len(_START))
        if line != _START:
            raise CheckpointError(f"{path}: not a checkpoint of avfkit: it has no header.")
        header = _parse(path, line + file.readline())
        return header, file.read() if content else b""


def _parse(path: Path, line: bytes) -> dict[str, Any]:
    try:
        header = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: truncated or altered: unreadable header.") from error
    if header["format"] != _FORMAT:
        raise CheckpointError(f"{path}: format is {header['format']!r}, expected {_FORMAT!r}.")
    for name, kind in _FIELDS.items():
        if name not in header:
            raise CheckpointError(f"{path}: truncated or altered: no {name!r} in the header.")
        if not isinstance(header[name], kind):
            raise CheckpointError(f"{path}: altered: {name!r} in the header is no {kind.__name__}.")
    return header


def _version() -> str:
    try:
        return metadata.version("avfkit")
    except metadata.PackageNotFoundError:
        return "unknown"
