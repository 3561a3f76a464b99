"""The walk of a user of whose classes one is rare: look at the plan, balance, look, undo."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

MINUTE = 60_000  # milliseconds


@pytest.fixture
def uneven(digits: Any) -> Any:
    """300 digits, each with a label, and of the nines only a few."""
    from fiftyone import ViewField as F

    dataset = digits(n=300, size_px=16, labelled=300, name="uneven")
    nines = dataset.match(F("ground_truth.label") == "9").values("id")
    dataset.delete_samples(nines[12:])
    return dataset


def balance(user: Any) -> None:
    """By changed images, which need no generator."""
    user.sees("synthetic images would be added")
    expect(user.page.locator(".js-plotly-plot")).to_be_visible()
    user.picture("plan")
    user.page.get_by_text("As many as the largest class", exact=True).click()
    user.page.get_by_role("option", name="A number for each class").click()
    counts = user.dataset.count_values("ground_truth.label")
    missing = {name: max(counts.values()) - count for name, count in counts.items()}
    user.put("Images of 9", "20")  # the others start from the plan
    user.sees(f"{sum(missing.values()) - missing['9'] + 20 - counts['9']} synthetic images would be added")
    user.picture("plan-each")
    user.page.get_by_text("A number for each class", exact=True).click()
    user.page.get_by_role("option", name="As many as the largest class").click()
    user.page.get_by_text("generate", exact=True).click()
    user.page.get_by_role("option", name="augment").click()
    user.wait_here()
    user.click("Balance")
    user.page.get_by_text("synthetic samples added").wait_for(timeout=5 * MINUTE)
    user.picture("verdict")
    made = user.dataset.match_tags("synthetic")
    user.dataset.reload()
    assert made.count_values("ground_truth.label")["9"] > 0
    user.click("Open the synthetic")
    user.click("Done")
    user.sees(f"{len(made)} samples")


@pytest.mark.slow
def test_a_user_evens_out_a_rare_class_and_undoes_it(uneven, open_app):
    user = open_app(uneven)
    before = user.state()
    user.open("Balance classes")
    balance(user)
    user.picture("synthetic")
    user.leave_view()
    user.open("Delete a run")
    user.undo(f"{len(uneven.match_tags('synthetic'))} samples that it added, with their labels")
    assert user.state() == before
