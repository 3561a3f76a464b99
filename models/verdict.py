"""What a change of the training set is worth: gain in recall by class, and in balanced accuracy, with intervals.

The two sides are paired: the same held-out images, the same first weights and order of each repetition.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SURE = 0.95  # of the intervals
ENOUGH = 50  # held-out images of a class from which its gain is judged
GAINS, LOSES, LEVEL, UNDECIDED = "gains", "loses", "no difference shown", "undecided"
ADD, DO_NOT_ADD = "add", "do not add"


@dataclass(frozen=True)
class Verdict:
    """Gains are differences of recall, -1..1; NaN for a class that has no held-out image."""

    gain: np.ndarray  # [K]
    low: np.ndarray  # end of the interval [K]
    high: np.ndarray  # [K]
    held_out: np.ndarray  # images [K]
    words: list[str]  # GAINS, LOSES, LEVEL or UNDECIDED, for each class [K]
    total: tuple[float, float, float]  # of balanced accuracy: gain, and both ends of its interval
    decision: str  # ADD, DO_NOT_ADD or UNDECIDED


def judge(before: np.ndarray, after: np.ndarray, labels: np.ndarray, classes: int) -> Verdict:
    """Compares two sides.

    Args:
        before, after: whether an image was classified rightly, in each of R >= 2 repetitions [R, n]
        labels: class of each held-out image [n]
        classes: K
    """
    difference = after.astype(float) - before  # [R, n]
    count = np.bincount(labels, minlength=classes)
    by_run = np.full((len(difference), classes), np.nan)
    spread = np.full(classes, np.nan)  # variance of a class's gain, as other images would have given another
    for name in np.flatnonzero(count):
        mine = difference[:, labels == name]
        by_run[:, name] = mine.mean(axis=1)
        spread[name] = mine.mean(axis=0).var(ddof=1) / count[name] if count[name] > 1 else np.nan
    there = count > 0
    gain = by_run.mean(axis=0)
    half = _half_width(by_run, spread)
    whole = by_run[:, there].mean(axis=1)
    total = float(whole.mean())
    margin = float(_half_width(whole[:, None], np.array([np.nansum(spread) / there.sum() ** 2]))[0])
    words = [_word(gain[i] - half[i], gain[i] + half[i], int(count[i])) for i in range(classes)]
    enough = bool((count[there] >= ENOUGH).any())
    return Verdict(
        gain=gain,
        low=np.maximum(gain - half, -1),  # a recall cannot fall or rise by more
        high=np.minimum(gain + half, 1),
        held_out=count,
        words=words,
        total=(total, max(total - margin, -1.0), min(total + margin, 1.0)),
        decision=_decide(total, total - margin, enough),
    )


def _half_width(by_run: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Half the interval of means over repetitions [R, m], of which images add the variance `spread` [m].

    Student's interval over the repetitions, and the normal one over the images, added as the independent errors that
    they are: few repetitions widen it only as far as it is they that vary.
    """
    from scipy.stats import norm, t

    between = by_run.var(axis=0, ddof=1) / len(by_run)
    sides = 0.5 + SURE / 2
    return np.asarray(np.sqrt(t.ppf(sides, len(by_run) - 1) ** 2 * between + norm.ppf(sides) ** 2 * spread))


def _word(low: float, high: float, count: int) -> str:
    if count < ENOUGH:
        return UNDECIDED
    return GAINS if low > 0 else LOSES if high < 0 else LEVEL


def _decide(total: float, low: float, enough: bool) -> str:
    """Images have to earn their place: where the mean says that they harm, they are not added, shown or not."""
    if not enough:
        return UNDECIDED
    if low > 0:
        return ADD
    return DO_NOT_ADD if total < 0 else UNDECIDED
