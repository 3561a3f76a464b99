"""The walk of a user: auto-label, look, accept, undo, delete; after each step the database is asked."""

from __future__ import annotations

import os
import re
from typing import Any

from playwright.sync_api import Page, expect

MINUTE = 60_000  # milliseconds


def open_operator(page: Page, name: str) -> None:
    """Finds an operator in the browser that the backtick key opens."""
    page.keyboard.press("Backquote")
    page.keyboard.type(name)
    expect(page.get_by_text(name, exact=True)).to_be_visible()
    page.keyboard.press("Enter")


def click(page: Page, button: str) -> None:
    page.get_by_role("button", name=button).click()


def filter_by_status(page: Page, field: str, status: str) -> None:
    """As the sidebar offers it: the field's arrow, the search box of its status, a value typed in."""
    page.locator(f"[data-cy='sidebar-field-arrow-enabled-{field}']").click()
    box = page.get_by_placeholder("+ filter by status")
    box.scroll_into_view_if_needed()
    box.fill(status)
    found = page.locator(f"[data-cy='selector-results-container-sidebar-search-{field}.status']")
    expect(found.get_by_text(status)).to_be_visible()
    box.press("Enter")


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
    """The review view, and then the accepted ones by the sidebar's filter."""
    counts = dataset.count_values("auto_label.status")
    expect(page.locator("[data-cy='saved-views-selection']")).to_have_text("auto_label: review")
    expect(page.get_by_text(f"{counts['review']} samples")).to_be_visible()
    shoot(page, "review")
    page.locator("[data-cy='saved-views-btn-selection-clear']").click()
    filter_by_status(page, "auto_label", "accepted")
    expect(page.get_by_text(f"{counts['accepted']} samples")).to_be_visible()
    shoot(page, "filter")


def accept_and_undo(page: Page, dataset: Any, shoot: Any) -> None:
    """Accepts what the filter shows, and takes it back by the button of the answer."""
    before, labels = state_of(dataset), dataset.count("ground_truth.label")
    statuses = dataset.count_values("auto_label.status")
    accepted = statuses["accepted"]
    open_operator(page, "Review labels")
    click(page, f"Accept {accepted} suggestions")
    expect(page.get_by_text(f"{accepted} suggestions are accepted")).to_be_visible()
    dataset.reload()
    assert dataset.count("ground_truth.label") == labels + accepted
    assert dataset.count_values("ground_truth.source")["evenset_review_labels_1"] == accepted

    click(page, "Undo ...")
    expect(page.get_by_text(f"{accepted} labels of 'ground_truth' are put back")).to_be_visible()
    shoot(page, "undo")
    click(page, "Delete")
    expect(page.get_by_text("Undone")).to_be_visible()
    assert state_of(dataset) == before
    assert dataset.count_values("auto_label.status") == statuses
    click(page, "Done")


def delete(page: Page, dataset: Any, shoot: Any) -> None:
    """Takes the run away, and goes on looking at the dataset."""
    from evenset.workflows import records

    open_operator(page, "Delete a run")
    expect(page.get_by_text("Fields: auto_label")).to_be_visible()
    click(page, "Delete")
    expect(page.get_by_text("Undone")).to_be_visible()
    click(page, "Done")
    expect(page.get_by_text(f"{len(dataset)} samples")).to_be_visible()
    dataset.reload()
    assert dataset.list_runs() == []
    assert not [key for key in records.store(dataset).list_keys() if "evenset_" in key or key.startswith("job:")]


def test_a_user_labels_looks_accepts_undoes_and_deletes(digits, open_app, shoot):
    dataset = digits(n=500, size_px=28 if "EVENSET_SCREENSHOTS" in os.environ else 8, labelled=240, name="digits")
    before = state_of(dataset)
    page = open_app(dataset)
    expect(page.get_by_text("500 samples")).to_be_visible()
    label(page, dataset, shoot)
    look(page, dataset, shoot)
    accept_and_undo(page, dataset, shoot)
    delete(page, dataset, shoot)
    assert state_of(dataset) == before
