"""Networks of a comparison that workers train: the scores of one process, kept as they come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from evenset import compare_methods, list_runs, resume_run
from evenset.models.errors import RunError
from evenset.workflows.data.folders import run_folder
from evenset.workflows.runs.shards import Executor
from evenset.workflows.training import image_survey

QUICK = dict(epochs=1, min_updates=1, batch_size=16, augmentation="none", precision="fp32", weights="none")
ROWS = {"resnet": QUICK, "image gcn": dict(QUICK, train_backbone=False, graph_epochs=1)}


def compare(dataset, methods=("k-nn",), **settings):
    options = dict(methods=methods, settings_of=ROWS, seeds=2, size_px=8, device="cpu", progress=False)
    results = compare_methods(dataset, "ground_truth", **options, **settings)
    return [{key: value for key, value in one.items() if key != "seconds"} for one in results.scores]


def test_workers_give_the_scores_of_one_process(digits, backwards):
    dataset = digits(n=60, size_px=8, labelled=50)
    here = compare(dataset, output_field="here")
    assert not backwards[0]
    assert compare(dataset, output_field="there", workers=2, ship_images=True) == here
    assert backwards[0] == [(Executor("2"), "train_network")] * 4


def test_workers_look_at_many_images(digits, backwards, monkeypatch):
    monkeypatch.setattr(image_survey, "MIN_SHARED", 50)
    monkeypatch.setattr(image_survey, "SHARD_IMAGES", 16)
    dataset = digits(n=60, size_px=8, labelled=50)
    for sample in dataset[20:23]:
        Path(sample.filepath).write_bytes(b"no image")
    found = []
    for name, workers in (("here", None), ("there", 2)):
        results = compare_methods(
            dataset, "ground_truth", methods=["k-nn"], output_field=name, seeds=1, workers=workers, ship_images=True,
            progress=False,
        )  # fmt: skip
        with np.load(run_folder(dataset, results.run_key) / "survey.npz") as kept:
            found.append((results.skipped, {key: kept[key].tolist() for key in kept}))
    assert found[0] == found[1] and len(found[0][0]) == 3
    assert backwards[0] == [(Executor("2"), "look_at")] * 4


def test_the_resnet_of_an_ensemble_is_trained_once(digits, backwards):
    dataset = digits(n=60, size_px=8, labelled=50)
    methods = ("ensemble",)
    rows = {"ensemble": QUICK, "resnet": QUICK}
    results = compare_methods(
        dataset, "ground_truth", methods=methods, settings_of=rows, seeds=1, size_px=8, workers=2, progress=False
    )
    assert len(backwards[0]) == 1 and {one["method"] for one in results.scores} == {"ensemble", "resnet"}


def test_a_failed_network_leaves_the_others_to_a_resumed_run(digits, backwards):
    dataset, (done, refused) = digits(n=60, size_px=8, labelled=50), backwards
    refused.append(2)
    with pytest.raises(RunError, match="caught fire"):
        compare(dataset, workers="ray")
    (row,) = list_runs(dataset).rows
    assert len([*run_folder(dataset, row["key"]).glob("*_?_*.npz")]) == 2
    refused.clear()
    results = resume_run(dataset, row["key"], progress=False)
    assert len(done) == 4 and len(results.scores) == 6


@pytest.mark.slow
def test_two_processes_compare_as_one_does(digits):
    dataset = digits(n=60, size_px=8, labelled=50)
    assert compare(dataset, output_field="there", workers=2) == compare(dataset, output_field="here")
