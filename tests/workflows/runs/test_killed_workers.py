"""Workers that are killed at drawn points, and a first process that is: fields are those of an undisturbed run."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from evenset import (
    balance_classes,
    delete_embeddings,
    delete_run,
    find_mistakes,
    list_runs,
    resume_run,
    train_generator,
)
from evenset.workflows.data.folders import run_folder
from evenset.workflows.data.synthetic import read_image
from evenset.workflows.embeddings import sharded
from evenset.workflows.mistakes import out_of_fold
from evenset.workflows.runs import shards

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("small_shards")]
IMAGES = 290  # under MIN_TIMED_IMAGES, since two runs may find another precision faster
KILLS, LAST_CALL, PATIENCE_SECONDS = 10, 4000, 300
FIELDS = ("label", "is_issue", "mistakenness")
NETWORKS = dict(
    size_px=8, epochs=2, min_updates=1, batch_size=16, augmentation="none", precision="fp32", weights="none", folds=5
)
DRAWING = dict(
    generate_from_few=True, measure_benefit=False, add="always", max_ratio=None, target=12, verdict_updates=5,
    sampling_steps=2, sampling_batch_size=4, prototype_reject_quantile=0.0, probability_reject_quantile=0.0,
    gcn_reject_quantile=0.0, copy_reject_quantile=0.0, progress=False,
)  # fmt: skip
HEAD = """
import json, os, sys
import fiftyone as fo
import evenset
from evenset.workflows.embeddings import encode, sharded
from evenset.workflows.mistakes import out_of_fold

