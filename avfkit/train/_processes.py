"""Several processes, one run: all of them call `fit` alike, and only the first touches the disk.

Every process gives the whole of a batch and holds the whole state, so there is nothing to gather:
a checkpoint of many processes is that of one. What process 0 reads from the disk it hands on.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from avfkit.train._leaves import from_bytes, to_bytes


def is_first() -> bool:
    """Whether this is process 0, the one that reads, writes and reports; often the only one."""
    return jax.process_index() == 0


def here(tree: PyTree) -> PyTree:
    """The copy that this process has of a replicated tree, on its first device."""
    if jax.process_count() == 1:
        return tree
    return jax.tree.map(
        lambda leaf: leaf.addressable_data(0) if isinstance(leaf, jax.Array) else leaf, tree
    )


def shared(tree: PyTree) -> PyTree:
    """The arrays that process 0 has in a tree of the same structure, shapes and dtypes."""
    if jax.process_count() == 1:
        return tree
    return from_bytes(b"".join(part.tobytes() for part in _of_first(to_bytes(tree))), tree)


def shared_by(work: Callable[[], PyTree]) -> PyTree:
    """What `work` returns, with the arrays of process 0; where it fails there, all fail.

    Raises:
        RuntimeError: in the other processes, if it fails in process 0.
    """
    if jax.process_count() == 1:
        return work()
    found, failure = None, None
    try:
        found = work()
    except Exception as error:
        failure = error
    said = _words_of_first("" if failure is None else f"{type(failure).__name__}: {failure}")
    if failure is not None:
        raise failure
    if said:
        raise RuntimeError(f"process 0 stopped: {said}")
    return shared(found)


def check_alike(facts: Callable[[], Mapping[str, Any]]) -> None:
    """Refuses processes that want different things.

    Args:
        facts: gives what must be the same, by name, as JSON can hold it; the same names in every
            process. Not called where there is but one.

    Raises:
        ValueError: in every process, if a fact is not the same in all.
    """
    if jax.process_count() == 1:
        return
    from jax.experimental.multihost_utils import process_allgather

    known = facts()
    digests = [hashlib.sha256(json.dumps(fact).encode()).digest() for fact in known.values()]
    everywhere = process_allgather(np.array([[*digest] for digest in digests], np.uint8))
    for process, index in np.argwhere(np.any(everywhere != everywhere[0], axis=-1)):
        raise ValueError(
            f"{[*known][index]} is not the same in process {process} as in process 0; every "
            "process makes the same call of fit and gives the whole of each batch."
        )


def _words_of_first(words: str) -> str:
    content = np.array([*words.encode()], np.uint8)
    size = int(_of_first(np.array(content.size, np.uint32)))
    return _of_first(np.resize(content, size)).tobytes().decode() if size else ""


def _of_first(tree: PyTree) -> PyTree:
    from jax.experimental.multihost_utils import broadcast_one_to_all

    return broadcast_one_to_all(tree)
