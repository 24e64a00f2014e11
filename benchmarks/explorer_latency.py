"""How long from moving a slider of the filter explorer until the new picture is on the screen.

Claim: at most 50 ms (median) in a built page without a kernel, at most 120 ms in JupyterLab.
Needs a Chromium; `AVFKIT_CHROMIUM` names one that is not on PATH. Run from the repository's root:

    python benchmarks/explorer_latency.py

Writes `benchmarks/results/explorer_latency.json`: medians and 95th percentiles in milliseconds over
60 key presses on two sliders, each from its input event to the end of the frame that shows it.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from measure import provenance, write

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "widgets"), str(ROOT / "tests")]

from browser.explorer_session import (  # noqa: E402
    PICTURE,
    chromium,
    measure,
    median_and_tail,
    write_page,
)
from browser.lab_session import jupyter_lab, open_notebook, run_cell, wait_for_output  # noqa: E402

CELL = "from avfkit_widgets import FilterExplorer\nFilterExplorer()"
NAMES = ("chromium", "chromium-browser", "google-chrome")


def in_page(path: str, moves: int) -> dict[str, float]:
    """Latency of the built page.

    Args:
        path: the Chromium to drive.
        moves: number of key presses.

    Returns:
        Median and 95th percentile in milliseconds.
    """
    with tempfile.TemporaryDirectory() as folder, chromium(path) as browser:
        page = browser.new_page()
        page.goto(write_page(Path(folder)))
        return median_and_tail(measure(page, moves=moves))


def in_lab(path: str, moves: int) -> dict[str, float]:
    """Latency of the widget on a kernel.

    Args:
        path: the Chromium to drive.
        moves: number of key presses.

    Returns:
        Median and 95th percentile in milliseconds.
    """
    with tempfile.TemporaryDirectory() as folder, jupyter_lab(Path(folder)) as lab:
        with chromium(path) as browser:
            page = browser.new_page()
            open_notebook(page, lab.write("explorer", [CELL]))
            run_cell(page, 0)
            wait_for_output(page, f"{PICTURE} > path.avf-gap")
            return median_and_tail(measure(page, moves=moves))


def browser_version(path: str) -> str:
    """Of the Chromium that is driven."""
    with chromium(path) as browser:
        return browser.version


def main() -> None:
    """Measure both places and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moves", type=int, default=60, help="key presses in each place")
    moves = parser.parse_args().moves
    named = os.environ.get("AVFKIT_CHROMIUM")
    path = next(filter(None, map(shutil.which, [named] if named else NAMES)), None)
    if path is None:
        raise SystemExit("no Chromium found; install one or name it in AVFKIT_CHROMIUM")
    result = {"claim": {"page_median_ms": 50, "lab_median_ms": 120}, "moves": moves}
    facts = provenance("anywidget", "ipywidgets", "jupyterlab", "playwright")
    facts["versions"]["chromium"] = browser_version(path)
    result |= {"provenance": facts}
    result |= {"page": in_page(path, moves), "lab": in_lab(path, moves)}
    write("explorer_latency", result)


if __name__ == "__main__":
    main()
