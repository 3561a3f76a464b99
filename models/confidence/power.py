"""Where a sequence of tests starts: at the threshold from which it is expected to accept most.

The start is chosen by simulated answers, before a held-out answer is seen, and so costs nothing of the guarantee.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit
from scipy.stats import binom

SIMULATIONS = 300
LIKELY = 0.5
FACTORS = (1, 1.25, 1.5, 2, 3, 4, 6, 8, 12, 16)  # of the held-out samples, tried by likely_factor
SPREAD = 0.5  # standard deviation of the error of the expected log-odds


def choose_start(counts: np.ndarray, accepted: np.ndarray, allowed: np.ndarray, expected: np.ndarray) -> int:
    """Index of the threshold from which fixed-sequence testing accepts most on average.

    Args:
        counts: number of held-out samples at or above each threshold, the strictest first [k]
        accepted: number of unlabelled samples at or above each [k]
        allowed: most held-out errors with which each test passes, -1 where none does [k]
        expected: probability that the prediction of each held-out sample is correct, the highest score first [n]
    """
    passes = _simulate_errors(expected)[:, counts] <= allowed  # [R, k]
    total, end = np.zeros(len(counts)), np.full(len(passes), -1)
    for index in range(len(counts) - 1, -1, -1):
        end = np.where(passes[:, index], np.maximum(end, index), -1)  # of the tests that pass in a row from here
        total[index] = np.append(accepted, 0)[end].sum()
    return int(np.where(allowed < 0, -1, total).argmax())  # the strictest that can pass, where none is expected to


def likely_factor(expected: np.ndarray, target: float, alpha: float) -> float | None:
    """How many times as many held-out samples show `target` somewhere in half of the simulations; None: over 16.

    Args:
        expected: probability that the prediction of each held-out sample is correct, the highest first [n]
    """
    for factor in FACTORS:
        count = round(factor * len(expected))
        spread = np.interp(np.linspace(0, 1, count), np.linspace(0, 1, len(expected)), expected)
        allowed = allowed_in_population(np.arange(count + 1), target, alpha)
        if (_simulate_errors(spread) <= allowed).mean(axis=0).max() >= LIKELY:
            return factor
    return None


def allowed_in_population(counts: np.ndarray, target: float, alpha: float) -> np.ndarray:
    """Most errors among `counts` held-out samples that show `target` where these come from; -1 for none [k]."""
    most = binom.ppf(alpha, counts, 1 - target).astype(int)
    return np.asarray(np.where(binom.cdf(most, counts, 1 - target) <= alpha, most, most - 1))


def _simulate_errors(expected: np.ndarray) -> np.ndarray:
    """Errors among the first 0 .. n held-out samples, in simulations of their answers [R, n + 1]."""
    rng = np.random.default_rng(0)
    shift = rng.normal(0, SPREAD, (SIMULATIONS, 1))  # how far the expectations are off, all in one direction
    probability = expit(logit(np.clip(expected, 1e-3, 1 - 1e-3)) + shift)
    wrong = rng.random(probability.shape) >= probability
    return np.hstack([np.zeros((SIMULATIONS, 1), dtype=np.int64), wrong.cumsum(axis=1)])
