"""Accepting predictions with a bound on their precision: Learn then Test (Angelopoulos et al., 2021).

Higher scores are better everywhere.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.stats import beta, binom, hypergeom, nbinom

from .power import allowed_in_population, choose_start

MAX_CANDIDATES = 100  # thresholds tested


def clopper_pearson(correct: float, total: float, alpha: float) -> tuple[float, float]:
    """Exact binomial bounds of a proportion (Clopper & Pearson, 1934), each one-sided at `alpha`.

    Args:
        correct, total: counts; fractions are allowed, for weighted samples. A total of 0 gives (0, 1)
    """
    if total <= 0:
        return 0.0, 1.0
    low = float(beta.ppf(alpha, correct, total - correct + 1)) if correct > 0 else 0.0
    high = float(beta.ppf(1 - alpha, correct + 1, total - correct)) if correct < total else 1.0
    return low, high


@functools.lru_cache(maxsize=4096)
def labels_needed(target: float, alpha: float, errors: int = 0) -> int:
    """Fewest held-out labels, `errors` of them wrong, whose Clopper-Pearson lower bound reaches `target`."""
    # at precision `target`, more correct labels before the next error have probability at most alpha
    return errors + 1 + int(nbinom.ppf(1 - alpha, errors + 1, 1 - target))


def labels_to_hold_out(labels: int, target: float, alpha: float) -> int:
    """Labels to hold out of `labels`: so many that half of them show `target` with nine errors.

    At most half of the labels, since the others train; at least a tenth.
    """
    return min(labels // 2, max(2 * labels_needed(target, alpha, errors=9), labels // 10))


def finite_bounds(correct: int, held_out: int, unlabelled: int, alpha: float) -> tuple[float, float]:
    """Bounds of the precision among `unlabelled` samples, from `correct` of `held_out` others of the same random draw.

    Each holds with probability 1 - alpha, exactly, for every number of errors in both together: the held-out samples
    are a random part of them (hypergeometric). Wider than `clopper_pearson`, and equal to it for many unlabelled.
    """
    if not held_out or not unlabelled:
        return 0.0, 1.0
    low = 1 - _max_errors(held_out - correct, held_out, unlabelled, alpha) / unlabelled
    return low, _max_errors(correct, held_out, unlabelled, alpha) / unlabelled


def _max_errors(errors: int, held_out: int, unlabelled: int, alpha: float) -> int:
    """Upper bound on errors among the unlabelled: with more, this few held-out errors have probability <= alpha."""
    low, high = 0, unlabelled
    while low < high:
        middle = (low + high) // 2
        if hypergeom.cdf(errors, held_out + unlabelled, middle + errors + 1, held_out) <= alpha:
            high = middle
        else:
            low = middle + 1
    return low


@dataclass(frozen=True)
class Threshold:
    """The lowest accepted score, and the precision above it by held-out labels."""

    score: float  # infinity where nothing is accepted
    held_out: int  # held-out samples at or above it
    correct: int  # of these, predicted correctly
    precision: float  # weighted; NaN where nothing is accepted
    low: float  # lower bound at alpha of the precision of the accepted
    high: float  # upper bound at alpha


NOTHING = Threshold(math.inf, 0, 0, math.nan, 0.0, 1.0)


class HeldOut(NamedTuple):
    """Held-out samples."""

    scores: np.ndarray  # [N]
    correct: np.ndarray  # whether each is predicted correctly [N]
    weights: np.ndarray | None = None  # [N]; None: all equal


def choose_threshold(
    unlabelled: np.ndarray, held_out: HeldOut, expected: np.ndarray, target: float, alpha: float
) -> Threshold:
    """Lowest threshold that keeps the precision at `target` or above, with confidence 1 - alpha.

    Candidates are fixed before any held-out label is read: quantiles of all scores, from the one on at which testing is
    expected to accept most. They are tested in this order, and the first failure ends it (fixed-sequence testing of
    Learn then Test). So the chosen one misses the target with probability at most alpha, if the held-out samples are a
    random draw and have no part in the scores.
    Each test has two parts: the precision where the samples come from (exact binomial), and among the unlabelled
    samples themselves (exact hypergeometric). With weights, the result is an estimate, by the effective sample size.

    Args:
        unlabelled: scores of the unlabelled samples, -infinity where one must not be accepted [M]
        held_out: n samples, scored likewise
        expected: probability that each held-out prediction is correct, estimated without its label [n]
    """
    candidates = sequence(unlabelled, held_out.scores, expected, target, alpha)
    if not len(candidates):
        return NOTHING
    passes = _passes(candidates, unlabelled, held_out, target, alpha)
    count = len(passes) if passes.all() else int(passes.argmin())
    return _evaluate(candidates[count - 1], unlabelled, held_out, alpha) if count else NOTHING


class FirstTest(NamedTuple):
    """The first test of a sequence."""

    held_out: int  # samples at or above its threshold
    errors: int
    allowed: int  # errors with which it would pass


def first_test(
    unlabelled: np.ndarray, held_out: HeldOut, expected: np.ndarray, target: float, alpha: float
) -> FirstTest | None:
    """The first test of `choose_threshold`; None where it tests nothing."""
    candidates = sequence(unlabelled, held_out.scores, expected, target, alpha)[:1]
    if not len(candidates):
        return None
    counts, others = _count_above(candidates, held_out.scores), _count_above(candidates, unlabelled)
    errors = _count_above(candidates, held_out.scores[~held_out.correct])
    return FirstTest(int(counts[0]), int(errors[0]), int(allowed_errors(counts, others, target, alpha)[0]))


def sequence(
    unlabelled: np.ndarray, held_out: np.ndarray, expected: np.ndarray, target: float, alpha: float
) -> np.ndarray:
    """Thresholds in the order of their tests; empty where even correct answers alone could not pass [k].

    Args:
        unlabelled, held_out: scores [M], [n]
        expected: as for `choose_threshold` [n]
    """
    if not np.isfinite(unlabelled).any() or len(held_out) < labels_needed(target, alpha):
        return np.zeros(0)
    candidates = _candidates(np.concatenate([unlabelled, held_out]), 1 / MAX_CANDIDATES)
    counts, accepted = _count_above(candidates, held_out), _count_above(candidates, unlabelled)
    allowed = allowed_errors(counts, accepted, target, alpha)
    start = choose_start(counts, accepted, allowed, expected[np.argsort(-held_out, kind="stable")])
    return candidates[start:] if allowed[start] >= 0 else np.zeros(0)


def allowed_errors(counts: np.ndarray, others: np.ndarray, target: float, alpha: float) -> np.ndarray:
    """Most errors among `counts` held-out samples that show `target` there and among `others` unlabelled ones [k].

    -1 where even none would not.
    """
    allowed = allowed_in_population(counts, target, alpha)
    while True:
        fails = (allowed >= 0) & ~_shows(allowed, counts, others, target, alpha)
        if not fails.any():
            return np.asarray(allowed)
        allowed = allowed - fails


def _candidates(scores: np.ndarray, first: float) -> np.ndarray:
    """Thresholds that accept fractions from `first` to 1, the strictest first; equal scores stay together [k]."""
    usable = np.sort(scores[np.isfinite(scores)])[::-1]
    ranks = np.ceil(np.linspace(first, 1, MAX_CANDIDATES) * len(scores)).astype(int)
    return np.unique(usable[np.minimum(ranks, len(usable)) - 1])[::-1]


def _passes(
    candidates: np.ndarray, unlabelled: np.ndarray, held_out: HeldOut, target: float, alpha: float
) -> np.ndarray:
    """Whether the held-out samples above each candidate show the target [k]."""
    if held_out.weights is not None:
        return _lower_bounds(candidates, held_out, alpha) >= target
    counts, others = _count_above(candidates, held_out.scores), _count_above(candidates, unlabelled)
    errors = _count_above(candidates, held_out.scores[~held_out.correct])
    return _shows(errors, counts, others, target, alpha)


def _shows(errors: np.ndarray, counts: np.ndarray, others: np.ndarray, target: float, alpha: float) -> np.ndarray:
    """Whether so few errors among `counts` held-out samples show the target, also among `others` unlabelled [k]."""
    allowed = np.floor((1 - target) * others + 1e-9)  # errors among the unlabelled
    in_population = binom.cdf(errors, counts, 1 - target) <= alpha
    both = counts + others
    in_sample = hypergeom.cdf(errors, both, np.minimum(allowed + errors + 1, both), counts) <= alpha
    return np.asarray(in_population & (in_sample | (others <= allowed)))


def _lower_bounds(candidates: np.ndarray, held_out: HeldOut, alpha: float) -> np.ndarray:
    """`low` of `_evaluate` for each candidate, with weights [k]."""
    scores, correct, weights = held_out
    assert weights is not None
    order, counts = np.argsort(-scores), _count_above(candidates, scores)

    def sum_above(values: np.ndarray) -> np.ndarray:
        return np.asarray(np.concatenate([[0.0], np.cumsum(values[order])])[counts])

    total, count = sum_above(weights), sum_above(np.ones(len(scores)))
    with np.errstate(invalid="ignore", divide="ignore"):  # a candidate above all of them
        precision = np.where(total > 0, sum_above(weights * correct) / total, sum_above(correct * 1.0) / count)
        effective = np.where(total > 0, total**2 / sum_above(weights**2), count)
        low = beta.ppf(alpha, precision * effective, (1 - precision) * effective + 1)
    return np.where(precision > 0, low, 0.0)


def _count_above(candidates: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Number of scores at or above each candidate [k]."""
    return np.asarray(len(scores) - np.searchsorted(np.sort(scores), candidates, side="left"))


