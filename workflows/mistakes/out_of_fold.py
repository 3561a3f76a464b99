"""Out-of-fold predictions of every labelled sample, averaged over its neighbours in the graph."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...models import splits
from ...models.classifiers import linear
from ...models.errors import InvalidInput
from ...models.files import save_arrays
from ...models.graphs.nearest_neighbours import Graph
from ...models.probabilities import softmax
from ...models.quality import label_errors
from ...models.settings import GraphSettings, ResNetSettings
from ...models.training_loops import TrainingReport
from ..data.labels import Labels
from ..runs import cached_arrays
from ..runs.run import Run
from ..training import image_survey, resnet
from ..training.embedding_source import EmbeddingSource, read_or_compute
from ..training.image_features import extract_features
from ..training.partition import Draw, Split, set_aside
from ..training.training_set import TrainingSet
from . import folds as cross_validation
from .config import MistakeConfig

PREDICT_BATCH = 64
LABELS_PER_NEIGHBOUR = 2  # limits the neighbours of small classes: ten labels a class give five


@dataclass
class OutOfFold:
    """Predictions of the labelled samples, none of which has seen its own label."""

    rows: np.ndarray  # indices of the samples that can be judged [n]
    probabilities: np.ndarray  # averaged over neighbours [n, K]
    single: np.ndarray  # before averaging [n, K]
    neighbours: np.ndarray  # the nearest first, -1 where there is none [n, k]
    duplicates: np.ndarray  # near-duplicates share a group [n]
    margins: np.ndarray  # lead of the label over the epochs of the fold's ResNet; NaN without one [n]
    folds: int
    errors: dict[int, str]  # index of the sample: why it could not be read
    unjudged: np.ndarray  # indices of samples whose class is in no other fold


class FoldPredictions(NamedTuple):
    """Predictions of each fold's model, and the graph of the readable samples [m]."""

    probabilities: np.ndarray  # of each fold's model for every readable sample [F, m, K]
    folds: np.ndarray  # fold of each readable sample [m]
    rows: np.ndarray  # index of each readable sample [m]
    graph: Graph
    duplicates: np.ndarray  # near-duplicates share a group [m]
    margins: np.ndarray  # [m]
    errors: dict[int, str]  # index of the sample: why it could not be read


def from_images(run: Run, labels: Labels, config: MistakeConfig) -> OutOfFold:
    """Trains a ResNet for each fold on the others; the graph is built on label-free features.

    Args:
        labels: of labelled samples alone
    """
    from ...models.graphs import nearest_neighbours

    ungrouped = replace(labels, groups=np.full(len(labels.ids), ""))  # stats.groups are near-duplicates alone
    stats = image_survey.survey_images(run, ungrouped, config.images)
    vectors, _, unread = extract_features(run, labels, stats, config.images)
    errors = {**stats.errors, **unread}
    folds = cross_validation.draw_once(run, labels, stats.groups, errors, config.mistakes)
    data = TrainingSet(labels, config.images, stats, np.where(folds >= 0, Split.TRAIN, Split.NONE))
    probabilities, margins = [], np.full(len(labels.ids), np.nan)
    for fold in range(folds.max() + 1):
        rows = np.flatnonzero(folds == fold)
        fold_probabilities, margins[rows] = _train_fold(run.subrun(f"fold {fold + 1}"), data, rows, config.resnet)
        probabilities.append(fold_probabilities)
    readable = np.flatnonzero(folds >= 0)
    graph = nearest_neighbours.build(vectors[readable], _limit_neighbours(config.graph, labels.class_ids[readable]))
    by_fold = np.stack(probabilities)[:, readable]
    return _average(
        labels,
        FoldPredictions(by_fold, folds[readable], readable, graph, stats.groups[readable], margins[readable], errors),
    )


