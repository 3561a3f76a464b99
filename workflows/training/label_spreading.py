"""Label spreading over the graph of nearest samples, by an ensemble whose members see the graph in different ways."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...models import splits
from ...models.classifiers import tuned_regression
from ...models.confidence import ensemble
from ...models.errors import InvalidInput
from ...models.settings import GCNSettings, LabelSpreadingSettings
from .graph_members import Member, build_members, default_weights
from .graph_views import GraphViews

GCN_FOLDS = 3


@dataclass(frozen=True)
class MemberScores:
    """Scores and weight of each member."""

    members: dict[str, Member]  # fitted; by name
    log_probabilities: np.ndarray  # NaN where a sample has no vector [M, N, K]
    weights: np.ndarray  # [M]
    out_of_fold: np.ndarray  # of each training sample, by members without its label; NaN elsewhere [M, N, K]

    @property
    def names(self) -> list[str]:
        return list(self.members)

    def combined(self) -> np.ndarray:
        """Log-probabilities of the ensemble [N, K]."""
        return ensemble.combine(self.log_probabilities, self.weights)

    def accuracies(self, labels: np.ndarray) -> np.ndarray:
        """Out-of-fold accuracy of each member on the training samples [M].

        Args:
            labels: class of each sample [N]
        """
        scored = ~np.isnan(self.out_of_fold).any(axis=2)
        correct = (np.nan_to_num(self.out_of_fold, nan=-np.inf).argmax(axis=2) == labels) & scored
        return np.asarray(correct.sum(axis=1) / np.maximum(scored.sum(axis=1), 1))


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
    members = build_members(graph_views, classes, gcn_settings, GCN_FOLDS)
    folds = _draw_folds(training_labels, None if groups is None else groups[usable], settings)
    fits = [member(training_labels, folds) for member in members.values()]
    labelled = usable[training_labels >= 0]
    learnable = tuned_regression.is_learnable(labels[labelled], folds)
    out_of_fold = np.stack([fit.out_of_fold for fit in fits])
    defaults = default_weights(list(members), training_labels)
    weights = ensemble.weigh(out_of_fold[:, learnable], labels[labelled[learnable]], defaults)
    return MemberScores(
        members,
        _at(usable, np.stack([fit.scores for fit in fits]), graph_views.samples),
        weights,
        _at(labelled, out_of_fold, graph_views.samples),
    )


def refit(graph_views: GraphViews, labels: np.ndarray, found: MemberScores) -> np.ndarray:
    """Log-probabilities of the ensemble on further labels; weights and strengths of regularisation stay [N, K].

    Args:
        labels: class of each sample, -1 where unknown [N]
    """
    known = labels[graph_views.usable]
    one_fold = np.zeros((known >= 0).sum(), dtype=np.int64)  # nothing is out of fold
    scores = np.stack([member(known, one_fold).scores for member in found.members.values()])
    return ensemble.combine(_at(graph_views.usable, scores, graph_views.samples), found.weights)


def _at(rows: np.ndarray, scores: np.ndarray, samples: int) -> np.ndarray:
    """Scores of some samples among those of all, NaN elsewhere [M, N, K].

    Args:
        rows: indices of the samples [n]
        scores: [M, n, K]
    """
    of_all = np.full((len(scores), samples, scores.shape[2]), np.nan)
    of_all[:, rows] = scores
    return of_all


def _draw_folds(labels: np.ndarray, groups: np.ndarray | None, settings: LabelSpreadingSettings) -> np.ndarray:
    """Fold of each labelled sample [m]; one fold alone where no class has labels for two."""
    labelled = np.flatnonzero(labels >= 0)
    groups = labelled if groups is None else groups[labelled]
    try:
        return splits.folds(labels[labelled], groups, settings.folds, settings.seed)
    except InvalidInput:
        return np.zeros(len(labelled), dtype=np.int64)
