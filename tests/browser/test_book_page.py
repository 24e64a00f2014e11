"""The toy book in a real browser: offline, quiet, drawn, and answered by keyboard."""

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

import toybook

Watched = tuple[Page, list[str]]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The built toy chapter as a file address."""
    root = tmp_path_factory.mktemp("toy")
    toybook.write_book(root)
    said = toybook.build(root)
    assert said.startswith("exit code 0\n"), said
    return (root / "_build" / "html" / "toy-chapter.html").as_uri()


def watch(context: BrowserContext, address: str) -> Watched:
    """Open the chapter; whatever it should not do ends up in the list."""
    faults: list[str] = []
    page = context.new_page()
    page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "request",
        lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else faults.append(r.url),
    )
    page.goto(address)
    return page, faults


def draw_all(page: Page) -> None:
    """Scroll to every figure and wait until plotly has drawn it."""
    for figure in page.query_selector_all("avf-figure"):
        figure.scroll_into_view_if_needed()
    page.wait_for_function(
        "[...document.querySelectorAll('avf-figure')].every(f => f.dataset.state === 'drawn')"
    )


def strokes(page: Page) -> list[str]:
    """Colours of the lines of the first figure."""
    script = "[...document.querySelectorAll('.js-line')].map(l => getComputedStyle(l).stroke)"
    return page.evaluate(script)


def test_offline_quiet_drawn(browser: Browser, address: str) -> None:
    context = browser.new_context(color_scheme="light")
    page, faults = watch(context, address)
    draw_all(page)
    page.wait_for_selector("mjx-container")
    assert page.locator("avf-figure .main-svg").count() == 6
    assert page.locator("avf-figure .avf-static").count() == 0
    assert page.evaluate("document.querySelectorAll('script[src*=plotly]').length") == 1
    assert "rgb(0, 103, 165)" in strokes(page)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_function(
        "[...document.querySelectorAll('.js-line')]"
        ".some(l => getComputedStyle(l).stroke === 'rgb(98, 182, 243)')"
    )
    assert "rgb(0, 103, 165)" not in strokes(page)
    assert faults == []
    context.close()


def test_answer_and_table_by_keyboard(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page, faults = watch(context, address)
    verdict = page.locator("avf-answer output")
    page.focus("avf-answer input")
    for typed, said in (
        ("abc", "Please type a number, such as -1.25."),
        ("1.98", "Not yet: too low."),
        ("2,5", "Not yet: too high."),
        ("2.005", "✓ Right."),
    ):
        page.keyboard.press("Control+a")
        page.keyboard.type(typed)
        assert verdict.inner_text() == ""
        page.keyboard.press("Enter")
        assert verdict.inner_text() == said
    page.keyboard.press("Control+a")
    page.keyboard.type("-7")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert verdict.inner_text() == "Not yet: too low."

    page.locator("figure.avf-figure summary").first.focus()
    page.keyboard.press("Enter")
    table = page.locator(".avf-data table").first
    table.wait_for()
    assert table.locator("tbody tr").count() == 250
    assert table.locator("tbody tr").nth(120).inner_text().split() == ["exact", "0", "0"]
    assert faults == []
    context.close()


def test_phone_width_does_not_scroll_sideways(browser: Browser, address: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page, faults = watch(context, address)
    draw_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert faults == []
    context.close()


def test_without_scripts_there_is_a_picture(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page, faults = watch(context, address)
    picture = page.locator("avf-figure .avf-static").first
    box = picture.bounding_box()
    assert box is not None and box["width"] > 300 and box["height"] > 150
    assert picture.locator("path").count() >= 8
    assert not page.locator("avf-answer button").is_visible()
    assert faults == []
    context.close()
