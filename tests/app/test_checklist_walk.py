"""The Overview's checklist: each step says its count, and its button leads there."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect


@pytest.fixture
def left_over(digits):
    """Digits with few labels of one class, suggestions below the target, and a stopped run."""
    import evenset

    dataset = digits(n=300, size_px=8, labelled=220, name="left over")
    nines = dataset.match({"ground_truth.label": "9"}).values("id")
    dataset.select(nines[3:]).set_values("ground_truth", [None] * len(nines[3:]))
    quiet = dict(progress=False, embeddings=None, members="graph")
    evenset.auto_label(dataset, "ground_truth", target_precision=0.99, **quiet)

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evenset.find_mistakes(dataset, "ground_truth", progress=stop)
    return dataset


@pytest.mark.slow
def test_a_user_is_led_from_step_to_step(left_over, open_app):
    user = open_app(left_over)
    user.open_panel()
    user.sees("The images are not checked")
    user.sees("1 class has few labels: 9 (3)")
    user.sees("1 run was stopped or failed")
    user.picture("checklist")

    user.click("Show what to label")
    expect(user.page.locator("[data-cy='view-bar']")).to_contain_text("Select")
    user.page.locator("[data-cy='btn-clear-view-bar']").click()
    user.page.get_by_text("No suggestion reaches the target precision of 99.0 %").wait_for()
    user.page.get_by_role("button", name="Accept at").click()
    user.page.get_by_text("to accept").first.wait_for()
    left_over.reload()
    assert left_over.count_values("auto_label.status")["accepted"] > 0
    user.page.get_by_role("button", name="Options").first.click()
    user.page.get_by_role("dialog").get_by_text("Check dataset").first.wait_for()
