"""What speaks for and against each label: models that have not seen it, and the samples that look most like it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...models import splits
from ...models.classifiers import linear
from ...models.errors import InvalidInput
from ...models.files import save_arrays
from ...models.graphs.nearest_neighbours import Graph
from ...models.images.reader import Images
from ...models.probabilities import softmax
from ...models.quality import label_errors
from ...models.settings import GraphSettings, ImageSettings, MistakeSettings, ResNetSettings
from ...models.training_loops import TrainingReport
from ..data.labels import Labels
from ..runs import cached_arrays
from ..runs.run import Run
from ..training import image_survey, partition
from ..training import resnet as learning
from ..training.embedding_source import Source, read_or_compute
from ..training.embeddings import label_free
from ..training.image_survey import ImageStats
from ..training.partition import Split

HELD_BATCH = 64
LABELS_A_NEIGHBOUR = 2  # a class with ten labels has five neighbours of its own, not fifteen


@dataclass
class Evidence:
    """Nothing in a row has seen that row's label."""

    rows: np.ndarray  # indices of the samples that can be judged [n]
    probabilities: np.ndarray  # out of fold, and averaged over neighbours [n, K]
    alone: np.ndarray  # the same, before neighbours had a say [n, K]
    neighbours: np.ndarray  # the nearest first, -1 where there is none [n, k]
    duplicates: np.ndarray  # near-duplicates share a group [n]
    margins: np.ndarray  # lead of the label, over the epochs of the fold's ResNet; NaN without one [n]
    folds: int
    errors: dict[int, str]  # index of the sample: why it could not be read
    unjudged: np.ndarray  # indices of samples that no model learned the class of


def from_images(
    run: Run,
    labels: Labels,
    image_settings: ImageSettings,
    resnet_settings: ResNetSettings,
    graph_settings: GraphSettings,
    choices: MistakeSettings,
) -> Evidence:
    """Trains a ResNet for each fold on the others; the graph is made of vectors that no label had a part in.

    Args:
        known: labelled samples alone
    """
    from ...models.graphs import nearest_neighbours

    ungrouped = replace(labels, groups=np.full(len(labels.ids), ""))  # so that near-duplicates are nothing else
    stats = image_survey.survey_images(run, ungrouped, image_settings)
    vectors, _, errors = label_free(run, labels, stats, image_settings)
    errors = {**stats.errors, **errors}
    folds = _fold(run, labels, stats.groups, errors, choices)
    split_ids, margins = [], np.full(len(labels.ids), np.nan)
    for fold in range(folds.max() + 1):
        inner = run.subrun(f"fold {fold + 1}")
        found, margin = _train_fold(inner, labels, stats, folds, fold, image_settings, resnet_settings)
        split_ids.append(found)
        margins[folds == fold] = margin
    readable = np.flatnonzero(folds >= 0)
    nearest = nearest_neighbours.build(vectors[readable], _fewer(graph_settings, labels.class_ids[readable]))
    same = stats.groups[readable]
    return _judge(labels, readable, folds, np.stack(split_ids)[:, readable], nearest, same, margins, errors)


def from_vectors(
    run: Run,
    known: Labels,
    source: Source,
    graph_settings: GraphSettings,
    choices: MistakeSettings,
) -> Evidence:
    """Fits logistic regression on the vectors of each fold's others, once they are reduced as the graph's are."""
    from ...models.graphs import nearest_neighbours

    vectors, errors = read_or_compute(run, known, source)
    readable = np.array([i for i in range(len(known.ids)) if i not in errors], dtype=np.int64)
    graph_settings = _fewer(graph_settings, known.class_ids[readable])
    reduced = np.nan_to_num(
        nearest_neighbours.prepare(vectors[readable], graph_settings)
    )  # a vector of zeros has no direction
    nearest = nearest_neighbours.build(vectors[readable], graph_settings)
    same = splits.join(label_errors.near_duplicates(nearest.neighbours, nearest.distances), known.paths[readable])
    groups = np.arange(len(known.ids)) + len(same)
    groups[readable] = same
    folds = _fold(run, known, groups, errors, choices)
    ids, labels, classes = known.ids[readable], known.class_ids[readable], len(known.names)
    split_ids = []
    for fold in range(folds.max() + 1):
        inner, train = run.subrun(f"fold {fold + 1}"), folds[readable] != fold

        def compute(inner: Run = inner, train: np.ndarray = train) -> dict[str, np.ndarray]:
            return {"probabilities": _fit_fold(inner, reduced, labels, train, classes, choices.seed)}

        split_ids.append(inner.cached_arrays("probabilities", compute, ids, ("probabilities",))["probabilities"])
    none = np.full(len(known.ids), np.nan)
    return _judge(known, readable, folds, np.stack(split_ids), nearest, same, none, errors)


def _fold(run: Run, labels: Labels, groups: np.ndarray, errors: dict[int, str], choices: MistakeSettings) -> np.ndarray:
    """The fold of each sample, -1 where it cannot be read [N]; groups and near-duplicates stay together.

    Raises:
        ValueError: no fold is left, or one that leaves a single class to learn from
    """
    folds = run.cached_arrays(
        "folds", lambda: {"folds": deal(labels, groups, errors, choices)}, labels.ids, ("folds",)
    )["folds"]
    _check_folds(folds, labels)  # again: samples may have been deleted since they were dealt
    return folds


