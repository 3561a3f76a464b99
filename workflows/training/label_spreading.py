"""Label spreading over the graph of nearest samples, by an ensemble whose members see the graph in different ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...models import splits
from ...models.classifiers import tuned_regression
from ...models.confidence import ensemble
from ...models.errors import InvalidInput
from ...models.graphs.nearest_neighbours import Graph
from ...models.settings import GCNSettings, GraphSettings, LabelSpreadingSettings
from ...models.vectors import unit_rows

LONG_RANGE = ("far", "shared far", "harmonic")  # members for whom one label a class suffices
DETAILS_NORM = 4.0  # length of the details: a larger one weakens their regression's penalty
GCN_FOLDS = 3
MEMBERS = {  # what each is
    "regression": "logistic regression on the vectors, tuned by cross-validation",
    "own": "logistic regression on their principal directions",
    "far": "logistic regression on vectors averaged over many hops of the graph (SGC)",
    "shared near": "logistic regression on directions that neighbours share, averaged over two hops",
    "shared far": "logistic regression on directions that neighbours share, averaged over many hops",
    "details": "logistic regression on further directions of pixels and gradients",
    "gcn": "a graph convolutional network over the samples",
    "harmonic": "label propagation over long paths of the graph",
    "harmonic near": "label propagation over short paths of the graph",
    "resnet": "a ResNet on the images",
}
HALF_WEIGHT_LABELS = 20  # labels a class at which the short-range members weigh half as much as the others


@dataclass(frozen=True)
class GraphViews:
    """The graph of all samples and the features on it; independent of labels."""

    usable: np.ndarray  # indices of the samples in the graph [n]
    samples: int  # N
    graph: Graph  # of the usable samples
    views: dict[str, np.ndarray]  # each [n, d]

    def neighbours(self) -> np.ndarray:
        """Indices of the nearest samples of each sample, -1 where there is none [N, k]."""
        nearest = self.graph.neighbours
        of_all = np.full((self.samples, nearest.shape[1]), -1)
        of_all[self.usable] = np.where(nearest >= 0, self.usable[nearest], -1)
        return of_all


@dataclass(frozen=True)
class MemberScores:
    """Scores and weight of each member."""

    names: list[str]
    log_probabilities: np.ndarray  # NaN where a sample has no vector [M, N, K]
    weights: np.ndarray  # [M]
    out_of_fold: np.ndarray  # of each training sample, by members without its label; NaN elsewhere [M, N, K]

    def combined(self) -> np.ndarray:
        """Log-probabilities of the ensemble [N, K]."""
        return ensemble.combine(self.log_probabilities, self.weights)

    def accuracies(self, labels: np.ndarray) -> np.ndarray:
        """Out-of-fold accuracy of each member on the training samples [M].

        Args:
            labels: class of each sample [N]
        """
        rows = np.flatnonzero(~np.isnan(self.out_of_fold).any(axis=(0, 2)))
        return np.asarray((self.out_of_fold[:, rows].argmax(axis=2) == labels[rows]).mean(axis=1))


def build_views(
    vectors: np.ndarray,
    settings: LabelSpreadingSettings,
    graph_settings: GraphSettings,
    details: np.ndarray | None = None,
) -> GraphViews:
    """Builds the graph of nearest samples, and the features that the members learn from.

    Args:
        vectors: [N, D]; rows that are not finite, or all zero, are left out
        details: a further view, which has no part in the graph [N, p]
    """
    from ...models.graphs import nearest_neighbours, neighbourhood_features

    usable = np.flatnonzero(np.isfinite(vectors).all(axis=1) & (np.abs(vectors).max(axis=1) > 0))
    own = neighbourhood_features.power_normalise(vectors[usable], settings.feature_dim, settings.seed)
    graph = nearest_neighbours.build(own, graph_settings)
    adjacency = graph.normalised()
    shared = neighbourhood_features.preserve_locality(own, adjacency)
    views = {
        "regression": unit_rows(vectors[usable]),
        "own": own,
        "far": neighbourhood_features.propagate(own, adjacency, 20, teleport=0.15),
        "shared near": neighbourhood_features.propagate(shared, adjacency, 2),
        "shared far": neighbourhood_features.propagate(shared, adjacency, 20, teleport=0.1),
    }
    if details is not None:
        views["details"] = DETAILS_NORM * neighbourhood_features.to_unit_rms(details[usable])
    return GraphViews(usable, len(vectors), graph, views)


def spread_labels(
    graph_views: GraphViews,
    labels: np.ndarray,
    classes: int,
    settings: LabelSpreadingSettings,
    gcn_settings: GCNSettings,
    groups: np.ndarray | None = None,
) -> MemberScores:
    """Scores every sample by each member, and weighs the members by cross-fitting on these labels.

    Args:
        labels: class of each sample, -1 where unknown or held out [N]; at least two classes
        groups: samples of one group are in one fold [N]; None: each is its own
    """
    usable, training_labels = graph_views.usable, labels[graph_views.usable]
    members = _members(graph_views, classes, gcn_settings, GCN_FOLDS)
    folds = _draw_folds(training_labels, None if groups is None else groups[usable], settings)
    fits = [member(training_labels, folds) for member in members.values()]
    labelled = usable[training_labels >= 0]
    learnable = tuned_regression.is_learnable(labels[labelled], folds)
    out_of_fold = np.stack([fit.out_of_fold for fit in fits])
    defaults = default_weights(list(members), training_labels)
    weights = ensemble.weigh(out_of_fold[:, learnable], labels[labelled[learnable]], defaults)
    return MemberScores(
        list(members),
        _at(usable, np.stack([fit.scores for fit in fits]), graph_views.samples),
        weights,
        _at(labelled, out_of_fold, graph_views.samples),
    )


def refit(
    graph_views: GraphViews,
    labels: np.ndarray,
    classes: int,
    weights: np.ndarray,
    settings: LabelSpreadingSettings,
    gcn_settings: GCNSettings,
) -> np.ndarray:
    """Log-probabilities of the ensemble on further labels, with the weights of `spread_labels` [N, K].

    Args:
        labels: class of each sample, -1 where unknown [N]
        weights: of the members [M]
    """
    usable = graph_views.usable
    members = _members(graph_views, classes, gcn_settings, gcn_folds=1)
    folds = _draw_folds(labels[usable], None, settings)
    scores = np.stack([member(labels[usable], folds).scores for member in members.values()])
    return ensemble.combine(_at(usable, scores, graph_views.samples), weights)


def _at(rows: np.ndarray, scores: np.ndarray, samples: int) -> np.ndarray:
    """Scores of some samples among those of all, NaN elsewhere [M, N, K].

    Args:
        rows: indices of the samples [n]
        scores: [M, n, K]
    """
    of_all = np.full((len(scores), samples, scores.shape[2]), np.nan)
    of_all[:, rows] = scores
    return of_all


class MemberFit(NamedTuple):
    """Log-probabilities by one member."""

    scores: np.ndarray  # of every sample [n, K]
    out_of_fold: np.ndarray  # of each labelled sample, by fits without its fold [m, K]


Member = Callable[[np.ndarray, np.ndarray], MemberFit]  # labels, -1 where unknown [n]; folds of the labelled [m]
Spread = Callable[[np.ndarray], np.ndarray]  # labels, -1 where unknown [n] -> log-probabilities [n, K]


def _members(graph_views: GraphViews, classes: int, gcn_settings: GCNSettings, gcn_folds: int) -> dict[str, Member]:
    """The members by name.

    Args:
        gcn_folds: at most as many for the GCN, which takes most of the time
    """
    from ...models.graphs import gcn, label_propagation

    graph = graph_views.graph
    inputs = gcn.prepare(graph, graph_views.views["shared far"], gcn_settings)

    def regression(view: np.ndarray) -> Member:
        def fit(labels: np.ndarray, folds: np.ndarray) -> MemberFit:
            return MemberFit(*tuned_regression.fit(view, labels, classes, folds)[:2])

        return fit

    def network(labels: np.ndarray) -> np.ndarray:
        model = gcn.build(inputs[0].shape[1], classes, gcn_settings)
        for _ in gcn.train(model, *inputs, labels, gcn_settings):
            pass
        scores = np.log(np.maximum(gcn.predict(model, *inputs), 1e-12))
        return ensemble.restore_prior(scores, prior(labels) ** gcn_settings.logit_adjustment)

    def propagation(reach: float) -> Spread:
        def propagate(labels: np.ndarray) -> np.ndarray:
            scores = label_propagation.local_global_consistency(graph, labels, classes, reach)
            return ensemble.restore_prior(np.log(np.maximum(scores, 1e-12)), prior(labels))

        return propagate

    def prior(labels: np.ndarray) -> np.ndarray:  # of each class; the regressions have it in their offsets
        counts = np.bincount(labels[labels >= 0], minlength=classes)
        return np.asarray(np.maximum(counts, 0.5) / counts.sum())

    members = {name: regression(view) for name, view in graph_views.views.items()}
    members["gcn"] = _cross_fitted(network, classes, gcn_folds)
    reaches = {"harmonic": 0.99, "harmonic near": 0.9}
    return members | {name: _cross_fitted(propagation(reach), classes) for name, reach in reaches.items()}


def _cross_fitted(spread: Spread, classes: int, max_folds: int | None = None) -> Member:
    """A member that is fitted again without each fold; `max_folds` joins some of them."""

    def fit(labels: np.ndarray, folds: np.ndarray) -> MemberFit:
        labelled, folds = np.flatnonzero(labels >= 0), folds % max_folds if max_folds else folds
        out_of_fold = np.full((len(labelled), classes), tuned_regression.LOG_UNSEEN)
        for fold in np.unique(folds) if folds.any() else []:
            others, rows = labels.copy(), labelled[folds == fold]
            others[rows] = -1
            if (others >= 0).any():
                out_of_fold[folds == fold] = spread(others)[rows]
        return MemberFit(spread(labels), out_of_fold)

    return fit


def _draw_folds(labels: np.ndarray, groups: np.ndarray | None, settings: LabelSpreadingSettings) -> np.ndarray:
    """Fold of each labelled sample [m]; one fold alone where no class has labels for two."""
    labelled = np.flatnonzero(labels >= 0)
    groups = labelled if groups is None else groups[labelled]
    try:
        return splits.folds(labels[labelled], groups, settings.folds, settings.seed)
    except InvalidInput:
        return np.zeros(len(labelled), dtype=np.int64)


def default_weights(names: list[str], labels: np.ndarray) -> np.ndarray:
    """Weights by the number of labels a class [M]: short-range members need more of them.

    Args:
        labels: -1 where unknown [n]
    """
    labelled = labels[labels >= 0]
    labels_per_class = len(labelled) / len(np.unique(labelled))
    short_range = labels_per_class / (labels_per_class + HALF_WEIGHT_LABELS)
    return np.array([1.0 if name in LONG_RANGE else short_range for name in names])
