"""Calibrated confidence: the score of a prediction, and the probability that it is correct.

Higher scores are better everywhere. The order of the samples (`combine`) is learned without held-out labels; these set
the threshold and calibrate the confidence (`fit`), which keeps the order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit

from .threshold import clopper_pearson

MIN_ISOTONIC_LABELS = 1000  # held-out labels from which confidence is isotonic, not a sigmoid
EM_STEPS = 100
BINS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)  # edges of a reliability table
SHRINKAGE = 100.0  # towards the initial weights: a hundred tuning labels, some of them wrong, must not reverse them
FOLDS = 5


@dataclass(frozen=True)
class Calibrator:
    """Score to confidence: sigmoid(slope * score + offset), or a curve through `knots` if there are any."""

    slope: float
    offset: float
    knots: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))  # score, log-odds of being correct [k, 2]

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Probability that the prediction is correct [N], for scores [N]; it rises with the score."""
        odds = self.slope * scores + self.offset
        if len(self.knots):
            at, height = self.knots.T
            beyond = scores - np.clip(scores, at[0], at[-1])
            odds = np.interp(scores, at, height) + self.slope * beyond
        return np.asarray(expit(odds))


def log_odds(probability: np.ndarray, eps: float = 1e-12) -> np.ndarray:
    """Log-odds of probabilities [N]; `eps` keeps those of 0 and 1 finite."""
    return np.asarray(np.log(np.maximum(probability, 0) + eps) - np.log(np.maximum(1 - probability, 0) + eps))


def combine(evidence: np.ndarray, initial: np.ndarray, tuning: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Weights [F] that combine several kinds of evidence into one score: Platt scaling, shrunk to initial weights.

    Without tuning labels, or without an error among them, the initial weights stay.

    Args:
        evidence: log-odds of confidence, agreement of members, agreement of neighbours ... [N, F]
        initial: weights to start from [F]
        tuning: labelled rows that neither trained the model nor are held out [n]
        correct: whether the prediction of each tuning row is correct [n]
    """
    from sklearn.linear_model import LogisticRegression

    if len(initial) < 2 or correct.all() or not correct.any():
        return initial
    rows = evidence[tuning]
    scale = np.maximum(evidence.std(0), 1e-6)
    score = rows @ initial
    std = max(float(score.std()), 1e-6)
    columns = np.hstack([10 * score[:, None] / std, rows / scale])  # times 10, so that it is hardly shrunk to zero
    coefficients = LogisticRegression(C=1 / SHRINKAGE).fit(columns, correct).coef_[0]
    weights = np.maximum(10 * coefficients[0] / std * initial + coefficients[1:] / scale, 0)  # none counts against
    return weights if weights.any() else initial


def estimate_prior(probabilities: np.ndarray, train_prior: np.ndarray) -> np.ndarray:
    """Class prior of unlabelled samples [K], without a label of them (EM of Saerens et al., 2002).

    Args:
        probabilities: of the unlabelled samples, by a model trained under `train_prior` [M, K]
        train_prior: class prior of the training labels [K]; a class of 0 stays at 0
    """
    ratio = np.ones_like(train_prior)
    for _ in range(EM_STEPS):
        joint = probabilities * ratio
        prior = (joint / np.maximum(joint.sum(axis=1, keepdims=True), 1e-300)).mean(axis=0)
        ratio = np.where(train_prior > 0, prior / np.maximum(train_prior, 1e-12), 0.0)
    return np.asarray(ratio * train_prior)


def fit(scores: np.ndarray, correct: np.ndarray, weights: np.ndarray | None = None) -> Calibrator:
    """Calibrator of held-out predictions: Platt scaling (1999) with smoothed targets, isotonic with many labels.

    Args:
        scores: log-odds of the predicted class, or any monotone score [N]
        correct: whether the prediction is correct [N]
        weights: of each sample [N]; None: all equal
    """
    from sklearn.linear_model import LogisticRegression

    weights = np.ones(len(scores)) if weights is None else weights
    hits, errors = float(weights[correct].sum()), float(weights[~correct].sum())
    target = np.where(correct, (hits + 1) / (hits + 2), 1 / (errors + 2))
    constant = Calibrator(0.0, math.log((hits + 1) / (errors + 1)))
    if len(scores) < 2 or np.ptp(scores) == 0:
        return constant
    std, mean = float(scores.std()), float(scores.mean())
    twice = np.tile((scores - mean) / std, 2)[:, None]  # soft targets: each row as correct and as wrong
    classes = np.repeat([1, 0], len(scores))
    sample_weights = np.concatenate([weights * target, weights * (1 - target)])
    model = LogisticRegression(C=1e4).fit(twice, classes, sample_weight=sample_weights)
    slope = float(model.coef_[0, 0]) / std
    if slope <= 0:  # few samples: the order of the scores must stay
        return constant
    knots = _isotonic(scores, correct, weights) if len(scores) >= MIN_ISOTONIC_LABELS else np.zeros((0, 2))
    return Calibrator(slope, float(model.intercept_[0]) - slope * mean, knots)


def _isotonic(scores: np.ndarray, correct: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Knots [k, 2] at the centres of the isotonic steps: the curve between them rises (Oron & Flournoy, 2017)."""
    from sklearn.isotonic import IsotonicRegression

    steps = IsotonicRegression().fit(scores, correct.astype(float), weights).predict(scores)
    _, step = np.unique(steps, return_inverse=True)
    size, mass = np.bincount(step), np.bincount(step, weights)
    large = size >= max(10, len(scores) // 100)  # a step of few samples is noise
    if large.sum() < 2:
        return np.zeros((0, 2))
    centre = np.bincount(step, weights * scores) / np.maximum(mass, 1e-12)
    precision = (np.bincount(step, weights * correct) + 0.5) / (mass + 1)
    knots = np.stack([centre, log_odds(precision)], axis=1)[large]
    return np.asarray(knots[np.r_[True, np.diff(np.maximum.accumulate(knots[:, 1])) > 0]])


def cross_fitted(scores: np.ndarray, correct: np.ndarray, seed: int, weights: np.ndarray | None = None) -> np.ndarray:
    """Confidence of each held-out sample by a calibrator fitted without it, over five folds [N]."""
    fold = np.random.default_rng(seed).permutation(len(scores)) % FOLDS
    confidence = np.full(len(scores), np.nan)
    for i in range(FOLDS):
        rest = fold != i
        calibrator = fit(scores[rest], correct[rest], None if weights is None else weights[rest])
        confidence[~rest] = calibrator(scores[~rest])
    return confidence


def reliability(confidence: np.ndarray, correct: np.ndarray, alpha: float) -> list[dict[str, float]]:
    """Count, mean confidence, precision and its bounds at alpha, a row a bin of confidence."""
    bins = np.clip(np.searchsorted(BINS, confidence, side="right") - 1, 0, len(BINS) - 2)
    rows = []
    for i in np.unique(bins):
        inside = bins == i
        hits, count = int(correct[inside].sum()), int(inside.sum())
        low, high = clopper_pearson(hits, count, alpha)
        mean = float(confidence[inside].mean())
        row = {"from": BINS[i], "to": BINS[i + 1], "count": count, "confidence": mean, "right": hits / count}
        rows.append({**row, "low": low, "high": high})
    return rows
