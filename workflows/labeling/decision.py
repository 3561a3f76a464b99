"""Decision of auto_label for each sample: class, calibrated confidence, and acceptance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...models.confidence import calibration, novelty, threshold
from ...models.confidence.calibration import Calibrator, log_odds
from ...models.probabilities import blocks, is_scored, softmax, top_two
from ...models.settings import AutoLabelSettings
from ..data.labels import Labels
from ..training.partition import Split
from .acceptance import Acceptance, Candidates, accept
from .predictions import Predictions

# added to probabilities, so that their log-odds are finite: of the best class, and of it among the neighbours
SMOOTHING = {"confidence": 1e-4, "neighbours": 0.02}
INITIAL_WEIGHTS = {"confidence": 1.0, "neighbours": 0.5}  # of the evidence
MIN_EXPECTED = 20  # predictions with a known answer from which the expected precision is estimated
EPS = 1e-12
MIN_PRIOR_RATIO = 1e-6  # no class becomes impossible
MAX_PRIOR_SAMPLES = 100_000  # by which the prior of the unlabelled samples is estimated


@dataclass(frozen=True)
class Suggestions:
    """A class for every sample."""

    class_ids: np.ndarray  # [N]
    confidence: np.ndarray  # calibrated probability that the class is correct [N]
    margin: np.ndarray  # lead over the second class [N]

    def where(self, mask: np.ndarray, others: Suggestions) -> Suggestions:
        """These where the mask is true, the others elsewhere."""
        columns = (np.where(mask, value, vars(others)[name]) for name, value in vars(self).items())
        return Suggestions(*columns)


@dataclass
class Decision:
    """The decision for every sample."""

    candidates: Candidates
    acceptance: Acceptance
    bounded: Suggestions  # of the members that the held-out labels bound: what is accepted
    review: Suggestions  # of members that learned from held-out labels too: what a person looks at
    usable: np.ndarray  # the sample could be scored [N]
    ood_mask: np.ndarray  # out of distribution [N]
    calibration_confidence: np.ndarray  # cross-fitted, of the calibration samples [n]
    calibrator: Calibrator
    max_distance: float  # samples beyond it are out of distribution
    reference: np.ndarray  # embeddings of the training split [M, D]

    @property
    def suggestions(self) -> Suggestions:
        """What is written: accepted predictions, and those for review."""
        return self.bounded.where(self.acceptance.accepted, self.review)


def decide(labels: Labels, predictions: Predictions, settings: AutoLabelSettings) -> Decision:
    """Scores, calibrates and accepts.

    The scores are fitted on the validation split; only calibration, acceptance and what is for review see held-out
    labels.
    """
    usable = is_scored(predictions.logits)
    class_ids, probability, margin = predict(labels, predictions, usable, settings)
    held_out = np.flatnonzero((predictions.split_ids == Split.HELD_OUT) & usable)
    unlabelled = np.flatnonzero((labels.class_ids < 0) & usable)
    correct = class_ids[held_out] == labels.class_ids[held_out]

    scores = acceptance_scores(labels, predictions, class_ids, probability, usable)
    is_far, max_distance = find_outliers(predictions, usable, settings)
    weights = None
    if not settings.random_labels and len(held_out) and len(unlabelled):
        weights = threshold.class_weights(class_ids[held_out], class_ids[unlabelled], len(labels.names))
    allowed = np.where(is_far | labels.too_small, -np.inf, scores)
    expected = expected_precision(labels, predictions, scores, class_ids)[held_out]
    if len(held_out):
        calibrator, min_scores = calibration.fit(scores[held_out], correct, weights), None
    else:
        calibrator, min_scores = predictions.earlier_calibrator, predictions.earlier_min_scores
    bounded = Suggestions(class_ids, calibrator(scores), margin)
    review = _refitted(labels, predictions, bounded, calibrator, settings)
    candidates = Candidates(allowed, class_ids, review.class_ids, unlabelled, held_out, correct, expected, weights)
    return Decision(
        candidates=candidates,
        acceptance=accept(candidates, len(labels.names), settings, min_scores),
        bounded=bounded,
        review=review,
        usable=usable,
        ood_mask=is_far & (labels.class_ids < 0),
        calibration_confidence=calibration.cross_fitted(scores[held_out], correct, settings.seed, weights),
        calibrator=calibrator,
        max_distance=max_distance,
        reference=predictions.reference,
    )


def predict(
    labels: Labels, predictions: Predictions, usable: np.ndarray, settings: AutoLabelSettings
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes under the prior of the training labels or of the unlabelled samples, their probability and margin [N]."""
    ratio = _prior_ratio(labels, predictions, usable, settings)
    class_ids, probability, margin = np.empty(len(usable), dtype=np.int64), *np.empty((2, len(usable)))
    for rows in blocks(*predictions.logits.shape):
        adjusted = _probabilities(predictions, usable, rows) * ratio
        adjusted /= adjusted.sum(axis=1, keepdims=True)
        class_ids[rows], probability[rows], margin[rows] = top_two(adjusted)
    return class_ids, probability, margin


def _probabilities(predictions: Predictions, usable: np.ndarray, rows: Any) -> np.ndarray:
    """Class probabilities under the prior of the training labels; equal where a sample could not be scored [n, K]."""
    return softmax(np.where(usable[rows, None], predictions.logits[rows] + predictions.log_prior, 0.0))


