"""The tabulated explorers in a page: no kernel, no network; and their numbers are the table's."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page

import small_explorers
import toybook
from avfkit_widgets import table_html
from avfkit_widgets._plot import fixed
from browser.explorer_session import Watch, marks, slider, wait_for_change, write_page
from browser.table_session import ELEMENT, assert_sliders_alive, everything, ready
from small_explorers import MAKERS

STATES = {
    "iteration": [{}, dict(iterations=0, num_samples=4, step=3), dict(iterations=2, step=12)],
    "roll": [{}, dict(hidden="nothing", iterations=0), dict(hidden="half of all keys")],
    "film": [{}, dict(step=1, iterations=0), dict(step=6)],
    "scan": [{}, dict(length=8, workers=1, latency=0, round=5), dict(workers=2, round=9)],
    "posterior": [{}, dict(family="2 ahead", snr=0.1), dict(family="filter", latent=2)],
    "gap": [{}, dict(snr=0.5, missing=40, iterations=1)],
    "mask": [{}, dict(start=5, length=4), dict(length=0)],
    "stream": [dict(gap="some", step=9)],
}
FRAGMENTS = {kind: kind for kind in STATES} | {"iteration": "iterations"}
KINDS = [kind for kind in MAKERS if kind != "stream"]  # it has a test of its own


@pytest.fixture(scope="module")
def explorers():
    return {kind: make() for kind, make in MAKERS.items()}


@pytest.fixture
def opened(browser, tmp_path, explorers):
    """Open a page of one explorer; at the end nothing was refused and nothing complained."""
    contexts, watch = [], Watch()

    def open_page(kind, fragment="", *, body=None, theme="light", wait=True, **options) -> Page:
        table, values = explorers[kind].table, explorers[kind]._values()
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        watch.attach(page)
        page.goto(
            write_page(tmp_path, theme=theme, body=body or table_html(table, values)) + fragment
        )
        return ready(page) if wait else page

    yield open_page
    for context in contexts:
        context.close()
    assert watch.refused == [] and watch.errors == []


def address(kind, state):
    words = "&".join(f"{name}={value}" for name, value in state.items())
    return f"#{FRAGMENTS[kind]}?{words}".replace(" ", "%20") if state else ""


@pytest.mark.parametrize(
    ("kind", "state"), [(kind, state) for kind in MAKERS for state in STATES[kind]]
)
def test_the_page_shows_the_rounded_table_and_the_drawn_picture(opened, explorers, kind, state):
    table, values = explorers[kind].table, explorers[kind]._values() | state
    page = opened(kind, address(kind, state), viewport={"width": 752, "height": 900})
    painted = f"document.querySelector('{ELEMENT.format(kind)}').view.painted"
    assert page.evaluate(f"{painted}.values") == values
    read = f"Object.fromEntries(Object.entries({painted}.arrays).map(([k, v]) => [k, [...v]]))"
    found, wanted = page.evaluate(read), table.tabulated(values)
    assert set(found) == set(wanted)
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array.ravel(), err_msg=name)
    drawn = table.scene(values, wanted, 720)
    assert marks(page) == {f"avf-{name}": d for name, d in drawn.paths.items()}
    texts = page.locator(".avf-paper text").evaluate_all(
        "all => all.map(t => [...['x', 'y', 'text-anchor'].map(a => t.getAttribute(a)),"
        " t.textContent])"
    )
    expected = [(fixed(x), fixed(y), anchor, words) for x, y, anchor, words in drawn.texts]
    assert [tuple(text) for text in texts] == expected
    frames = page.locator(".avf-paper image").evaluate_all("all => all.map(i => i.href.baseVal)")
    assert frames == [image[-1] for image in drawn.images]
    assert page.locator(".avf-summary").inner_text() == table.sentence(values, wanted)
    assert page.locator(".avf-grid-note").inner_text() == table.note(values)


@pytest.mark.parametrize("kind", KINDS)
def test_every_slider_moves_the_picture_and_the_words(opened, explorers, kind):
    page = opened(kind)
    names = [control.name for control in explorers[kind].table.sliders]
    assert_sliders_alive(page, names)
    for control in explorers[kind].table.sliders:
        last = int(slider(page, control.name).get_attribute("max"))
        assert last == len(control.choices) - 1 or control.name == "round"
        for key, words in (("Home", control.spoken[0]), ("End", control.spoken[last])):
            slider(page, control.name).press(key)
            assert slider(page, control.name).get_attribute("aria-valuetext") == words
    before = marks(page)
    page.locator(".avf-buttons button").press("Enter")
    wait_for_change(page, before)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_reader_hears(opened, explorers, kind):
    page, table = opened(kind), explorers[kind].table
    assert page.get_by_role("group", name=table.title).count() == 1
    label = page.locator(".avf-paper svg[role=img]").get_attribute("aria-label")
    sentence = page.locator(".avf-summary[aria-live=polite]").inner_text()
    assert label == f"{table.description} {sentence}"
    page.get_by_text("The numbers as a table").press("Enter")
    page.wait_for_selector("tbody tr")
    counted = {"posterior": "gap", "mask": "mean", "gap": "nats", "scan": None}.get(kind, "energy")
    rows = 16 if counted is None else len(explorers[kind]._arrays()[counted])
    assert page.locator("tbody tr").count() == rows
    for control in table.sliders:
        assert slider(page, control.name).get_attribute("aria-label")


def test_a_state_is_kept_in_the_address(opened):
    page = opened("roll", "#roll?hidden=nothing&iterations=1")
    slider(page, "hidden").press("ArrowRight")
    page.wait_for_url("**#roll?iterations=1&hidden=the+lowest+notes")
    page = opened("film", "#film?step=99&iterations=many")
    assert page.locator(".avf-control output").all_inner_texts() == ["2", "3"]


def test_the_rounds_end_where_both_ways_are_done(opened):
    page = opened("scan", "#scan?length=16&workers=1&round=26")
    outputs = page.locator(".avf-control output")
    assert outputs.all_inner_texts() == ["16", "1", "10", "26"]
    slider(page, "length").press("Home")
    page.wait_for_url("**#scan?length=8&workers=1&latency=10&round=11")
    assert outputs.last.inner_text() == slider(page, "round").get_attribute("max") == "11"
    assert slider(page, "round").get_attribute("aria-valuetext") == "11 rounds done"


def test_a_stream_plays_on_a_phone_until_a_hand_takes_over(opened, explorers):
    page = opened("stream", viewport={"width": 390, "height": 844}, theme="dark")
    table, step = explorers["stream"].table, slider(page, "step")
    heard, play = page.locator(".avf-summary"), page.get_by_role("button", name="Play")
    assert page.get_by_role("group", name=table.title).count() == 1
    assert step.get_attribute("aria-valuetext") == "step 5"
    play.press("Enter")
    assert heard.get_attribute("aria-live") == "off"
    page.wait_for_function("document.querySelector('[data-name=step]').value > 5")
    page.get_by_role("button", name="Pause").press("Enter")
    assert heard.get_attribute("aria-live") == "polite"
    step.press("End")
    play.press("Enter")  # from the start again
    page.wait_for_function("document.querySelector('[data-name=step]').value < 5")
    step.press("ArrowRight")
    assert play.count() == 1
    step.press("End")  # before a gap has come it moves nothing
    assert_sliders_alive(page, ["gap", "step"])
    values = dict(gap="nothing", step=10)
    slider(page, "gap").press("Home")
    step.press("End")
    page.wait_for_function(
        "words => document.querySelector('.avf-summary').textContent === words",
        arg=table.sentence(values, table.tabulated(values)),
    )
    page.get_by_text("The numbers as a table").press("Enter")
    page.wait_for_selector("tbody tr")
    assert page.locator("tbody tr").count() == 10
    assert page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_shows_it_whole(opened, kind, theme):
    page = opened(kind, viewport={"width": 390, "height": 844}, theme=theme)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    box = page.locator(".avf-paper svg").bounding_box()
    boxes = page.locator(".avf-paper text").evaluate_all(
        "all => all.map(t => { const b = t.getBoundingClientRect();"
        " return [b.left, b.right, b.height]; })"
    )
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390
    assert all(left >= 0 and right <= 390 and height >= 11 for left, right, height in boxes)
    ink = page.locator(".avf-summary").evaluate("p => getComputedStyle(p).color")
    assert ink == {"light": "rgb(31, 39, 48)", "dark": "rgb(231, 234, 238)"}[theme]


@pytest.mark.parametrize("kind", KINDS)
def test_without_javascript_there_is_a_picture(opened, explorers, kind):
    page = opened(kind, java_script_enabled=False, wait=False)
    assert page.locator(".avf-paper svg").bounding_box()["height"] > 250
    assert not page.locator(".avf-controls").is_visible()
    assert page.locator("noscript p").is_visible()
    table, values = explorers[kind].table, explorers[kind]._values()
    words = table.sentence(values, table.tabulated(values))
    assert page.locator(".avf-summary").inner_text() == words


def test_a_browser_that_cannot_unpack_says_so(opened, explorers):
    explorer = explorers["film"]
    html = "<script>delete window.DecompressionStream</script>"
    html += table_html(explorer.table, explorer._values())
    page = opened("film", body=html, wait=False)
    page.wait_for_selector(".avf-error:not(:empty)")
    assert page.get_by_role("alert").inner_text() == (
        "The sliders cannot work here. This browser cannot unpack the table (it has no "
        "DecompressionStream)."
    )
    assert page.locator(".avf-paper svg image").count() == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_slider_that_is_not_looked_up_is_noticed(opened, explorers, kind):
    name = explorers[kind].table.sliders[0].name
    html = table_html(explorers[kind].table, explorers[kind]._values())
    broken = html.replace(
        "const { place, count } = gridPoint(setup, values);",
        "const { count } = gridPoint(setup, values); const place = 0;",
    )
    assert broken != html
    page = opened(
        kind,
        body=broken.replace(
            "paint(values, arrays) {", "paint(values, arrays) { values = this.setup.values;"
        ),
    )
    with pytest.raises(AssertionError, match="did not change"):
        control = slider(page, name)
        control.press("End")
        before = everything(page)
        control.press("ArrowLeft")
        wait_for_change(page, before[0], within=400)


@pytest.fixture(scope="module")
def chapter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A built book of one chapter with all explorers, as a file address."""
    root = tmp_path_factory.mktemp("tables")
    source = Path(small_explorers.__file__).read_text()
    cells = [
        ("markdown", "# A toy chapter\n\nText and {cite:t}`kalman1960`.\n"),
        ("code", source),
        *(("code", f"{make.__name__}()") for make in MAKERS.values()),
        ("code", "from avfkit_widgets.book import footer\n\nfooter()"),
    ]
    toybook.write_book(root, cells)
    said = toybook.build(root)
    assert said.startswith("exit code 0\n"), said
    yield (root / "_build" / "html" / "toy-chapter.html").as_uri()


def test_a_built_book_holds_them_all(browser, chapter):
    context, watch = browser.new_context(), Watch()
    page = context.new_page()
    watch.attach(page)
    page.goto(chapter)
    page.wait_for_function(
        "n => document.querySelectorAll('.avf-explorer[data-paints]').length === n", arg=len(MAKERS)
    )
    for kind in MAKERS:
        root = page.locator(ELEMENT.format(kind))
        words = root.locator(".avf-summary").inner_text()
        root.locator("input").first.press("Home")
        page.wait_for_function(
            "([tag, words]) => document.querySelector(`${tag} .avf-summary`).textContent !== words",
            arg=[ELEMENT.format(kind), words],
        )
    for theme, ground in (("light", "rgb(31, 39, 48)"), ("dark", "rgb(231, 234, 238)")):
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        inks = page.locator(".avf-summary").evaluate_all(
            "all => all.map(p => getComputedStyle(p).color)"
        )
        assert inks == [ground] * len(MAKERS)
    context.close()
    assert watch.refused == [] and watch.errors == []