def from_vectors(run: Run, labels: Labels, source: EmbeddingSource, config: MistakeConfig) -> OutOfFold:
    """Fits logistic regression for each fold on the others' vectors, reduced as the graph's are."""
    from ...models.graphs import nearest_neighbours

    vectors, errors = read_or_compute(run, labels, source)
    readable = np.array([i for i in range(len(labels.ids)) if i not in errors], dtype=np.int64)
    class_ids, classes, seed = labels.class_ids[readable], len(labels.names), config.mistakes.seed
    graph_settings = _limit_neighbours(config.graph, class_ids)
    reduced = np.nan_to_num(nearest_neighbours.prepare(vectors[readable], graph_settings))  # NaN where all are zero
    graph = nearest_neighbours.build(vectors[readable], graph_settings)
    duplicates = splits.join(label_errors.near_duplicates(graph.neighbours, graph.distances), labels.paths[readable])
    groups = np.arange(len(labels.ids)) + len(duplicates)
    groups[readable] = duplicates
    folds = cross_validation.draw_once(run, labels, groups, errors, config.mistakes)[readable]
    probabilities = []
    for fold in range(folds.max() + 1):
        inner, train = run.subrun(f"fold {fold + 1}"), folds != fold

        def compute(inner: Run = inner, train: np.ndarray = train) -> dict[str, np.ndarray]:
            return {"probabilities": _fit_fold(inner, reduced, class_ids, train, classes, seed)}

        kept = inner.cached_arrays("probabilities", compute, labels.ids[readable], ("probabilities",))
        probabilities.append(kept["probabilities"])
    margins = np.full(len(readable), np.nan)
    return _average(
        labels, FoldPredictions(np.stack(probabilities), folds, readable, graph, duplicates, margins, errors)
    )


def _train_fold(
    run: Run, data: TrainingSet, fold: np.ndarray, settings: ResNetSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of every sample by a ResNet that has not seen the fold [N, K], and the fold's margins [n].

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
    return probabilities, margin(mean, labels.class_ids[fold])


def _read_epochs(path: Path, ids: np.ndarray) -> tuple[np.ndarray, int]:
    """Sum of the fold's probabilities over the epochs so far [n, K], and the last epoch."""
    kept = cached_arrays.read(path)
    if kept is None:
        return np.zeros((1, 1)), 0
    kept = cached_arrays.select(kept, ids, ("total",))
    assert kept is not None  # a fold loses samples, and gets none
    return kept["total"], int(kept["last"])


def _fit_fold(
    run: Run, vectors: np.ndarray, labels: np.ndarray, train: np.ndarray, classes: int, seed: int
) -> np.ndarray:
    """Probabilities of every vector by a classifier that is trained on the others' folds [n, K]."""
    run.report("training", 0, 1)
    model = linear.train(vectors[train], labels[train], classes, seed)
    run.report("training", 1, 1)
    return softmax(linear.predict(model, vectors)).astype(np.float32)


def _limit_neighbours(settings: GraphSettings, labels: np.ndarray) -> GraphSettings:
    """At most as many neighbours as a class of median size can have of its own."""
    median = float(np.median(np.bincount(labels)[np.unique(labels)])) if len(labels) else 0
    return replace(settings, neighbours=max(1, min(settings.neighbours, int(median / LABELS_PER_NEIGHBOUR))))


def _average(labels: Labels, predictions: FoldPredictions) -> OutOfFold:
    """Averages over the graph, and leaves out samples whose class is in no other fold.

    Raises:
        ValueError: none is left
    """
    class_ids, folds = labels.class_ids[predictions.rows], predictions.folds
    counts = np.zeros((folds.max() + 1, len(labels.names)), dtype=np.int64)
    np.add.at(counts, (folds, class_ids), 1)
    is_learned = counts.sum(axis=0)[class_ids] > counts[folds, class_ids]
    if not is_learned.any():
        raise InvalidInput(
            "no label can be judged: the samples of each class are copies of one image, or one group, "
            "so that none of them is left to learn the class from. Label more samples of each class"
        )
    neighbours = predictions.graph.neighbours
    averaged = label_errors.average(predictions.probabilities, folds, neighbours)
    single = predictions.probabilities[folds, np.arange(len(folds))]
    place = np.full(len(folds) + 1, -1)  # the last is for "no neighbour"
    place[:-1][is_learned] = np.arange(is_learned.sum())
    return OutOfFold(
        rows=predictions.rows[is_learned],
        probabilities=averaged[is_learned],
        single=single[is_learned].astype(np.float64),
        neighbours=place[neighbours][is_learned],
        duplicates=predictions.duplicates[is_learned],
        margins=predictions.margins[is_learned],
        folds=len(predictions.probabilities),
        errors=predictions.errors,
        unjudged=predictions.rows[~is_learned],
    )


def margin(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Lead of the label over the likeliest other class, -1 .. 1 [n]."""
    rows = np.arange(len(labels))
    others = probabilities.copy()
    others[rows, labels] = -1
    return np.asarray(probabilities[rows, labels] - others.max(axis=1))
