"""Confidences that mean what they say, and the threshold above which a promised precision holds.

Every score here is better when higher.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta


@dataclass(frozen=True)
class Calibrator:
    """Platt scaling: sigmoid(slope * score + offset)."""

    slope: float
    offset: float

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Probability that the prediction is right [N], for scores [N]."""
        return np.asarray(1 / (1 + np.exp(-(self.slope * scores + self.offset))))


def fit(scores: np.ndarray, right: np.ndarray, weights: np.ndarray | None = None) -> Calibrator:
    """Fits the calibrator on held-out predictions (Platt, 1999, with his smoothed targets).

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
    return Calibrator(slope, float(model.intercept_[0]) - slope * centre)


def interval(right: float, total: float, alpha: float) -> tuple[float, float]:
    """Exact binomial bounds of a share (Clopper & Pearson, 1934), each one-sided at `alpha`; (0, 1) of nothing.

    Args:
        right, total: counts; fractions are allowed, for weighted samples
    """
    if total <= 0:
        return 0.0, 1.0
    low = float(beta.ppf(alpha, right, total - right + 1)) if right > 0 else 0.0
    high = float(beta.ppf(1 - alpha, right + 1, total - right)) if right < total else 1.0
    return low, high


@functools.lru_cache(maxsize=4096)
def labels_needed(target: float, alpha: float, errors: int = 0) -> int:
    """How many held-out samples, `errors` of them wrong, it takes until the lower bound reaches `target`."""
    total = max(errors + 1, math.ceil(math.log(alpha) / math.log(target)))
    while interval(total - errors, total, alpha)[0] < target:
        total += 1
    return total


@dataclass(frozen=True)
class Threshold:
    """The lowest score that is accepted, and what held-out labels say of the precision above it."""

    score: float  # infinity where nothing is accepted
    held_out: int  # held-out samples above it
    right: int  # of these, predicted right
    precision: float  # share of right ones, weighted; NaN where nothing is accepted
    low: float  # its lower bound at alpha
    high: float  # its upper bound at alpha
    curve: list[dict[str, float]]  # coverage, precision, low, high of every threshold looked at


def choose_threshold(
    pool: np.ndarray,
    held: np.ndarray,
    right: np.ndarray,
    target: float,
    alpha: float,
    weights: np.ndarray | None = None,
) -> Threshold:
    """Accepts as much of the pool as keeps the precision at `target` or above, with confidence 1 - alpha.

    Thresholds are fixed before a held-out answer is looked at: they cut off shares of the pool. They are tested from
    the strictest on, each by the exact binomial bound, and the first that fails ends it (fixed-sequence testing,
    Angelopoulos et al., 2021, "Learn then Test"). So the chance that the chosen one breaks the promise is alpha at the
    most, if the held-out samples are a random draw from the pool and have no part in the scores.

    Args:
        pool: scores of the unlabelled samples, -infinity where one must not be accepted [M]
        held: scores of the held-out samples, made likewise [N]
        right: whether each held-out prediction is right [N]
        weights: of each held-out sample [N]; with them the result is an estimate, by the effective number of samples
    """
    weights = np.ones(len(held)) if weights is None else weights
    begin = _first_test(len(held), target, alpha)
    usable = np.sort(pool[np.isfinite(pool)])[::-1]
    shares = np.linspace(min(begin / max(len(held), 1), 1), 1, 50)
    cuts = {usable[min(math.ceil(share * len(pool)), len(usable)) - 1] for share in shares if len(usable)}
    chosen, open_, curve = None, begin <= len(held), []
    for cut in sorted(cuts, reverse=True):
        taken = held >= cut
        found = _precision(taken, right, weights, alpha)
        curve.append({"coverage": float((pool >= cut).mean()), "score": float(cut), **found})
        open_ = open_ and found["low"] >= target
        if open_:
            chosen = Threshold(float(cut), int(taken.sum()), int(right[taken].sum()), curve=curve, **found)
    nothing = Threshold(math.inf, 0, 0, math.nan, 0.0, 1.0, curve)
    return chosen or nothing


def _first_test(held: int, target: float, alpha: float) -> int:
    """How many of the held-out samples the strictest threshold should keep.

    With so few that none may be wrong, one error ends the sequence; with many, it begins where errors are frequent. So:
    room for one error, and where there are plenty of samples for as many as a third of them allows.
    """
    errors = 1 if labels_needed(target, alpha, errors=1) <= held else 0
    while labels_needed(target, alpha, errors + 1) <= held / 3:
        errors += 1
    return labels_needed(target, alpha, errors)


def _precision(taken: np.ndarray, right: np.ndarray, weights: np.ndarray, alpha: float) -> dict[str, float]:
    """Precision of the taken samples, and its bounds by their effective number (Kish, 1965)."""
    w = weights[taken]
    if not len(w):
        return {"precision": math.nan, "low": 0.0, "high": 1.0}
    share, effective = float((w * right[taken]).sum() / w.sum()), float(w.sum() ** 2 / (w**2).sum())
    low, high = interval(share * effective, effective, alpha)
    return {"precision": share, "low": low, "high": high}


def class_weights(held: np.ndarray, pool: np.ndarray, classes: int) -> np.ndarray:
    """Weights [N] that give held-out samples the pool's frequencies of predicted classes.

    Args:
        held, pool: predicted class of each held-out and each unlabelled sample [N], [M]
    """
    have = np.bincount(held, minlength=classes) / max(len(held), 1)
    want = np.bincount(pool, minlength=classes) / max(len(pool), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(have > 0, want / have, 0.0)[held])
