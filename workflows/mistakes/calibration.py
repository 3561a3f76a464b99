"""How likely a label of a score is wrong, by the scores of planted errors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...models.confidence.calibration import fit
from ...models.quality import label_errors
from ...models.quality.planted_errors import Planted

RIGHT_LABELS = 50
BEND = 0.9  # probability above which the order stays, below 1


class Calibrator(NamedTuple):
    """Score of a label to the probability that it is wrong: exp(slope * score + offset), bent below 1 at the top."""

    slope: float
    offset: float
    noise: float  # expected fraction of wrong labels

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Probability that each label is wrong [n]."""
        probability = np.exp(np.minimum(self.slope * scores + self.offset, 50.0))
        beyond = np.maximum(probability - BEND, 0) / (1 - BEND)
        return np.asarray(np.where(beyond > 0, 1 - (1 - BEND) / (1 + beyond), probability))


def calibrate(rounds: list[Planted], scores: np.ndarray, method: str, noise: float) -> Calibrator:
    """Calibrates scores of the labels as they are, by the scores of planted errors.

    P(wrong | score) = noise * p(score | planted) / p(score). Platt scaling of planted against other labels gives the
    ratio of densities. The noise is the posterior's, which is high with few labels: it is shrunk as by RIGHT_LABELS.

    Args:
        scores: of the labels as they are, by the same method [n]
        noise: mean mistakenness by the posterior
    """
    every = [label_errors.mistakenness(item.probabilities, item.labels, method=method) for item in rounds]
    planted = np.concatenate([item.is_planted for item in rounds])
    of_planted = np.concatenate(every)
    noise = float(np.clip(noise * len(scores) / (len(scores) + RIGHT_LABELS), 1e-6, 0.5))
    platt = fit(of_planted, planted)
    odds = planted.mean() / (1 - planted.mean())
    return Calibrator(platt.slope, platt.offset + float(np.log(noise / odds)), noise)
