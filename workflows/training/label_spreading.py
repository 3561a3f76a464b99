"""Labels spread from few samples to all, given vectors: several members, of which each sees the graph another way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...models.confidence import ensemble
from ...models.graphs.nearest_neighbours import Graph
from ...models.settings import GCNSettings, GraphSettings, LabelSpreadingSettings

FAR = ("far", "shared far", "harmonic")  # members whom a single label a class is enough
DETAILED = 4.0  # length of details: many numbers, each of which says little, are held back less
MANY = 20  # labels a class at which the others count half as much


@dataclass(frozen=True)
class Surroundings:
    """What is known of the samples without a label; made once, it serves any labels of them."""

    usable: np.ndarray  # indices of the samples whose vectors can be compared [n]
    samples: int  # N
    graph: Graph  # of the usable ones
    views: dict[str, np.ndarray]  # each [n, d]


@dataclass(frozen=True)
class Spread:
    """What each member says of every sample, and how much it counts."""

    names: list[str]
    log_probabilities: np.ndarray  # NaN where a sample has no vector [M, N, K]
    weights: np.ndarray  # [M]

    def together(self) -> np.ndarray:
        """Log-probabilities of the ensemble [N, K]."""
        return ensemble.combine(self.log_probabilities, self.weights)


def surround(
    vectors: np.ndarray,
    settings: LabelSpreadingSettings,
    graph_settings: GraphSettings,
    details: np.ndarray | None = None,
) -> Surroundings:
    """Builds the graph of nearest samples, and the views that the members learn from. No label has a part in it.

    Args:
        vectors: [N, D]; rows that are not finite, or all zero, are left out
        details: a view more, that has no part in the graph [N, p]
    """
    from ...models.graphs import nearest_neighbours as graphs
    from ...models.graphs import neighbourhood_features

    usable = np.flatnonzero(np.isfinite(vectors).all(axis=1) & (np.abs(vectors).max(axis=1) > 0))
    own = neighbourhood_features.power_normalise(vectors[usable], settings.feature_dim, settings.seed)
    graph = graphs.build(own, graph_settings)
    adjacency = graph.normalised()
    shared = neighbourhood_features.preserve_locality(own, adjacency)
    views = {
        "own": own,
        "far": neighbourhood_features.propagate(own, adjacency, 20, teleport=0.15),
        "shared near": neighbourhood_features.propagate(shared, adjacency, 2),
        "shared far": neighbourhood_features.propagate(shared, adjacency, 20, teleport=0.1),
    }
    if details is not None:
        views["details"] = DETAILED * neighbourhood_features.to_unit_rms(details[usable])
    return Surroundings(usable, len(vectors), graph, views)


def spread(
    around: Surroundings, labels: np.ndarray, classes: int, settings: LabelSpreadingSettings, gcn_settings: GCNSettings
) -> Spread:
    """Scores every sample by each member, and weighs the members by cross-fitting on the labels given here.

    Nothing else is learned from: a label that is held out has no part in scores or weights.

    Args:
        labels: class of each sample, -1 where unknown or held out [N]; at least two classes
    """
    given = labels[around.usable]
    members = _members(around, classes, gcn_settings, settings)
    found = np.full((len(members), around.samples, classes), np.nan)
    found[:, around.usable] = np.stack([member(given) for member in members.values()])
    return Spread(list(members), found, _weigh(members, given, classes, settings))


Member = Callable[[np.ndarray], np.ndarray]  # labels, -1 where unknown [n] -> log-probabilities [n, K]


def _members(
    around: Surroundings, classes: int, gcn_settings: GCNSettings, settings: LabelSpreadingSettings
) -> dict[str, Member]:
    from ...models.graphs import gcn, label_propagation, neighbourhood_features

    def regression(view: np.ndarray) -> Member:
        return lambda labels: neighbourhood_features.classify(view, labels, classes)

    inputs = gcn.prepare(around.graph, around.views["shared far"], gcn_settings)

    def network(labels: np.ndarray) -> np.ndarray:
        model = gcn.build(inputs[0].shape[1], classes, gcn_settings)
        for _ in gcn.train(model, *inputs, labels, gcn_settings):
            pass
        found = np.log(np.maximum(gcn.predict(model, *inputs), 1e-12))
        return ensemble.restore_prior(found, share(labels) ** gcn_settings.logit_adjustment)

    def flow(reach: float) -> Member:
        def spread_out(labels: np.ndarray) -> np.ndarray:
            found = label_propagation.local_global_consistency(around.graph, labels, classes, reach)
            return ensemble.restore_prior(np.log(np.maximum(found, 1e-12)), share(labels))

        return spread_out

    def share(labels: np.ndarray) -> np.ndarray:  # of each class; the regressions have it in their offsets
        counts = np.bincount(labels[labels >= 0], minlength=classes)
        return np.asarray(np.maximum(counts, 0.5) / counts.sum())

    regressions = {name: regression(view) for name, view in around.views.items()}
    return {**regressions, "gcn": network, "harmonic": flow(0.99), "harmonic near": flow(0.9)}


def usual_weights(names: list[str], labels: np.ndarray) -> np.ndarray:
    """Weights that hold until labels say otherwise [M].

    With one label a class, what reaches far over the graph is right by far the more often; with a hundred, all are.
    """
    known = labels[labels >= 0]
    each = len(known) / len(np.unique(known))
    return np.array([1.0 if name in FAR else each / (each + MANY) for name in names])


def _weigh(
    members: dict[str, Member], labels: np.ndarray, classes: int, settings: LabelSpreadingSettings
) -> np.ndarray:
    """Weights by what each member says of labels that it has not seen: folds of those given. Too few: the usual."""
    from sklearn.model_selection import StratifiedKFold

    known, usual = np.flatnonzero(labels >= 0), usual_weights(list(members), labels)
    counts = np.bincount(labels[known])
    if len(known) < ensemble.MIN_TUNING_LABELS or counts[counts > 0].min() < settings.folds:
        return np.asarray(usual / usual.sum())
    unseen = np.full((len(members), len(known), classes), np.nan)
    cut = StratifiedKFold(settings.folds, shuffle=True, random_state=settings.seed)
    for _, held in cut.split(known, labels[known]):
        rest = labels.copy()
        rest[known[held]] = -1
        unseen[:, held] = np.stack([member(rest)[known[held]] for member in members.values()])
    return ensemble.weigh(unseen, labels[known], usual)
