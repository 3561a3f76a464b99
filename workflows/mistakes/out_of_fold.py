"""What speaks for and against each label: models that have not seen it, and the samples that look most like it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...models import splits
from ...models.classifiers import linear
from ...models.files import save_arrays
from ...models.graphs.nearest_neighbours import Graph
from ...models.images.reader import Images
from ...models.probabilities import softmax
from ...models.quality import label_errors
from ...models.settings import GraphSettings, ImageSettings, MistakeSettings, ResNetSettings
from ...models.step import Step
from ..data.labels import Labels
from ..runs import cached_arrays
from ..runs.run import Run
from ..training import image_survey, partition
from ..training import resnet as learning
from ..training.embedding_source import Source, read_or_compute
from ..training.embeddings import label_free
from ..training.image_survey import Look
from ..training.partition import HELD_OUT, TRAIN, VALIDATION

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
    known: Labels,
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

    ungrouped = replace(known, groups=np.full(len(known.ids), ""))  # so that near-duplicates are nothing else
    look = image_survey.look_at(run, ungrouped, image_settings)
    vectors, _, errors = label_free(run, known, look, image_settings)
    errors = {**look.errors, **errors}
    folds = _fold(run, known, look.groups, errors, choices)
    parts, margins = [], np.full(len(known.ids), np.nan)
    for fold in range(folds.max() + 1):
        inner = run.within(f"fold {fold + 1}")
        found, margin = _train_fold(inner, known, look, folds, fold, image_settings, resnet_settings)
        parts.append(found)
        margins[folds == fold] = margin
    readable = np.flatnonzero(folds >= 0)
    nearest = nearest_neighbours.build(vectors[readable], _fewer(graph_settings, known.classes[readable]))
    same = look.groups[readable]
    return _judge(known, readable, folds, np.stack(parts)[:, readable], nearest, same, margins, errors)


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
    graph_settings = _fewer(graph_settings, known.classes[readable])
    reduced = np.nan_to_num(
        nearest_neighbours.prepare(vectors[readable], graph_settings)
    )  # a vector of zeros has no direction
    nearest = nearest_neighbours.build(vectors[readable], graph_settings)
    same = splits.join(label_errors.near_duplicates(nearest.neighbours, nearest.distances), known.paths[readable])
    groups = np.arange(len(known.ids)) + len(same)
    groups[readable] = same
    folds = _fold(run, known, groups, errors, choices)
    ids, labels, classes = known.ids[readable], known.classes[readable], len(known.names)
    parts = []
    for fold in range(folds.max() + 1):
        inner, train = run.within(f"fold {fold + 1}"), folds[readable] != fold

        def compute(inner: Run = inner, train: np.ndarray = train) -> dict[str, np.ndarray]:
            return {"probabilities": _fit_fold(inner, reduced, labels, train, classes, choices.seed)}

        parts.append(inner.arrays("probabilities", compute, ids, ("probabilities",))["probabilities"])
    none = np.full(len(known.ids), np.nan)
    return _judge(known, readable, folds, np.stack(parts), nearest, same, none, errors)


def _fold(run: Run, known: Labels, groups: np.ndarray, errors: dict[int, str], choices: MistakeSettings) -> np.ndarray:
    """The fold of each sample, -1 where it cannot be read [N]; groups and near-duplicates stay together.

    Raises:
        ValueError: no fold is left, or one that leaves a single class to learn from
    """
    folds = run.arrays("folds", lambda: {"folds": deal(known, groups, errors, choices)}, known.ids, ("folds",))["folds"]
    _check_folds(folds, known)  # again: samples may have been deleted since they were dealt
    return folds


def deal(known: Labels, groups: np.ndarray, errors: dict[int, str], choices: MistakeSettings) -> np.ndarray:
    """Folds as `_fold` keeps them.

    Raises:
        ValueError: as `_fold`
    """
    rows = np.array([i for i in range(len(known.ids)) if i not in errors], dtype=np.int64)
    joined = splits.join(groups[rows], known.groups[rows])
    folds = np.full(len(known.ids), -1, dtype=np.int64)
    folds[rows] = splits.folds(known.classes[rows], joined, choices.folds, choices.seed)
    _check_folds(folds, known)
    return folds


def _check_folds(folds: np.ndarray, known: Labels) -> None:
    for fold in range(folds.max() + 1):
        if len(np.unique(known.classes[(folds >= 0) & (folds != fold)])) < 2:
            raise ValueError(
                f"without fold {fold + 1}, one class alone is left to learn from: label more samples, "
                "or group them by a field whose groups are smaller"
            )


def _train_fold(
    run: Run,
    known: Labels,
    look: Look,
    folds: np.ndarray,
    fold: int,
    image_settings: ImageSettings,
    settings: ResNetSettings,
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of every sample by a ResNet that has not seen the fold [N, K], and the fold's margins [n].

    Of the fold's own samples, half the word is that of all epochs: wrong labels are learned late, or never.
    """
    parts = np.where(folds >= 0, TRAIN, 0)
    parts[folds == fold] = HELD_OUT
    groups = splits.join(look.groups, known.groups)
    partition.set_aside(parts, VALIDATION, known, groups, settings.validation_fraction, settings.seed, stratify=True)
    held = np.flatnonzero(folds == fold)
    images = Images(known.paths.tolist(), image_settings, look.size_px, look.channels)
    path = run.folder / "epochs.npz"

    def watch(model: Any, step: Step) -> None:
        from ...models.classifiers import resnet

        total, last = _read_epochs(path, known.ids[held])
        if step.number > last:  # a resumed training repeats some
            scores = resnet.predict(model, images.batches(HELD_BATCH, held), settings)
            chances = softmax(np.concatenate([logits for _, logits, _ in scores]) + model.prior.cpu().numpy())
            save_arrays(path, ids=known.ids[held], total=total + chances, last=step.number)

    fitted = learning.fit(run, known, look, parts, image_settings, settings, watch)
    probabilities = softmax(np.nan_to_num(fitted.logits) + fitted.prior)
    total, _ = _read_epochs(path, known.ids[held])
    epochs = total / total.sum(axis=1, keepdims=True)
    probabilities[held] = (probabilities[held] + epochs) / 2
    return probabilities, margin(epochs, known.classes[held])


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
    labels, fold = known.classes[readable], folds[readable]
    counts = np.zeros((folds.max() + 1, len(known.names)), dtype=np.int64)
    np.add.at(counts, (fold, labels), 1)
    learned = counts.sum(axis=0)[labels] > counts[fold, labels]
    if not learned.any():
        raise ValueError(
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
