"""Paired comparison of two training sets: gain in recall of each class and in balanced accuracy, with intervals.

Both sides share the held-out images, and in each repetition the initial weights and the order of the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

CONFIDENCE = 0.95  # of the intervals
MIN_HELD_OUT = 50  # held-out images of a class below which its gain is undecided
GAINS: Final = "gains"
LOSES: Final = "loses"
LEVEL: Final = "no difference shown"
UNDECIDED: Final = "undecided"
ADD: Final = "add"
DO_NOT_ADD: Final = "do not add"
ClassVerdict = Literal["gains", "loses", "no difference shown", "undecided"]
Decision = Literal["add", "do not add", "undecided"]


@dataclass(frozen=True)
class Verdict:
    """Gains are differences of recall, -1..1; NaN for a class without held-out images."""

    gain: np.ndarray  # [K]
    low: np.ndarray  # lower end of the interval [K]
    high: np.ndarray  # upper end [K]
    held_out: np.ndarray  # images [K]
    words: list[ClassVerdict]  # [K]
    total: tuple[float, float, float]  # gain in balanced accuracy, lower and upper end of its interval
    decision: Decision


def judge(before: np.ndarray, after: np.ndarray, labels: np.ndarray, classes: int) -> Verdict:
    """Gain of `after` over `before`.

    Args:
        before, after: whether each image was classified correctly, in each of R >= 2 repetitions [R, n]
        labels: class of each held-out image [n]
        classes: K
    """
    difference = after.astype(float) - before  # [R, n]
    count = np.bincount(labels, minlength=classes)
    by_repetition, image_margin = np.full((len(difference), classes), np.nan), np.full(classes, np.nan)
    for class_id in np.flatnonzero(count):
        of_class = difference[:, labels == class_id]
        by_repetition[:, class_id] = of_class.mean(axis=1)
        image_margin[class_id] = _image_margin(of_class.mean(axis=0))
    present = count > 0
    gain = by_repetition.mean(axis=0)
    margin = np.hypot(_repetition_margin(by_repetition), image_margin)
    balanced = by_repetition[:, present].mean(axis=1)
    total = float(balanced.mean())
    total_image_margin = np.linalg.norm(image_margin[present]) / present.sum()
    total_margin = float(np.hypot(_repetition_margin(balanced[:, None])[0], total_image_margin))
    words = [_class_verdict(gain[i] - margin[i], gain[i] + margin[i], int(count[i])) for i in range(classes)]
    return Verdict(
        gain=gain,
        low=np.maximum(gain - margin, -1),  # the range of a difference of recalls
        high=np.minimum(gain + margin, 1),
        held_out=count,
        words=words,
        total=(total, max(total - total_margin, -1.0), min(total + total_margin, 1.0)),
        decision=_decide(total, total - total_margin, int(count.max(initial=0))),
    )


def _repetition_margin(by_repetition: np.ndarray) -> np.ndarray:
    """Half width of Student's t interval of the mean over repetitions [R, m] -> [m]."""
    from scipy.stats import t

    quantile = t.ppf(0.5 + CONFIDENCE / 2, len(by_repetition) - 1)
    return np.asarray(quantile * by_repetition.std(axis=0, ddof=1) / len(by_repetition) ** 0.5)


def _image_margin(gains: np.ndarray) -> float:
    """Half width of the interval of a class's gain for the draw of held-out images [n].

    Half an image that gains and half one that loses are added (as Agresti & Coull, 1998, for a proportion), so that the
    interval of a few images that agree is not empty. It is at most 1.
    """
    from scipy.stats import t

    n = len(gains)
    if n < 2:
        return 1.0
    variance = (np.square(gains).sum() + 1) / (n + 1) - (gains.sum() / (n + 1)) ** 2
    return float(min(t.ppf(0.5 + CONFIDENCE / 2, n - 1) * np.sqrt(variance / n), 1.0))


def _class_verdict(low: float, high: float, count: int) -> ClassVerdict:
    if count < MIN_HELD_OUT:
        return UNDECIDED
    return GAINS if low > 0 else LOSES if high < 0 else LEVEL


def _decide(total: float, low: float, largest: int) -> Decision:
    """Adds on a significant gain only; a negative mean, significant or not, is a refusal.

    Args:
        total, low: mean gain in balanced accuracy, and the lower end of its interval
        largest: held-out images of the largest class
    """
    if largest < MIN_HELD_OUT:
        return UNDECIDED
    if low > 0:
        return ADD
    return DO_NOT_ADD if total < 0 else UNDECIDED
