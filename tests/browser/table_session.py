"""What the browser tests of the tabulated explorers share."""

from typing import Any

from playwright.sync_api import Page

from browser.explorer_session import marks, slider, wait_for_change

ELEMENT = "avf-{}-explorer"


def ready(page: Page) -> Page:
    """Wait until the table is unpacked and the first picture is painted."""
    page.wait_for_selector(".avf-explorer[data-paints]", timeout=20_000)
    return page


def everything(page: Page) -> tuple[Any, ...]:
    """What a reader sees: paths, frames, the sentence."""
    frames = page.locator(".avf-paper image").evaluate_all("all => all.map(i => i.href.baseVal)")
    return marks(page), frames, page.locator(".avf-summary").inner_text()


def assert_sliders_alive(page: Page, names: list[str]) -> None:
    """Each slider, moved by keyboard, changes what is spoken, the picture and the sentence."""
    for name in names:
        control = slider(page, name)
        control.press("End")
        page.wait_for_timeout(300)
        before, heard = everything(page), control.get_attribute("aria-valuetext")
        control.press("ArrowLeft")
        wait_for_change(page, before[0])
        page.wait_for_function(
            "words => document.querySelector('.avf-summary').textContent !== words",
            arg=before[2],
            timeout=5000,
        )
        assert control.get_attribute("aria-valuetext") != heard
    message = page.locator(".avf-error").inner_text()
    assert message == "", message
