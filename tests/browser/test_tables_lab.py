"""Tabulated explorers on a kernel, in a real JupyterLab: computed by avfkit, moved both ways."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

import small_explorers
from browser.lab_session import open_notebook, run_cell, wait_for_output
from browser.table_session import assert_sliders_alive

SOURCE = Path(small_explorers.__file__).read_text()
SHOWS = {
    "iteration": (
        "explorer = iteration_explorer()\nexplorer",
        ["iterations", "num_samples", "step"],
    ),
    "roll": ("explorer = roll_explorer()\nexplorer", ["iterations", "hidden"]),
    "film": ("explorer = film_explorer()\nexplorer", ["iterations", "step"]),
    "mask": ("explorer = mask_explorer()\nexplorer", ["start", "length"]),
}


@pytest.mark.parametrize("kind", SHOWS)
def test_the_kernel_and_the_picture_move_together(page, lab, kind):
    show, names = SHOWS[kind]
    open_notebook(page, lab.write(kind, [f"{SOURCE}\n{show}", f"explorer.{names[0]} = 1"]))
    run_cell(page, 0)
    wait_for_output(page, ".avf-explorer[data-paints] .avf-paper svg > path", patience=180)
    assert page.locator(".avf-grid-note").inner_text() == "Computed by the kernel."
    assert_sliders_alive(page, names)
    run_cell(page, 1)
    expect(page.locator(".avf-control output").first).to_have_text("1")
    expect(page.locator(".avf-grid-note")).to_have_text("Computed by the kernel.")
    assert page.locator(".avf-error").inner_text() == ""
