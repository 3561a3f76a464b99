"""Runs: their record, two of them at once, and what is left of one that failed, was stopped, or was killed."""

from __future__ import annotations

import pytest
from evenset import auto_label, delete_run, list_runs, resume_run, review_labels
from evenset.workflows.data import locks
from evenset.workflows.data.folders import run_folder
from evenset.workflows.data.internals import database as fiftyone_database
from evenset.workflows.labeling.retarget import retarget
from evenset.workflows.runs import records
from evenset.workflows.runs import run as runs
from evenset.workflows.ui import live


def label(dataset, **settings):
    return auto_label(dataset, "ground_truth", **{"embeddings": "vector", "progress": False, **settings})


def once(action):
    """A progress function that calls `action` at the first report."""
    calls = []

    def progress(phase, done, total, note):
        calls.append(phase)
        if len(calls) == 1:
            action()

    return progress


def test_a_run_is_seen_before_it_reports_anything(clusters, monkeypatch):
    dataset, seen = clusters(60, 30), []
    monkeypatch.setattr(records, "notify_panels", lambda dataset: seen.append(live.running(dataset)))
    monkeypatch.setattr(runs.Run, "report", lambda *_: None)
    key = label(dataset).run_key

    assert [(row["run_key"], row["phase"]) for row in seen[0]] == [(key, "starting")]
    assert live.running(dataset) == []


def test_a_second_run_into_the_same_field_is_refused_and_the_first_is_unharmed(clusters):
    dataset = clusters(60, 30)

    def second():
        with pytest.raises(ValueError, match="another run is writing 'auto_label' at this moment: wait for it"):
            label(dataset)

    results = label(dataset, progress=once(second))

    assert [row["key"] for row in list_runs(dataset).rows] == [results.run_key]
    assert dataset.count("auto_label") == 60
    label(dataset, output_field="alone", seed=0)
    assert dataset.values("alone.label") == dataset.values("auto_label.label")


@pytest.mark.slow
def test_two_runs_into_fields_of_their_own_do_not_meet(clusters):
    dataset = clusters(60, 30)
    inner = []
    outer = label(dataset, progress=once(lambda: inner.append(label(dataset, output_field="other"))))
    assert (outer.run_key, inner[0].run_key) == ("evenset_auto_label_1", "evenset_auto_label_2")
    assert [row["state"] for row in list_runs(dataset).rows] == ["done", "done"]
    assert dataset.values("other.label") == dataset.values("auto_label.label")


@pytest.mark.slow
def test_two_reviews_of_one_label_field_wait_for_each_other(clusters, everything):
    dataset = clusters()
    label(dataset, random_labels=True, target_precision=0.9)
    accepted = dataset.match({"auto_label.status": "accepted"}).values("id")

    def second():
        with pytest.raises(ValueError, match="another run is writing 'ground_truth'"):
            review_labels(dataset.select(accepted[9:]), "auto_label", progress=False)

    results = review_labels(dataset.select(accepted[:9]), "auto_label", progress=once(second))

    assert results.changed == 9 and dataset.count("ground_truth") == 129
    assert [row["key"] for row in list_runs(dataset).rows] == ["evenset_auto_label_1", results.run_key]


@pytest.mark.slow
def test_a_killed_run_is_seen_as_stopped_and_its_lock_blocks_nobody(clusters, elsewhere, everything):
    dataset = clusters(60, 30)
    before = everything(dataset)
    killed = elsewhere(f"""
        import os, signal
        import fiftyone as fo, evenset
        def die(phase, done, total, note):
            os.kill(os.getpid(), signal.SIGKILL)
        evenset.auto_label(fo.load_dataset({dataset.name!r}), "ground_truth", embeddings="vector", progress=die)
    """)
    assert killed.wait(60) < 0, killed.communicate()[1]

    after = everything(dataset)
    for part in ("schema", "samples", "views", "app"):
        assert after[part] == before[part], part
    assert list(fiftyone_database()[locks.COLLECTION].find({"dataset": str(dataset._doc.id)}))  # nobody removed them
    assert [row["state"] for row in list_runs(dataset).rows] == ["stopped"]
    assert label(dataset).run_key == "evenset_auto_label_2"
    delete_run(dataset, "evenset_auto_label_2")
    results = resume_run(dataset, "evenset_auto_label_1", progress=False)
    assert dataset.count("auto_label") == 60
    delete_run(dataset, results.run_key)
    assert everything(dataset) == before


