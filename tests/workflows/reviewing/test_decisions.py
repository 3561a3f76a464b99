"""review_labels(labels=...): a person's decisions, by sample, from a dict or a CSV file."""

from __future__ import annotations

import pytest
from evenset import delete_run, list_runs, resume_run, review_labels
from evenset.workflows.runs.run import RunStopped


def decide(dataset, labels, field="auto_label", **settings):
    return review_labels(dataset, field, labels=labels, progress=False, **settings)


def column(dataset, path):
    dataset.reload()
    return dataset.values(path)


def test_a_label_that_repeats_the_suggestion_is_seen_and_another_one_corrected(suggestions, everything):
    dataset = suggestions(["cat", "dog", "dog", "cat"], [None, None, None, "cat"])
    before = everything(dataset)
    one, two, three, four = dataset.values("id")

    results = decide(dataset, {one: "cat", two: "cat", three: None, four: "cat"})

    assert column(dataset, "ground_truth.label") == ["cat", "cat", None, "cat"]
    assert column(dataset, "ground_truth.evenset_review") == ["seen", "corrected", None, None]  # an original stays one
    assert column(dataset, "auto_label.label") == ["cat", "cat", "", "cat"]
    assert column(dataset, "auto_label.status") == ["labelled", "labelled", "review", "labelled"]
    assert (results.changed, results.action, results.unwritten) == (4, "mixed", 0)
    assert "4 suggestions of 'auto_label' decided" in str(results)
    delete_run(dataset, results.run_key)
    assert everything(dataset) == before


def test_a_decision_replaces_a_label_and_settles_a_flag(suggestions):
    dataset = suggestions(["cat", "dog"], ["dog", "cat"], flagged=True)
    one, two = dataset.values("id")

    decide(dataset, {one: "cat", two: "cat"}, "mistake")  # the suggestion; the label that is there

    assert column(dataset, "ground_truth.label") == ["cat", "cat"]
    assert column(dataset, "ground_truth.evenset_review") == ["seen", None]
    assert column(dataset, "mistake.is_issue") == [False, False]


def test_a_label_that_nobody_saw_becomes_seen(suggestions):
    dataset = suggestions(["cat"])
    review_labels(dataset, "auto_label", progress=False)
    assert column(dataset, "ground_truth.evenset_review") == ["bulk"]

    decide(dataset, {dataset.first().id: "cat"})

    assert column(dataset, "ground_truth.evenset_review") == ["seen"]


def test_a_file_gives_labels_and_decisions(suggestions, tmp_path):
    dataset = suggestions(["cat", "dog", "dog", "cat", "cat"])
    ids = dataset.values("id")
    path = tmp_path / "decisions.csv"
    rows = ["id,file,label,decision", f'{ids[0]},"a, b",,accept', f"{ids[1]},b,dog,Accept", f"{ids[2]},c,,reject"]
    path.write_text("\n".join([*rows, f"{ids[3]},d,dog,", f"{ids[4]},e,,", ""]), encoding="utf-8-sig")

    results = decide(dataset, path)

    assert column(dataset, "ground_truth.label") == ["cat", "dog", None, "dog", None]
    assert column(dataset, "ground_truth.evenset_review") == ["seen", "seen", None, "corrected", None]
    assert results.changed == 4 and len(list_runs(dataset).rows) == 2


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("name,label\nx,cat", "line 1: there is no column 'id' among 'name', 'label'"),
        ("id\nONE", "there is neither a column 'label' nor a column 'decision'"),
        ("id,label\nONE,cat\n,dog", "line 3, column id: it is empty"),
        ("id,label\nONE,cat\n\nONE,cat", "line 4, column id: .* is in line 2 already"),
        (
            "id,label\nONE,cat\nnobody,cat\nno,cat",
            "line 3, column id: 2 of 3 ids are no sample of .*, such as this",
        ),
        ("id,label\nONE,ca", "line 2, column label: 'ca' is not a class of 'ground_truth': did you mean 'cat'"),
        ("id,decision\nONE,maybe", "line 2, column decision: 'maybe' is neither accept nor reject"),
        ("id,label,decision\nONE,dog,accept", "line 2, column label: 'dog' is not the suggestion .* which is 'cat'"),
        ("id,label\nONE,a,b", "line 2: it has 3 cells, the header 2: quote cells with commas"),
        ("id,label\nONE,", "decides nothing"),
        ('id,label\nONE,"cat', "line 2: "),
    ],
)
def test_a_row_that_makes_no_sense_is_refused_with_its_line(suggestions, refused, tmp_path, rows, sentence):
    dataset = suggestions(["cat", "dog"])
    path = tmp_path / "decisions.csv"
    path.write_text(rows.replace("ONE", dataset.first().id))

    with refused(dataset, *sentence.split(".*"), "decisions.csv"):
        decide(dataset, str(path))


def test_what_makes_no_sense_in_python_is_refused(suggestions, refused):
    dataset = suggestions(["cat", "dog"])
    one = dataset.first().id
    for labels, settings, sentence in (
        ({}, {}, "labels: it is empty"),
        ({"nobody": "cat"}, {}, "1 of 1 id is no sample"),
        ({one: " "}, {}, "is blank"),
        ({one: "cow"}, {}, "new_class=True adds it"),
        ({one: "cat"}, dict(action="reject"), "leave action out"),
        ({one: "cat"}, dict(classes=["cat"]), "leave classes out"),
        ({one: 3}, {}, "labels has to be a dict of labels"),
        ("/not/there.csv", {}, "/not/there.csv cannot be read"),
    ):
        with refused(dataset, sentence):
            decide(dataset, labels, **settings)
    review_labels(dataset, "auto_label", action="reject", progress=False)
    with refused(dataset, "has no suggestion in 'auto_label' to reject"):
        decide(dataset, {one: None})


def test_a_new_class_is_written_where_it_is_allowed(suggestions):
    dataset = suggestions(["cat"])

    decide(dataset, {dataset.first().id: "cow"}, new_class=True)

    assert column(dataset, "ground_truth.label") == ["cow"]


def test_the_list_of_runs_counts_decisions(suggestions):
    dataset = suggestions(["cat", "dog", "cat", "dog"])
    decide(dataset, {dataset.first().id: "cat"}, "auto_label")
    assert [row["samples"] for row in list_runs(dataset)] == [4, 1]


def test_most_of_a_class_goes_only_by_force(suggestions, refused):
    dataset = suggestions(["dog"] * 4, ["cat", "cat", "cat", "dog"], flagged=True)
    labels = dict.fromkeys(dataset.values("id")[:3], "dog")

    with refused(dataset, "labels would take 3 of 3 labels of 'cat'"):
        decide(dataset, labels, "mistake")
    assert decide(dataset, labels, "mistake", force=True).changed == 3


def test_a_stopped_review_goes_on_with_its_own_decisions(suggestions, monkeypatch):
    from evenset.workflows.reviewing import writing

    dataset = suggestions(["cat", "dog"])
    one, two = dataset.values("id")

    def stop(*_, **__):
        raise RunStopped("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(writing, "_changes", stop)
        with pytest.raises(RunStopped):
            decide(dataset, {one: "dog"})
    dataset.reload()
    assert column(dataset, "ground_truth.label") == [None, None]

    resume_run(dataset, "evenset_review_labels_1", progress=False)

    assert column(dataset, "ground_truth.label") == ["dog", None]
