"""An audit in the App: samples are drawn, accepted as seen, and the bound is read; all of it is undone."""

from __future__ import annotations

import pytest
from evenset import auto_label, delete_run, load_results

DRAWN, KEY = 8, "evenset_audit_labels_1"


@pytest.fixture
def accepted(clusters, finished):
    """300 vectors, 160 with a label, and suggestions of which most are accepted."""

    def make():
        dataset = clusters(300, 160, spread=0.8)
        auto_label(dataset, "ground_truth", embeddings="vector", target_precision=0.8, progress=False)
        assert dataset.count_values("auto_label.status")["accepted"] > 5 * DRAWN
        return dataset

    return finished("suggestions to audit", make)


def params_of(answer, button):
    """What a button of the page fills its form in with."""
    buttons = [line for part in answer.page.values() for line in part["type"].get("properties", {}).values()]
    (view,) = (line["view"] for line in buttons if line["view"].get("label") == button)
    return view["params"]


def button_of(app, dataset, params):
    return app.ask("resolve-type", dataset, "review_labels", params)[0]["view"]["submit_button_label"]


def test_an_audit_is_drawn_checked_read_and_undone(app, accepted, everything):
    before = everything(accepted)
    answer = app.execute(accepted, "audit_labels", dict(field="auto_label", size=DRAWN))
    assert answer.labels[0] == f"0 of {DRAWN} drawn samples are checked"
    accepted.reload()
    drawn = accepted.load_saved_view("auto_label: audit")
    assert len(drawn) == DRAWN and set(drawn.values("auto_label.status")) == {"accepted"}

    params = {**params_of(answer, "Review ..."), "seen": True}
    of_class = drawn.match({"auto_label.label": drawn.first().auto_label.label})
    assert button_of(app, accepted, params) == f"Accept {DRAWN} suggestions"
    narrowed = button_of(app, accepted, {**params, "class": of_class.first().auto_label.label})
    assert narrowed.startswith(f"Accept {len(of_class)} suggestion") and len(of_class) < DRAWN
    answer = app.execute(accepted, "review_labels", params)
    assert answer.labels[0] == f"{DRAWN} suggestions are accepted"
    accepted.reload()
    seen = accepted.match({"ground_truth.evenset_review": "seen", "ground_truth.evenset_selection": "random"})
    assert sorted(seen.values("id")) == sorted(drawn.values("id"))
    assert accepted.count("ground_truth.label") == 160 + DRAWN

    lines = app.form(accepted, "audit_labels", dict(field="auto_label"))
    assert any(name.startswith(f"note {KEY} has drawn the samples") for name in lines)
    answer = app.execute(accepted, "audit_labels", dict(field="auto_label"))
    assert answer.labels[0] == f"{DRAWN} of {DRAWN} are correct"
    results = load_results(accepted, KEY)
    assert results.right == DRAWN and results.low == pytest.approx(0.1 ** (1 / DRAWN))

    for key in ("evenset_review_labels_1", KEY):
        delete_run(accepted, key)
    assert everything(accepted) == before
