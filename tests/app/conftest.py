"""The real App in a real browser."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Error, Locator, Page, Request, TimeoutError, expect, sync_playwright

WINDOW = {"width": int(os.environ.get("EVENSET_WIDTH", 1280)), "height": 800}
GRID = "entry is loading"  # FiftyOne's grid throws it when it gets narrower while images load
PAGES = pytest.StashKey[list[Page]]()
PATIENCE = 60_000  # milliseconds: how long a page may take where it takes a moment


SEEN = """try { localStorage.setItem("fiftyone-enterprise-tooltip-seen", "true") } catch {}"""  # no advertisement
STILL = """addEventListener("DOMContentLoaded", () => {
    const style = document.createElement("style")
    style.textContent = "*, *::before, *::after { animation: none !important; transition: none !important }"
    document.head.append(style)
})"""  # wheels that turn and boxes that fade take a fifth of the processor


@pytest.fixture(scope="session")
def context() -> Iterator[BrowserContext]:
    """Of EVENSET_BROWSER, the system's Chromium, or Playwright's own; its cache keeps the App's scripts."""
    path = os.environ.get("EVENSET_BROWSER") or shutil.which("chromium")
    sandbox = [] if os.geteuid() else ["--no-sandbox"]  # Chromium refuses a sandbox to root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=sandbox)
        context = browser.new_context(viewport=WINDOW)
        context.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        context.add_init_script(SEEN)
        context.add_init_script(STILL)
        yield context
        browser.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lets a walk be tried twice: on two busy cores the App now and then loses a click. Who fails twice, fails."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=1))


def let_draw(page: Page) -> None:
    """Waits while the grid draws labels, which a wheel shows; the App's count of them may never reach 0 again."""
    wheel = page.locator("[data-cy='panel-tab-samples'] .MuiCircularProgress-root")
    with contextlib.suppress(TimeoutError):
        wheel.wait_for(state="hidden", timeout=PATIENCE / 6)


@dataclass
class User:
    """Who looks at a data set in the App: what a hand does there, and what the database says of it."""

    page: Page
    dataset: Any
    shoot: Callable[[Page, str], None]

    def open(self, operator: str) -> None:
        """Finds an operator in the browser that the backtick key opens."""
        search = self.page.get_by_placeholder("Search operations by name")
        for _ in range(6):  # the App may not listen to keys yet
            self.page.keyboard.press("Backquote")
            with contextlib.suppress(TimeoutError):
                search.wait_for(timeout=PATIENCE / 6)
                break
        search.fill(operator)
        expect(self.page.get_by_role("dialog").get_by_text(operator, exact=True)).to_be_visible()
        self.page.keyboard.press("Enter")

    def wait_here(self) -> None:
        """Asks for the bar and the answer, in place of the panel."""
        self.page.get_by_text("Wait for the results", exact=True).click()

    def unfold_section(self, title: str) -> None:
        """Opens a section of a form."""
        heading = self.page.get_by_role("button", name=title, exact=True)
        heading.click()
        expect(heading).to_have_attribute("aria-expanded", "true")

    def click(self, button: str) -> None:
        self.page.get_by_role("button", name=button).click()

    def click_until(self, target: Locator, seen: Locator) -> None:
        """Clicks as a hand does, once more where nothing came of it: the App may draw anew what is clicked."""
        for _ in range(5):
            with contextlib.suppress(TimeoutError):
                target.click(timeout=PATIENCE / 12)
            with contextlib.suppress(TimeoutError):
                return seen.first.wait_for(timeout=PATIENCE / 12)
        expect(seen).to_be_visible()

    def press(self, button: Locator, asks: str) -> None:
        """Clicks until the App asks its server for an operator or a method: it loses a click on what it draws anew."""

        asked: list[str] = []

        def note(request: Request) -> None:
            if "/operators/execute" in request.url and asks in (request.post_data or ""):
                asked.append(request.url)

        self.page.on("request", note)
        try:
            for _ in range(5):
                with contextlib.suppress(TimeoutError):
                    button.click(timeout=PATIENCE / 6)
                for _ in range(100):  # also a request that a busy page sends late
                    if asked:
                        return
                    self.page.wait_for_timeout(PATIENCE / 600)
        finally:
            self.page.remove_listener("request", note)
        pytest.fail(f"no click asked for {asks}")

    def comes_to_rest(self, quiet_seconds: float = 4) -> None:
        """Waits until the page has asked its server for nothing for that long; one that goes on asking fails."""
        began = time.monotonic()
        asked = [began]

        def note(request: Request) -> None:
            if "/operators/" in request.url:
                asked.append(time.monotonic())

        self.page.on("request", note)
        try:
            while time.monotonic() - asked[-1] < quiet_seconds:
                assert time.monotonic() - began < PATIENCE / 1000, "the page goes on asking its server"
                self.page.wait_for_timeout(100)
        finally:
            self.page.remove_listener("request", note)

    def is_asked(self, event: str, times: int = 1) -> None:
        """Waits until the page has sent an event of the panel so often."""
        for _ in range(times):
            self.page.wait_for_event("request", lambda request: event in (request.post_data or ""), timeout=PATIENCE)

    def scroll_to(self, target: Locator) -> None:
        """Also where the App draws it anew at that moment: Playwright's own scrolling gives up then."""
        target.evaluate("it => it.scrollIntoViewIfNeeded()")

    def put(self, label: str, value: str) -> None:
        """Writes a number into the box of a setting."""
        self.page.locator(f"//*[text()='{label}']/ancestor::*[.//input][1]//input").first.fill(value)

    def sees(self, text: str, exact: bool = False) -> None:
        expect(self.page.get_by_text(text, exact=exact)).to_be_visible()

    def open_panel(self) -> None:
        let_draw(self.page)  # where the grid gets narrower meanwhile, the App may lose count of what it draws
        self.page.get_by_title("New panel").or_(self.page.locator("[data-cy='new-panel-btn']")).first.click()
        self.page.get_by_text("Evenset", exact=True).click()

    def undo(self, what: str) -> None:
        """Deletes the run that a form is about, once it says what goes."""
        form = self.page.get_by_role("dialog")
        form.get_by_text(what).wait_for()
        delete = form.get_by_role("button", name="Delete", exact=True)
        self.press(delete, "/delete_run")
        self.page.get_by_text("Undone").wait_for()
        self.click("Done")

    def run_button(self, action: str, run: str = "") -> Locator:
        """The buttons of a run, or of all runs, in the list of the tab Runs; the newest first."""
        name = re.compile(f"^{action} {run}") if run else re.compile(rf"^{action} .*\d$")
        return self.page.get_by_role("table", name="Runs").get_by_role("button", name=name)

    def delete_runs(self) -> None:
        """Deletes run after run in the panel's tab Runs, as it offers them."""
        while left := self.dataset.list_runs():
            names = [key.removeprefix("evenset_").replace("_", " ") for key in left]
            self.page.get_by_text(re.compile(f"^({'|'.join(names)}) · ")).wait_for()
            self.press(self.run_button("Delete").first, "on_runs_delete")
            self.undo("Changes to undo")
            self.dataset.reload()
            assert len(self.dataset.list_runs()) == len(left) - 1
        self.sees("Nothing has run yet")

    def hit(self, x: float, y: float) -> None:
        """Clicks into a chart, once it knows what lies under the mouse."""
        self.page.mouse.move(x, y)
        self.page.locator(".hoverlayer .hovertext").first.wait_for()
        self.page.mouse.click(x, y)

    def is_led_to(self, ids: list[str], hit: Callable[[], None]) -> None:
        """A click shows these samples, the operator says so and the App counts them; then it shows all again."""
        with self.page.expect_response(lambda it: "/operators/execute" in it.url and "set_view" in it.text()) as found:
            hit()
        asked = found.value.json()["executor"]["requests"]
        (stages,) = (one["params"]["view"] for one in asked if one["operator_uri"].endswith("set_view"))
        self.dataset.reload()
        assert sorted(type(self.dataset.view())._build(self.dataset, stages).values("id")) == sorted(ids) != []
        self.sees(f"{len(ids):,} samples", exact=True)
        expect(self.page.locator("[data-cy='view-bar']")).to_contain_text("Match")
        self.page.locator("[data-cy='btn-clear-view-bar']").click()
        self.sees(f"{len(self.dataset):,} samples", exact=True)

    def picture(self, name: str) -> None:
        self.shoot(self.page, name)

    def unfold(self, field: str) -> None:
        """Opens a field's filters in the sidebar."""
        self.page.locator(f"[data-cy='sidebar-field-arrow-enabled-{field}']").click()

    def leave_view(self) -> None:
        self.page.locator("[data-cy='saved-views-btn-selection-clear']").click()

    def state(self) -> dict[str, Any]:
        """All that a run may change, and that undoing it has to put back."""
        self.dataset.reload()
        labels = self.dataset.values(["id", "ground_truth.label", "ground_truth.id"])
        schema = list(self.dataset.get_field_schema(flat=True))
        return dict(schema=schema, views=self.dataset.list_saved_views(), runs=self.dataset.list_runs(), labels=labels)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """A walk that fails says what its pages showed."""
    report = yield
    if report.failed and call.when == "call":
        for page in item.stash.get(PAGES, []):
            report.sections.append((f"what {page.url} showed", page.locator("body").inner_text()))
    return report


