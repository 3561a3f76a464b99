"""Probability of every tag, by the members of the ensemble that learn without a network."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...models.classifiers import positive_unlabelled, tuned_regression
from ...models.confidence import ensemble
from ...models.settings import GCNSettings
from ..data.tags import TAGGED, UNKNOWN, Tags
from ..runs.run import Run
from ..training.graph_members import MemberFit, build_members, default_weights
from ..training.graph_views import GraphViews

MIN_TAG_SAMPLES = 5  # with a tag, and without it; of fewer, the tag is not judged


class TagScores(NamedTuple):
    """Probabilities by models that have not seen the tags of the sample; NaN where a tag is not judged."""

    tagged: np.ndarray  # P(tagged | image) [N, K]
    present: np.ndarray  # P(present | image): the same, unless tags are incomplete [N, K]
    frequencies: np.ndarray  # P(tagged | present) of each class; 1 where tags are complete [K]
    complete: bool  # an untagged class is absent; False: unknown

    @property
    def judged(self) -> np.ndarray:
        """Indices of the classes that have scores."""
        return np.flatnonzero(~np.isnan(self.tagged).all(axis=0))


def judged_tags(tags: Tags, rows: np.ndarray) -> np.ndarray:
    """Whether each class has enough samples with and without it [K].

    Args:
        rows: indices of the samples that train
    """
    counts = (tags.values[rows] == TAGGED).sum(axis=0)
    return np.asarray((counts >= MIN_TAG_SAMPLES) & (len(rows) - counts >= MIN_TAG_SAMPLES))


def score(run: Run, tags: Tags, views: GraphViews, fold_of: np.ndarray, complete: bool, seed: int) -> TagScores:
    """Scores every tag of every sample: of samples that train, by models without their fold; computed once a run.

    Args:
        fold_of: fold of each sample that trains, -1 for the others; all that train have a vector [N]
        complete: an untagged class is absent; False: unknown
    """

    def compute() -> dict[str, np.ndarray]:
        train = np.flatnonzero(fold_of >= 0)
        folds, can_judge = fold_of[train], judged_tags(tags, train)
        shape, present = tags.values.shape, np.full(tags.values.shape, np.nan)
        tagged, frequencies = np.full(shape, np.nan), np.ones(shape[1])
        members = build_members(views, 2, GCNSettings(seed=seed), gcn_folds=0)
        counts = (tags.values[train] == TAGGED).sum(axis=0)
        judged = [k for k in np.argsort(-counts, kind="stable").tolist() if can_judge[k]]
        for done, k in enumerate(judged):  # the most frequent first: it chooses the strengths of the regressions
            run.report("scoring tags", done, len(judged))
            labels = np.full(shape[0], UNKNOWN, dtype=np.int64)
            labels[train] = tags.values[train, k]
            fits = [member(labels[views.usable], folds) for member in members.values()]
            tagged[:, k] = _combine(fits, list(members), labels, views, folds)
            present[:, k] = tagged[:, k]
            if not complete:
                present[:, k], frequencies[k] = _present(views, labels, tagged[:, k], folds)
        run.report("scoring tags", len(judged), max(len(judged), 1))
        return dict(tagged=tagged, present=present, frequencies=frequencies)

    kept = run.cached_arrays("tag_scores", compute, tags.ids, ("tagged", "present"))
    return TagScores(kept["tagged"], kept["present"], kept["frequencies"], complete)


def _combine(
    fits: list[MemberFit], names: list[str], labels: np.ndarray, views: GraphViews, folds: np.ndarray
) -> np.ndarray:
    """P(tagged | image) by all members, out of fold for the samples that train [N].

    Args:
        labels: 1 with the tag, 0 without it, -1 where a sample does not train [N]
        folds: of the samples that train [n]
    """
    train = np.flatnonzero(labels >= 0)
    out_of_fold, targets = np.stack([fit.out_of_fold for fit in fits]), labels[train]
    learnable = tuned_regression.is_learnable(targets, folds)
    weights = ensemble.weigh(out_of_fold[:, learnable], targets[learnable], default_weights(names, labels))
    result = np.full(len(labels), np.nan)
    scores = np.empty((len(fits), len(views.usable), 2))
    for fit, own in zip(fits, scores, strict=True):
        fit.predict(own)
    result[views.usable] = np.exp(ensemble.combine(scores, weights))[:, 1]
    result[train] = np.exp(ensemble.combine(out_of_fold, weights))[:, 1]
    return result


def _present(views: GraphViews, labels: np.ndarray, tagged: np.ndarray, folds: np.ndarray) -> tuple[np.ndarray, float]:
    """P(present | image) where untagged is unknown [N], and P(tagged | present)."""
    train = np.flatnonzero(labels >= 0)
    places = np.searchsorted(views.usable, train)
    rows = np.hstack([views.views["own"], views.views["shared near"]]) / np.sqrt(2)
    fitted = positive_unlabelled.fit(rows, places, labels[train] == TAGGED, tagged[train], folds)
    result = np.full(len(labels), np.nan)
    result[views.usable] = fitted.probabilities
    result[train] = fitted.out_of_fold
    return result, fitted.frequency
