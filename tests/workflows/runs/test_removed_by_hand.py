"""What was removed by hand: a run's folder, its field, the label field. A sentence says so, and nothing is written."""

from __future__ import annotations

import shutil

import pytest
from evenset import auto_label, delete_run, find_mistakes, resume_run, stop_run
from evenset.tests.workflows.kinds import corrupt
from evenset.workflows.data import folders
from evenset.workflows.labeling import retarget
from evenset.workflows.runs import records
from evenset.workflows.ui import checklist, mistake_queue, next_round, overview, review_queue
from evenset.workflows.ui.review_queue import Decision
from evenset.workflows.ui.sittings import Sitting


@pytest.fixture
def suggested(labelled_items):
    """240 items, half of them labelled, and suggestions of which some are in review."""
    return labelled_items.dataset


@pytest.fixture
def flagged(noun, make_items, finished):
    """240 labelled items, of which 24 wrong ones are flagged."""

    def make():
        kind = corrupt(make_items(240, 240, 0.7))
        find_mistakes(kind.dataset, "ground_truth", embeddings=kind.vectors, progress=False)
        return kind.dataset

    return finished(f"flagged by hand: {noun}", make)


@pytest.mark.slow
def test_a_run_whose_field_is_gone_counts_no_more(suggested, labelled_items):
    assert list(overview.finished(suggested, "ground_truth")) == ["auto_label"]
    vectors = labelled_items.vectors
    auto_label(suggested, "ground_truth", output_field="later", embeddings=vectors, progress=False)
    assert overview.finished(suggested, "ground_truth")["auto_label"].key == "evenset_auto_label_2"

    suggested.delete_sample_field("later")
    assert overview.finished(suggested, "ground_truth")["auto_label"].key == "evenset_auto_label_1"
    suggested.delete_sample_field("auto_label")
    assert overview.finished(suggested, "ground_truth") == {}
    left = checklist.steps(overview.count(suggested, "ground_truth", None), checklist.Findings({}))
    assert left[checklist.next_step(left)].operator == "auto_label"


@pytest.mark.slow
@pytest.mark.parametrize("gone", ["auto_label", "ground_truth"])
def test_a_decision_on_a_field_that_is_gone_writes_nothing(suggested, refused, gone):
    first, _ = review_queue.first(suggested, "auto_label", "ground_truth", [])
    suggested.delete_sample_field(gone)

    for action in ("accept", "reject"):
        with refused(suggested, f"the field {gone!r}", "was removed"):
            review_queue.decide(suggested, "auto_label", "ground_truth", Decision(first, action))


@pytest.mark.parametrize("gone", ["mistake", "ground_truth"])
def test_a_flag_of_a_field_that_is_gone_is_left_alone(flagged, refused, gone):
    rows = mistake_queue.flagged_page(flagged, "evenset_find_mistakes_1", 0, 8).rows
    flagged.delete_sample_field(gone)

    for action in ("accept", "reject"):
        with refused(flagged, f"the field {gone!r}", "was removed"):
            mistake_queue.decide(Sitting(flagged, "mistake", "ground_truth"), action, rows)


@pytest.mark.slow
def test_a_target_for_a_field_that_is_gone_is_refused(suggested, refused):
    suggested.delete_sample_field("auto_label")
    with refused(suggested, "the field 'auto_label' of evenset_auto_label_1 was removed"):
        retarget.retarget(suggested, "evenset_auto_label_1", 0.8)


@pytest.mark.slow
def test_a_run_without_files_says_so_and_is_deleted(suggested, flagged, refused):
    for dataset, key, field in ((suggested, "evenset_auto_label_1", "auto_label"),
                                (flagged, "evenset_find_mistakes_1", "mistake")):  # fmt: skip
        shutil.rmtree(folders.run_folder(dataset, key))
        if field == "auto_label":
            with refused(dataset, f"the files of {key} were deleted by hand"):
                next_round.start_next_round(dataset, key)
            with refused(dataset, f"{key} lacks the data for another target"):
                retarget.retarget(dataset, key, 0.8)
        else:
            assert mistake_queue.flagged_page(dataset, key, 0, 8).count == 24
        delete_run(dataset, key)
        assert not dataset.has_field(field) and not dataset.list_runs() and not dataset.list_saved_views()


def test_a_stopped_run_without_files_is_not_resumed(make_items, refused):
    kind = make_items()
    dataset = kind.dataset

    def stop(phase, done, total, note):
        key = dataset.list_runs()[-1]
        if records.read_record(dataset, key).state == "running":
            stop_run(dataset, key)

    with pytest.raises(Exception, match="was stopped"):
        auto_label(dataset, "ground_truth", embeddings=kind.vectors, progress=stop)
    key = dataset.list_runs()[-1]
    shutil.rmtree(folders.run_folder(dataset, key))
    with refused(dataset, f"the files of {key} were deleted by hand: delete it"):
        resume_run(dataset, key, progress=False)
    delete_run(dataset, key)
    assert not dataset.list_runs()
