"""Models that have not seen a fold: trained here one after the other, or by workers at once."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ...models import processes, splits
from ...models.classifiers import linear
from ...models.errors import InvalidInput
from ...models.files import save_arrays
from ...models.images.region import file_of
from ...models.probabilities import softmax
from ...models.settings import ResNetSettings
from ...models.training_loops import TrainingReport
from ..runs import cached_arrays, shards
from ..runs.cached_arrays import Arrays
from ..runs.detached import detached_run
from ..runs.run import Run
from ..runs.shards import Executor
from ..training import resnet
from ..training.image_survey import note_images
from ..training.partition import Draw, Split, set_aside
from ..training.training_set import TrainingSet
from .config import MistakeConfig
from .planting import Judged

S = TypeVar("S")
PREDICT_BATCH = 64
REGRESSIONS, NETWORKS = "training the regressions", "training a network for each fold"


@dataclass(frozen=True)
class NetworkShard:
    """A fold for a worker, to be predicted by a ResNet that is trained on the others."""

    data: TrainingSet
    fold: np.ndarray  # indices of the fold's samples [n]
    settings: ResNetSettings
    precision: str
    is_there: np.ndarray  # whether the first process sees each file [N]


@dataclass(frozen=True)
class RegressionShard:
    """A fold for a worker, to be predicted by a regression on the others."""

    vectors: np.ndarray  # [n, D]
    class_ids: np.ndarray  # [n]
    is_train: np.ndarray  # [n]
    classes: int
    seed: int


def train_regressions(run: Run, vectors: np.ndarray, judged: Judged, config: MistakeConfig) -> np.ndarray:
    """Probabilities of every sample by the regression without each fold [F, n, K].

    Args:
        vectors: [n, D]
    """
    classes, seed, count = len(judged.names), config.mistakes.seed, int(judged.folds.max()) + 1
    folds = [RegressionShard(vectors, judged.class_ids, judged.folds != i, classes, seed) for i in range(count)]
    if config.workers.workers:
        executor = Executor(config.workers.workers)
        kept = Kept("regression", judged.ids, ("probabilities",))
        arrays = _by_workers(run, folds, train_regression, executor, kept, REGRESSIONS)
    else:
        arrays = []
        for number, shard in enumerate(folds):
            run.report(REGRESSIONS, number, count)
            arrays.append(train_regression(shard))
    run.report(REGRESSIONS, count, count)
    return np.stack([own["probabilities"] for own in arrays])


def train_regression(shard: RegressionShard) -> Arrays:
    """Probabilities of every sample [n, K]."""
    train = shard.is_train
    model = linear.train(shard.vectors[train], shard.class_ids[train], shard.classes, shard.seed)
    return {"probabilities": softmax(linear.predict(model, shard.vectors)).astype(np.float32)}


def train_networks(
    run: Run, data: TrainingSet, folds: np.ndarray, config: MistakeConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of every sample by the ResNet without each fold [F, N, K], and margins [N].

    Args:
        folds: of each sample, -1 where it cannot be read [N]
    """
    members = [np.flatnonzero(folds == fold) for fold in range(folds.max() + 1)]
    if config.workers.workers and not config.workers.ship_images and not processes.is_distributed():
        arrays = _networks_by_workers(run, data, members, config)
    else:
        arrays = [
            train_network(run.subrun(f"fold {number}"), data, fold, config.resnet)
            for number, fold in enumerate(members, start=1)
        ]
    margins = np.full(len(folds), np.nan)
    for fold, own in zip(members, arrays, strict=True):
        margins[fold] = own["margins"][fold]
    return np.stack([own["probabilities"] for own in arrays]), margins