def deal(labels: Labels, groups: np.ndarray, errors: dict[int, str], choices: MistakeSettings) -> np.ndarray:
    """Folds as `_fold` keeps them.

    Raises:
        ValueError: as `_fold`
    """
    rows = np.array([i for i in range(len(labels.ids)) if i not in errors], dtype=np.int64)
    joined = splits.join(groups[rows], labels.groups[rows])
    folds = np.full(len(labels.ids), -1, dtype=np.int64)
    folds[rows] = splits.folds(labels.class_ids[rows], joined, choices.folds, choices.seed)
    _check_folds(folds, labels)
    return folds


def _check_folds(folds: np.ndarray, labels: Labels) -> None:
    for fold in range(folds.max() + 1):
        if len(np.unique(labels.class_ids[(folds >= 0) & (folds != fold)])) < 2:
            raise InvalidInput(
                f"without fold {fold + 1}, one class alone is left to learn from: label more samples, "
                "or group them by a field whose groups are smaller"
            )


def _train_fold(
    run: Run,
    labels: Labels,
    stats: ImageStats,
    folds: np.ndarray,
    fold: int,
    image_settings: ImageSettings,
    settings: ResNetSettings,
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of every sample by a ResNet that has not seen the fold [N, K], and the fold's margins [n].

    Of the fold's own samples, half the word is that of all epochs: wrong labels are learned late, or never.
    """
    split_ids = np.where(folds >= 0, Split.TRAIN, 0)
    split_ids[folds == fold] = Split.HELD_OUT
    groups = splits.join(stats.groups, labels.groups)
    partition.set_aside(
        split_ids, Split.VALIDATION, labels, groups, settings.validation_fraction, settings.seed, stratify=True
    )
    held = np.flatnonzero(folds == fold)
    images = Images(labels.paths.tolist(), image_settings, stats.size_px, stats.channels)
    path = run.folder / "epochs.npz"

    def watch(model: Any, step: TrainingReport) -> None:
        from ...models.classifiers.resnet_prediction import predict

        total, last = _read_epochs(path, labels.ids[held])
        if step.number > last:  # a resumed training repeats some
            scores = predict(model, images.batches(HELD_BATCH, held), settings)
            chances = softmax(np.concatenate([logits for _, logits, _ in scores]) + model.prior.cpu().numpy())
            save_arrays(path, ids=labels.ids[held], total=total + chances, last=step.number)

    fitted = learning.fit(run, labels, stats, split_ids, image_settings, settings, watch)
    probabilities = softmax(np.nan_to_num(fitted.logits) + fitted.prior)
    total, _ = _read_epochs(path, labels.ids[held])
    epochs = total / total.sum(axis=1, keepdims=True)
    probabilities[held] = (probabilities[held] + epochs) / 2
    return probabilities, margin(epochs, labels.class_ids[held])


def _read_epochs(path: Path, held: np.ndarray) -> tuple[np.ndarray, int]:
    """Sum of the held-out fold's probabilities over the epochs so far [n, K], and the last epoch."""
    kept = cached_arrays.read(path)
    if kept is None:
        return np.zeros((1, 1)), 0
    kept = cached_arrays.select(kept, held, ("total",))
    assert kept is not None  # a fold loses samples, and gets none
    return kept["total"], int(kept["last"])


def _fit_fold(
    run: Run, vectors: np.ndarray, labels: np.ndarray, train: np.ndarray, classes: int, seed: int
) -> np.ndarray:
    """Probabilities of every vector by a classifier of those that train [n, K]."""
    run.report("training", 0, 1)
    model = linear.train(vectors[train], labels[train], classes, seed)
    run.report("training", 1, 1)
    return softmax(linear.predict(model, vectors)).astype(np.float32)


def _fewer(settings: GraphSettings, labels: np.ndarray) -> GraphSettings:
    """No more neighbours than a class of usual size could have of its own."""
    usual = float(np.median(np.bincount(labels)[np.unique(labels)])) if len(labels) else 0
    return replace(settings, neighbours=max(1, min(settings.neighbours, int(usual / LABELS_A_NEIGHBOUR))))


def _judge(
    known: Labels,
    readable: np.ndarray,
    folds: np.ndarray,
    predictions: np.ndarray,
    nearest: Graph,
    duplicates: np.ndarray,
    margins: np.ndarray,
    errors: dict[int, str],
) -> Evidence:
    """Joins predictions [F, n, K] and graph of the readable samples; leaves out those whose class no model learned.

    Raises:
        ValueError: none is left
    """
    labels, fold = known.class_ids[readable], folds[readable]
    counts = np.zeros((folds.max() + 1, len(known.names)), dtype=np.int64)
    np.add.at(counts, (fold, labels), 1)
    learned = counts.sum(axis=0)[labels] > counts[fold, labels]
    if not learned.any():
        raise InvalidInput(
            "no label can be judged: the samples of each class are copies of one image, or one group, "
            "so that none of them is left to learn the class from. Label more samples of each class"
        )
    averaged = label_errors.average(predictions, fold, nearest.neighbours)
    place = np.full(len(readable) + 1, -1)  # the last is for "no neighbour"
    place[:-1][learned] = np.arange(learned.sum())
    return Evidence(
        rows=readable[learned],
        probabilities=averaged[learned],
        alone=predictions[fold, np.arange(len(fold))][learned].astype(np.float64),
        neighbours=place[nearest.neighbours][learned],
        duplicates=duplicates[learned],
        margins=margins[readable][learned],
        folds=len(predictions),
        errors=errors,
        unjudged=readable[~learned],
    )


def margin(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How far the label leads the likeliest other class, -1 .. 1 [n]."""
    rows = np.arange(len(labels))
    others = probabilities.copy()
    others[rows, labels] = -1
    return np.asarray(probabilities[rows, labels] - others.max(axis=1))
