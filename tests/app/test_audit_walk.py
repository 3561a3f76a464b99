"""An audit in the App: samples are drawn, accepted as seen, and the bound is read; nothing else is decided."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from evenset import auto_label, load_results
from PIL import Image
from playwright.sync_api import expect

DRAWN = 8


@pytest.fixture
def accepted(digits: Any) -> Any:
    """300 digits, 160 with a label, and suggestions of which most are accepted."""
    dataset = digits(n=300, size_px=16, labelled=160, name="audited")
    pixels = [np.asarray(Image.open(path), np.float32).ravel() for path in dataset.values("filepath")]
    dataset.set_values("pixels", pixels)
    auto_label(dataset, "ground_truth", embeddings="pixels", target_precision=0.8, progress=False)
    assert dataset.count_values("auto_label.status")["accepted"] > 5 * DRAWN
    return dataset


def narrow_and_widen(user: Any, name: str) -> None:
    """A class is chosen, and all of them again."""
    form = user.page.get_by_role("dialog")
    for now, then, count in (("all", name, None), (name, "all", f"Accept {DRAWN} suggestions")):
        form.get_by_role("combobox").filter(has_text=now).last.click()
        user.page.get_by_role("option", name=then, exact=True).click()
        if count:
            expect(form.get_by_role("button", name=count)).to_be_visible()
        else:
            expect(form.get_by_role("button", name=f"Accept {DRAWN} suggestions")).to_have_count(0)


@pytest.mark.slow
def test_a_user_draws_checks_and_reads_an_audit(accepted, open_app):
    user = open_app(accepted)
    before, statuses = user.state(), accepted.count_values("auto_label.status")
    user.open("Audit labels")
    user.put("Size (samples)", str(DRAWN))
    user.picture("audit-form")
    user.click("Draw")
    user.sees(f"0 of {DRAWN} drawn samples are checked")
    user.picture("audit-drawn")
    accepted.reload()
    drawn = accepted.load_saved_view("auto_label: audit")
    assert len(drawn) == DRAWN and set(drawn.values("auto_label.status")) == {"accepted"}

    user.click("Review ...")
    user.sees("On the view auto_label: audit")
    user.page.get_by_role("dialog").get_by_role("checkbox", name="Seen").check()
    expect(user.page.get_by_role("button", name=f"Accept {DRAWN} suggestions")).to_be_visible()
    narrow_and_widen(user, drawn.first().auto_label.label)
    user.picture("audit-review")
    user.click(f"Accept {DRAWN} suggestions")
    user.sees(f"{DRAWN} suggestions are accepted")
    user.click("Done")
    accepted.reload()
    seen = accepted.match({"ground_truth.evenset_review": "seen", "ground_truth.evenset_selection": "random"})
    assert sorted(seen.values("id")) == sorted(drawn.values("id"))
    assert accepted.count("ground_truth.label") == 160 + DRAWN

    user.open("Audit labels")
    user.sees("evenset_audit_labels_1 has drawn the samples")
    user.click("Read the audit")
    user.page.get_by_text(f"{DRAWN} of {DRAWN} are correct").first.wait_for()
    user.picture("audit-read")
    user.click("Done")
    results = load_results(accepted, "evenset_audit_labels_1")
    assert results.right == DRAWN and results.low == pytest.approx(0.1 ** (1 / DRAWN))

    for what in (f"{DRAWN} labels of 'ground_truth' are restored", "Views: auto_label: audit"):
        user.open("Delete a run")
        user.undo(what)
    assert user.state() == before and accepted.count_values("auto_label.status") == statuses
