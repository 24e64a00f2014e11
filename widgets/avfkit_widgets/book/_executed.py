"""The outputs of a chapter, from the execution cache if they are there, else by running it."""

import multiprocessing
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError

_PLOTLY = "application/vnd.plotly.v1+json"
_AT_A_TIME = 4  # chapters, at most: each may take a gigabyte


def html_outputs(notebook: Path, cache: Path) -> list[str]:
    """HTML outputs of one chapter, in order; the chapter runs if the cache does not know it.

    Args:
        notebook: the chapter, without outputs.
        cache: the execution cache of the library as it is now.

    Returns:
        The `text/html` of every output that has one.
    """
    node = nbformat.read(notebook, as_version=4)
    executed = _cached(node, cache) or _run(node, notebook.parent)
    found = [data["text/html"] for data in _bundles(executed) if "text/html" in data]
    return ["".join(text) for text in found]


def wordless_figures(notebook: Path, cache: Path) -> int:
    """Count the plotly figures of a chapter that were not shown by `figure`.

    Args:
        notebook: the chapter, without outputs.
        cache: the execution cache of the library as it is now.

    Returns:
        How many outputs only plotly's own renderer can draw; 0 if the cache has no outputs.
    """
    executed = _cached(nbformat.read(notebook, as_version=4), cache)
    bundles = _bundles(executed) if executed else []
    return sum(_PLOTLY in data and "text/html" not in data for data in bundles)


def execute_ahead(chapters: Iterable[Path], cache: Path) -> Iterator[Path]:
    """Execute what the cache does not know, a chapter on each core, and put it there.

    A single chapter is left to the build, and so is one with an error: it is run again, and the
    build says what is wrong.

    Args:
        chapters: notebooks, without outputs.
        cache: the execution cache of the library as it is now.

    Yields:
        Each chapter that was put there.
    """
    nodes = {path: nbformat.read(path, as_version=4) for path in chapters}
    unknown = [path for path, node in nodes.items() if _cached(node, cache) is None]
    if len(unknown) > 1:
        get_cache(cache).db.dispose()  # made before there are several processes, each would make it
        count = min(os.cpu_count() or 1, _AT_A_TIME, len(unknown))
        with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool:
            done = pool.map(partial(_put, cache), unknown)
            yield from (path for path, put in zip(unknown, done, strict=True) if put)


def _put(cache: Path, path: Path) -> bool:
    node, began = nbformat.read(path, as_version=4), time.perf_counter()
    try:
        executed = _run(node, path.parent)
    except (CellExecutionError, CellTimeoutError):
        return False
    store(executed, path, cache, time.perf_counter() - began)
    return True


def store(executed: nbformat.NotebookNode, path: Path, cache: Path, seconds: float) -> None:
    """Put an executed chapter into the execution cache, as the book's build would.

    Args:
        executed: the chapter with its outputs.
        path: its file.
        cache: the execution cache of the library as it is now.
        seconds: how long it ran, by the clock.
    """
    executed = deepcopy(executed)
    for cell in executed.cells:  # when a cell ran is metadata, which the cache hashes
        cell.metadata.pop("execution", None)
    opened = get_cache(cache)
    bundle = CacheBundleIn(executed, str(path), data={"execution_seconds": seconds})
    opened.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    opened.db.dispose()


def _bundles(executed: nbformat.NotebookNode) -> list[dict[str, Any]]:
    outputs = [out for cell in executed.cells for out in cell.get("outputs", [])]
    return [out.get("data", {}) for out in outputs]


def _cached(node: nbformat.NotebookNode, cache: Path) -> nbformat.NotebookNode | None:
    if not cache.is_dir():
        return None
    try:
        return get_cache(cache).merge_match_into_notebook(node)[1]
    except KeyError:
        return None


def _run(node: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    return NotebookClient(node, timeout=600, resources={"metadata": {"path": folder}}).execute()
