"""The explorer on a kernel, in a real JupyterLab: pictures, traits, both directions."""

import json

import pytest
from playwright.sync_api import expect

from browser.explorer_session import (
    PICTURE,
    assert_alive,
    complaint,
    marks,
    measure,
    median_and_tail,
    slider,
    wait_for_change,
)
from browser.lab_session import (
    end_kernel,
    open_notebook,
    run_cell,
    wait_for_output,
)

SHOW = """
import json
from pathlib import Path
from avfkit_widgets import FilterExplorer
explorer = FilterExplorer(mask_length=6)

def write(change=None):
    whole = Path("state.new")
    whole.write_text(json.dumps(explorer.state._asdict()))
    whole.replace("state.json")

explorer.observe(write)
write()
explorer
"""
MOVE = "explorer.iterations = 17"
BREAK = """
from avfkit_widgets import FilterExplorer

class Broken(FilterExplorer):
    def evaluate(self, state):
        raise RuntimeError("the filter fell over")

Broken()
"""


def wait_for_state(page, lab, **expected):
    for _ in range(150):
        state = json.loads((lab.folder / "state.json").read_text())
        found = {name: state[name] for name in expected}
        if found == expected:
            return
        page.wait_for_timeout(20)
    assert found == expected


def test_the_kernel_and_the_picture_move_together(page, lab):
    open_notebook(page, lab.write("explorer", [SHOW, MOVE]))
    run_cell(page, 0)
    wait_for_output(page, f"{PICTURE} > path.avf-gap")
    assert page.locator("p.avf-note").first.inner_text() == ""
    assert_alive(page)
    wait_for_state(page, lab, snr=2.0, mask_start=25, mask_length=6, iterations=2)
    slider(page, "iterations").press("ArrowRight")
    wait_for_state(page, lab, iterations=3, mask_length=6)
    slider(page, "snr").press("End")
    wait_for_state(page, lab, snr=100.0, iterations=3)
    run_cell(page, 1)
    expect(page.locator(".avf-control output")).to_have_text(["100", "17", "25", "6"])
    expect(page.locator(".avf-summary")).to_contain_text("At SNR 100, 17 iterations")
    found = median_and_tail(measure(page))
    print(f"JupyterLab, event to paint: {found}")
    assert found["median_ms"] < 4 * 120, found
    assert page.locator("p.avf-note").first.inner_text() == ""
    end_kernel(page)
    before = marks(page)
    slider(page, "iterations").press("Home")
    wait_for_change(page, before, within=8000)
    assert page.locator("p.avf-note").first.inner_text().startswith("No kernel answers:")
    expect(page.locator(".avf-summary")).to_contain_text("0 iterations per step")


def test_a_broken_callback_is_noticed_and_shown(page, lab):
    open_notebook(page, lab.write("broken", [BREAK]))
    run_cell(page, 0)
    wait_for_output(page, ".avf-error:not(:empty)")
    told = "The picture is out of date. RuntimeError: the filter fell over"
    assert complaint(page) == told
    with pytest.raises(AssertionError, match="did not change .* the filter fell over"):
        slider(page, "snr").press("ArrowRight")
        wait_for_change(page, marks(page), within=400)
