"""Out-of-fold predictions of every labelled sample, averaged over its neighbours in the graph."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from ...models import mapped, splits
from ...models.classifiers.tuned_regression import is_learnable
from ...models.confidence import ensemble
from ...models.errors import InvalidInput
from ...models.files import clear
from ...models.graphs.nearest_neighbours import Graph
from ...models.quality import label_errors, label_neighbours
from ...models.quality.planted_errors import Planted
from ...models.regular_files import regular
from ...models.settings import GraphSettings
from ..data.labels import Labels
from ..runs.run import Run
from ..training import image_survey
from ..training.embedding_source import EmbeddingSource, read_or_compute, unlabelled_vectors
from ..training.ensemble import HALF_WEIGHT_LABELS
from ..training.image_features import extract_features
from ..training.partition import Split
from ..training.training_set import TrainingSet
from . import fold_models, planting
from . import folds as cross_validation
from .config import MistakeConfig

# with more labels, a regression averaged over neighbours finds more, and no errors are planted: average precision .904
# against .882 (confusable) and .417 against .354 (a weak model's errors) with 20,000 labels of Fashion-MNIST
MAX_FEW_LABELS = 5_000
TABLES = ("single", "averaged")  # probabilities by the regressions
LABELS_PER_NEIGHBOUR = 2  # limits the neighbours of small classes: ten labels a class give five


@dataclass
class OutOfFold:
    """Predictions of the labelled samples, none of which has seen its own label."""

    rows: np.ndarray  # indices of the samples that can be judged [n]
    probabilities: np.ndarray  # [n, K]
    single: np.ndarray  # before averaging [n, K]
    neighbours: np.ndarray  # the nearest first, -1 where there is none [n, k]
    duplicates: np.ndarray  # near-duplicates share a group [n]
    margins: np.ndarray  # lead of the label over the epochs of the fold's ResNet; NaN without one [n]
    folds: int
    errors: dict[int, str]  # index of the sample: why it could not be read
    unjudged: np.ndarray  # indices of samples whose class is in no other fold
    rounds: list[Planted] = field(default_factory=list)  # predictions with planted errors; none for images


class FoldPredictions(NamedTuple):
    """Predictions of the readable samples [m] by models without their fold, and their graph."""

    probabilities: np.ndarray  # [m, K]
    single: np.ndarray  # before averaging over neighbours [m, K]
    folds: np.ndarray  # fold of each readable sample [m]
    rows: np.ndarray  # index of each readable sample [m]
    graph: Graph
    duplicates: np.ndarray  # near-duplicates share a group [m]
    margins: np.ndarray  # [m]
    errors: dict[int, str]  # index of the sample: why it could not be read


def from_images(run: Run, labels: Labels, config: MistakeConfig, trains_resnets: bool = True) -> OutOfFold:
    """Predicts each fold by a ResNet trained on the others; the graph is built on label-free features.

    With few labels the members on that graph take part, weighed by the labels; with many, the graph averages.

    Args:
        labels: of labelled samples alone
        trains_resnets: False: few labels are predicted by the members alone
    """
    from ...models.graphs import nearest_neighbours

    ungrouped = replace(labels, groups=np.full(len(labels.ids), ""))  # stats.groups are near-duplicates alone
    stats = image_survey.survey_images(run, ungrouped, config.images)
    vectors, details, unread = extract_features(run, labels, stats, config.images)
    assert details is not None  # Evenset's own features have some
    errors = {**stats.errors, **unread}
    folds = cross_validation.draw_once(run, labels, stats.groups, errors, config.mistakes)
    readable = np.flatnonzero(folds >= 0)
    judged = planting.Judged(labels.ids[readable], labels.class_ids[readable], folds[readable], labels.names)
    graph = nearest_neighbours.build(vectors[readable], _limit_neighbours(config.graph, judged.class_ids))
    has_few, margins, rounds = len(readable) <= MAX_FEW_LABELS, np.full(len(labels.ids), np.nan), list[Planted]()
    if trains_resnets or not has_few:
        data = TrainingSet(labels, config.images, stats, np.where(folds >= 0, Split.TRAIN, Split.NONE))
        by_fold, margins = fold_models.train_networks(run, data, folds, config)
        single, averaged = np.empty((2, len(readable), len(labels.names)))
        for fold, predicted in enumerate(by_fold):
            rows, predicted = np.flatnonzero(judged.folds == fold), predicted[readable]
            single[rows] = predicted[rows]
            averaged[rows] = label_errors.average(predicted, rows, graph.neighbours[rows])
        probabilities = single if has_few else averaged
    if has_few:
        members, rounds = planting.predict(run, vectors[readable], judged, config, details[readable])
        probabilities = single = _with_resnet(members, single, judged) if trains_resnets else members
    predictions = FoldPredictions(
        probabilities=probabilities,
        single=single,
        folds=judged.folds,
        rows=readable,
        graph=graph,
        duplicates=stats.groups[readable],
        margins=margins[readable],
        errors=errors,
    )
    return _without_unlearned(labels, predictions, rounds)


def from_vectors(run: Run, labels: Labels, source: EmbeddingSource, config: MistakeConfig) -> OutOfFold:
    """Predicts each fold by models that learned from the others.

    These are the members on the graph of all samples, labelled or not; with many labels, one logistic regression.
    """
    from ...models.graphs import nearest_neighbours

    vectors, errors = read_or_compute(run, labels, source)
    readable = np.array([i for i in range(len(labels.ids)) if i not in errors], dtype=np.int64)
    class_ids = labels.class_ids[readable]
    graph = nearest_neighbours.build(vectors[readable], _limit_neighbours(config.graph, class_ids))
    duplicates = splits.join(
        label_neighbours.near_duplicates(graph.neighbours, graph.distances), labels.paths[readable]
    )
    groups = np.arange(len(labels.ids)) + len(duplicates)
    groups[readable] = duplicates
    folds = cross_validation.draw_once(run, labels, groups, errors, config.mistakes)[readable]
    judged = planting.Judged(labels.ids[readable], class_ids, folds, labels.names)
    rounds: list[Planted] = []
    if len(readable) > MAX_FEW_LABELS:
        single, probabilities = _by_regression(run, vectors[readable], judged, graph, config)
    else:
        others = unlabelled_vectors(source, labels.ids, vectors.shape[1])
        single, rounds = planting.predict(run, np.concatenate([vectors[readable], others]), judged, config)
        probabilities = single
    predictions = FoldPredictions(
        probabilities=probabilities,
        single=single,
        folds=folds,
        rows=readable,
        graph=graph,
        duplicates=duplicates,
        margins=np.full(len(readable), np.nan),
        errors=errors,
    )
    return _without_unlearned(labels, predictions, rounds)


def _by_regression(
    run: Run, vectors: np.ndarray, judged: planting.Judged, graph: Graph, config: MistakeConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Out-of-fold probabilities by logistic regression on reduced vectors, and averaged over neighbours [n, K] each.

    Many of them lie in files.

    Args:
        vectors: of the labelled samples [n, D]
    """
    from ...models.graphs import nearest_neighbours

    shape = len(judged.ids), len(judged.names)
    files = {name: run.folder / f"{name}.npy" if mapped.is_large(*shape) else None for name in TABLES}

    def compute() -> dict[str, np.ndarray]:
        reduced = np.nan_to_num(nearest_neighbours.prepare(vectors, config.graph))  # NaN where all are zero
        tables = {name: mapped.empty(shape, file) for name, file in files.items()}
        fold_models.train_regressions(run, reduced, judged, graph.neighbours, config, tables)
        return {name: table for name, table in tables.items() if files[name] is None}

    if any(file is not None and not file.exists() for file in files.values()):  # somebody removed one
        clear(run.folder / "by_regression.npz")
    kept = run.cached_arrays("by_regression", compute, judged.ids, () if mapped.is_large(*shape) else TABLES)
    single, averaged = (
        kept[name] if file is None else np.load(regular(file), mmap_mode="r") for name, file in files.items()
    )
    return single, averaged