out_of_fold.MAX_FEW_LABELS, sharded.SHARD_BATCHES, encode.SHARD_IMAGES = 50, 1, 32
options = json.loads(sys.argv[2])
evenset.find_mistakes(fo.load_dataset(sys.argv[1]), "ground_truth", workers=2, progress=False, **options)
"""


def deadly(function, points, folder):
    """As `function`, but an attempt on a shard ends its process at a drawn call of a function.

    Args:
        points: number of the call for each attempt that is to be killed, by index of the shard
    """

    def run(work, *common):
        place, shard = work
        attempt = len(list(Path(folder).glob(f"{place} *")))
        if attempt < len(points.get(place, ())):
            calls = 0

            def count(frame, event, argument):
                nonlocal calls
                calls += event == "call"
                if calls == points[place][attempt]:
                    (Path(folder) / f"{place} {attempt}").touch()
                    os.kill(os.getpid(), signal.SIGKILL)

            sys.setprofile(count)
        try:
            return function(shard, *common)
        finally:
            sys.setprofile(None)

    return run


@pytest.fixture
def chaos(monkeypatch, tmp_path):
    """Kills ten attempts of each stage's shards, at most two of one shard; returns the stages' folders of marks."""
    usual, stages, rng = shards.results, [], np.random.default_rng(0)

    def results(given, function, *rest):
        stages.append(tmp_path / f"{function.__name__} {len(stages)}")
        stages[-1].mkdir()
        points: dict[int, list[int]] = {}
        for place in rng.permutation(np.repeat(np.arange(len(given)), 2))[:KILLS].tolist():
            points.setdefault(place, []).append(int(rng.integers(1, LAST_CALL)))
        yield from usual(list(enumerate(given)), deadly(function, points, str(stages[-1])), *rest)

    def start():
        monkeypatch.setattr(shards, "results", results)
        return stages

    return start


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(sharded, "SHARD_BATCHES", 1)
    monkeypatch.setattr(out_of_fold, "MAX_FEW_LABELS", 50)


def judge(dataset, **options):
    find_mistakes(dataset, "ground_truth", progress=False, **options)
    return taken(dataset)


def taken(dataset):
    """The fields of the last run, which is then undone, with the vectors."""
    dataset.reload()
    found = [dataset.values(f"mistake.{field}") for field in FIELDS]
    delete_run(dataset, list_runs(dataset).rows[-1]["key"])
    delete_embeddings(dataset)
    return found


def assert_same(found, expected):
    assert found[:2] == expected[:2]
    np.testing.assert_allclose(found[2], expected[2], atol=1e-4)


def test_ten_workers_killed_in_encoders_and_ten_in_regressions_of_folds(digits, tiny, chaos):
    dataset, options = digits(n=IMAGES, size_px=16, labelled=IMAGES), dict(embeddings=f"timm/{tiny}", folds=5)
    expected = judge(dataset, **options)
    stages = chaos()
    assert_same(judge(dataset, **options, workers=2), expected)
    assert [stage.name for stage in stages] == ["encode_shard 0", "train_regression 1"]
    assert [len(list(stage.iterdir())) for stage in stages] == [KILLS, KILLS]


def test_ten_workers_killed_in_the_networks_of_folds(digits, chaos):
    dataset, options = digits(n=60, size_px=8, labelled=60), dict(NETWORKS, embeddings=None)
    expected = judge(dataset, **options)
    stages = chaos()
    assert_same(judge(dataset, **options, workers=2), expected)
    assert [len(list(stage.iterdir())) for stage in stages] == [KILLS]


def test_ten_workers_killed_in_drawing(digits, chaos, monkeypatch):
    monkeypatch.setattr("evenset.models.diffusion.sampling.faster_precision", lambda run, device, repeats: "fp32")
    dataset = digits(n=60, size_px=8, labelled=60)
    network = dict(minutes=None, max_updates=5, width=8, progress=False)
    generator = train_generator(dataset, "ground_truth", **network).run_key

    def draw(workers=None):
        results = balance_classes(dataset, "ground_truth", generator=generator, workers=workers, **DRAWING)
        added = dataset.match_tags("synthetic").sort_by("filepath")
        images = [(sample.ground_truth.label, read_image(sample.filepath).tolist()) for sample in added]
        delete_run(dataset, results.run_key)
        return images

    expected = draw()
    stages = chaos()
    assert draw(workers=2) == expected and len(expected) > 20
    assert [len(list(stage.iterdir())) for stage in stages] == [KILLS]


@pytest.mark.parametrize("stage", ["embeddings", "networks"])
def test_a_killed_first_process_takes_its_workers_along_and_is_resumed(digits, tiny, tmp_path, stage):
    dataset = digits(n=IMAGES, size_px=16, labelled=IMAGES) if stage == "embeddings" else digits(60, 8, 60)
    options = dict(embeddings=f"timm/{tiny}", folds=5) if stage == "embeddings" else dict(NETWORKS, embeddings=None)
    expected = judge(dataset, **options)
    kept = run_folder(dataset, "any").parent
    pattern = "embeddings/*/*.npz" if stage == "embeddings" else "*/network *.npz"
    files = int(np.random.default_rng(0).integers(1, 4))
    kill_after(dataset, options, lambda: len(list(kept.glob(pattern))) >= files)

    (row,) = list_runs(dataset).rows
    assert row["state"] == "stopped"
    before = {path: path.stat().st_mtime_ns for path in kept.glob(pattern)}
    resume_run(dataset, row["key"], progress=False)
    assert all(path.stat().st_mtime_ns == changed for path, changed in before.items())
    assert_same(taken(dataset), expected)


def kill_after(dataset, options, condition):
    """Starts find_mistakes in a process of its own, and kills it; returns when its workers have ended."""
    command = [sys.executable, "-c", HEAD, dataset.name, json.dumps(options)]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    until(lambda: process.poll() is not None or condition())
    assert process.poll() is None
    family = psutil.Process(process.pid).children(recursive=True)
    workers = [one for one in family if re.match("ray::(?!.*Agent)", " ".join(one.cmdline()))]
    assert workers
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    until(lambda: not any(map(is_alive, workers)))  # Ray's agents wait some minutes for their server


def is_alive(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def until(condition):
    for _ in range(PATIENCE_SECONDS * 10):
        if condition():
            return
        time.sleep(0.1)
    pytest.fail("it did not happen")
