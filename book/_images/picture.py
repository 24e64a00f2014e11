"""Draw the README's picture: the filter explorer as a reader first meets it.

    python book/_images/picture.py

Needs Playwright and a Chromium, as the browser tests do.
"""

import os
import shutil
from pathlib import Path

import jax
from playwright.sync_api import sync_playwright

from avfkit_widgets import ExplorerState, explorer_html

PAGE = "<!doctype html><meta charset=utf-8><body style='margin:16px;background:#fff'>"


def main(out: Path) -> None:
    """Open the explorer in a blank page and photograph it."""
    jax.config.update("jax_enable_x64", True)
    chromium = os.environ.get("AVFKIT_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 800, "height": 700}, device_scale_factor=2)
        page.set_content(PAGE + explorer_html(ExplorerState()))
        page.wait_for_timeout(500)
        page.locator("avf-filter-explorer").screenshot(path=out)
        browser.close()


if __name__ == "__main__":
    main(Path(__file__).with_name("avfkit.png"))
