"""The explorer in a page: no kernel, no network, no help; and its numbers are avfkit's."""

import re

import numpy as np
import pytest

from avfkit_widgets import ExplorerState, evaluate, explorer_html, summary
from avfkit_widgets._scene import WIDTH, scene
from browser.explorer_session import (
    SLIDERS,
    Watch,
    assert_alive,
    marks,
    measure,
    median_and_tail,
    slider,
    wait_for_change,
    write_page,
)

ELEMENT = "avf-filter-explorer"
STATES = [
    ExplorerState(),
    ExplorerState(0.01, 1, 0, 30),
    ExplorerState(0.1, 20, 15, 1),
    ExplorerState(1.0, 1, 60, 4),
    ExplorerState(17.8, 55, 30, 12),
    ExplorerState(100.0, 1, 20, 0, True),
    ExplorerState(100.0, 60, 1, 30),
]


@pytest.fixture
def opened(browser, tmp_path):
    """Open the explorer's page; at the end nothing was refused and nothing complained."""
    contexts, watches = [], []

    def open_page(fragment="", *, strict=True, **options):
        body, theme = options.pop("body", None), options.pop("theme", "light")
        contexts.append(browser.new_context(**options))
        watches.append(Watch() if strict else None)
        page = contexts[-1].new_page()
        (watches[-1] or Watch()).attach(page)
        page.goto(write_page(tmp_path, theme=theme, body=body) + fragment)
        return page

    yield open_page
    for context in contexts:
        context.close()
    for watch in filter(None, watches):
        assert watch.refused == [] and watch.errors == []


def fragment(state):
    latent = "&latent=1" if state.show_latent else ""
    mask = f"{state.mask_start},{state.mask_length}"
    return f"#explorer?snr={state.snr:.3g}&mask={mask}&k={state.iterations}{latent}"


@pytest.mark.parametrize("state", STATES)
def test_the_page_computes_what_avfkit_computes(opened, state):
    page = opened(fragment(state))
    painted = f"document.querySelector('{ELEMENT}').view.painted"
    read = f"Object.fromEntries(Object.entries({painted}.arrays).map(([k, v]) => [k, [...v]]))"
    found, expected = page.evaluate(read), evaluate(state)
    assert list(found) == list(expected._fields)
    for name, wanted in expected._asdict().items():
        np.testing.assert_allclose(found[name], wanted, rtol=0, atol=1e-6, err_msg=name)
    assert page.evaluate(f"{painted}.values") == state._asdict()
    assert page.locator(".avf-summary").inner_text() == summary(state, expected)


@pytest.mark.parametrize("state", STATES)
def test_the_drawn_picture_is_the_live_one(opened, state):
    page = opened(fragment(state), viewport={"width": WIDTH + 32, "height": 900})
    assert page.locator(".avf-paper").bounding_box()["width"] == WIDTH
    drawn = scene(state, evaluate(state), WIDTH)
    assert marks(page) == {f"avf-{name}": d for name, d in drawn.paths.items()}
    texts = page.locator(".avf-paper text").evaluate_all(
        "all => all.map(t => [...['x', 'y', 'text-anchor'].map(a => t.getAttribute(a)),"
        " t.textContent])"
    )
    assert [tuple(text) for text in texts] == drawn.texts


def test_every_control_changes_the_picture_by_mouse_and_keyboard(opened):
    assert_alive(opened())


def test_home_and_end_reach_the_limits_and_are_spoken(opened):
    page = opened()
    spoken = {
        "snr": ("signal-to-noise ratio 0.01", "signal-to-noise ratio 100"),
        "iterations": ("0 iterations per step", "30 iterations per step"),
        "mask_start": ("hidden from step 1", "hidden from step 60"),
        "mask_length": ("0 steps hidden", "60 steps hidden"),
    }
    for name in SLIDERS:
        for key, words in zip(("Home", "End"), spoken[name], strict=True):
            slider(page, name).press(key)
            assert slider(page, name).get_attribute("aria-valuetext") == words


