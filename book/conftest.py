"""Hands what `pytest --nbmake book/` executes to the book's execution cache.

A chapter that passes here is stored where `jupyter-book build book/` looks for it, so one
`make test` executes each chapter once. The five longest cells are printed at the end. With
`-n 2`, two chapters run at a time.
"""

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from jupyter_cache import get_cache
from nbformat import NotebookNode
from nbmake import pytest_items
from nbmake.nb_result import NotebookResult
from nbmake.nb_run import NotebookRun

from avfkit_widgets.book import cache_folder, calm_kernels, keep_compiled, store

ROOT = Path(__file__).parent.parent
calm_kernels()
keep_compiled(ROOT)
CELL_TIMES: list[tuple[float, str]] = []


class FeedingRun(NotebookRun):
    """nbmake's run of one notebook, whose result also goes to the book's cache."""

    def execute(self) -> NotebookResult:
        """Execute the notebook; a notebook without an error is stored."""
        start = time.perf_counter()
        result = NotebookRun.execute(self)
        CELL_TIMES.extend(cell_times(result.nb, Path(self.filename).name))
        if result.error is None:
            store(result.nb, Path(self.filename), cache_folder(ROOT), time.perf_counter() - start)
        return result


def cell_times(notebook: NotebookNode, name: str) -> Iterator[tuple[float, str]]:
    """Yield (seconds, where) for every executed cell."""
    for index, cell in enumerate(notebook.cells):
        stamps = cell.metadata.get("execution", {})
        if "iopub.execute_input" in stamps and "shell.execute_reply" in stamps:
            start = datetime.fromisoformat(stamps["iopub.execute_input"])
            end = datetime.fromisoformat(stamps["shell.execute_reply"])
            first = cell.source.strip().partition("\n")[0]
            yield (end - start).total_seconds(), f"{name} cell {index}: {first[:60]}"


def pytest_configure() -> None:
    """Let nbmake run notebooks through `FeedingRun`; it has no hook for it."""
    pytest_items.NotebookRun = FeedingRun
    # Made before there are several processes, each of which would make it.
    get_cache(cache_folder(ROOT)).db.dispose()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run long chapters first, as far as their text tells: short ones fill the end."""
    items.sort(key=lambda item: -item.path.stat().st_size)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Give the times of a worker's cells to the process that prints them."""
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["cells"] = CELL_TIMES


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take them."""
    CELL_TIMES.extend(getattr(node, "workeroutput", {}).get("cells", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the longest cells."""
    if CELL_TIMES:
        terminalreporter.section("longest cells")
        for seconds, where in sorted(CELL_TIMES, reverse=True)[:5]:
            terminalreporter.line(f"{seconds:7.2f} s  {where}")