def _prior_ratio(
    labels: Labels, predictions: Predictions, usable: np.ndarray, settings: AutoLabelSettings
) -> np.ndarray:
    """Factor of each class's probability, from the prior of the training labels to that of the samples [K]."""
    unlabelled = np.flatnonzero((labels.class_ids < 0) & usable)
    trained = (predictions.split_ids == Split.TRAIN) & (labels.class_ids >= 0)
    from_labels = settings.class_prior == "labels" or settings.random_labels
    if not trained.any() or (not labels.synthetic_mask.any() if from_labels else not len(unlabelled)):
        return np.ones(len(labels.names))
    train_prior = _class_prior(labels, trained)
    if from_labels:  # synthetic samples distort the prior
        prior = _class_prior(labels, trained & ~labels.synthetic_mask, min_count=0.5)
    else:
        if len(unlabelled) > MAX_PRIOR_SAMPLES:
            unlabelled = np.random.default_rng(settings.seed).choice(unlabelled, MAX_PRIOR_SAMPLES, replace=False)
        prior = calibration.estimate_prior(_probabilities(predictions, usable, unlabelled), train_prior)
    return np.asarray(np.maximum(prior / np.maximum(train_prior, EPS), MIN_PRIOR_RATIO))


def _class_prior(labels: Labels, among: np.ndarray, min_count: float = 0.0) -> np.ndarray:
    counts = np.maximum(np.bincount(labels.class_ids[among], minlength=len(labels.names)), min_count)
    return np.asarray(counts / counts.sum())


def acceptance_scores(
    labels: Labels, predictions: Predictions, class_ids: np.ndarray, probability: np.ndarray, usable: np.ndarray
) -> np.ndarray:
    """Acceptance score of each prediction from members and neighbours, weighted on the validation split [N]."""
    columns, initial = _evidence(probability, predictions.neighbour_agreement)
    tuning = np.flatnonzero((predictions.split_ids == Split.VALIDATION) & usable)
    is_correct = class_ids[tuning] == labels.class_ids[tuning]
    return np.asarray(columns @ calibration.combine(columns, initial, tuning, is_correct))


def _evidence(probability: np.ndarray, neighbour_agreement: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds of each kind of evidence [N, F], and its weight without validation labels [F]."""
    evidence = {"confidence": probability}
    if neighbour_agreement is not None:
        evidence["neighbours"] = np.nan_to_num(neighbour_agreement, nan=0.5)
    columns = np.stack([log_odds(values, SMOOTHING[name]) for name, values in evidence.items()], axis=1)
    return columns, np.array([INITIAL_WEIGHTS[name] for name in evidence])


def expected_precision(
    labels: Labels, predictions: Predictions, scores: np.ndarray, class_ids: np.ndarray
) -> np.ndarray:
    """Probability that each prediction is correct, by out-of-fold or validation predictions alone [N].

    It says where testing starts; held-out labels have no part in it.
    """
    rows = predictions.split_ids == Split.VALIDATION
    if rows.sum() >= MIN_EXPECTED:
        return calibration.fit(scores[rows], class_ids[rows] == labels.class_ids[rows])(scores)
    rows, out_of_fold = predictions.trained, predictions.out_of_fold
    if rows is None or out_of_fold is None or len(rows) < MIN_EXPECTED:
        return predictions.earlier_calibrator(scores)
    predicted, probability, _ = top_two(np.exp(out_of_fold))
    columns, weights = _evidence(probability, _agreement_on(predictions, rows, predicted, class_ids))
    return calibration.fit(columns @ weights, predicted == labels.class_ids[rows])(scores)


def _agreement_on(
    predictions: Predictions, rows: np.ndarray, others: np.ndarray, class_ids: np.ndarray
) -> np.ndarray | None:
    """Agreement of the neighbours of some samples on `others` [n]; NaN where it is known for `class_ids` alone."""
    agreement = predictions.neighbour_agreement
    return None if agreement is None else np.where(others == class_ids[rows], agreement[rows], np.nan)


def _refitted(
    labels: Labels,
    predictions: Predictions,
    bounded: Suggestions,
    calibrator: Calibrator,
    settings: AutoLabelSettings,
) -> Suggestions:
    """Suggestions of the members that learned from all labels; those of `bounded` where no label is held out."""
    if predictions.refitted is None:
        return bounded
    predictions = replace(predictions, logits=predictions.refitted, log_prior=np.zeros_like(predictions.log_prior))
    usable = is_scored(predictions.logits)
    class_ids, probability, margin = predict(labels, predictions, usable, settings)
    rows = np.arange(len(class_ids))
    predictions.neighbour_agreement = _agreement_on(predictions, rows, class_ids, bounded.class_ids)
    scores = acceptance_scores(labels, predictions, class_ids, probability, usable)
    return Suggestions(class_ids, calibrator(scores), margin)


def find_outliers(
    predictions: Predictions, usable: np.ndarray, settings: AutoLabelSettings
) -> tuple[np.ndarray, float]:
    """Samples far from every training embedding [N], and the distance beyond which they are."""
    if not settings.review_out_of_distribution or not len(predictions.reference):
        return np.zeros(len(usable), dtype=bool), np.inf
    distance = novelty.distances(predictions.embeddings, predictions.reference)
    unseen = np.flatnonzero(np.isin(predictions.split_ids, (Split.VALIDATION, Split.HELD_OUT)) & usable)
    limit = novelty.tukey_fence(distance[unseen]) if len(unseen) else predictions.earlier_max_distance
    return (distance > limit) & usable, limit


def decide_by_checkpoint(labels: Labels, predictions: Predictions, settings: AutoLabelSettings) -> Decision:
    """The decision without the ensemble's other members: another dataset has the checkpoint alone."""
    logits = predictions.logits if predictions.checkpoint_logits is None else predictions.checkpoint_logits
    uniform = np.zeros_like(predictions.log_prior)
    single = replace(predictions, logits=logits, log_prior=uniform, members={}, neighbour_agreement=None)
    single = replace(single, out_of_fold=None, trained=None, refitted=None)
    return decide(labels, single, settings)
