"""Folds that workers train: the predictions of one process, kept as they come."""

from __future__ import annotations

import numpy as np
import pytest
from evenset import find_mistakes, list_runs, resume_run
from evenset.models import mapped
from evenset.models.errors import InvalidInput, RunError
from evenset.workflows.data.folders import run_folder
from evenset.workflows.mistakes import fold_models, out_of_fold
from evenset.workflows.mistakes.fold_models import train_network as train
from evenset.workflows.runs import shards
from evenset.workflows.runs.shared_files import SharedFiles

TINY = dict(size_px=8, epochs=2, min_updates=1, batch_size=16, augmentation="none", precision="fp32", folds=2)
IMAGES = dict(TINY, weights="none", embeddings=None)
FIELDS = ("label", "mistakenness", "is_issue", "confidence")


def judge(dataset, number, **settings):
    name = f"mistake_{number}"
    find_mistakes(dataset, "ground_truth", output_field=name, progress=False, **settings)
    return [dataset.values(f"{name}.{field}") for field in FIELDS]


@pytest.fixture
def many(monkeypatch):
    """Few labels are judged as many are: by regressions."""
    monkeypatch.setattr(out_of_fold, "MAX_FEW_LABELS", 50)


@pytest.mark.usefixtures("many")
def test_regressions_by_workers_are_those_of_one_process(clusters, backwards):
    dataset = clusters(n=150, labelled=120)
    here = judge(dataset, 1, embeddings="vector", folds=3)
    assert judge(dataset, 2, embeddings="vector", folds=3, workers=2) == here
    assert backwards[0] == [(shards.Executor("2"), "train_regression")] * 3


@pytest.mark.usefixtures("many")
def test_tables_in_files_give_what_memory_does_after_a_stop_too(clusters, monkeypatch):
    dataset = clusters(n=150, labelled=120)
    options = dict(embeddings="vector", folds=3)
    in_memory = judge(dataset, 1, **options)

    monkeypatch.setattr(mapped, "MIN_MAPPED", 1)
    monkeypatch.setattr("evenset.models.probabilities.BLOCK_NUMBERS", 100)
    monkeypatch.setattr("evenset.workflows.find_mistakes.judge", fail)
    with pytest.raises(ZeroDivisionError):
        judge(dataset, 2, **options)
    key = list_runs(dataset).rows[-1]["key"]
    folder = run_folder(dataset, key)
    assert {path.name for path in folder.glob("*.npy")} == {"samples.npy", "single.npy", "averaged.npy"}
    (folder / "averaged.npy").unlink()  # somebody removed one
    monkeypatch.undo()
    monkeypatch.setattr(mapped, "MIN_MAPPED", 1)
    monkeypatch.setattr(out_of_fold, "MAX_FEW_LABELS", 50)
    resume_run(dataset, key, progress=False)

    assert {path.name for path in folder.glob("*.npy")} == {"samples.npy", "single.npy", "averaged.npy"}
    in_files = [dataset.values(f"mistake_2.{field}") for field in FIELDS]
    assert in_files[0] == in_memory[0]
    np.testing.assert_allclose(*(np.array(found[1], float) for found in (in_files, in_memory)), atol=1e-5)


def fail(*_):
    raise ZeroDivisionError


def test_networks_by_workers_are_those_of_one_process_and_kept_where_one_fails(digits, backwards):
    dataset, (done, refused) = digits(n=40, size_px=8, labelled=40), backwards
    here = judge(dataset, 1, **IMAGES)
    refused.append(1)
    with pytest.raises(RunError, match="caught fire"):
        judge(dataset, 2, **IMAGES, workers="ray")
    (row,) = [row for row in list_runs(dataset).rows if row["state"] == "failed"]
    assert [path.name for path in run_folder(dataset, row["key"]).glob("network *.npz")] == ["network 1.npz"]

    refused.clear()
    resume_run(dataset, row["key"], progress=False)

    assert done == [(shards.Executor("ray"), "train_network_of")] * 2
    for one, other in zip(here, (dataset.values(f"mistake_2.{field}") for field in FIELDS), strict=True):
        assert one == other


def test_networks_on_images_that_are_sent_are_those_of_one_process(digits, backwards, monkeypatch):
    dataset = digits(n=30, size_px=8, labelled=30)
    here = judge(dataset, 1, **IMAGES)
    opened = []
    monkeypatch.setattr(
        fold_models,
        "train_network",
        lambda run, data, *rest: opened.extend(data.labels.paths) or train(run, data, *rest),
    )
    assert judge(dataset, 2, **IMAGES, workers="ray", ship_images=True) == here
    assert len(backwards[0]) == 2 and len(opened) == 60
    assert not set(opened) & set(dataset.values("filepath"))


def test_a_stop_ends_the_folds(clusters, backwards, many, monkeypatch):
    from evenset.workflows.runs import run

    def stop(*_):
        raise run.RunStopped("stopped")

    monkeypatch.setattr(run.Run, "check_stop", lambda self: None)
    dataset = clusters(n=150, labelled=120)
    find = dict(embeddings="vector", folds=3, workers=2)
    monkeypatch.setattr(fold_models, "train_regression", stop)
    with pytest.raises(run.RunStopped):
        judge(dataset, 1, **find)
    assert [row["state"] for row in list_runs(dataset).rows] == ["stopped"]


def test_a_file_that_a_worker_does_not_see_is_named():
    labels = type("Labels", (), {"paths": np.array(["/gone.png"])})
    data = type("Data", (), {"labels": labels})
    files = SharedFiles(["/gone.png"], frozenset(["/gone.png"]), None)
    work = fold_models.NetworkWork(data, files, None, "fp32")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=r"cannot read /gone\.png: share the folder, or set ship_images"):
        fold_models.train_network_of(np.zeros(0), work)


@pytest.mark.slow
@pytest.mark.usefixtures("many")
def test_two_processes_train_folds_as_one_does(clusters, digits):
    dataset = clusters(n=150, labelled=120)
    options = dict(embeddings="vector", folds=3)
    assert judge(dataset, 1, **options) == judge(dataset, 2, **options, workers=2)

    dataset = digits(n=60, size_px=8, labelled=60)
    here, there = (judge(dataset, number, **IMAGES, workers=workers) for number, workers in ((1, None), (2, 2)))
    assert here[0] == there[0]
    np.testing.assert_allclose(here[1], there[1], atol=1e-4)
