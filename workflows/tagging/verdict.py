"""Verdict of find_mistakes on each tag: mistakenness, flag and rank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...models.classifiers import tag_dependence
from ...models.confidence.calibration import log_odds
from ...models.quality import label_errors
from ..data.tags import Tags
from .scores import TagScores

SMOOTHING = 1e-3  # added to probabilities, so that their log-odds are finite


@dataclass
class TagVerdict:
    """The verdict on each tag, there or missing."""

    judged: np.ndarray  # [N, K]
    scores: np.ndarray  # mistakenness, 0 correct .. 1 wrong; NaN where not judged [N, K]
    probabilities: np.ndarray  # P(tagged | image, other tags), out of fold [N, K]
    is_issue: np.ndarray  # [N, K]
    ranks: np.ndarray  # 1 is the most suspicious; 0 where not judged [N, K]
    dismissed: int  # flags that a person dismissed before


def judge(tags: Tags, scores: TagScores, fold_of: np.ndarray, dismissed: np.ndarray) -> TagVerdict:
    """Scores, flags and ranks the tags.

    Args:
        fold_of: fold of each sample, -1 where it is not judged [N]
        dismissed: whether a person dismissed the flag before [N, K]
    """
    rows, columns = np.flatnonzero(fold_of >= 0), scores.judged
    cells, targets = np.ix_(rows, columns), tags.values[np.ix_(rows, columns)].astype(np.int64)
    own = scores.tagged[cells]
    others = np.stack([_posterior(own[:, k], targets[:, k]) for k in range(len(columns))], axis=1)
    related = own
    if len(columns) > 1:
        smooth = SMOOTHING
        related = tag_dependence.fit(log_odds(own, smooth), log_odds(others, smooth), targets, fold_of[rows])
    shape = tags.values.shape
    verdict = TagVerdict(
        judged=np.zeros(shape, dtype=bool),
        scores=np.full(shape, np.nan),
        probabilities=np.full(shape, np.nan),
        is_issue=np.zeros(shape, dtype=bool),
        ranks=np.zeros(shape, dtype=np.int64),
        dismissed=0,
    )
    verdict.judged[cells], verdict.probabilities[cells] = True, related
    suspicious = np.zeros(targets.shape, dtype=bool)
    mistakenness = np.zeros(targets.shape)
    for k in range(len(columns)):
        pairs = np.stack([1 - related[:, k], related[:, k]], axis=1)
        posterior = label_errors.mixture_posterior(pairs, targets[:, k])
        mistakenness[:, k] = 1 - posterior[np.arange(len(rows)), targets[:, k]]
        suspicious[:, k] = label_errors.flag(pairs, targets[:, k], mistakenness[:, k], posterior)
    verdict.scores[cells] = mistakenness
    verdict.is_issue[cells] = suspicious & ~dismissed[cells]
    verdict.dismissed = int((suspicious & dismissed[cells]).sum())
    order = np.argsort(-mistakenness, axis=None, kind="stable")
    ranks = np.empty(order.shape, dtype=np.int64)
    ranks[order] = np.arange(1, len(order) + 1)
    verdict.ranks[cells] = ranks.reshape(mistakenness.shape)
    return verdict


def _posterior(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """P(present | image, tag) [n]."""
    return label_errors.mixture_posterior(np.stack([1 - probabilities, probabilities], axis=1), targets)[:, 1]