def _evaluate(score: float, unlabelled: np.ndarray, held_out: HeldOut, alpha: float) -> Threshold:
    """Precision and bounds at a threshold; with weights by the effective sample size (Kish, 1965)."""
    accepted = held_out.scores >= score
    count, correct = int(accepted.sum()), int(held_out.correct[accepted].sum())
    precision, (low, high) = correct / count if count else math.nan, clopper_pearson(correct, count, alpha)
    if held_out.weights is None:
        finite = finite_bounds(correct, count, int((unlabelled >= score).sum()), alpha)
        low, high = min(low, finite[0]), max(high, finite[1])
    elif held_out.weights[accepted].sum() > 0:
        weights = held_out.weights[accepted]
        precision = float(weights[held_out.correct[accepted]].sum() / weights.sum())
        effective = float(weights.sum() ** 2 / (weights**2).sum())
        low, high = clopper_pearson(precision * effective, effective, alpha)
    return Threshold(float(score), count, correct, precision, low, high)


def curve(
    unlabelled: np.ndarray, held_out: np.ndarray, correct: np.ndarray, alpha: float, weights: np.ndarray | None = None
) -> list[dict[str, float]]:
    """Coverage, precision and its bounds at alpha, a row a threshold, from the strictest to accepting everything.

    The bounds of each row hold for that row alone: a threshold picked from the curve has no guarantee.
    """
    if not np.isfinite(unlabelled).any():
        return []
    samples, rows = HeldOut(held_out, correct, weights), []
    for score in _candidates(np.concatenate([unlabelled, held_out]), 1 / MAX_CANDIDATES):
        threshold = _evaluate(score, unlabelled, samples, alpha)
        if not threshold.held_out:
            continue
        row = {"coverage": float((unlabelled >= score).mean()), "score": threshold.score}
        row.update(held_out=threshold.held_out, precision=threshold.precision, low=threshold.low, high=threshold.high)
        rows.append(row)
    return rows


def class_weights(held_out: np.ndarray, unlabelled: np.ndarray, classes: int) -> np.ndarray:
    """Weights [N] that give held-out samples the unlabelled samples' frequencies of predicted classes.

    Args:
        held_out, unlabelled: predicted class of each sample [N], [M]
    """
    actual = np.bincount(held_out, minlength=classes) / max(len(held_out), 1)
    wanted = np.bincount(unlabelled, minlength=classes) / max(len(unlabelled), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(actual > 0, wanted / actual, 0.0)[held_out])
