"""Predictions that workers make: those of one process, kept as they come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from evenset import list_runs, resume_run, train_resnet
from evenset.models.errors import InvalidInput, RunError
from evenset.workflows.data.folders import run_folder
from evenset.workflows.runs import shards
from evenset.workflows.runs.shared_files import SharedFiles
from evenset.workflows.training import sharded_prediction

TINY = dict(
    size_px=8, epochs=1, min_updates=1, batch_size=16, augmentation="none", precision="fp32", weights="none",
    progress=False,
)  # fmt: skip


@pytest.fixture
def many(monkeypatch):
    """Few images are predicted as many are, by shards of eleven."""
    monkeypatch.setattr(sharded_prediction, "MIN_SHARED", 1)
    monkeypatch.setattr(sharded_prediction, "SHARD_IMAGES", 11)


@pytest.fixture
def dataset(digits):
    """Thirty digits, of which one cannot be read."""
    dataset = digits(n=30, size_px=8, labelled=20)
    Path(dataset.last().filepath).write_bytes(b"no image")
    return dataset


def predict(dataset, number, **settings):
    results = train_resnet(dataset, "ground_truth", output_field=f"resnet_{number}", **TINY, **settings)
    return [*(dataset.values(f"resnet_{number}.{name}") for name in ("label", "confidence")), results.skipped]


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("ship", [False, True])
def test_workers_predict_what_one_process_does(dataset, backwards, ship):
    here = predict(dataset, 1)
    there = predict(dataset, 2, workers=2, ship_images=ship)

    assert backwards[0] == [(shards.Executor("2"), "predict_shard")] * 3
    assert there[0] == here[0] and there[2] == here[2] and list(here[2]) == [dataset.last().id]
    np.testing.assert_allclose(*(np.array(found[1], float) for found in (there, here)), atol=1e-6)


@pytest.mark.usefixtures("many")
def test_what_is_predicted_is_kept_where_a_shard_fails_and_removed_at_the_end(dataset, backwards):
    here, (done, refused) = predict(dataset, 1), backwards
    refused.append(1)
    with pytest.raises(RunError, match="caught fire"):
        predict(dataset, 2, workers="ray")
    (row,) = [row for row in list_runs(dataset).rows if row["state"] == "failed"]
    folder = run_folder(dataset, row["key"])
    assert [path.name for path in folder.glob("predicted *")] == ["predicted 2.npz"]

    refused.clear()
    resume_run(dataset, row["key"], progress=False)

    assert len(done) == 3 and not [*folder.glob("predicted *")]
    assert dataset.values("resnet_2.label") == here[0]


def test_few_images_wait_for_no_workers(dataset, backwards):
    predict(dataset, 1, workers=2)
    assert backwards[0] == []


def test_a_file_that_a_worker_does_not_see_is_named():
    network = sharded_prediction.Network(type("Model", (), dict(classes=2, head=type("Head", (), dict(in_features=3)))),
                                         None, None)  # type: ignore[arg-type]  # fmt: skip
    with pytest.raises(InvalidInput, match=r"cannot read /gone\.png: share the folder, or set ship_images"):
        sharded_prediction.predict_shard(SharedFiles(["/gone.png"], frozenset(["/gone.png"]), None), network)


@pytest.mark.slow
@pytest.mark.usefixtures("many")
def test_two_processes_predict_as_one_does(dataset):
    here, there = predict(dataset, 1), predict(dataset, 2, workers=2)
    assert there[0] == here[0] and there[2] == here[2]
