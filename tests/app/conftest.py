"""The real App in a real browser."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

WINDOW = {"width": 1280, "height": 800}
PATIENCE = 60_000  # milliseconds: how long a page may take where it takes a moment


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """EVENSET_BROWSER, the system's Chromium, or Playwright's own."""
    path = os.environ.get("EVENSET_BROWSER") or shutil.which("chromium")
    sandbox = [] if os.geteuid() else ["--no-sandbox"]  # Chromium refuses a sandbox to root
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=sandbox)
        yield found
        found.close()


@pytest.fixture
def open_app(address: str, browser: Browser) -> Iterator[Callable[[Any], Page]]:
    """open_app(dataset) -> the App's page on the data set; errors of its scripts fail the test."""
    errors: list[str] = []
    pages: list[Page] = []

    def open_on(dataset: Any) -> Page:
        page = browser.new_page(viewport=WINDOW)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        page.goto(f"{address}/datasets/{dataset.name}")
        page.get_by_text("Dismiss").click()  # an advertisement lies over the buttons
        pages.append(page)
        return page

    yield open_on
    for page in pages:
        page.close()
    assert not errors, errors


@pytest.fixture(scope="session")
def shoot() -> Callable[[Page, str], None]:
    """shoot(page, name) saves a picture into EVENSET_SCREENSHOTS, or into a folder that is thrown away."""
    named = os.environ.get("EVENSET_SCREENSHOTS")
    folder = Path(named or tempfile.mkdtemp(prefix="evenset-pictures-"))
    folder.mkdir(parents=True, exist_ok=True)

    def save(page: Page, name: str) -> None:
        page.locator("[data-cy='looker']").first.wait_for()
        page.wait_for_timeout(1000)  # what the App draws in steps
        page.screenshot(path=folder / f"{name}.png", animations="disabled")

    yield save
    if not named:
        shutil.rmtree(folder)
