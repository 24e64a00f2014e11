"""The outputs of a chapter, from the execution cache if they are there, else by running it."""

from pathlib import Path
from typing import Any

import nbformat
from jupyter_cache import get_cache
from nbclient import NotebookClient

_PLOTLY = "application/vnd.plotly.v1+json"


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
