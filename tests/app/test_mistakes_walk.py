"""The walk of a user whose labels are partly wrong: find, look, filter, apply to a selection, undo."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

MINUTE = 60_000  # milliseconds
PLANTED = 20  # wrong labels, on the first samples


@pytest.fixture
def planted(digits: Any) -> Any:
    """300 digits, each with a label and its pixels as a vector; the first 20 have the label of the next digit."""
    from PIL import Image

    dataset = digits(n=300, size_px=28, labelled=300, name="planted")
    pixels = [np.asarray(Image.open(path), np.float32).ravel() for path in dataset.values("filepath")]
    dataset.set_values("pixels", pixels)
    wrong = dataset.limit(PLANTED)
    wrong.set_values("ground_truth.label", [str((int(digit) + 1) % 10) for digit in wrong.values("truth")])
    return dataset


def find(user: Any) -> int:
    """By the vectors that the form offers; returns how many labels are flagged."""
    before = user.state()
    user.open("Find mistakes")
    user.sees("300 of 300 samples are labelled")
    user.page.get_by_placeholder("Type or select a value").click()
    user.page.get_by_role("option", name="pixels").click()
    user.wait_here()
    user.click("Find")
    user.page.get_by_text("labels are likely wrong").wait_for(timeout=5 * MINUTE)
    user.picture("mistakes")
    assert user.state()["labels"] == before["labels"]
    issues = user.dataset.count_values("mistake.is_issue")[True]
    user.sees(f"{issues} of 300 labels are likely wrong")
    flagged = user.dataset.load_saved_view("mistake: mistakes").values("id")
    assert len({*flagged} & {*user.dataset.limit(PLANTED).values("id")}) >= PLANTED / 2 and len(flagged) <= 2 * PLANTED
    user.click("Open the mistakes")
    user.click("Done")
    return issues


def filter_and_apply(user: Any) -> None:
    """The worse half by the sidebar's filter; three of it are selected, and get what is suggested."""
    view = user.dataset.load_saved_view("mistake: mistakes")
    ids, scores = view.values(["id", "mistake.mistakenness"])
    floor = round(float(np.median(scores)), 3)
    user.unfold("mistake")
    bounds = user.page.locator("[data-cy='numeric-slider-container-mistake-mistakenness']")
    bounds.locator("[type=range]").first.wait_for(state="attached")  # the box is emptied when its slider comes
    box = bounds.get_by_placeholder("min")
    box.fill(f"{floor:.3f}")
    box.press("Enter")
    shown = sum(score >= floor for score in scores)
    user.sees(f"{shown} of {len(ids)} samples")
    expect(user.page.locator("[data-cy='looker']")).to_have_count(shown)
    user.picture("mistakenness")
    before = user.state()["labels"]

    for number in range(3):
        user.page.locator("[data-cy='looker']").nth(number).hover()
        user.page.get_by_title("Click to select sample").nth(number).click()
    user.open("Review labels")
    user.click("Accept 3 suggestions")
    user.sees("3 suggestions are accepted")
    user.click("Done")
    after = user.state()["labels"]
    assert {i for i, old, new in zip(after[0], before[1], after[1], strict=True) if old != new} == set(ids[:3])
    now = user.dataset.select(ids[:3])
    assert now.values("ground_truth.label") == now.values("mistake.label") == now.values("truth")
    assert user.dataset.count_values("ground_truth.evenset_run")["evenset_review_labels_1"] == 3


def delete(user: Any, button: str) -> None:
    user.open("Delete a run")
    user.sees(button)
    user.click("Delete")
    user.sees("Undone")
    user.click("Done")


@pytest.mark.slow
def test_a_user_finds_wrong_labels_and_puts_a_selection_right(planted, open_app):
    user = open_app(planted)
    before = user.state()
    user.sees("300 samples")
    issues = find(user)
    user.sees(f"{issues} samples")
    found = user.state()
    filter_and_apply(user)
    delete(user, "3 labels of 'ground_truth' are restored")
    assert user.state() == found
    delete(user, "Fields: mistake")
    assert user.state() == before
    user.sees("300 samples")
