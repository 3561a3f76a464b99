"""Label spreading over the graph of nearest samples, by an ensemble whose members see the graph in different ways."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...models import mapped, splits
from ...models.classifiers import tuned_regression
from ...models.confidence import ensemble
from ...models.errors import InvalidInput
from ...models.probabilities import blocks
from ...models.settings import GCNSettings, LabelSpreadingSettings
from .graph_members import Member, MemberFit, build_members, default_weights
from .graph_views import GraphViews

GCN_FOLDS = 3


@dataclass(frozen=True)
class MemberScores:
    """Scores and weight of each member."""

    members: dict[str, Member]  # fitted; by name
    log_probabilities: np.ndarray  # NaN where a sample has no vector, float32, in a file where many [M, N, K]
    weights: np.ndarray  # [M]
    labelled: np.ndarray  # indices of the training samples in the graph [m]
    out_of_fold: np.ndarray  # of each of them, by members without its label [M, m, K]

    @property
    def names(self) -> list[str]:
        return list(self.members)

    def combined(self) -> np.ndarray:
        """Log-probabilities of the ensemble [N, K]."""
        return ensemble.combine(self.log_probabilities, self.weights)

    def combined_out_of_fold(self) -> np.ndarray:
        """Log-probabilities of the training samples by the ensemble [m, K]."""
        return ensemble.combine(self.out_of_fold, self.weights)

    def accuracies(self, labels: np.ndarray) -> np.ndarray:
        """Out-of-fold accuracy of each member on the training samples [M].

        Args:
            labels: class of each sample [N]
        """
        scored = ~np.isnan(self.out_of_fold).any(axis=2)
        predicted = np.nan_to_num(self.out_of_fold, nan=-np.inf).argmax(axis=2)
        correct = (predicted == labels[self.labelled]) & scored
        return np.asarray(correct.sum(axis=1) / np.maximum(scored.sum(axis=1), 1))


def spread_labels(
    graph_views: GraphViews,
    labels: np.ndarray,
    classes: int,
    settings: LabelSpreadingSettings,
    gcn_settings: GCNSettings,
    groups: np.ndarray | None = None,
    file: Path | None = None,
) -> MemberScores:
    """Scores every sample by each member, and weighs the members by cross-fitting on these labels.

    Args:
        labels: class of each sample, -1 where unknown or held out [N]; at least two classes
        groups: samples of one group are in one fold [N]; None: each is its own
        file: that holds the scores in place of memory, .npy
    """
    usable, training_labels = graph_views.usable, labels[graph_views.usable]
    members = build_members(graph_views, classes, gcn_settings, GCN_FOLDS)
    folds = _draw_folds(training_labels, None if groups is None else groups[usable], settings)
    labelled = usable[training_labels >= 0]
    scores = mapped.empty((len(members), graph_views.samples, classes), file)
    out_of_fold = np.empty((len(members), len(labelled), classes), np.float32)
    for place, member in enumerate(members.values()):
        fit = member(training_labels, folds)
        out_of_fold[place] = fit.out_of_fold
        _write(fit, scores[place], usable)
    learnable = tuned_regression.is_learnable(labels[labelled], folds)
    defaults = default_weights(list(members), training_labels)
    weights = ensemble.weigh(out_of_fold[:, learnable], labels[labelled[learnable]], defaults)
    return MemberScores(members, scores, weights, labelled, out_of_fold)


def _write(fit: MemberFit, scores: np.ndarray, usable: np.ndarray) -> None:
    """Writes a member's scores, NaN for samples without a vector.

    Args:
        scores: of every sample [N, K]
        usable: indices of those with a vector, in order [n]
    """
    own = scores[: len(usable)]
    fit.predict(own)
    if len(usable) == len(scores):
        return
    for block in reversed([*blocks(len(usable), scores.shape[1])]):  # each row moves to its place, the last ones first
        scores[usable[block]] = own[block].copy()
    scores[np.setdiff1d(np.arange(len(scores)), usable)] = np.nan


def refit(
    graph_views: GraphViews,
    labels: np.ndarray,
    found: MemberScores,
    file: Path | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Log-probabilities of the ensemble on further labels; weights and strengths of regularisation stay [N, K].

    Args:
        labels: class of each sample, -1 where unknown [N]
        file: that holds the members' scores in place of memory, .npy
        out: array for the result, in place of a new one [N, K]
    """
    known = labels[graph_views.usable]
    one_fold = np.zeros((known >= 0).sum(), dtype=np.int64)  # nothing is out of fold
    scores = mapped.empty(found.log_probabilities.shape, file)
    for place, member in enumerate(found.members.values()):
        _write(member(known, one_fold), scores[place], graph_views.usable)
    return ensemble.combine(scores, found.weights, out)


def _draw_folds(labels: np.ndarray, groups: np.ndarray | None, settings: LabelSpreadingSettings) -> np.ndarray:
    """Fold of each labelled sample [m]; one fold alone where no class has labels for two."""
    labelled = np.flatnonzero(labels >= 0)
    groups = labelled if groups is None else groups[labelled]
    try:
        return splits.folds(labels[labelled], groups, settings.folds, settings.seed)
    except InvalidInput:
        return np.zeros(len(labelled), dtype=np.int64)
