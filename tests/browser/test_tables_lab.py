"""Tabulated explorers on a kernel, in a real JupyterLab: computed by avfkit, moved both ways."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

import small_explorers
from browser.lab_session import open_notebook, run_cell, wait_for_output
from browser.table_session import assert_sliders_alive

SOURCE = Path(small_explorers.__file__).read_text()
SHOWS = {
    "iteration": ["iterations", "num_samples", "step"],
    "roll": ["iterations", "hidden"],
    "film": ["iterations", "step"],
    "posterior": ["family", "snr", "latent"],
    "mask": ["start", "length"],
    "scan": ["length", "workers", "latency", "round"],
    "stream": ["gap", "step"],
    "gap": ["snr", "missing", "iterations"],
}
MOVES = {"posterior": "mean field", "scan": 16, "stream": "some", "gap": 2}


@pytest.mark.parametrize("kind", SHOWS)
def test_the_kernel_and_the_picture_move_together(page, lab, kind):
    names = SHOWS[kind]
    first, value = names[0], MOVES.get(kind, 1)
    cells = [f"{SOURCE}\nexplorer = {kind}_explorer()\nexplorer", f"explorer.{first} = {value!r}"]
    open_notebook(page, lab.write(kind, cells))
    run_cell(page, 0)
    wait_for_output(page, ".avf-explorer[data-paints] .avf-paper svg > path", patience=180)
    assert page.locator(".avf-grid-note").inner_text() == "Computed by the kernel."
    assert_sliders_alive(page, names)
    run_cell(page, 1)
    expect(page.locator(".avf-control output").first).to_have_text(str(value))
    expect(page.locator(".avf-grid-note")).to_have_text("Computed by the kernel.")
    assert page.locator(".avf-error").inner_text() == ""
