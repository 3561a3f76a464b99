"""The walk of a user: auto-label, look at what waits for a review; after each step the database is asked."""

from __future__ import annotations

import re
from typing import Any

from evenset import delete_run
from playwright.sync_api import Page, expect

MINUTE = 60_000  # milliseconds


def click(page: Page, button: str) -> None:
    page.get_by_role("button", name=button).click()


def state_of(dataset: Any) -> dict[str, Any]:
    """All that a run may change, and that undoing it has to put back."""
    dataset.reload()
    columns = dataset.values(["id", "ground_truth.label", "ground_truth.id"])
    return dict(schema=list(dataset.get_field_schema(flat=True)), views=dataset.list_saved_views(), labels=columns)


def label(page: Page, dataset: Any, shoot: Any) -> None:
    """One choice, which is made already, and a click."""
    from evenset.workflows import records

    labels = state_of(dataset)["labels"]
    page.keyboard.press("Backquote")
    page.keyboard.type("auto")
    expect(page.get_by_text("Auto-label", exact=True)).to_be_visible()
    shoot(page, "operators")
    page.keyboard.press("Enter")
    expect(page.get_by_text("240 of 500 samples are labelled")).to_be_visible()
    shoot(page, "form")
    click(page, "Label the rest")

    page.get_by_text(re.compile("^Training .* of")).wait_for(timeout=3 * MINUTE)
    shoot(page, "progress")
    assert records.live(dataset, "evenset_auto_label_1")["phase"] == "training"
    page.get_by_text("unlabelled samples are accepted").wait_for(timeout=15 * MINUTE)
    shoot(page, "results")
    found = state_of(dataset)
    assert found["views"] == [f"auto_label: {name}" for name in ("accepted", "review", "labelled")]
    assert found["labels"] == labels
    assert dataset.count_values("auto_label.status")["labelled"] == 240

    click(page, "Open the review view")
    click(page, "Done")


def look(page: Page, dataset: Any, shoot: Any) -> None:
    """The review view, by the button of the answer."""
    counts = dataset.count_values("auto_label.status")
    expect(page.locator("[data-cy='saved-views-selection']")).to_have_text("auto_label: review")
    expect(page.get_by_text(f"{counts['review']} samples")).to_be_visible()
    shoot(page, "review")


def test_a_user_labels_and_looks_at_what_waits_for_review(digits, open_app, shoot):
    dataset = digits(n=500, size_px=8, labelled=240)
    before = state_of(dataset)
    page = open_app(dataset)
    expect(page.get_by_text("500 samples")).to_be_visible()
    label(page, dataset, shoot)
    look(page, dataset, shoot)
    delete_run(dataset, "evenset_auto_label_1")
    assert state_of(dataset) == before
