"""The list of runs, their results, and what cannot be resumed, stopped or read."""

from __future__ import annotations

import math

import pytest
from evenset import auto_label, delete_run, list_runs, load_results, resume_run, review_labels, stop_run


@pytest.fixture
def labelled(clusters, finished):
    def make():
        dataset = clusters()
        auto_label(dataset, "ground_truth", embeddings="vector", random_labels=True, progress=False)
        return dataset

    return finished("history: labelled", make)


@pytest.mark.slow
def test_runs_are_listed_the_oldest_first(labelled):
    review_labels(labelled.match({"auto_label.status": "accepted"}).limit(2), "auto_label", progress=False)
    auto_label(labelled, "ground_truth", output_field="again", embeddings="vector", progress=False)

    found = list_runs(labelled.limit(3))  # of the data set, whatever the view

    assert [row["key"] for row in found.rows] == [
        "evenset_auto_label_1",
        "evenset_review_labels_1",
        "evenset_auto_label_2",
    ]
    assert [row["fields"] for row in found.rows] == [["auto_label"], [], ["again"]]
    assert [row["samples"] for row in found.rows] == [240, 2, 240]
    assert {row["state"] for row in found.rows} == {"done"} and all(row["seconds"] > 0 for row in found.rows)
    lines = str(found).splitlines()
    assert lines[0].split() == ["key", "method", "state", "fields", "samples", "started", "seconds", "error"]
    assert len(lines) == 5 and repr(found) == str(found)


def test_where_there_are_none_it_says_so(clusters):
    assert str(list_runs(clusters(6, 0))) == "no runs of Evenset"


def test_runs_of_others_are_not_ours(labelled):
    labelled.register_run("mine", labelled.init_run(method="else"))
    assert [row["key"] for row in list_runs(labelled).rows] == ["evenset_auto_label_1"]
    for function in (delete_run, resume_run, stop_run, load_results):
        with pytest.raises(ValueError, match="has no run 'mine' of Evenset: it has evenset_auto_label_1"):
            function(labelled, "mine")
    delete_run(labelled, "evenset_auto_label_1")
    assert labelled.list_runs() == ["mine"]
    with pytest.raises(ValueError, match="has no run 'evenset_auto_label_1' of Evenset: it has none"):
        delete_run(labelled, "evenset_auto_label_1")


@pytest.mark.slow
def test_results_are_read_in_another_process(labelled, elsewhere):
    saved = load_results(labelled, "evenset_auto_label_1")
    assert saved.accepted > 0 and saved.promise == "promise" and str(saved).startswith("auto_label (")
    assert not any(isinstance(value, float) and math.isinf(value) for value in vars(saved).values())
    other = elsewhere(f"""
        import fiftyone as fo, evenset
        dataset = fo.load_dataset({labelled.name!r})
        accepted = evenset.load_results(dataset, "evenset_auto_label_1").accepted
        print("FOUND", accepted, len(evenset.list_runs(dataset).rows))
    """)
    output, errors = other.communicate(timeout=60)
    assert output.splitlines()[-1] == f"FOUND {saved.accepted} 1", errors


def test_what_is_done_is_neither_resumed_nor_stopped(labelled):
    with pytest.raises(ValueError, match="is done: only a stopped or failed run can be resumed"):
        resume_run(labelled, "evenset_auto_label_1")
    with pytest.raises(ValueError, match="evenset_auto_label_1 is not running"):
        stop_run(labelled, "evenset_auto_label_1")


def test_a_run_without_results_says_why(clusters):
    dataset = clusters(60, 30)

    def fail(phase, done, total, note):
        raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError):
        auto_label(dataset, "ground_truth", embeddings="vector", progress=fail)
    with pytest.raises(ValueError, match="evenset_auto_label_1 is failed: it has no results yet"):
        load_results(dataset, "evenset_auto_label_1")
    (row,) = list_runs(dataset).rows
    assert row["error"] == "out of luck"