@pytest.mark.slow
def test_a_run_that_was_killed_while_it_wrote_ends_with_the_same_fields_and_views(clusters, elsewhere, everything):
    """The kill comes after the field and its views: a resume must neither stumble over them nor make others."""
    dataset = clusters(60, 30)
    before = everything(dataset)
    killed = elsewhere(f"""
        import os, signal
        import fiftyone as fo, evenset
        from evenset.workflows import auto_label
        auto_label.summarise = lambda *everything: os.kill(os.getpid(), signal.SIGKILL)
        evenset.auto_label(fo.load_dataset({dataset.name!r}), "ground_truth", embeddings="vector", progress=False)
    """)
    assert killed.wait(60) < 0, killed.communicate()[1]
    dataset.reload()
    assert dataset.count("auto_label") == 60 and len(dataset.list_saved_views()) == 2

    results = resume_run(dataset, "evenset_auto_label_1", progress=False)

    assert (
        sorted(dataset.list_saved_views())
        == sorted(results.views.values())
        == [
            "auto_label: accepted",
            "auto_label: review",
        ]
    )
    whole = label(dataset, output_field="whole")
    for name in ("label", "confidence", "status", "margin"):
        assert dataset.values(f"auto_label.{name}") == dataset.values(f"whole.{name}")
    for run in (whole, results):
        delete_run(dataset, run.run_key)
    assert everything(dataset) == before


@pytest.mark.parametrize(
    ("error", "state"), [(RuntimeError("out of luck"), "failed"), (KeyboardInterrupt(), "stopped")]
)
def test_a_run_that_ends_early_leaves_the_data_set_as_it_was_and_goes_on(clusters, everything, error, state):
    dataset = clusters(60, 30)
    before = everything(dataset)

    def fail(phase, done, total, note):
        if phase == "writing labels":
            raise error

    with pytest.raises(type(error)):
        label(dataset, progress=fail)

    after = everything(dataset)
    for part in ("schema", "samples", "views", "app"):
        assert after[part] == before[part], part
    (row,) = list_runs(dataset).rows
    assert (row["state"], row["error"]) == (state, str(error))
    trace = run_folder(dataset, row["key"]) / "error.txt"
    assert trace.exists() == (state == "failed")
    assert state == "stopped" or "out of luck" in trace.read_text()

    resume_run(dataset, row["key"], progress=False)
    assert dataset.count("auto_label") == 60
    (row,) = list_runs(dataset).rows
    assert (row["state"], row["error"]) == ("done", "")


def interrupt():
    raise KeyboardInterrupt


def interrupt_at(wanted):
    def progress(phase, done, total, note):
        if phase == wanted:
            raise KeyboardInterrupt

    return progress


@pytest.mark.slow
def test_a_resumed_run_learns_from_the_labels_it_began_with(clusters):
    dataset = clusters(60, 30)
    label(dataset, output_field="whole")
    with pytest.raises(KeyboardInterrupt):
        label(dataset, progress=once(interrupt))
    dataset.limit(30).set_values("ground_truth.label", ["class 0"] * 30)

    resume_run(dataset, "evenset_auto_label_2", progress=False)

    for name in ("label", "confidence", "status"):
        assert dataset.values(f"auto_label.{name}") == dataset.values(f"whole.{name}")


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 5])
def test_a_resumed_run_goes_on_without_samples_that_were_deleted_and_says_how_many(clusters, count):
    dataset, words = clusters(60, 30), {1: "1 sample of the run was", 5: "5 samples of the run were"}
    with pytest.raises(KeyboardInterrupt):
        label(dataset, progress=interrupt_at("writing labels"))
    dataset.delete_samples(dataset[25:].limit(count))

    results = resume_run(dataset, "evenset_auto_label_1", progress=False)

    assert f"{words[count]} deleted since: it continues without" in str(results)
    assert results.samples == dataset.count("auto_label") == dataset.count("id") == 60 - count
    assert results.labelled == 30 - count and dataset.count("ground_truth") == 30 - count
    retarget(dataset, results.run_key, 0.8)  # what the run keeps has a row for each sample that is left
    delete_run(dataset, results.run_key)
    assert list_runs(dataset).rows == []


def test_a_run_all_of_whose_samples_were_deleted_is_not_resumed(clusters):
    dataset = clusters(60, 30)
    with pytest.raises(KeyboardInterrupt):
        label(dataset.limit(40), progress=interrupt_at("writing labels"))
    dataset.delete_samples(dataset.limit(40))
    with pytest.raises(ValueError, match="all 40 samples of evenset_auto_label_1 were deleted since: delete the run"):
        resume_run(dataset, "evenset_auto_label_1", progress=False)
