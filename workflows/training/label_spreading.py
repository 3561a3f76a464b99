"""Label spreading over the graph of nearest samples, by an ensemble whose members see the graph in different ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...models.confidence import ensemble
from ...models.graphs.nearest_neighbours import Graph
from ...models.settings import GCNSettings, GraphSettings, LabelSpreadingSettings

LONG_RANGE = ("far", "shared far", "harmonic")  # members for whom one label a class suffices
DETAILS_NORM = 4.0  # length of the details: a larger one weakens their regression's penalty
HALF_WEIGHT_LABELS = 20  # labels a class at which the short-range members weigh half as much as the others


@dataclass(frozen=True)
class GraphViews:
    """The graph of all samples and the features on it; independent of labels."""

    usable: np.ndarray  # indices of the samples in the graph [n]
    samples: int  # N
    graph: Graph  # of the usable samples
    views: dict[str, np.ndarray]  # each [n, d]


@dataclass(frozen=True)
class MemberScores:
    """Scores and weight of each member."""

    names: list[str]
    log_probabilities: np.ndarray  # NaN where a sample has no vector [M, N, K]
    weights: np.ndarray  # [M]

    def combined(self) -> np.ndarray:
        """Log-probabilities of the ensemble [N, K]."""
        return ensemble.combine(self.log_probabilities, self.weights)


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
) -> MemberScores:
    """Scores every sample by each member, and weighs the members by cross-fitting on these labels.

    Args:
        labels: class of each sample, -1 where unknown or held out [N]; at least two classes
    """
    usable_labels = labels[graph_views.usable]
    members = _members(graph_views, classes, gcn_settings)
    scores = np.full((len(members), graph_views.samples, classes), np.nan)
    scores[:, graph_views.usable] = np.stack([member(usable_labels) for member in members.values()])
    return MemberScores(list(members), scores, _weigh(members, usable_labels, classes, settings))


Member = Callable[[np.ndarray], np.ndarray]  # labels, -1 where unknown [n] -> log-probabilities [n, K]


def _members(graph_views: GraphViews, classes: int, gcn_settings: GCNSettings) -> dict[str, Member]:
    from ...models.graphs import gcn, label_propagation, neighbourhood_features

    graph = graph_views.graph
    inputs = gcn.prepare(graph, graph_views.views["shared far"], gcn_settings)

    def regression(view: np.ndarray) -> Member:
        return lambda labels: neighbourhood_features.classify(view, labels, classes)

    def network(labels: np.ndarray) -> np.ndarray:
        model = gcn.build(inputs[0].shape[1], classes, gcn_settings)
        for _ in gcn.train(model, *inputs, labels, gcn_settings):
            pass
        scores = np.log(np.maximum(gcn.predict(model, *inputs), 1e-12))
        return ensemble.restore_prior(scores, prior(labels) ** gcn_settings.logit_adjustment)

    def propagation(reach: float) -> Member:
        def propagate(labels: np.ndarray) -> np.ndarray:
            scores = label_propagation.local_global_consistency(graph, labels, classes, reach)
            return ensemble.restore_prior(np.log(np.maximum(scores, 1e-12)), prior(labels))

        return propagate

    def prior(labels: np.ndarray) -> np.ndarray:  # of each class; the regressions have it in their offsets
        counts = np.bincount(labels[labels >= 0], minlength=classes)
        return np.asarray(np.maximum(counts, 0.5) / counts.sum())

    regressions = {name: regression(view) for name, view in graph_views.views.items()}
    return {**regressions, "gcn": network, "harmonic": propagation(0.99), "harmonic near": propagation(0.9)}


def default_weights(names: list[str], labels: np.ndarray) -> np.ndarray:
    """Weights by the number of labels a class [M]: short-range members need more of them.

    Args:
        labels: -1 where unknown [n]
    """
    labelled = labels[labels >= 0]
    labels_per_class = len(labelled) / len(np.unique(labelled))
    short_range = labels_per_class / (labels_per_class + HALF_WEIGHT_LABELS)
    return np.array([1.0 if name in LONG_RANGE else short_range for name in names])


def _weigh(
    members: dict[str, Member], labels: np.ndarray, classes: int, settings: LabelSpreadingSettings
) -> np.ndarray:
    """Weights by out-of-fold predictions of the labels; the default weights where folds would be too small [M]."""
    from sklearn.model_selection import StratifiedKFold

    labelled, defaults = np.flatnonzero(labels >= 0), default_weights(list(members), labels)
    counts = np.bincount(labels[labelled])
    if len(labelled) < ensemble.MIN_TUNING_LABELS or counts[counts > 0].min() < settings.folds:
        return np.asarray(defaults / defaults.sum())
    out_of_fold = np.full((len(members), len(labelled), classes), np.nan)
    folds = StratifiedKFold(settings.folds, shuffle=True, random_state=settings.seed)
    for _, fold in folds.split(labelled, labels[labelled]):
        others = labels.copy()
        others[labelled[fold]] = -1
        out_of_fold[:, fold] = np.stack([member(others)[labelled[fold]] for member in members.values()])
    return ensemble.weigh(out_of_fold, labels[labelled], defaults)
