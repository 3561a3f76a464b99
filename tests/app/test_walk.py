"""The walk of a user: auto-label, look, accept, undo, delete; after each step the database is asked."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest

MINUTE = 60_000  # milliseconds
SHOWN = "EVENSET_SCREENSHOTS" in os.environ
# some suggestions are left to review, and some accepted
IMAGES, SIZE_PX, LABELLED = (500, 28, 160) if SHOWN else (360, 8, 240)


def filter_by_status(user: Any, field: str, status: str) -> None:
    """As the sidebar offers it: the search box of the field's status, a value typed in."""
    user.unfold(field)
    box = user.page.get_by_placeholder("+ filter by status")
    user.scroll_to(box)
    box.fill(status)
    found = user.page.locator(f"[data-cy='selector-results-container-sidebar-search-{field}.status']")
    found.get_by_text(status).wait_for()
    box.press("Enter")


def label(user: Any) -> None:
    """One choice, which is made already, and a click."""
    from evenset.workflows.runs import records

    dataset, labels = user.dataset, user.state()["labels"]
    user.open("Auto-label")
    user.sees(f"{LABELLED} of {IMAGES} samples are labelled")
    user.sees("graph and resnet")
    user.picture("form")
    user.wait_here()
    user.click("Label the rest")

    user.page.get_by_text(re.compile("training .* of")).wait_for(timeout=5 * MINUTE)
    user.picture("progress")
    assert "training" in records.live(dataset, "evenset_auto_label_1")["phase"]
    user.page.get_by_text("unlabelled samples are accepted").wait_for(timeout=15 * MINUTE)
    user.picture("results")
    found = user.state()
    assert found["views"] == [f"auto_label: {name}" for name in ("accepted", "review")]
    assert found["labels"] == labels
    assert dataset.count_values("auto_label.status")["labelled"] == LABELLED
    assert dataset.count("auto_label.agreement") == dataset.count("auto_label.gcn_label") == len(dataset)

    user.click("Open the review view")
    user.click("Done")


def look(user: Any) -> None:
    """The review view, and then the accepted ones by the sidebar's filter."""
    counts = user.dataset.count_values("auto_label.status")
    user.page.locator("[data-cy='saved-views-selection']").get_by_text("auto_label: review").wait_for()
    user.sees(f"{counts['review']} samples")
    user.picture("review")
    user.leave_view()
    filter_by_status(user, "auto_label", "accepted")
    user.sees(f"{counts['accepted']} samples")
    user.picture("filter")


def accept_and_undo(user: Any) -> None:
    """Accepts what the filter shows, and takes it back by the button of the answer."""
    dataset = user.dataset
    before, labels = user.state(), dataset.count("ground_truth.label")
    statuses = dataset.count_values("auto_label.status")
    accepted = statuses["accepted"]
    user.open("Review labels")
    user.click(f"Accept {accepted} suggestions")
    user.sees(f"{accepted} suggestions are accepted")
    dataset.reload()
    assert dataset.count("ground_truth.label") == labels + accepted
    assert dataset.count_values("ground_truth.evenset_run")["evenset_review_labels_1"] == accepted

    user.click("Undo ...")
    user.sees(f"{accepted} labels of 'ground_truth' are restored")
    user.picture("undo")
    user.undo("Changes to undo")
    assert user.state() == before
    assert dataset.count_values("auto_label.status") == statuses


def delete(user: Any) -> None:
    """Takes the run away, and goes on looking at the dataset."""
    from evenset.workflows.runs import records

    user.open("Delete a run")
    user.undo("Fields: auto_label")
    user.sees(f"{len(user.dataset)} samples")
    stored = records.store(user.dataset).list_keys()
    assert not [key for key in stored if "evenset_" in key or key.startswith("job:")]


@pytest.mark.slow
def test_a_user_labels_looks_accepts_undoes_and_deletes(digits, open_app):
    dataset = digits(n=IMAGES, size_px=SIZE_PX, labelled=LABELLED, name="digits")
    user = open_app(dataset)
    before = user.state()
    user.sees(f"{IMAGES} samples")
    label(user)
    look(user)
    accept_and_undo(user)
    delete(user)
    assert user.state() == before
