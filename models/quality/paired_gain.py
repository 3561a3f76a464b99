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
    by_run, images = np.full((len(difference), classes), np.nan), np.full(classes, np.nan)
    for name in np.flatnonzero(count):
        mine = difference[:, labels == name]
        by_run[:, name], images[name] = mine.mean(axis=1), _over_images(mine.mean(axis=0))
    there = count > 0
    gain = by_run.mean(axis=0)
    half = np.hypot(_over_runs(by_run), images)
    whole = by_run[:, there].mean(axis=1)
    total = float(whole.mean())
    margin = float(np.hypot(_over_runs(whole[:, None])[0], np.linalg.norm(images[there]) / there.sum()))
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


def _over_runs(by_run: np.ndarray) -> np.ndarray:
    """Half of Student's interval of means over repetitions [R, m]; that over images is an independent error."""
    from scipy.stats import t

    return np.asarray(t.ppf(0.5 + SURE / 2, len(by_run) - 1) * by_run.std(axis=0, ddof=1) / len(by_run) ** 0.5)


def _over_images(gains: np.ndarray) -> float:
    """Half the interval of a class's gain, as other images than these [n] would have given another.

    Half an image that gains and half one that loses count in (as Agresti & Coull, 1998, do for a proportion), so that
    a few images that agree are not certainty; what a recall can differ by is the most.
    """
    from scipy.stats import t

    n = len(gains)
    if n < 2:
        return 1.0
    variance = (np.square(gains).sum() + 1) / (n + 1) - (gains.sum() / (n + 1)) ** 2
    return float(min(t.ppf(0.5 + SURE / 2, n - 1) * np.sqrt(variance / n), 1.0))


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