def test_what_a_reader_hears(opened):
    page = opened()
    assert page.get_by_role("group", name="Filter explorer").count() == 1
    sentence = summary(ExplorerState(), evaluate(ExplorerState()))
    label = page.locator(".avf-paper svg[role=img]").get_attribute("aria-label")
    assert label.startswith("Two panels over 60 time steps.") and label.endswith(sentence)
    assert page.locator(".avf-summary[aria-live=polite]").inner_text() == sentence
    page.get_by_text("The numbers as a table").press("Enter")
    page.wait_for_selector("tbody tr")
    assert page.locator("tbody tr").count() == 60
    row = page.locator("tbody tr").nth(24).locator("th, td").all_inner_texts()
    assert row[:2] == ["25", "hidden"] and row[-1] == "0.000"


def test_a_state_is_kept_in_the_address_and_read_from_it(opened):
    page = opened("#explorer?snr=0.1&mask=20,15&k=1")
    outputs = page.locator(".avf-control output").all_inner_texts()
    assert outputs == ["0.1", "1", "20", "15"]
    slider(page, "iterations").press("ArrowRight")
    page.wait_for_url("**#explorer?snr=0.1&mask=20,15&k=2")
    before = marks(page)
    page.evaluate("location.hash = '#explorer?k=30'")
    wait_for_change(page, before)
    assert page.locator(".avf-control output").all_inner_texts() == ["2", "30", "25", "10"]


def test_nonsense_in_the_address_leaves_the_first_state(opened):
    page = opened("#explorer?snr=loud&mask=,&k=1e999&latent=maybe")
    assert page.locator(".avf-control output").all_inner_texts() == ["2", "2", "25", "10"]
    page = opened("#explorer?snr=1e9&mask=-4,99&k=7.4")
    assert page.locator(".avf-control output").all_inner_texts() == ["100", "7", "1", "60"]


def test_two_explorers_do_not_meddle(opened):
    body = explorer_html(ExplorerState()) + explorer_html(ExplorerState(iterations=9))
    page = opened("#explorer-2?k=4", body=body)
    outputs = page.locator(".avf-control:nth-child(2) output").all_inner_texts()
    assert outputs == ["2", "4"]
    page.locator("[data-name=iterations]").first.press("End")
    assert page.locator(".avf-control:nth-child(2) output").all_inner_texts() == ["30", "4"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_shows_it_whole(opened, theme):
    page = opened(viewport={"width": 390, "height": 844}, theme=theme)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    box = page.locator(".avf-paper svg").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390
    sizes = page.locator(".avf-paper text").evaluate_all(
        "all => all.map(t => t.getBoundingClientRect().height)"
    )
    assert min(sizes) >= 11


def test_without_javascript_there_is_a_picture(opened):
    page = opened(java_script_enabled=False)
    assert page.locator(".avf-paper svg").bounding_box()["height"] > 300
    assert not page.locator(".avf-controls").is_visible()
    assert page.locator("noscript p").is_visible()
    assert "0.354 nats per observed step" in page.locator(".avf-summary").inner_text()


def test_a_broken_callback_is_noticed_and_shown(opened):
    html, changes = re.subn(
        r"(function evaluateExplorer\(setup, values\) \{)",
        r"\1 if (values.iterations > 2) throw new Error('the filter fell over');",
        explorer_html(ExplorerState()),
    )
    assert changes == 1
    page = opened(body=html)
    with pytest.raises(AssertionError, match="did not change .* the filter fell over"):
        slider(page, "iterations").focus()
        before = marks(page)
        page.keyboard.press("ArrowRight")
        wait_for_change(page, before, within=400)
    alert = page.get_by_role("alert")
    assert alert.inner_text() == "The picture is out of date. the filter fell over"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    wait_for_change(page, before)
    assert page.locator(".avf-error").inner_text() == ""


@pytest.mark.parametrize("name", SLIDERS)
def test_a_deaf_control_is_noticed(opened, name):
    html = explorer_html(ExplorerState()).replace(
        "this.change({ [name]: control.read(input.value) })",
        f"name === '{name}' || this.change({{ [name]: control.read(input.value) }})",
    )
    page = opened(body=html)
    with pytest.raises(AssertionError, match="did not change"):
        slider(page, name).focus()
        before = marks(page)
        page.keyboard.press("ArrowRight")
        wait_for_change(page, before, within=300)


def test_moves_are_painted_at_once(opened):
    found = median_and_tail(measure(opened()))
    print(f"page, event to paint: {found}")
    assert found["median_ms"] < 4 * 50, found
