"""A day in the App, click by click: from a fresh dataset to a corrected, even, split and exported set."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BUTTON = "[data-item-id='@evenset/evenset/open_evenset']"  # over the grid
LIMIT = 12  # clicks
WAIT_SECONDS = 1800  # for a run
TRY_MS, TRIES = 15_000, 6  # a click that a busy App lost is made again, and counts once


class Hand:
    """Clicks in a page, and counts them."""

    def __init__(self, page: Any) -> None:
        self.page, self.clicks = page, 0

    def press(self, target: Any, asks: str) -> None:
        """Clicks until the page asks its server for `asks`, an operator or an event of the panel."""
        from playwright.sync_api import TimeoutError

        def is_asked(request: Any) -> bool:
            return "/operators/execute" in request.url and asks in (request.post_data or "")

        for _ in range(TRIES):
            with contextlib.suppress(TimeoutError):
                with self.page.expect_request(is_asked, timeout=TRY_MS):
                    target.click(timeout=TRY_MS)
                self.clicks += 1
                return
        raise AssertionError(f"no click asked for {asks}")

    def step(self, button: str) -> None:
        """Presses the button of a step in Overview."""
        self.press(self.page.get_by_role("button", name=button, exact=True), "on_overview_step")

    def submit(self, button: str, operator: str) -> None:
        """Submits the form that is open."""
        form = self.page.get_by_role("dialog")
        self.press(form.get_by_role("button", name=button, exact=True), operator)


def day(page: Any, dataset: Any, folder: Path) -> Iterator[tuple[str, int]]:
    """Name of each step once it is done, and the clicks so far; the page shows the dataset's grid at first.

    Args:
        dataset: photos with some labels, of which a few are wrong, and fewer of one class
        folder: of the export, typed into its form
    """
    hand = Hand(page)
    hand.press(page.locator(BUTTON), "open_evenset")
    page.get_by_text("The images are not checked").wait_for()
    yield "open", hand.clicks
    hand.step("Check")
    wait_for_run(dataset, "evenset_check_dataset_1")
    page.get_by_text("The check found").wait_for()
    yield "check", hand.clicks
    hand.step("Find mistakes")
    wait_for_run(dataset, "evenset_find_mistakes_1")
    page.get_by_text("for a decision").wait_for()
    yield "find", hand.clicks
    while flagged := count_flagged(dataset):
        hand.press(page.get_by_role("button", name="Apply all shown", exact=True), "on_mistakes_ask")
        wait_until(lambda before=flagged: count_flagged(dataset) < before)
    yield "correct", hand.clicks
    hand.press(page.get_by_role("tab", name="Overview", exact=True), "on_tab")
    hand.step("Auto-label")
    hand.submit("Label the rest", "auto_label")
    wait_for_run(dataset, "evenset_auto_label_1")
    page.get_by_text("to accept").first.wait_for()
    yield "label", hand.clicks
    hand.step("Accept")
    wait_until(lambda: not statuses(dataset).get("accepted"))
    yield "accept", hand.clicks
    hand.step("Augment")
    wait_for_run(dataset, "evenset_balance_classes_1")
    yield "even out", hand.clicks
    hand.step("Split")
    wait_for_run(dataset, "evenset_split_dataset_1")
    yield "split", hand.clicks
    hand.step("Export")
    page.locator("//*[text()='Folder']/ancestor::*[.//input][1]//input").first.fill(str(folder))
    hand.submit("Export", "export_dataset")
    wait_for_run(dataset, "evenset_export_dataset_1")
    yield "export", hand.clicks


def wait_for_run(dataset: Any, key: str) -> None:
    """Waits until a run is done.

    Raises:
        RuntimeError: it failed or was stopped
    """
    import evenset

    def is_done() -> bool:
        dataset.reload()
        row = next((row for row in evenset.list_runs(dataset) if row["key"] == key), None)
        if row and row["state"] not in ("running", "done"):
            raise RuntimeError(f"{key} is {row['state']}")
        return bool(row and row["state"] == "done")

    wait_until(is_done)


def wait_until(is_so: Any) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while not is_so():
        if time.monotonic() > until:
            raise TimeoutError(f"nothing came of a click within {WAIT_SECONDS} s")
        time.sleep(1)


def count_flagged(dataset: Any) -> int:
    dataset.reload()
    return int(dataset.count_values("mistake.is_issue").get(True, 0))


def statuses(dataset: Any) -> dict[str, int]:
    dataset.reload()
    return dict(dataset.count_values("auto_label.status"))
