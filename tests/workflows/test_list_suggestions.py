"""list_suggestions: what waits for a decision, in order, and a file that review_labels takes back."""

from __future__ import annotations

import csv
from pathlib import Path

import fiftyone as fo
import pytest
from evenset import list_suggestions, review_labels


@pytest.fixture
def queue(suggestions):
    """Six suggestions: one of a labelled sample, two accepted, three in review with confidences .5, .2 and none."""
    dataset = suggestions(["cat", "cat", "dog", "cat", "dog", "=cat"], ["cat", *[None] * 5])
    dataset.set_values("auto_label.status", ["labelled", "accepted", "accepted", "review", "review", "review"])
    dataset.set_values("auto_label.confidence", [None, 0.9, 0.8, 0.5, 0.2, None])
    return dataset


@pytest.fixture
def flags(suggestions):
    """Four suggestions of find_mistakes: two flagged, one that is not, one that repeats the label."""
    dataset = suggestions(["dog", "dog", "dog", "cat"], ["cat"] * 4, flagged=True)
    dataset.set_values("mistake.is_issue", [True, True, False, False])
    dataset.add_sample_field("mistake.rank", fo.IntField)
    dataset.add_sample_field("mistake.reason", fo.StringField)
    dataset.set_values("mistake.rank", [2, 1, 3, 4])
    dataset.set_values("mistake.reason", ["because " * 20] * 4)
    return dataset


def rows_of(path):
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def fill_in(path, column, values):
    """What a person does in a spreadsheet: fills in one column."""
    rows = rows_of(path)
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, column: value} for row, value in zip(rows, values, strict=True))


def test_the_review_queue_is_listed_the_least_certain_first(queue):
    ids = queue.values("id")
    results = list_suggestions(queue, "auto_label")

    assert [row["id"] for row in results] == [ids[5], ids[4], ids[3]]
    assert list(results.to_pandas()) == ["id", "file", "current_label", "suggestion", "confidence", "status"]
    assert results.rows[1] == dict(
        id=ids[4], file="/nowhere/4.png", current_label=None, suggestion="dog", confidence=0.2, status="review"
    )
    text = str(results)
    assert text.startswith("3 suggestions wait in 'auto_label' for a decision, the most urgent first")
    assert "4.png" in text and "/nowhere" not in text and "20.0 %" in text
    everything = list_suggestions(queue, "auto_label", status="all")
    assert [row["id"] for row in everything] == [ids[place] for place in (5, 4, 3, 2, 1)]
    assert [row["id"] for row in list_suggestions(queue, "auto_label", status="accepted", first=1)] == [ids[2]]
    assert len(list_suggestions(queue.limit(4), "auto_label").rows) == 1


def test_flags_are_listed_by_their_rank_without_those_whose_label_was_edited(flags):
    ids = flags.values("id")
    results = list_suggestions(flags, "mistake")
    assert [row["id"] for row in results] == [ids[1], ids[0]]
    assert list(results.rows[0]) == ["id", "file", "current_label", "suggestion", "mistakenness", "reason"]
    assert results.rows[0]["current_label"] == "cat" and "90.0 %" in str(results) and "because b..." in str(results)
    assert [row["id"] for row in list_suggestions(flags, "mistake", status="all")] == [ids[1], ids[0], ids[2]]
    flags.set_values("ground_truth.label", {ids[1]: "dog"}, key_field="id")
    assert [row["id"] for row in list_suggestions(flags, "mistake", status="flagged")] == [ids[0]]


@pytest.mark.parametrize(
    ("column", "values", "written"),
    [
        ("decision", ["", "accept", "reject"], {4: "dog", 3: None}),
        ("label", ["", "dog", "dog"], {4: "dog", 3: "dog"}),
    ],
)
def test_the_file_comes_back_once_one_column_is_filled_in(queue, tmp_path, column, values, written):
    file = tmp_path / "decisions.csv"
    results = list_suggestions(queue, "auto_label", csv=file)
    assert "fill in decision (accept or reject) or label" in str(results) and str(file) in str(results)
    assert rows_of(file)[0]["suggestion"] == "'=cat"  # no spreadsheet executes it
    fill_in(file, column, values)

    done = review_labels(queue, "auto_label", labels=file, progress=False)

    assert done.changed == 2
    labels = queue.values("ground_truth.label")
    assert {place: labels[place] for place in written} == written and labels[5] is None
    left = {row["id"] for row in list_suggestions(queue, "auto_label")}
    assert left == {queue.values("id")[5]}


def test_a_file_of_decisions_is_never_overwritten_and_an_empty_one_decides_nothing(queue, flags, tmp_path, refused):
    file = tmp_path / "decisions.csv"
    list_suggestions(queue, "auto_label", csv=file)
    before = file.read_bytes()
    with refused(queue, str(file), "is there already"):
        list_suggestions(queue, "auto_label", csv=file)
    assert file.read_bytes() == before
    with refused(queue, "decides nothing"):
        review_labels(queue, "auto_label", labels=file, progress=False)
    with refused(queue, "status of suggestions by auto_label has to be review, accepted or all, not 'flagged'"):
        list_suggestions(queue, "auto_label", status="flagged")
    with refused(flags, "status of suggestions by find_mistakes has to be flagged or all, not 'review'"):
        list_suggestions(flags, "mistake", status="review")


def test_where_nothing_waits_that_is_said(queue):
    review_labels(queue, "auto_label", status="all", seen=True, progress=False)
    assert str(list_suggestions(queue, "auto_label")) == "no suggestion in 'auto_label' waits for a decision"
