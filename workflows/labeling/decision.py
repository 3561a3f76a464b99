"""Decision of auto_label for each sample: class, calibrated confidence, and acceptance."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...models.confidence import calibration, novelty, threshold
from ...models.confidence.calibration import Calibrator, log_odds
from ...models.probabilities import softmax, top_two
from ...models.settings import AutoLabelSettings
from ..data.labels import Labels
from ..training.partition import Split
from .acceptance import Acceptance, Candidates, accept
from .predictions import Predictions

# added to probabilities, so that their log-odds are finite: of the best class, by the members, and by the neighbours
SMOOTHING = {"confidence": 1e-4, "members": 0.02, "neighbours": 0.02}
EPS = 1e-12
MIN_PRIOR_RATIO = 1e-6  # no class becomes impossible


@dataclass
class Decision:
    """The decision for every sample."""

    candidates: Candidates
    acceptance: Acceptance
    confidence: np.ndarray  # calibrated probability that the class is correct [N]
    probability: np.ndarray  # uncalibrated [N]
    margin: np.ndarray  # lead over the second class [N]
    usable: np.ndarray  # the sample could be scored [N]
    ood_mask: np.ndarray  # out of distribution [N]
    calibration_confidence: np.ndarray  # cross-fitted, of the calibration samples [n]
    calibrator: Calibrator
    max_distance: float  # samples beyond it are out of distribution
    reference: np.ndarray  # embeddings of the training split [M, D]


def decide(labels: Labels, predictions: Predictions, settings: AutoLabelSettings) -> Decision:
    """Scores, calibrates and accepts.

    The scores are fitted on the validation split; only calibration and acceptance see held-out labels.
    """
    usable = ~np.isnan(predictions.logits).any(1)
    class_ids, probability, margin = top_two(class_probabilities(labels, predictions, usable, settings))
    held_out = np.flatnonzero((predictions.split_ids == Split.HELD_OUT) & usable)
    unlabelled = np.flatnonzero((labels.class_ids < 0) & usable)
    correct = class_ids[held_out] == labels.class_ids[held_out]

    scores = acceptance_scores(labels, predictions, class_ids, probability, usable)
    is_far, max_distance = find_outliers(predictions, usable, settings)
    weights = None
    if not settings.random_labels and len(held_out) and len(unlabelled):
        weights = threshold.class_weights(class_ids[held_out], class_ids[unlabelled], len(labels.names))
    allowed = np.where(is_far, -np.inf, scores)
    candidates = Candidates(allowed, class_ids, unlabelled, held_out, correct, weights)
    if len(held_out):
        calibrator, min_scores = calibration.fit(scores[held_out], correct, weights), None
    else:
        calibrator, min_scores = predictions.earlier_calibrator, predictions.earlier_min_scores
    return Decision(
        candidates=candidates,
        acceptance=accept(candidates, len(labels.names), settings, min_scores),
        confidence=calibrator(scores),
        probability=probability,
        margin=margin,
        usable=usable,
        ood_mask=is_far & (labels.class_ids < 0),
        calibration_confidence=calibration.cross_fitted(scores[held_out], correct, settings.seed, weights),
        calibrator=calibrator,
        max_distance=max_distance,
        reference=predictions.reference,
    )


def class_probabilities(
    labels: Labels, predictions: Predictions, usable: np.ndarray, settings: AutoLabelSettings
) -> np.ndarray:
    """Class probabilities under the prior of the training labels or of the unlabelled samples [N, K]."""
    probabilities = softmax(np.where(usable[:, None], predictions.logits + predictions.log_prior, 0.0))
    unlabelled = (labels.class_ids < 0) & usable
    trained = (predictions.split_ids == Split.TRAIN) & (labels.class_ids >= 0)
    from_labels = settings.class_prior == "labels" or settings.random_labels
    if not trained.any() or (not labels.synthetic_mask.any() if from_labels else not unlabelled.any()):
        return probabilities
    train_prior = _class_prior(labels, trained)
    if from_labels:  # synthetic samples distort the prior
        prior = _class_prior(labels, trained & ~labels.synthetic_mask, min_count=0.5)
    else:
        prior = calibration.estimate_prior(probabilities[unlabelled], train_prior)
    ratio = prior / np.maximum(train_prior, EPS)
    adjusted = probabilities * np.maximum(ratio, MIN_PRIOR_RATIO)
    return np.asarray(adjusted / adjusted.sum(axis=1, keepdims=True))


def _class_prior(labels: Labels, among: np.ndarray, min_count: float = 0.0) -> np.ndarray:
    counts = np.maximum(np.bincount(labels.class_ids[among], minlength=len(labels.names)), min_count)
    return np.asarray(counts / counts.sum())


def acceptance_scores(
    labels: Labels, predictions: Predictions, class_ids: np.ndarray, probability: np.ndarray, usable: np.ndarray
) -> np.ndarray:
    """Acceptance score of each prediction from members and neighbours, weighted on the validation split [N]."""
    evidence = {"confidence": probability}
    if predictions.members:
        members = np.array([scores[np.arange(len(class_ids)), class_ids] for scores in predictions.members.values()])
        weight = np.array([predictions.weights.get(name, 1.0) for name in predictions.members])[:, None]
        weight = np.where(np.isnan(members), 0.0, weight)  # a member may abstain
        total, sum_of_weights = (weight * np.exp(np.nan_to_num(members))).sum(axis=0), weight.sum(axis=0)
        evidence = {"members": np.where(sum_of_weights > 0, total / np.maximum(sum_of_weights, EPS), probability)}
    if predictions.neighbour_agreement is not None:
        evidence["neighbours"] = np.nan_to_num(predictions.neighbour_agreement, nan=0.5)
    columns = np.stack([log_odds(values, SMOOTHING[name]) for name, values in evidence.items()], axis=1)
    tuning = np.flatnonzero((predictions.split_ids == Split.VALIDATION) & usable)
    is_correct = class_ids[tuning] == labels.class_ids[tuning]
    return np.asarray(columns @ calibration.combine(columns, np.ones(len(evidence)), tuning, is_correct))


def find_outliers(
    predictions: Predictions, usable: np.ndarray, settings: AutoLabelSettings
) -> tuple[np.ndarray, float]:
    """Samples far from every training embedding [N], and the distance beyond which they are."""
    if not settings.review_out_of_distribution or not len(predictions.reference):
        return np.zeros(len(usable), dtype=bool), np.inf
    distance = novelty.distances(np.nan_to_num(predictions.embeddings), predictions.reference)
    unseen = np.flatnonzero(np.isin(predictions.split_ids, (Split.VALIDATION, Split.HELD_OUT)) & usable)
    limit = novelty.tukey_fence(distance[unseen]) if len(unseen) else predictions.earlier_max_distance
    return (distance > limit) & usable, limit


def decide_by_checkpoint(labels: Labels, predictions: Predictions, settings: AutoLabelSettings) -> Decision:
    """The decision without the ensemble's other members: another dataset has the checkpoint alone."""
    logits = predictions.logits if predictions.checkpoint_logits is None else predictions.checkpoint_logits
    uniform = np.zeros_like(predictions.log_prior)
    single = replace(predictions, logits=logits, log_prior=uniform, members={}, neighbour_agreement=None)
    return decide(labels, single, settings)