def train_network(run: Run, data: TrainingSet, fold: np.ndarray, settings: ResNetSettings) -> Arrays:
    """Probabilities of every sample by a ResNet that has not seen the fold [N, K], and the fold's margins [N].

    The fold's own probabilities are half the mean over epochs: wrong labels are learned late, or never.

    Args:
        fold: indices of the fold's samples [n]
    """
    labels, split_ids = data.labels, data.split_ids.copy()
    split_ids[fold] = Split.HELD_OUT
    groups = splits.join(data.stats.groups, labels.groups)
    set_aside(split_ids, Split.VALIDATION, labels, groups, Draw(settings.validation_fraction, settings.seed))
    data = replace(data, split_ids=split_ids)
    images, path = data.open_images(), run.folder / "epochs.npz"

    def watch(model: Any, step: TrainingReport) -> None:
        from ...models.classifiers.resnet_prediction import predict

        total, last = _read_epochs(path, labels.ids[fold])
        if step.number > last:  # a resumed training repeats some
            scores = predict(model, images.batches(PREDICT_BATCH, fold), settings)
            logits = np.concatenate([logits for _, logits, _ in scores]) + model.prior.cpu().numpy()
            save_arrays(path, ids=labels.ids[fold], total=total + softmax(logits), last=step.number)

    fitted = resnet.fit(run, data, settings, watch)
    probabilities = softmax(np.nan_to_num(fitted.logits) + fitted.log_prior)
    total, _ = _read_epochs(path, labels.ids[fold])
    mean = total / total.sum(axis=1, keepdims=True)
    probabilities[fold] = (probabilities[fold] + mean) / 2
    margins = np.full(len(labels.ids), np.nan)
    margins[fold] = margin(mean, labels.class_ids[fold])
    return {"probabilities": probabilities, "margins": margins}


def train_network_of(shard: NetworkShard) -> Arrays:
    """As `train_network`, on a worker; `notes` are doubts about images.

    Raises:
        ValueError: a file is missing here
    """
    for path, is_there in zip(shard.data.labels.paths.tolist(), shard.is_there.tolist(), strict=True):
        if is_there and not os.path.exists(file_of(path)):
            raise InvalidInput(f"{socket.gethostname()} cannot read {file_of(path)}: share the folder")
    with tempfile.TemporaryDirectory(prefix="evenset-fold-") as folder:
        run = detached_run(Path(folder), precision=shard.precision)
        arrays = train_network(run, shard.data, shard.fold, shard.settings)
    return {**arrays, "notes": np.array(run.record.notes.get("images", []), dtype=str)}


def _networks_by_workers(run: Run, data: TrainingSet, members: list[np.ndarray], config: MistakeConfig) -> list[Arrays]:
    precision = resnet.precision_once(run, data, config.resnet)
    is_there = np.array([os.path.exists(file_of(path)) for path in data.labels.paths.tolist()])
    folds = [NetworkShard(data, fold, config.resnet, precision, is_there) for fold in members]
    executor = Executor(str(config.workers.workers), config.resnet.device == "cuda")
    kept = Kept("network", data.labels.ids, ("probabilities", "margins"))
    arrays = _by_workers(run, folds, train_network_of, executor, kept, NETWORKS)
    for own in arrays:
        note_images(run, dict(enumerate(own["notes"].tolist())))
    return arrays


@dataclass(frozen=True)
class Kept:
    """How the run keeps the arrays of shards: a resumed run computes the missing ones."""

    name: str
    ids: np.ndarray  # of the samples [N]
    rows: tuple[str, ...]  # names of arrays with one row a sample

    def has(self, run: Run, number: int) -> bool:
        arrays = cached_arrays.read(run.folder / f"{self.name} {number}.npz")
        return arrays is not None and cached_arrays.select(arrays, self.ids, self.rows) is not None

    def keep(self, run: Run, number: int, compute: Callable[[], Arrays]) -> Arrays:
        return run.cached_arrays(f"{self.name} {number}", compute, self.ids, self.rows)


def _by_workers(
    run: Run, folds: list[S], function: Callable[[S], Arrays], executor: Executor, kept: Kept, phase: str
) -> list[Arrays]:
    """The arrays of each fold, in their order; those that the run has are not computed again."""
    missing = [number for number in range(len(folds)) if not kept.has(run, number)]
    done = len(folds) - len(missing)
    run.report(phase, done, len(folds))
    if missing:
        for place, arrays in shards.results([folds[i] for i in missing], function, executor, run.check_stop):
            kept.keep(run, missing[place], lambda own=arrays: own)  # type: ignore[misc]
            done += 1
            run.report(phase, done, len(folds))
    return [kept.keep(run, number, dict) for number in range(len(folds))]


def _read_epochs(path: Path, ids: np.ndarray) -> tuple[np.ndarray, int]:
    """Sum of the fold's probabilities over the epochs so far [n, K], and the last epoch."""
    kept = cached_arrays.read(path)
    if kept is None:
        return np.zeros((1, 1)), 0
    kept = cached_arrays.select(kept, ids, ("total",))
    assert kept is not None  # a fold loses samples, and gets none
    return kept["total"], int(kept["last"])


def margin(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Lead of the label over the likeliest other class, -1 .. 1 [n]."""
    rows = np.arange(len(labels))
    others = probabilities.copy()
    others[rows, labels] = -1
    return np.asarray(probabilities[rows, labels] - others.max(axis=1))
