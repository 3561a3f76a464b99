"""The fixture `finished`: its copies own their runs, as a dataset does that ran them."""

from __future__ import annotations

import pytest
from evenset import auto_label, delete_run, list_runs, load_results, review_labels


@pytest.fixture
def labelled(clusters, finished):
    def make():
        dataset = clusters(60, 30)
        auto_label(dataset, "ground_truth", embeddings="vector", progress=False)
        return dataset

    return lambda: finished("a copy's test", make)


@pytest.mark.slow
def test_a_copy_is_undone_as_the_dataset_itself_is_and_leaves_the_others_alone(labelled, clusters, everything):
    bare = everything(clusters(60, 30))
    first, second = labelled(), labelled()
    before = everything(first)

    review_labels(second, "auto_label", status="all", force=True, progress=False)
    assert [row["state"] for row in list_runs(second).rows] == ["done", "done"]
    assert load_results(second, "evenset_auto_label_1") == load_results(first, "evenset_auto_label_1")
    for key in ("evenset_review_labels_1", "evenset_auto_label_1"):
        gone = delete_run(second, key)

    assert gone.fields == ["auto_label"] and len(gone.views) == 2
    now = everything(second)
    for part in ("schema", "views", "runs", "files"):
        assert now[part] == bare[part], part
    assert everything(first) == before


def test_a_copy_has_the_files_of_its_runs(labelled, everything):
    first, second = labelled(), labelled()

    one, two = (
        {path.replace(str(dataset._doc.id), "") for path in everything(dataset)["files"]} for dataset in (first, second)
    )
    assert one == two and any(path.endswith("samples.npy") for path in one)


def test_a_run_that_is_looked_for_in_all_datasets_is_not_found_in_the_original(labelled, clusters):
    first = labelled()
    auto_label(clusters(30, 0), run="evenset_auto_label_1", embeddings="vector", progress=False)
    assert list_runs(first).rows and list_runs(labelled()).rows