def _with_resnet(members: np.ndarray, resnet_probabilities: np.ndarray, judged: planting.Judged) -> np.ndarray:
    """Combines out-of-fold probabilities of the members and of the ResNets, each [n, K], weighed by the labels."""
    labels_per_class = len(judged.class_ids) / len(np.unique(judged.class_ids))
    defaults = np.array([1.0, labels_per_class / (labels_per_class + HALF_WEIGHT_LABELS)])
    scores = np.log(np.maximum([members, resnet_probabilities], 1e-12))
    learnable = is_learnable(judged.class_ids, judged.folds)
    weights = ensemble.weigh(scores[:, learnable], judged.class_ids[learnable], defaults)
    return np.asarray(np.exp(ensemble.combine(scores, weights)))


def _limit_neighbours(settings: GraphSettings, labels: np.ndarray) -> GraphSettings:
    """At most as many neighbours as a class of median size can have of its own."""
    median = float(np.median(np.bincount(labels)[np.unique(labels)])) if len(labels) else 0
    return replace(settings, neighbours=max(1, min(settings.neighbours, int(median / LABELS_PER_NEIGHBOUR))))


def _without_unlearned(labels: Labels, predictions: FoldPredictions, rounds: list[Planted]) -> OutOfFold:
    """Leaves out samples whose class is in no other fold.

    Raises:
        ValueError: none is left
    """
    class_ids, folds = labels.class_ids[predictions.rows], predictions.folds
    is_learned = is_learnable(class_ids, folds)
    if not is_learned.any():
        raise InvalidInput(
            "no label can be judged: the samples of each class are copies of one image, or one group, "
            "so that none of them is left to learn the class from. Label more samples of each class"
        )
    place = np.full(len(folds) + 1, -1)  # the last is for "no neighbour"
    place[:-1][is_learned] = np.arange(is_learned.sum())
    return OutOfFold(
        rows=predictions.rows[is_learned],
        probabilities=mapped.take(predictions.probabilities, is_learned),
        single=mapped.take(predictions.single, is_learned),
        neighbours=place[predictions.graph.neighbours][is_learned],
        duplicates=predictions.duplicates[is_learned],
        margins=predictions.margins[is_learned],
        folds=int(folds.max()) + 1,
        errors=predictions.errors,
        unjudged=predictions.rows[~is_learned],
        rounds=rounds,
    )
