"""Confidences that mean what they say.

Every score here is better when higher. What orders the samples (`combine`) has no part of the held-out answers in it:
these set the threshold, and say what a score is worth as a confidence (`fit`), which does not change the order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit

from .threshold import interval

MANY = 1000  # held-out answers from which the confidence follows them freely (isotonic), not a sigmoid
EM_STEPS = 100
BINS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)  # edges of a reliability table
PULL = 100.0  # to the usual combination: a hundred tuning answers, some of them wrong, must not turn it around


@dataclass(frozen=True)
class Calibrator:
    """Score to confidence: sigmoid(slope * score + offset), or a curve through `knots` where there are some."""

    slope: float
    offset: float
    knots: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))  # score, and log-odds of being right [k, 2]

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Probability that the prediction is right [N], for scores [N]; it rises with the score."""
        odds = self.slope * scores + self.offset
        if len(self.knots):
            at, height = self.knots.T
            beyond = scores - np.clip(scores, at[0], at[-1])
            odds = np.interp(scores, at, height) + self.slope * beyond
        return np.asarray(expit(odds))


def log_odds(share: np.ndarray, room: float = 1e-12) -> np.ndarray:
    """Log-odds of shares 0..1 [N]; `room` keeps the ends finite."""
    return np.asarray(np.log(np.maximum(share, 0) + room) - np.log(np.maximum(1 - share, 0) + room))


def combine(evidence: np.ndarray, usual: np.ndarray, tuning: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Weights [F] that make one score of several kinds of evidence: Platt scaling on all of them, pulled to the usual.

    With no tuning answers, or none wrong, they are the usual ones.

    Args:
        evidence: log-odds of the confidence, of the members' agreement, of the neighbours' ... [N, F]
        usual: weights to start from [F]
        tuning: rows whose answers are known, and are neither learned from nor held out [n]
        right: whether the prediction of each is right [n]
    """
    from sklearn.linear_model import LogisticRegression

    if len(usual) < 2 or right.all() or not right.any():
        return usual
    rows = evidence[tuning]
    scale = np.maximum(evidence.std(0), 1e-6)
    score = rows @ usual
    spread = max(float(score.std()), 1e-6)
    columns = np.hstack([10 * score[:, None] / spread, rows / scale])  # the large column is hardly pulled to zero
    found = LogisticRegression(C=1 / PULL).fit(columns, right).coef_[0]
    weights = np.maximum(10 * found[0] / spread * usual + found[1:] / scale, 0)  # evidence never speaks against
    return weights if weights.any() else usual


def pool_shares(probabilities: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Each class's share of the pool [K], estimated without a label of it (EM of Saerens et al., 2002).

    Args:
        probabilities: of the pool's samples, learned where classes have the given shares [M, K]
        shares: of each class where it was learned [K]; a class of share 0 keeps it
    """
    ratio = np.ones_like(shares)
    for _ in range(EM_STEPS):
        told = probabilities * ratio
        found = (told / np.maximum(told.sum(axis=1, keepdims=True), 1e-300)).mean(axis=0)
        ratio = np.where(shares > 0, found / np.maximum(shares, 1e-12), 0.0)
    return np.asarray(ratio * shares)


def fit(scores: np.ndarray, right: np.ndarray, weights: np.ndarray | None = None) -> Calibrator:
    """Fits the calibrator on held-out predictions (Platt, 1999, with his smoothed targets; isotonic where many).

    Args:
        scores: log-odds of the predicted class, or any monotone score [N]
        right: whether the prediction is right [N]
        weights: of each sample [N]; None: all alike
    """
    from sklearn.linear_model import LogisticRegression

    weights = np.ones(len(scores)) if weights is None else weights
    hits, misses = float(weights[right].sum()), float(weights[~right].sum())
    target = np.where(right, (hits + 1) / (hits + 2), 1 / (misses + 2))
    flat = Calibrator(0.0, math.log((hits + 1) / (misses + 1)))
    if len(scores) < 2 or np.ptp(scores) == 0:
        return flat
    spread, centre = float(scores.std()), float(scores.mean())
    both = np.tile((scores - centre) / spread, 2)[:, None]
    answers = np.repeat([1, 0], len(scores))
    model = LogisticRegression(C=1e4).fit(
        both, answers, sample_weight=np.concatenate([weights * target, weights * (1 - target)])
    )
    slope = float(model.coef_[0, 0]) / spread
    if slope <= 0:  # few samples: the order of the scores must stay
        return flat
    knots = _isotonic(scores, right, weights) if len(scores) >= MANY else np.zeros((0, 2))
    return Calibrator(slope, float(model.intercept_[0]) - slope * centre, knots)


def _isotonic(scores: np.ndarray, right: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Knots [k, 2] at the centres of the isotonic steps, so that what lies between rises (Oron & Flournoy, 2017)."""
    from sklearn.isotonic import IsotonicRegression

    steps = IsotonicRegression().fit(scores, right.astype(float), weights).predict(scores)
    _, block = np.unique(steps, return_inverse=True)
    size, mass = np.bincount(block), np.bincount(block, weights)
    kept = size >= max(10, len(scores) // 100)  # a step of few samples is noise
    if kept.sum() < 2:
        return np.zeros((0, 2))
    centre = np.bincount(block, weights * scores) / np.maximum(mass, 1e-12)
    share = (np.bincount(block, weights * right) + 0.5) / (mass + 1)
    knots = np.stack([centre, log_odds(share)], axis=1)[kept]
    return np.asarray(knots[np.r_[True, np.diff(np.maximum.accumulate(knots[:, 1])) > 0]])


def cross_fitted(scores: np.ndarray, right: np.ndarray, seed: int, weights: np.ndarray | None = None) -> np.ndarray:
    """Confidence of each held-out sample by a calibrator that has not seen its answer, over five folds [N]."""
    fold = np.random.default_rng(seed).permutation(len(scores)) % 5
    confidence = np.full(len(scores), np.nan)
    for i in range(5):
        rest = fold != i
        known = fit(scores[rest], right[rest], None if weights is None else weights[rest])
        confidence[~rest] = known(scores[~rest])
    return confidence


def reliability(confidence: np.ndarray, right: np.ndarray, alpha: float) -> list[dict[str, float]]:
    """A row a bin of confidence: how many, their mean confidence, their share right, and its interval at alpha."""
    bins = np.clip(np.searchsorted(BINS, confidence, side="right") - 1, 0, len(BINS) - 2)
    rows = []
    for i in np.unique(bins):
        mine = bins == i
        hits, count = int(right[mine].sum()), int(mine.sum())
        low, high = interval(hits, count, alpha)
        said = float(confidence[mine].mean())
        row = {"from": BINS[i], "to": BINS[i + 1], "count": count, "confidence": said, "right": hits / count}
        rows.append({**row, "low": low, "high": high})
    return rows
