"""Two processes at once: the same workflow, two resumes, a deletion; and data sets deleted or renamed during a run."""

from __future__ import annotations

import time

import evenset
import pytest
from evenset.workflows.data.folders import dataset_folder
from evenset.workflows.runs import records
from evenset.workflows.runs.orphaned_folders import clean

pytestmark = pytest.mark.slow
QUIET = dict(progress=False)


def label(dataset, **settings):
    return evenset.auto_label(dataset, "ground_truth", **{"embeddings": "vector", **QUIET, **settings})


def interrupt(phase, done, total, note):
    if phase == "writing labels":
        raise KeyboardInterrupt


@pytest.fixture
def stopped(clusters):
    """A run that was stopped before it wrote."""
    dataset = clusters(60, 30)
    with pytest.raises(KeyboardInterrupt):
        label(dataset, progress=interrupt)
    return dataset


@pytest.fixture
def held(forked, tmp_path):
    """held(function): a child whose run waits, at its first report in `phase`, until `go` is called."""

    def start(function, phase="spreading labels"):
        begun, go = tmp_path / "begun", tmp_path / "go"

        def hold(now, done, total, note):
            if now == phase and not begun.exists():
                begun.touch()
                while not go.exists():
                    time.sleep(0.02)

        child = forked(lambda: function(hold))
        while not begun.exists():
            assert not child.place.exists(), child.told  # it ended without that phase
            time.sleep(0.02)
        child.go = go.touch
        return child

    return start


def test_of_two_calls_at_once_one_runs_and_the_other_is_told_why(clusters, forked):
    dataset = clusters(60, 30)
    ends = sorted(child.told[:2] for child in [forked(lambda: label(dataset)) for _ in range(2)])

    assert ends[0][0] == "InvalidInput" and ends[1][0] == "returned"
    assert "another run is writing 'auto_label'" in ends[0][1] or "the field 'auto_label' exists" in ends[0][1]
    assert [row["state"] for row in evenset.list_runs(dataset).rows] == ["done"]
    assert dataset.count("auto_label") == 60


def test_of_two_resumes_at_once_one_wins_and_the_other_is_told_why(stopped, forked):
    key = stopped.list_runs()[0]
    ends = sorted(c.told[:2] for c in [forked(lambda: evenset.resume_run(stopped, key, **QUIET)) for _ in range(2)])

    assert [end[0] for end in ends] == ["InvalidInput", "returned"], ends
    assert any(why in ends[0][1] for why in ("another run is writing", "is running", "is done")), ends
    assert [row["state"] for row in evenset.list_runs(stopped).rows] == ["done"]
    assert stopped.count("auto_label") == 60 and len(stopped.list_saved_views()) == 2


def test_a_resume_that_waited_for_another_says_that_the_run_is_done(stopped, held):
    """It was asked for while the run was stopped, and gets the lock when the other has finished."""
    key = stopped.list_runs()[0]
    child = held(lambda hold: evenset.resume_run(stopped, key, progress=hold), "writing labels")
    child.go()
    with pytest.raises(ValueError, match=f"{key} is (done|running)|another run is writing"):
        evenset.resume_run(stopped, key, **QUIET)
    assert child.told[0] == "returned"


def test_a_run_is_not_deleted_while_it_runs(clusters, held):
    dataset = clusters(60, 30)
    child = held(lambda hold: label(dataset, progress=hold))

    dataset.reload()
    with pytest.raises(ValueError, match="evenset_auto_label_1 is running: stop it first"):
        evenset.delete_run(dataset, "evenset_auto_label_1")
    child.go()

    assert child.told[0] == "returned"
    dataset.reload()
    assert dataset.count("auto_label") == 60


def test_a_dataset_that_is_deleted_during_a_run_leaves_nothing(clusters, held, database):
    import fiftyone.core.odm as foo

    dataset = clusters(60, 30)
    number, folder, name = dataset._doc.id, dataset_folder(dataset), dataset.name
    samples = dataset._sample_collection_name
    child = held(lambda hold: label(dataset, progress=hold))
    dataset.reload()
    dataset.delete()
    child.go()

    assert child.told[:2] == ["DatasetDeleted", f"the dataset {name!r} was deleted during the run"]
    assert "The above exception" not in child.told[2] and "During handling" not in child.told[2]
    assert not folder.exists() and not [row for row in clean().rows if row["folder"] == str(folder)]
    kept = foo.get_db_conn()
    assert not kept.execution_store.count_documents({"dataset_id": number})
    assert not kept.runs.count_documents({"_dataset_id": number}) and samples not in kept.list_collection_names()


def test_a_deleted_dataset_keeps_files_that_a_clone_shows(clusters, held, make_dataset):
    dataset = clusters(60, 30)
    folder = dataset_folder(dataset)
    image = folder / "evenset_balance_classes_1" / "images-1" / "0.png"
    image.parent.mkdir(parents=True)
    image.touch()
    make_dataset([image])
    child = held(lambda hold: label(dataset, progress=hold))
    dataset.reload()
    dataset.delete()
    child.go()

    assert child.told[0] == "DatasetDeleted" and [path for path in folder.rglob("*") if path.is_file()] == [image]


def test_a_dataset_that_was_deleted_between_stop_and_resume(stopped, forked):
    key, name = stopped.list_runs()[0], stopped.name
    child = forked(lambda: time.sleep(1) or evenset.resume_run(stopped, key, **QUIET))  # it knows the data set already
    stopped.delete()

    sentence = f"dataset: the dataset {name!r} was deleted meanwhile: load or make another"
    assert child.told[:2] == ["InvalidInput", sentence]
    with pytest.raises(ValueError, match="deleted"):
        evenset.list_runs(stopped)


def test_a_dataset_that_is_renamed_during_a_run_gets_its_labels(clusters, held):
    dataset = clusters(60, 30)
    child = held(lambda hold: label(dataset, progress=hold))
    dataset.name = f"{dataset.name}-renamed"
    child.go()

    assert child.told[0] == "returned", child.told
    dataset.reload()
    assert dataset.count("auto_label") == 60
    assert records.read_record(dataset, "evenset_auto_label_1").state == "done"
