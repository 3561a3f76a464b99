"""Members of the ensemble on the graph: regressions on several features, a GCN, and label propagation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...models import mapped
from ...models.classifiers import tuned_regression
from ...models.confidence import ensemble
from ...models.settings import GCNSettings
from .graph_views import GraphViews

MANY_FOLDS = 2  # of label propagation and GCN where samples times classes are many: each takes minutes
LONG_RANGE = ("far", "shared far", "harmonic", "zero-shot")  # members for whom one label a class suffices
HALF_WEIGHT_LABELS = 20  # labels a class at which the short-range members weigh half as much as the others
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
    "zero-shot": "a text-image encoder that compares images with the names of the classes, and sees no label",
}


class MemberFit(NamedTuple):
    """Log-probabilities by one member."""

    out_of_fold: np.ndarray  # of each labelled sample, by fits without its fold [m, K]
    predict: Callable[[np.ndarray], Any]  # writes those of every sample into an array [n, K]


Member = Callable[[np.ndarray, np.ndarray], MemberFit]  # labels, -1 where unknown [n]; folds of the labelled [m]
# labels, -1 where unknown [n]; the samples wanted; an array for their log-probabilities [r, K]
Spread = Callable[[np.ndarray, Any, np.ndarray], None]


def build_members(
    graph_views: GraphViews, classes: int, gcn_settings: GCNSettings, gcn_folds: int
) -> dict[str, Member]:
    """The members by name.

    Args:
        gcn_folds: at most as many for the GCN, which takes most of the time; 0 leaves it out
    """
    from ...models.graphs import label_propagation

    graph = graph_views.graph

    def regression(view: np.ndarray) -> Member:
        strength: float | None = None

        def fit(labels: np.ndarray, folds: np.ndarray) -> MemberFit:
            nonlocal strength  # the first fit chooses it for those that follow
            fitted = tuned_regression.fit(view, labels, classes, folds, strength)
            strength = fitted.strength
            return MemberFit(fitted.out_of_fold, lambda out: fitted.predict(view, out))

        return fit

    def propagation(reach: float) -> Spread:
        def propagate(labels: np.ndarray, rows: Any, out: np.ndarray) -> None:
            label_propagation.local_global_consistency(graph, labels, classes, reach, rows, out)
            ensemble.log_under_prior(out, _prior(labels, classes))

        return propagate

    def by_names(labels: np.ndarray, folds: np.ndarray) -> MemberFit:  # what it says of a label is out of fold as it is
        scores = graph_views.zero_shot
        assert scores is not None
        return MemberFit(scores[labels >= 0], lambda out: np.copyto(out, scores))

    members = {name: regression(view) for name, view in graph_views.views.items()}
    if graph_views.zero_shot is not None:
        members["zero-shot"] = by_names
    max_folds = MANY_FOLDS if mapped.is_large(len(graph_views.usable), classes) else None
    if gcn_folds:
        members["gcn"] = _cross_fitted(_network(graph_views, classes, gcn_settings), classes, max_folds or gcn_folds)
    reaches = {"harmonic": 0.99, "harmonic near": 0.9}
    return members | {name: _cross_fitted(propagation(reach), classes, max_folds) for name, reach in reaches.items()}


def _network(graph_views: GraphViews, classes: int, settings: GCNSettings) -> Spread:
    """The GCN; torch is loaded for it alone."""
    from ...models.graphs import gcn

    inputs = gcn.prepare(graph_views.graph, graph_views.views["shared far"], settings)

    def network(labels: np.ndarray, rows: Any, out: np.ndarray) -> None:
        model = gcn.build(inputs[0].shape[1], classes, settings)
        for _ in gcn.train(model, *inputs, labels, settings):
            pass
        gcn.predict(model, *inputs, rows, out)
        ensemble.log_under_prior(out, _prior(labels, classes) ** settings.logit_adjustment)

    return network


def _prior(labels: np.ndarray, classes: int) -> np.ndarray:
    """Frequency of each class among the labels; the regressions have it in their offsets [K]."""
    counts = np.bincount(labels[labels >= 0], minlength=classes)
    return np.asarray(np.maximum(counts, 0.5) / counts.sum())


def _cross_fitted(spread: Spread, classes: int, max_folds: int | None = None) -> Member:
    """A member that is fitted again without each fold; `max_folds` joins some of them."""

    def fit(labels: np.ndarray, folds: np.ndarray) -> MemberFit:
        labelled, folds = np.flatnonzero(labels >= 0), folds % max_folds if max_folds else folds
        out_of_fold = np.full((len(labelled), classes), tuned_regression.LOG_UNSEEN)
        for fold in np.unique(folds) if folds.any() else []:
            others, rows = labels.copy(), labelled[folds == fold]
            others[rows] = -1
            if (others >= 0).any():
                scores = np.empty((len(rows), classes))
                spread(others, rows, scores)
                out_of_fold[folds == fold] = scores
        return MemberFit(out_of_fold, lambda out: spread(labels, slice(None), out))

    return fit


def default_weights(names: list[str], labels: np.ndarray) -> np.ndarray:
    """Weights by the number of labels a class [M]: short-range members need more of them.

    Args:
        labels: -1 where unknown [n]
    """
    labelled = labels[labels >= 0]
    labels_per_class = len(labelled) / len(np.unique(labelled))
    short_range = labels_per_class / (labels_per_class + HALF_WEIGHT_LABELS)
    return np.array([1.0 if name in LONG_RANGE else short_range for name in names])


class OutOfFold:
    """Out-of-fold predictions of labelled samples by the members but the GCN, for several versions of the labels.

    Strengths and weights are chosen once, by the first version.
    """

    def __init__(self, graph_views: GraphViews, classes: int, seed: int) -> None:
        self.usable, self.classes = graph_views.usable, classes
        self.members = build_members(graph_views, classes, GCNSettings(seed=seed), gcn_folds=0)
        self.weights: np.ndarray | None = None
        self.accuracies: np.ndarray | None = None

    def __call__(self, labels: np.ndarray, folds: np.ndarray) -> np.ndarray:
        """Probabilities of the labelled samples [n, K]; NaN where one has no usable vector.

        Args:
            labels: class of each sample, -1 where unknown [N]
            folds: of each labelled sample, in their order [n]
        """
        rows = np.flatnonzero(labels >= 0)
        in_graph = np.isin(rows, self.usable)
        fits = [member(labels[self.usable], folds[in_graph]) for member in self.members.values()]
        scores, targets = np.stack([fit.out_of_fold for fit in fits]), labels[rows[in_graph]]
        if self.weights is None:
            learnable = tuned_regression.is_learnable(targets, folds[in_graph])
            defaults = default_weights(list(self.members), labels)
            self.weights = ensemble.weigh(scores[:, learnable], targets[learnable], defaults)
            self.accuracies = (scores.argmax(axis=2) == targets).mean(axis=1)
        probabilities = np.full((len(rows), self.classes), np.nan)
        probabilities[in_graph] = np.exp(ensemble.combine(scores, self.weights))
        return probabilities
