"""Labels as people have them: blank text, several spellings of one name, and groups that keep nothing apart."""

from __future__ import annotations

import pytest
from evenset import auto_label, find_mistakes, review_labels, train_gcn
from evenset.workflows.data.label_text import count_labels, joined, or_none, spellings
from evenset.workflows.ui import overview, review_order

BLANK = ["", " ", "\t\n", "\u00a0", "\u3000", "\u200b", "\ufeff", " \u2003 "]
VECTORS = dict(embeddings="vector", progress=False)


def relabel(dataset, *labels):
    """The first samples get these labels."""
    ids = dataset.limit(len(labels)).values("id")
    dataset.set_values("ground_truth.label", dict(zip(ids, labels, strict=True)), key_field="id")
    return dataset.select(ids, ordered=True)


def test_python_and_the_database_agree_on_what_is_blank(clusters):
    dataset = clusters(20, 12)
    relabel(dataset, *BLANK, "a", " b ", "\u200bc", "0")

    labels = dataset.values("ground_truth.label")

    assert [or_none(label) for label in labels[:8]] == [None] * 8
    assert count_labels(dataset, "ground_truth") == sum(or_none(label) is not None for label in labels) == 4


def test_blank_labels_are_no_class_and_get_a_suggestion(clusters):
    dataset = clusters(60, 45)
    blank = relabel(dataset, *BLANK)
    note = "8 labels of 'ground_truth' are blank text, and count as unlabelled."

    results = auto_label(dataset, "ground_truth", **VECTORS)

    assert results.names == ["class 0", "class 1", "class 2"] and results.labelled == 37
    assert note in results.notes
    assert set(blank.values("auto_label.label")) <= set(results.names)
    assert set(blank.values("auto_label.status")) <= {"accepted", "review"}
    assert note in train_gcn(dataset, "ground_truth", **VECTORS).notes
    mistakes = find_mistakes(dataset, "ground_truth", **VECTORS)
    assert note in mistakes.notes and mistakes.judged == 37


@pytest.mark.slow
def test_a_suggestion_replaces_a_blank_label_and_no_other(clusters):
    dataset = clusters(60, 45)
    blank = relabel(dataset, "", "  ")
    auto_label(dataset, "ground_truth", **VECTORS)
    suggested = blank.values("auto_label.label")
    assert set(blank.values("id")) <= {
        *review_order.waiting(dataset, "auto_label", "ground_truth").values("id"),
        *dataset.match({"auto_label.status": "accepted"}).values("id"),
    }

    results = review_labels(dataset.limit(45), "auto_label", status="all", force=True, progress=False)

    assert results.changed == 2
    assert blank.values("ground_truth.label") == suggested


@pytest.mark.slow
def test_one_blank_label_is_spoken_of_as_one(clusters):
    dataset = clusters(30, 20)
    relabel(dataset, "")
    assert "1 label of 'ground_truth' is blank text, and counts as unlabelled." in (
        auto_label(dataset, "ground_truth", **VECTORS).notes
    )


def test_only_blank_labels_are_no_labels(clusters, refused):
    dataset = clusters(20, 3)
    relabel(dataset, "", " ", "")
    with refused(dataset, "no sample has a label in 'ground_truth'", "3 labels of 'ground_truth' are blank text"):
        auto_label(dataset, "ground_truth", **VECTORS)


def test_a_class_cannot_be_blank(clusters, refused):
    dataset = clusters(20, 10)
    with refused(dataset, "classes has a blank name"):
        auto_label(dataset, "ground_truth", classes=["class 0", "class 1", "class 2", " "], **VECTORS)


def test_the_overview_counts_blank_labels_as_none_and_names_spellings(clusters):
    dataset = clusters(30, 20)
    relabel(dataset, "", "Class 0", "class 0")

    found = overview.count(dataset, "ground_truth", None)

    assert (found.total("labelled"), found.unlabelled, found.blank) == (19, 11, 1)
    blank, spelling = overview.label_notes(found, "ground_truth")
    assert blank.startswith("1 label of") and "'Class 0' (1)" in spelling


def test_spellings_are_found_by_case_white_space_and_unicode_form():
    counts = {"cat": 5, "Cat": 3, " cat": 1, "hot dog": 2, "hot  dog": 1, "é": 2, "e\u0301": 1, "dog": 9, "cats": 1}

    assert spellings(counts) == {"cat": ["Cat", " cat"], "hot dog": ["hot  dog"], "é": ["e\u0301"]}
    assert joined(counts) == {
        "cat": ["Cat", " cat"],
        "cats": [],
        "dog": [],
        "hot dog": ["hot  dog"],
        "é": ["e\u0301"],
    }


@pytest.mark.slow
def test_the_note_on_spellings_has_the_classes_that_join_them(clusters):
    dataset = clusters(60, 45)
    relabel(dataset, "Class 0", "class 0 ")
    results = auto_label(dataset, "ground_truth", **VECTORS)
    (note,) = [note for note in results.notes if "differ only in case" in note]
    assert "'Class 0' (1)" in note and "'class 0 ' (1)" in note
    classes = "{'class 0': ['Class 0', 'class 0 '], 'class 1': [], 'class 2': []}"
    assert f"classes={classes}" in note

    joined_ = auto_label(dataset, "ground_truth", output_field="joined", classes=eval(classes), **VECTORS)

    assert joined_.names == ["class 0", "class 1", "class 2"]
    assert not any("differ only in case" in note for note in joined_.notes)
