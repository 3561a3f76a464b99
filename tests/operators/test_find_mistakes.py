"""find_mistakes in the App: one choice, a table, the view of what is likely wrong, and suggestions that are applied."""

from __future__ import annotations

import pytest
from evenset import find_mistakes


@pytest.fixture
def corrupted(clusters):
    """A data set of 240, all labelled, the first 24 of them as class 0 or 1 that are not."""
    dataset = clusters(240, 240, spread=0.7)
    wrong = ["class 1" if name == "class 0" else "class 0" for name in dataset.limit(24).values("truth")]
    dataset.limit(24).set_values("ground_truth.label", wrong)
    return dataset


@pytest.fixture
def judged(corrupted, finished):
    def make():
        find_mistakes(corrupted, "ground_truth", embeddings="vector", progress=False)
        return corrupted

    return finished("mistakes in the App", make)


def test_the_form_asks_for_little(app, corrupted):
    lines = app.form(corrupted, "find_mistakes")

    asked = [name for name, line in lines.items() if line["type"]["name"] != "Void" and "section_" not in name]
    assert asked == ["view_target", "label_field", "output_field", "embeddings", "folds", "wait"]
    assert lines["label_field"]["default"] == "ground_truth"
    assert [choice["value"] for choice in lines["embeddings"]["view"]["choices"]] == ["auto", "vector", "none"]
    assert lines["embeddings"]["default"] == "auto"
    assert not any(line["required"] or line["invalid"] for line in lines.values())


def test_what_is_likely_wrong_is_shown_and_a_selection_is_put_right(app, corrupted):
    answer = app.execute(corrupted, "find_mistakes", dict(label_field="ground_truth", embeddings="vector"))

    assert answer.labels[0] == "24 of 240 labels are likely wrong"
    assert "**Estimated noise**: " in str(answer.values) and "**Expected errors**: " in str(answer.values)
    assert {"Open the mistakes", "Review ..."} <= set(answer.labels)
    assert [row["0"] for row in answer.values["rows"]] == ["class 0", "class 1", "class 2"]
    assert sum(int(row["2"]) for row in answer.values["rows"]) == 24
    corrupted.reload()
    view = corrupted.load_saved_view("mistake: mistakes")

    params = dict(field="mistake")
    assert "Accept 24 suggestions" in str(app.ask("resolve-type", corrupted, "review_labels", params))
    three = view.values("id")[:3]
    chosen = dict(samples=view, selected=three, view_target="SELECTED_SAMPLES")
    assert "Accept 3 suggestions" in str(app.ask("resolve-type", corrupted, "review_labels", params, **chosen))
    applied = app.execute(corrupted, "review_labels", {**params, "action": "accept", "status": "all"}, **chosen)

    assert applied.labels[0] == "3 suggestions are accepted"
    corrupted.reload()
    now = corrupted.select(three)
    assert now.values("ground_truth.label") == now.values("truth")
    assert len(corrupted.load_saved_view("mistake: mistakes")) == 21


@pytest.mark.slow
def test_what_would_take_most_of_a_class_has_a_box_to_tick(app, judged):
    bees = judged.limit(5)
    bees.set_values("ground_truth.label", ["bee"] * 5)
    params, refusal = dict(field="mistake", action="accept"), "accepting would take 5 of 5 labels of 'bee', more than"

    def refusals(**more):
        lines = app.form(judged, "review_labels", {**params, **more})
        return "force" in lines, [name for name, line in lines.items() if line["invalid"]]

    box, invalid = refusals()
    assert box and len(invalid) == 1 and invalid[0].startswith(f"refused {refusal}")
    assert refusals(force=True) == (True, []) and refusals(more=True)[1] == invalid
    assert refusals(action="reject") == (False, [])
    with pytest.raises(AssertionError, match=refusal):  # FiftyOne sends no form that is invalid
        app.execute(judged, "review_labels", params)
    assert app.execute(judged, "review_labels", {**params, "force": True}).labels[0] == "24 suggestions are accepted"


def test_a_class_that_was_renamed_has_a_box_to_tick(app, judged):
    some = judged.match({"ground_truth.label": "class 1"})
    some.set_values("ground_truth.label", ["bee"] * len(some))

    for ticked in (False, True):
        lines = app.form(judged, "review_labels", dict(field="mistake", new_class=ticked, force=True))
        refusal = "refused 'class 1' is no longer a class of 'ground_truth'"
        assert "new_class" in lines and any(name.startswith(refusal) for name in lines) != ticked
