"""Suggestions of auto_label for tags: which to add or to remove, how confident, and which are accepted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ...models.classifiers import positive_unlabelled
from ...models.confidence import calibration
from ...models.confidence.calibration import log_odds
from ...models.confidence.threshold import NOTHING, HeldOut, Threshold, choose_threshold
from ...models.quality import label_errors
from ...models.settings import AutoLabelSettings
from ..data.tags import ABSENT, TAGGED, Tags
from .scores import TagScores

MIN_PROBABILITY = 0.5  # of a suggestion
MIN_REMOVAL = 0.8  # probability of a suggestion to remove a tag that a person gave
SMOOTHING = 1e-4  # added to probabilities, so that their log-odds are finite
FALSE_TAGS = 0.02  # P(tagged | absent), where tags are incomplete and nothing shows it


class TagCandidates(NamedTuple):
    """What acceptance of one class chooses from."""

    rows: np.ndarray  # samples without any tags that the class is predicted for [M]
    scores: np.ndarray  # of these [M]
    held_out: HeldOut  # samples that it is predicted for [n]
    expected: np.ndarray  # probability that each of these has the tag, estimated without it [n]


@dataclass
class TagDecision:
    """Suggestions for the tags of all samples."""

    adds: np.ndarray  # [N, K]
    removes: np.ndarray  # [N, K]
    accepted: np.ndarray  # of the additions [N, K]
    confidence: np.ndarray  # calibrated probability that the suggestion is right; NaN without one [N, K]
    margins: np.ndarray  # lead of the likelier answer over the other, 0 .. 1; NaN where not judged [N, K]
    thresholds: list[Threshold]  # of each class [K]
    held_out: np.ndarray  # held-out samples that a class is predicted for [K]
    candidates: dict[int, TagCandidates]  # by judged class


def decide(tags: Tags, scores: TagScores, held_out: np.ndarray, settings: AutoLabelSettings) -> TagDecision:
    """Suggests, calibrates and accepts, each class by itself.

    Additions are accepted for samples without any tags alone: held-out samples are like them. Where tags are
    incomplete, a held-out sample without the tag counts as an error, so that the precision is at least the bound.

    Args:
        held_out: whether each sample is [N]
    """
    shape = tags.values.shape
    decision = TagDecision(
        adds=np.zeros(shape, dtype=bool),
        removes=np.zeros(shape, dtype=bool),
        accepted=np.zeros(shape, dtype=bool),
        confidence=np.full(shape, np.nan),
        margins=np.abs(2 * scores.present - 1),
        thresholds=[NOTHING] * shape[1],
        held_out=np.zeros(shape[1], dtype=np.int64),
        candidates={},
    )
    for k in scores.judged.tolist():
        _suggest_tag(decision, k, tags, scores, held_out)
    return accept(decision, settings)


def accept(decision: TagDecision, settings: AutoLabelSettings) -> TagDecision:
    """The decision with the additions that the target precision of `settings` accepts; all else stays."""
    accepted, thresholds = np.zeros_like(decision.accepted), [NOTHING] * len(decision.thresholds)
    for k, own in decision.candidates.items():
        threshold = choose_threshold(own.scores, own.held_out, own.expected, settings.target_precision, settings.alpha)
        thresholds[k] = threshold
        accepted[own.rows[own.scores >= threshold.score], k] = True
    return replace(decision, accepted=accepted, thresholds=thresholds)


def _suggest_tag(decision: TagDecision, k: int, tags: Tags, scores: TagScores, held_out: np.ndarray) -> None:
    """Fills in the columns of one class, and its candidates."""
    values, present, frequency = tags.values[:, k], scores.present[:, k], float(scores.frequencies[k])
    is_scored = ~np.isnan(present)
    is_known, order = tags.is_known & is_scored, log_odds(present, SMOOTHING)
    is_tagged = values == TAGGED
    calibrator = calibration.fit(order[is_known], is_tagged[is_known])
    confidence = np.clip(calibrator(order) / frequency, 0.0, 1.0)

    is_new = ~tags.is_known & is_scored & (present >= MIN_PROBABILITY)
    tested = np.flatnonzero(held_out & is_scored & (present >= MIN_PROBABILITY))
    trained = is_known & ~held_out
    expected = calibration.fit(order[trained], is_tagged[trained])(order[tested])
    new, samples = np.flatnonzero(is_new), HeldOut(order[tested], is_tagged[tested])
    decision.candidates[k], decision.held_out[k] = TagCandidates(new, order[new], samples, expected), len(tested)

    hidden = positive_unlabelled.hidden_probability(np.nan_to_num(present), frequency)
    is_hidden = (values == ABSENT) & is_scored & (hidden >= MIN_PROBABILITY) & (not scores.complete)
    extra = _extra(scores.tagged[:, k], present, values, None if scores.complete else frequency)
    decision.adds[:, k] = is_new | is_hidden
    decision.removes[:, k] = is_tagged & is_scored & (extra > MIN_REMOVAL)
    columns = [decision.removes[:, k], is_hidden, is_new]
    decision.confidence[:, k] = np.select(columns, [extra, hidden, confidence], np.nan)


def _extra(tagged: np.ndarray, present: np.ndarray, values: np.ndarray, frequency: float | None) -> np.ndarray:
    """P(absent | image, tagged) of each sample; NaN without the tag, or without a score [N].

    Args:
        frequency: P(tagged | present) where tags are incomplete; None: they are complete
    """
    result, rows = np.full(len(values), np.nan), np.flatnonzero((values >= 0) & ~np.isnan(tagged))
    if frequency is not None:
        wrong = (1 - present) * FALSE_TAGS
        posterior = wrong / np.maximum(wrong + present * frequency, SMOOTHING)
        return np.asarray(np.where((values == TAGGED) & ~np.isnan(present), posterior, np.nan))
    pairs = np.stack([1 - tagged[rows], tagged[rows]], axis=1)
    labels = values[rows].astype(np.int64)
    result[rows] = label_errors.mixture_posterior(pairs, labels)[:, 0]
    result[values != TAGGED] = np.nan
    return result
