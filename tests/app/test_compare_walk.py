"""The walk of a user who wonders which method is best: compare, read the table, look closer, delete."""

from __future__ import annotations

from typing import Any

import pytest

MINUTE = 60_000  # milliseconds
SLOW = ("k-NN:", "ResNet:", "GCN inside each image:", "Ensemble,")  # or of no use here
EVALUATIONS = ["compare_gcn_eval", "compare_hog_svm_eval", "compare_laplace_eval"]


def compare(user: Any) -> None:
    user.open("Compare methods")
    user.sees("200 of 200 samples are labelled")
    for name in SLOW:
        box = user.page.get_by_role("checkbox", name=name)
        box.uncheck()
    user.wait_here()
    user.click("Compare")
    user.page.get_by_text("3 methods are scored").wait_for(timeout=5 * MINUTE)
    user.picture("compare")
    user.dataset.reload()
    parts = user.dataset.count_values("compare")
    user.sees(f"on {parts['held out']} held-out labels, 3 times")
    assert parts["held out"] == pytest.approx(60, abs=10) and sum(parts.values()) == 200
    assert sorted(user.dataset.list_evaluations()) == EVALUATIONS


def look_closer(user: Any) -> None:
    """One evaluation beside another, in FiftyOne's own panel."""
    user.click("Open Model Evaluation")
    user.click("Done")
    user.sees("3 Model Evaluations")
    card = user.page.locator("p").get_by_text("compare_gcn_eval").first  # once opened, its name is there more than once
    opened = user.page.get_by_text("Select a comparison")
    user.click_until(card, opened)  # FiftyOne loses a click on a card while it draws the others
    opened.click()
    user.page.get_by_role("option", name="compare_hog_svm_eval").click()
    user.page.get_by_text("Difference").first.wait_for()
    user.page.set_viewport_size(dict(width=1920, height=1000))  # its table is wide
    user.page.get_by_text("Class Performance").first.click()
    user.scroll_to(user.page.locator(".js-plotly-plot").first)
    user.picture("evaluation")


@pytest.mark.slow
def test_a_user_compares_methods_looks_closer_and_deletes(digits, open_app):
    user = open_app(digits(n=200, size_px=28, labelled=200, name="methods"))
    before = user.state()
    user.sees("200 samples")
    compare(user)
    look_closer(user)
    user.open("Delete a run")
    user.undo("Evaluations: compare_hog_svm_eval, compare_gcn_eval, compare_laplace_eval")
    assert user.state() == before
    assert user.dataset.list_evaluations() == []
