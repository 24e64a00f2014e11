"""Browser tests: driven by the system's Chromium, skipped in one line where there is none.

`AVFKIT_CHROMIUM` names a Chromium; else the first of the usual names on PATH is taken. With
`AVFKIT_REQUIRE_BROWSER=1` a missing Chromium is a failure: continuous integration sets it. Nothing
of ours is imported before a fixture needs it.
"""

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
MISSING = "browser tests need Chromium"
NAMES = ("chromium", "chromium-browser", "google-chrome")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test below this folder."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.browser)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Give all skips for want of Chromium one place, so that the summary folds them into a line."""
    report = yield
    if item.path.is_relative_to(HERE) and report.skipped and MISSING in str(report.longrepr):
        report.longrepr = (str(HERE / "conftest.py"), None, str(report.longrepr[2]))
    return report


@pytest.fixture(scope="session", autouse=True)
def chromium_path() -> str:
    """Path of the Chromium that the tests drive; skips (or fails) where there is none."""
    named = os.environ.get("AVFKIT_CHROMIUM")
    found = shutil.which(named) if named else next(filter(None, map(shutil.which, NAMES)), None)
    if found is not None:
        return found
    looked = f"AVFKIT_CHROMIUM={named}" if named else " or ".join(NAMES) + " on PATH"
    message = f"{MISSING}, found no {looked}; install it or set AVFKIT_CHROMIUM"
    if os.environ.get("AVFKIT_REQUIRE_BROWSER") == "1":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Any]:
    """The system's Chromium."""
    from browser.explorer_session import chromium

    with chromium(chromium_path) as started:
        yield started


@pytest.fixture(scope="module")
def lab(chromium_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A JupyterLab of the module's own; only where there is a browser for it."""
    from browser.lab_session import jupyter_lab

    with jupyter_lab(tmp_path_factory.mktemp("lab")) as started:
        yield started


@pytest.fixture
def page(chromium_path: str, lab: Any) -> Iterator[Any]:
    """A page for JupyterLab; at the end nothing of ours complained and nothing was refused."""
    from browser.explorer_session import Watch, chromium

    watch = Watch()
    with chromium(chromium_path) as fresh:
        page = fresh.new_page(viewport={"width": 1000, "height": 900})
        watch.attach(page)
        yield page
    ours = [error for error in watch.errors if "avf" in error.lower() or "widget" in error.lower()]
    assert ours == []
    assert watch.refused == []
