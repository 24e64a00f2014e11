"""What the explorer's browser tests and its benchmark share: a watched page, moves, latencies."""

import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Route, sync_playwright

from avfkit_widgets import ExplorerState, explorer_html

SLIDERS = ("snr", "iterations", "mask_start", "mask_length")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
PICTURE = ".avf-paper svg"
DOCUMENT = """<!doctype html>
<html lang="en" data-theme="{theme}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Explorer</title>
<style>body {{ margin: 1rem; background: #fff; }}
html[data-theme=dark] body {{ background: #14181e; }}</style></head>
<body><main>{body}</main></body></html>"""

# Milliseconds from each input event to the end of the frame that shows its picture.
STOPWATCH = """
() => {
  const root = document.querySelector(".avf-explorer[data-paints]");
  window.latencies = [];
  root.addEventListener("input", () => {
    const start = performance.now();
    const before = root.dataset.paints;
    const look = () => {
      if (root.dataset.paints === before) { requestAnimationFrame(look); return; }
      const channel = new MessageChannel();
      channel.port1.onmessage = () => window.latencies.push(performance.now() - start);
      requestAnimationFrame(() => channel.port2.postMessage(null));
    };
    look();
  }, true);
}
"""


class Watch:
    """What a page did that it should not have done."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.errors: list[str] = []

    def attach(self, page: Page) -> None:
        page.route("**/*", self._route)
        page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _route(self, route: Route) -> None:
        parts = urlsplit(route.request.url)
        if parts.scheme in ("file", "data", "blob") or parts.hostname in ("127.0.0.1", "localhost"):
            route.continue_()
        else:
            self.refused.append(route.request.url)
            route.abort()


@contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """A headless browser with a fresh profile."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def write_page(folder: Path, *, theme: str = "light", body: str | None = None) -> str:
    """Write a minimal page around the explorer; return its file address."""
    body = explorer_html(ExplorerState()) if body is None else body
    path = folder / "explorer.html"
    path.write_text(DOCUMENT.format(theme=theme, body=body), "utf-8")
    return path.as_uri()


def marks(page: Page) -> dict[str, str]:
    """The picture's paths by name."""
    read = "paths => paths.map(path => ['class', 'd'].map(name => path.getAttribute(name)))"
    return dict(page.eval_on_selector_all(f"{PICTURE} > path", read))


def wait_for_change(page: Page, before: dict[str, str], *, within: float = 3000) -> dict[str, str]:
    """The picture as soon as it differs from `before`; an AssertionError if it never does."""
    for _ in range(int(within / 20)):
        after = marks(page)
        if after != before:
            return after
        page.wait_for_timeout(20)
    raise AssertionError(f"the picture did not change within {within:g} ms: {complaint(page)}")


def complaint(page: Page) -> str:
    """What the explorer tells the reader has gone wrong."""
    return page.locator(".avf-error").inner_text() or "and no error is shown"


def slider(page: Page, name: str) -> Any:
    """The control of one trait."""
    return page.locator(f".avf-explorer [data-name={name}]")


def assert_alive(page: Page) -> None:
    """Each control changes the picture, by keyboard and by mouse, and nobody complains."""
    for name in SLIDERS:
        control = slider(page, name)
        control.focus()
        before = marks(page)
        page.keyboard.press("ArrowRight")
        after = wait_for_change(page, before)
        page.keyboard.press("Home")
        before = wait_for_change(page, after)
        box = control.bounding_box()
        page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + box["height"] / 2, steps=3)
        page.mouse.up()
        wait_for_change(page, before)
    box = slider(page, "show_latent")
    for act in (box.click, lambda: box.press("Space")):
        before = marks(page)
        act()
        wait_for_change(page, before)
    before = marks(page)
    page.locator(".avf-buttons button").press("Enter")
    wait_for_change(page, before)
    message = page.locator(".avf-error").inner_text()
    assert message == "", message


def measure(page: Page, *, moves: int = 30) -> list[float]:
    """Milliseconds from event to paint of `moves` key presses on two sliders."""
    page.evaluate(STOPWATCH)
    for move in range(moves):
        slider(page, ("snr", "iterations")[move % 2]).focus()
        page.keyboard.press("ArrowRight" if move // 2 % 2 else "ArrowLeft")
        page.wait_for_function(f"() => window.latencies.length > {move}", timeout=5000)
    return page.evaluate("() => window.latencies")


def median_and_tail(latencies: Sequence[float]) -> dict[str, float]:
    """Median and 95th percentile in milliseconds."""
    ordered = sorted(latencies)
    tail = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return {"median_ms": round(statistics.median(ordered), 1), "p95_ms": round(tail, 1)}
