"""Ensemble of members: a weighted mean of their log-probabilities, with weights learned from tuning labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..probabilities import blocks

MIN_TUNING_LABELS = 30  # below, the initial weights stay
MAX_TUNING_LABELS = 20_000  # of more, so many are drawn
SHRINKAGE = 10.0  # towards the initial weights, as strong as this many labels
ALPHA = 0.05  # of the sign test that lets the best member stand alone
EPS = 1e-12
FLOOR = float(np.log(1e-4))  # of log-probabilities, so that one member cannot veto a class

Scores = np.ndarray | Sequence[np.ndarray]  # of each member [M, N, K], or a list of [N, K]


def combine(log_probabilities: Scores, weights: np.ndarray | None = None, out: np.ndarray | None = None) -> np.ndarray:
    """The weighted mean of log-probabilities, normalised, in the precision of the first [N, K].

    NaN where every member abstains.

    Args:
        log_probabilities: of each member [M, N, K]; a row of NaN where it abstains, and only the others count
        weights: of each member, not negative [M]; None: all equal. Where all but members of weight 0 abstain, these
            count.
        out: array for the result, in place of a new one [N, K]
    """
    weights = np.ones(len(log_probabilities)) if weights is None else np.asarray(weights, np.float64)
    combined = np.empty(log_probabilities[0].shape, log_probabilities[0].dtype) if out is None else out
    for rows in blocks(len(combined), len(log_probabilities) * combined.shape[1]):
        combined[rows] = _combine(np.stack([scores[rows] for scores in log_probabilities]), weights)
    return combined


def _combine(log_probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """`combine` for some of the samples."""
    votes = ~np.isnan(log_probabilities).any(axis=2)
    shares = weights[:, None] * votes
    shares = np.where(shares.sum(axis=0) > 0, shares, votes)
    total = shares.sum(axis=0)
    floored = np.where(votes[:, :, None], np.maximum(log_probabilities, FLOOR), 0.0)
    mean = np.einsum("mn,mnk->nk", shares, floored) / np.maximum(total, 1e-300)[:, None]
    return normalise(np.where(total[:, None] > 0, mean, np.nan))


def weigh(log_probabilities: np.ndarray, labels: np.ndarray, initial: np.ndarray | None = None) -> np.ndarray:
    """Weights of the members, not negative, of sum 1 [M], from labels that trained none of them.

    With fewer than MIN_TUNING_LABELS the initial weights stay. The best member gets all weight where it beats the
    weighted mean significantly (exact sign test over the samples that they differ on).

    Args:
        log_probabilities: of the tuning part [M, n, K], NaN rows where a member abstains
        labels: its classes [n]
        initial: weights without tuning labels [M]; None: all equal
    """
    members = len(log_probabilities)
    initial = np.full(members, 1 / members) if initial is None else initial / initial.sum()
    if log_probabilities.shape[1] > MAX_TUNING_LABELS:
        drawn = np.random.default_rng(0).choice(log_probabilities.shape[1], MAX_TUNING_LABELS, replace=False)
        log_probabilities, labels = log_probabilities[:, drawn], np.asarray(labels)[drawn]
    scored = ~np.isnan(log_probabilities).any(axis=2).all(axis=0)
    log_probabilities = log_probabilities[:, scored]
    labels = np.asarray(labels)[scored]
    weights = _learn(log_probabilities, labels, initial) if len(labels) >= MIN_TUNING_LABELS else initial
    correct = np.nan_to_num(log_probabilities, nan=-np.inf).argmax(axis=2) == labels
    correct &= ~np.isnan(log_probabilities).any(axis=2)
    best = int(correct.sum(axis=1).argmax())
    combined = combine(log_probabilities, weights).argmax(axis=1) == labels
    if _is_better(correct[best], combined, ALPHA / members):
        return np.asarray(np.eye(members)[best])
    return weights


def agreement(log_probabilities: Scores, class_ids: np.ndarray) -> np.ndarray:
    """Fraction of the members that vote for a class, 0..1 [N]; NaN where all abstain.

    Args:
        log_probabilities: of each member [M, N, K]
        class_ids: the class of each sample [N]
    """
    count, agreeing = np.zeros((2, len(class_ids)))
    for scores in log_probabilities:
        for rows in blocks(len(scores), scores.shape[1]):
            votes = ~np.isnan(scores[rows]).any(axis=1)
            predicted = np.nan_to_num(scores[rows], nan=-np.inf).argmax(axis=1)
            count[rows] += votes
            agreeing[rows] += (predicted == class_ids[rows]) & votes
    return np.where(count > 0, agreeing / np.maximum(count, 1), np.nan)


def log_under_prior(probabilities: np.ndarray, prior: np.ndarray) -> None:
    """Probabilities of equally frequent classes become log-probabilities under a class prior, in their place [N, K].

    Args:
        prior: frequency of each class [K]
    """
    offsets = np.log(np.maximum(prior, EPS))
    for rows in blocks(*probabilities.shape):
        probabilities[rows] = normalise(np.log(np.maximum(probabilities[rows], EPS)) + offsets)


def normalise(scores: np.ndarray) -> np.ndarray:
    """Log-softmax over the last axis."""
    from scipy.special import log_softmax

    return np.asarray(log_softmax(scores, axis=-1))


def _learn(log_probabilities: np.ndarray, labels: np.ndarray, initial: np.ndarray) -> np.ndarray:
    """Minimises the log-loss of the weighted sum, plus SHRINKAGE times the squared distance from the initial weights.

    The sum of the weights is free here, so that a member is not preferred for its sharpness alone.
    """
    from scipy.optimize import minimize

    members, rows = len(log_probabilities), np.arange(len(labels))
    floored = np.maximum(log_probabilities, FLOOR)
    chosen = floored[:, rows, labels].sum(axis=1)

    def objective(weights: np.ndarray) -> tuple[float, np.ndarray]:
        scores = normalise(np.tensordot(weights, floored, 1))
        change = weights - weights.sum() * initial
        gradient = 2 * SHRINKAGE * (change - initial @ change)
        gradient += np.tensordot(floored, np.exp(scores), 2) - chosen
        return float(SHRINKAGE * (change**2).sum() - scores[rows, labels].sum()), gradient

    weights = minimize(objective, initial, jac=True, method="L-BFGS-B", bounds=[(0, None)] * members).x
    return np.asarray(weights / weights.sum()) if weights.sum() > 0 else initial


def _is_better(first: np.ndarray, second: np.ndarray, alpha: float) -> bool:
    """Whether `first` is correct more often than `second` [n], by the exact sign test at level `alpha`."""
    from scipy.stats import binomtest

    wins, losses = int((first & ~second).sum()), int((second & ~first).sum())
    return wins > losses and bool(binomtest(wins, wins + losses, alternative="greater").pvalue < alpha)
