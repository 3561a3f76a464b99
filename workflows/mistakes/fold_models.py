"""Models that have not seen a fold: trained here one after the other, or by workers at once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...models import processes, splits
from ...models.classifiers import linear, tuned_regression
from ...models.files import save_arrays
from ...models.probabilities import blocks, softmax
from ...models.quality import label_errors
from ...models.settings import ResNetSettings
from ...models.training_loops import TrainingReport
from ..runs import cached_arrays
from ..runs.cached_arrays import Arrays
from ..runs.detached import detached_run
from ..runs.kept_shards import Kept, by_workers
from ..runs.run import Run
from ..runs.shards import Executor
from ..runs.shared_files import SharedFiles, share
from ..training import resnet
from ..training.image_survey import note_images
from ..training.partition import Draw, Split, set_aside
from ..training.training_set import TrainingSet
from .config import MistakeConfig
from .planting import Judged

PREDICT_BATCH = 64
REGRESSIONS, NETWORKS = "training the regressions", "training a network for each fold"


@dataclass(frozen=True)
class NetworkWork:
    """What workers need to train the ResNets of all folds."""

    data: TrainingSet
    files: SharedFiles
    settings: ResNetSettings
    precision: str


@dataclass(frozen=True)
class RegressionWork:
    """What workers need to train the regressions of all folds."""

    vectors: np.ndarray  # [n, D]
    class_ids: np.ndarray  # [n]
    folds: np.ndarray  # [n]
    neighbours: np.ndarray  # -1 for none [n, k]
    classes: int
    seed: int


def train_regressions(
    run: Run,
    vectors: np.ndarray,
    judged: Judged,
    neighbours: np.ndarray,
    config: MistakeConfig,
    out: dict[str, np.ndarray],
) -> None:
    """Predicts every sample by the regression without its fold.

    Args:
        vectors: [n, D]
        neighbours: -1 for none [n, k]
        out: arrays for the probabilities, "single", and for their average over neighbours, "averaged" [n, K]
    """
    work = RegressionWork(vectors, judged.class_ids, judged.folds, neighbours, len(judged.names), config.mistakes.seed)
    members = [np.flatnonzero(judged.folds == fold) for fold in range(int(judged.folds.max()) + 1)]
    if config.workers.workers:
        kept = Kept(_names("regression", members), [judged.ids[rows] for rows in members], tuple(out))
        executor, numbers = Executor(config.workers.workers), range(len(members))
        found = by_workers(run, numbers, train_regression, executor, kept, REGRESSIONS, work)
        for rows, arrays in zip(members, found, strict=True):
            for name, table in out.items():
                table[rows] = arrays[name]
        return
    for number in range(len(members)):
        run.report(REGRESSIONS, number, len(members))
        for rows, single, averaged in _predict_fold(number, work):
            out["single"][rows], out["averaged"][rows] = single, averaged
    run.report(REGRESSIONS, len(members), len(members))


def train_regression(fold: int, work: RegressionWork) -> Arrays:
    """Probabilities of a fold's samples by the regression on the others, and averaged over neighbours, each [n, K]."""
    none, blocks_of = np.empty((0, work.classes), np.float32), [*_predict_fold(fold, work)]
    single, averaged = (np.concatenate([none, *(block[place] for block in blocks_of)]) for place in (1, 2))
    return {"single": single, "averaged": averaged}


def _predict_fold(fold: int, work: RegressionWork) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The same by blocks of rows, whose indices come first."""
    rows, train = np.flatnonzero(work.folds == fold), np.flatnonzero(work.folds != fold)
    if len(train) > tuned_regression.MAX_FIT_ROWS:
        train = train[tuned_regression.draw(work.class_ids[train])]
    model = linear.train(work.vectors[train], work.class_ids[train], work.classes, work.seed)
    near = work.neighbours[rows]
    for block in blocks(len(rows), work.classes * (1 + near.shape[1])):
        every = np.concatenate([rows[block, None], near[block]], axis=1)
        needed, places = np.unique(every, return_inverse=True)
        probabilities, places = softmax(linear.predict(model, work.vectors[needed])), places.reshape(every.shape)
        neighbours = np.where(near[block] < 0, -1, places[:, 1:])
        averaged = label_errors.average(probabilities, places[:, 0], neighbours)
        yield rows[block], probabilities[places[:, 0]].astype(np.float32), averaged.astype(np.float32)


def train_networks(
    run: Run, data: TrainingSet, folds: np.ndarray, config: MistakeConfig
) -> tuple[list[np.ndarray], np.ndarray]:
    """Probabilities of every sample by the ResNet without each fold, F of [N, K], and margins [N].

    Args:
        folds: of each sample, -1 where it cannot be read [N]
    """
    members = [np.flatnonzero(folds == fold) for fold in range(folds.max() + 1)]
    if config.workers.workers and not processes.is_distributed():
        arrays = _networks_by_workers(run, data, members, config)
    else:
        arrays = [
            train_network(run.subrun(f"fold {number}"), data, fold, config.resnet)
            for number, fold in enumerate(members, start=1)
        ]
    margins = np.full(len(folds), np.nan)
    for fold, own in zip(members, arrays, strict=True):
        margins[fold] = own["margins"][fold]
    return [own["probabilities"] for own in arrays], margins


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


def train_network_of(fold: np.ndarray, work: NetworkWork) -> Arrays:
    """As `train_network`, on a worker; `notes` are doubts about images.

    Raises:
        ValueError: a file is missing here
    """
    with tempfile.TemporaryDirectory(prefix="evenset-fold-") as folder:
        data, run = work.data, detached_run(Path(folder), precision=work.precision)
        labels = replace(data.labels, paths=np.array(work.files.local_paths(Path(folder)), dtype=str))
        arrays = train_network(run, replace(data, labels=labels), fold, work.settings)
    return {**arrays, "notes": np.array(run.record.notes.get("images", []), dtype=str)}


def _networks_by_workers(run: Run, data: TrainingSet, members: list[np.ndarray], config: MistakeConfig) -> list[Arrays]:
    precision = resnet.precision_once(run, data, config.resnet)
    files = share(data.labels.paths.tolist(), config.workers.ship_images)
    work = NetworkWork(data, files, config.resnet, precision)
    executor = Executor(str(config.workers.workers), config.resnet.device == "cuda")
    kept = Kept(_names("network", members), [data.labels.ids] * len(members), ("probabilities", "margins"))
    arrays = [*by_workers(run, members, train_network_of, executor, kept, NETWORKS, work)]
    for own in arrays:
        note_images(run, dict(enumerate(own["notes"].tolist())))
    return arrays


def _names(kind: str, folds: Sequence[Any]) -> list[str]:
    return [f"{kind} {number}" for number in range(len(folds))]


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