@pytest.fixture
def open_app(
    request: pytest.FixtureRequest, address: str, context: BrowserContext, shoot: Callable[[Page, str], None]
) -> Iterator[Callable[..., User]]:
    """open_app(dataset, at=address) -> a user of the App's page on the data set; errors of its scripts fail it."""
    errors: list[str] = []
    pages: list[Page] = []
    request.node.stash[PAGES] = pages

    def open_on(dataset: Any, at: str = address) -> User:
        page = context.new_page()
        page.on("pageerror", lambda error: None if str(error) == GRID else errors.append(str(error)))
        page.goto(f"{at}/datasets/{dataset.name}")
        page.get_by_text("Explore Enterprise").first.wait_for()  # the App's first line is drawn
        if "EVENSET_LIGHT" in os.environ:
            page.get_by_role("button", name="Light mode").click()
        pages.append(page)
        return User(page, dataset, shoot)

    yield open_on
    for page in pages:
        with contextlib.suppress(Error):  # a page that the walk left blank keeps nothing
            page.evaluate("localStorage.clear()")
        page.close()
    assert not errors, errors


@pytest.fixture(scope="module")
def elsewhere(start_server: Callable[[], tuple[str, Any]]) -> Iterator[str]:
    """A second server on the same database: pages of one server share what they show, people have one each."""
    address, server = start_server()
    yield address
    server.stop()


@pytest.fixture(scope="session")
def shoot() -> Callable[[Page, str], None]:
    """shoot(page, name) saves a picture into EVENSET_SCREENSHOTS; where that is not set, it does nothing."""
    folder = os.environ.get("EVENSET_SCREENSHOTS")

    def save(page: Page, name: str) -> None:
        if not folder:
            return
        page.wait_for_timeout(1000)  # the grid may be about to load again
        page.locator("[data-cy='looker']").first.wait_for()
        let_draw(page)
        page.wait_for_timeout(1000)  # what the App draws in steps
        page.screenshot(path=Path(folder) / f"{name}.png", animations="disabled")

    return save
