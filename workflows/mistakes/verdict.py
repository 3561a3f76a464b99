"""Verdict of find_mistakes on each label: mistakenness, flag, suggestion and reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...models import mapped
from ...models.images.region import file_of
from ...models.quality import label_errors, label_neighbours, planted_errors
from ..data.labels import Labels
from . import calibration
from .class_size import MIN_CLASS_LABELS
from .out_of_fold import OutOfFold

POSTERIOR = "posterior.npy"  # of many labels, as long as they are judged


@dataclass
class Verdict:
    """The verdict on each judged label."""

    scores: np.ndarray  # mistakenness, 0 correct .. 1 wrong [n]
    is_issue: np.ndarray  # [n]
    suggestions: np.ndarray  # class [n]
    confidence: np.ndarray  # of the suggestion [n]
    contradicted: np.ndarray  # by a near-duplicate [n]
    contradictions: np.ndarray  # row of that near-duplicate, whose label stays; -1 where there is none [n]
    ranks: np.ndarray  # 1 is the most suspicious [n]
    noise: float  # expected fraction of wrong labels
    too_few: np.ndarray  # the class has too few labels to judge one of them [n]
    method: str  # of the mistakenness
    planted: list[dict[str, Any]]  # a score: average precision on planted errors
    dismissed: int  # flags that a person dismissed before


def judge(predictions: OutOfFold, labels: np.ndarray, method: str, dismissed: np.ndarray) -> Verdict:
    """Scores, flags and ranks the labels.

    Args:
        labels: class of each row of the predictions [n]
        method: of mistakenness
        dismissed: whether a person dismissed the flag before [n]
    """
    planted = planted_errors.rank_scores(predictions.rounds) if predictions.rounds else []
    if method == "auto":
        method = planted_errors.choose(planted) if planted else "evenset"
    compute = label_errors.POSTERIORS.get(method, label_errors.mixture_posterior)
    posterior = compute(predictions.probabilities, labels, mapped.beside(predictions.probabilities, POSTERIOR))
    scores, noise = _probabilities(predictions, labels, posterior, method)
    contradictions = label_neighbours.contradictions(labels, predictions.duplicates, scores, dismissed)
    contradicted = contradictions >= 0
    stays = np.isin(predictions.duplicates, predictions.duplicates[contradicted]) & ~contradicted
    too_few = np.bincount(labels)[labels] < MIN_CLASS_LABELS
    suspicious = (
        (label_errors.flag(predictions.probabilities, labels, scores, posterior) & ~too_few) | contradicted
    ) & ~stays
    is_issue = suspicious & ~dismissed
    contradicted &= is_issue
    suggestions = label_errors.suggest(posterior, labels, is_issue)
    suggestions[contradicted] = labels[contradictions[contradicted]]
    order = np.lexsort((-scores, ~contradicted))
    ranks = np.empty(len(labels), dtype=np.int64)
    ranks[order] = np.arange(1, len(labels) + 1)
    return Verdict(
        scores=scores,
        is_issue=is_issue,
        suggestions=suggestions,
        confidence=label_errors.of_labels(posterior, suggestions),
        contradicted=contradicted,
        contradictions=contradictions,
        ranks=ranks,
        noise=noise,
        too_few=too_few,
        method=method,
        planted=planted,
        dismissed=int((suspicious & dismissed).sum()),
    )


def _probabilities(
    predictions: OutOfFold, labels: np.ndarray, posterior: np.ndarray, method: str
) -> tuple[np.ndarray, float]:
    """Probability that each label is wrong [n], in the order of the method's scores; expected fraction of wrong ones.

    A posterior is one already; other scores are calibrated by planted errors, where there are any.
    """
    wrong = 1 - label_errors.of_labels(posterior, labels)
    noise = float(wrong.mean()) if len(labels) else 0.0
    of_posterior = method in label_errors.POSTERIORS
    scores = wrong if of_posterior else label_errors.mistakenness(predictions.probabilities, labels, method=method)
    if not predictions.rounds or method == "noise_mixture":
        return scores, noise
    noise = label_errors.credible_noise(noise, predictions.probabilities, labels)
    calibrator = calibration.calibrate(predictions.rounds, scores, method, noise)
    return calibrator(scores), calibrator.noise


def reasons(labels: Labels, predictions: OutOfFold, verdict: Verdict) -> list[str]:
    """A sentence on each label, from its near-duplicates, its neighbours and the model's prediction."""
    names, class_ids = labels.names, labels.class_ids[predictions.rows]
    votes, neighbours = label_neighbours.neighbour_votes(class_ids, predictions.neighbours, verdict.suggestions)
    predicted, probability = predictions.single.argmax(axis=1), predictions.single.max(axis=1)
    nouns, sentences = "boxes" if labels.has_boxes else "samples", []
    for i, suggestion in enumerate(verdict.suggestions):
        parts = [_contradiction(labels, predictions, verdict, i)] if verdict.contradicted[i] else []
        if verdict.too_few[i]:
            parts.append(f"too few labels of {names[class_ids[i]]!r} to judge it")
        if neighbours[i]:
            parts.append(f"{votes[i]} of {neighbours[i]} nearest {nouns} are {names[suggestion]!r}")
        opinion = "agrees" if predicted[i] == suggestion else f"says {names[predicted[i]]!r}"
        parts.append(f"a model that has not seen the label {opinion} at {probability[i]:.2f}")
        sentences.append("; ".join(parts))
    return sentences


def _contradiction(labels: Labels, predictions: OutOfFold, verdict: Verdict, row: int) -> str:
    """Names the near-duplicate that contradicts a label."""
    group = predictions.rows[predictions.duplicates == predictions.duplicates[row]]
    counts = Counter(labels.names[class_id] for class_id in labels.class_ids[group]).most_common()
    listed = " and ".join(f"{count} of them {name!r}" for name, count in counts[:3])
    other, suggestion = predictions.rows[verdict.contradictions[row]], labels.names[verdict.suggestions[row]]
    noun = "box" if labels.has_boxes else "sample"
    duplicate = f"{Path(file_of(labels.paths[other])).name} ({noun} {labels.ids[other]}) is {suggestion!r}"
    nouns = "boxes" if labels.has_boxes else "samples"
    return f"{nouns} that are nearly the same have different labels, {listed}: {duplicate}"
