"""The threshold above which a promised precision holds, and what held-out labels say of it. High scores are better."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta, binom, hypergeom, nbinom

STEPS = 100  # thresholds that are tested, at the most


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
    # as many right ones come before the next error with chance 1 - alpha at the most, were the precision the target
    return errors + 1 + int(nbinom.ppf(1 - alpha, errors + 1, 1 - target))


def bounds(right: int, held: int, pool: int, alpha: float) -> tuple[float, float]:
    """Bounds of the share right among `pool` samples, from `right` of `held` others of the same random draw.

    Each holds with chance 1 - alpha, exactly, whatever the number of wrong ones is among both together: the held-out
    ones are a random part of these (hypergeometric). Wider than `interval`, and equal to it for a large pool.
    """
    if not held or not pool:
        return 0.0, 1.0
    low = 1 - _most_wrong(held - right, held, pool, alpha) / pool
    return low, _most_wrong(right, held, pool, alpha) / pool


def _most_wrong(wrong: int, held: int, pool: int, alpha: float) -> int:
    """The fewest in the pool of which it is true that, were there more, so few held-out ones had chance alpha."""
    low, high = 0, pool
    while low < high:
        middle = (low + high) // 2
        if hypergeom.cdf(wrong, held + pool, middle + wrong + 1, held) <= alpha:
            high = middle
        else:
            low = middle + 1
    return low


@dataclass(frozen=True)
class Threshold:
    """The lowest score that is accepted, and what held-out labels say of the precision above it."""

    score: float  # infinity where nothing is accepted
    held_out: int  # held-out samples above it
    right: int  # of these, predicted right
    precision: float  # share of right ones, weighted; NaN where nothing is accepted
    low: float  # lower bound at alpha of the precision of what is accepted
    high: float  # its upper bound at alpha


NOTHING = Threshold(math.inf, 0, 0, math.nan, 0.0, 1.0)


def choose_threshold(
    pool: np.ndarray,
    held: np.ndarray,
    right: np.ndarray,
    target: float,
    alpha: float,
    weights: np.ndarray | None = None,
) -> Threshold:
    """Accepts as much of the pool as keeps the precision at `target` or above, with confidence 1 - alpha.

    Thresholds are fixed before a held-out answer is looked at: they cut off shares of all the scores. They are tested
    from the strictest on, and the first that fails ends it (fixed-sequence testing, Angelopoulos et al., 2021, "Learn
    then Test"). So the chance that the chosen one breaks the promise is alpha at the most, if the held-out samples are
    a random draw and have no part in the scores. A test asks two things: whether the precision is `target` where the
    samples come from (exact binomial), and among these very samples of the pool (exact hypergeometric).

    Args:
        pool: scores of the unlabelled samples, -infinity where one must not be accepted [M]
        held: scores of the held-out samples, made likewise [N]
        right: whether each held-out prediction is right [N]
        weights: of each held-out sample [N]; with them the result is an estimate, by the effective number of samples
    """
    first = first_test(len(held), target, alpha)
    if first > len(held) or not np.isfinite(pool).any():
        return NOTHING
    chosen = None
    cuts = _cuts(np.concatenate([pool, held]), first / len(held))
    able = _passes(cuts, pool, held, np.ones(len(held), dtype=bool), target, alpha, weights)
    cuts = cuts[able.argmax() :]  # where a faultless answer would not do, none is asked for
    for cut, passes in zip(cuts, _passes(cuts, pool, held, right, target, alpha, weights), strict=True):
        if not passes:
            break
        chosen = cut
    return NOTHING if chosen is None else _threshold(chosen, pool, held, right, alpha, weights)


def first_test(held: int, target: float, alpha: float) -> int:
    """How many of the held-out samples the strictest threshold should keep.

    Where none may be wrong, one error ends the sequence; further on more may be, but more are. So: room
    for one error if that takes no more than two thirds of the samples, and for as many as a good third of them allows.
    """
    errors = 1 if labels_needed(target, alpha, errors=1) <= held * 2 / 3 else 0
    while labels_needed(target, alpha, errors + 1) <= 0.35 * held:
        errors += 1
    return labels_needed(target, alpha, errors)


def _cuts(scores: np.ndarray, first: float) -> np.ndarray:
    """Scores that cut off shares from `first` to all, the strictest first; equal scores stay together [k]."""
    usable = np.sort(scores[np.isfinite(scores)])[::-1]
    places = np.ceil(np.linspace(first, 1, STEPS) * len(scores)).astype(int)
    return np.unique(usable[np.minimum(places, len(usable)) - 1])[::-1]


def _passes(
    cuts: np.ndarray,
    pool: np.ndarray,
    held: np.ndarray,
    right: np.ndarray,
    target: float,
    alpha: float,
    weights: np.ndarray | None,
) -> np.ndarray:
    """Whether the held-out samples above each cut show the target [k]."""
    if weights is not None:
        return _lower_bounds(cuts, held, right, alpha, weights) >= target
    count, others = _above(cuts, held), _above(cuts, pool)
    wrong = _above(cuts, held[~right])
    spare = np.floor((1 - target) * others + 1e-9)  # wrong ones that the pool may have
    there = binom.cdf(wrong, count, 1 - target) <= alpha
    here = hypergeom.cdf(wrong, count + others, np.minimum(spare + wrong + 1, count + others), count) <= alpha
    return np.asarray(there & (here | (others <= spare)))


def _lower_bounds(
    cuts: np.ndarray, held: np.ndarray, right: np.ndarray, alpha: float, weights: np.ndarray
) -> np.ndarray:
    """`low` of the `_threshold` of each cut, with weights [k]."""
    order, places = np.argsort(-held), _above(cuts, held)

    def above(values: np.ndarray) -> np.ndarray:
        return np.asarray(np.concatenate([[0.0], np.cumsum(values[order])])[places])

    total, count = above(weights), above(np.ones(len(held)))
    with np.errstate(invalid="ignore", divide="ignore"):  # a cut above all of them
        share = np.where(total > 0, above(weights * right) / total, above(right * 1.0) / count)
        effective = np.where(total > 0, total**2 / above(weights**2), count)
        low = beta.ppf(alpha, share * effective, (1 - share) * effective + 1)
    return np.where(share > 0, low, 0.0)


def _above(cuts: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """How many scores lie at or above each cut [k]."""
    return np.asarray(len(scores) - np.searchsorted(np.sort(scores), cuts, side="left"))


def _threshold(
    cut: float, pool: np.ndarray, held: np.ndarray, right: np.ndarray, alpha: float, weights: np.ndarray | None
) -> Threshold:
    """What held-out samples say of a cut; with weights by their effective number (Kish, 1965)."""
    taken = held >= cut
    count, hits = int(taken.sum()), int(right[taken].sum())
    share, (low, high) = hits / count if count else math.nan, interval(hits, count, alpha)
    if weights is None:
        here = bounds(hits, count, int((pool >= cut).sum()), alpha)
        low, high = min(low, here[0]), max(high, here[1])
    elif weights[taken].sum() > 0:
        w = weights[taken]
        share, effective = float(w[right[taken]].sum() / w.sum()), float(w.sum() ** 2 / (w**2).sum())
        low, high = interval(share * effective, effective, alpha)
    return Threshold(float(cut), count, hits, share, low, high)


def curve(
    pool: np.ndarray, held: np.ndarray, right: np.ndarray, alpha: float, weights: np.ndarray | None = None
) -> list[dict[str, float]]:
    """A row a threshold, from next to nothing to everything: coverage of the pool, precision, and its band at alpha.

    Each row's bounds hold by themselves. A threshold that is picked from the curve has no promise.
    """
    rows = []
    for cut in _cuts(np.concatenate([pool, held]), 1 / STEPS) if np.isfinite(pool).any() else ():
        found = _threshold(cut, pool, held, right, alpha, weights)
        if not found.held_out:  # nothing is known of it
            continue
        row = {"coverage": float((pool >= cut).mean()), "score": found.score, "held_out": found.held_out}
        rows.append({**row, "precision": found.precision, "low": found.low, "high": found.high})
    return rows


def class_weights(held: np.ndarray, pool: np.ndarray, classes: int) -> np.ndarray:
    """Weights [N] that give held-out samples the pool's frequencies of predicted classes.

    Args:
        held, pool: predicted class of each held-out and each unlabelled sample [N], [M]
    """
    have = np.bincount(held, minlength=classes) / max(len(held), 1)
    want = np.bincount(pool, minlength=classes) / max(len(pool), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(have > 0, want / have, 0.0)[held])
