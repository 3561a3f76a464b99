"""Several members' scores as one: the mean of their log-probabilities, weighted where labels show that it pays."""

from __future__ import annotations

import numpy as np

ENOUGH = 30  # labels of the tuning part from which weights are learned
PULL = 10.0  # towards the usual weights: as strong as the evidence of so many labels
CHANCE = 0.05  # how likely a lead of the best member may be by luck, and it is still left in the mean
FLOOR = float(np.log(1e-4))  # no member vetoes a class: one that was never joined to it says a flat zero


def combine(log_probabilities: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """The weighted mean of log-probabilities, normalised [N, K]; NaN where every member abstains.

    Args:
        log_probabilities: of each member [M, N, K]; a row of NaN where it abstains, and then the others count alone
        weights: of each member, not negative [M]; None: all the same. Where only members of weight 0 speak, they do.
    """
    weights = np.ones(len(log_probabilities)) if weights is None else np.asarray(weights, np.float64)
    speaks = ~np.isnan(log_probabilities).any(axis=2)
    share = weights[:, None] * speaks
    share = np.where(share.sum(axis=0) > 0, share, speaks)
    total = share.sum(axis=0)
    floored = np.where(speaks[:, :, None], np.maximum(log_probabilities, FLOOR), 0.0)
    mean = np.einsum("mn,mnk->nk", share, floored) / np.maximum(total, 1e-300)[:, None]
    return normalise(np.where(total[:, None] > 0, mean, np.nan))


def weigh(log_probabilities: np.ndarray, labels: np.ndarray, usual: np.ndarray | None = None) -> np.ndarray:
    """Weights of the members, not negative, of sum 1 [M], from labels that none of them has learned from.

    With fewer than ENOUGH labels they weigh what is usual. The best member weighs alone where it is right so much more
    often than the weighted mean that chance does not explain it (exact sign test over the samples that they differ on).

    Args:
        log_probabilities: of the tuning part [M, n, K], NaN rows where a member abstains
        labels: its classes [n]
        usual: weights that hold until labels say otherwise [M]; None: all the same
    """
    members = len(log_probabilities)
    usual = np.full(members, 1 / members) if usual is None else usual / usual.sum()
    spoken = ~np.isnan(log_probabilities).any(axis=2).all(axis=0)
    log_probabilities, labels = log_probabilities[:, spoken], np.asarray(labels)[spoken]
    weights = _learn(log_probabilities, labels, usual) if len(labels) >= ENOUGH else usual
    right = np.nan_to_num(log_probabilities, nan=-np.inf).argmax(axis=2) == labels
    right &= ~np.isnan(log_probabilities).any(axis=2)
    best = int(right.sum(axis=1).argmax())
    together = combine(log_probabilities, weights).argmax(axis=1) == labels
    if _beyond_chance(right[best], together, CHANCE / members):
        return np.asarray(np.eye(members)[best])
    return weights


def agreement(log_probabilities: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Share of the members that speak and vote for the class of `combine`, 0..1 [N]; NaN where none speaks."""
    speaks = ~np.isnan(log_probabilities).any(axis=2)
    votes = np.nan_to_num(log_probabilities, nan=-np.inf).argmax(axis=2)
    together = np.nan_to_num(combine(log_probabilities, weights), nan=-np.inf).argmax(axis=1)
    count = speaks.sum(axis=0)
    return np.where(count > 0, ((votes == together) & speaks).sum(axis=0) / np.maximum(count, 1), np.nan)


def put_back(log_probabilities: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Scores learned as if all classes were equally frequent -> log-probabilities where they are not [N, K].

    Args:
        log_probabilities: [N, K]
        prior: each class's share of the pool [K]
    """
    return normalise(log_probabilities + np.log(np.maximum(prior, 1e-12)))


def normalise(scores: np.ndarray) -> np.ndarray:
    """Log-softmax over the last axis."""
    from scipy.special import log_softmax

    return np.asarray(log_softmax(scores, axis=-1))


def _learn(log_probabilities: np.ndarray, labels: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Minimises the log-loss of the weighted sum, plus PULL times the squared distance from the usual weights.

    The sum of the weights is free in here, so that a member is not preferred for its sharpness alone.
    """
    from scipy.optimize import minimize

    members, rows = len(log_probabilities), np.arange(len(labels))

    def loss(weights: np.ndarray) -> float:
        scores = normalise(combine(log_probabilities, weights) * weights.sum())
        away = weights - weights.sum() * usual
        return float(PULL * (away**2).sum() - scores[rows, labels].sum())

    found = minimize(loss, usual, method="L-BFGS-B", bounds=[(0, None)] * members).x
    return np.asarray(found / found.sum()) if found.sum() > 0 else usual


def _beyond_chance(one: np.ndarray, other: np.ndarray, chance: float) -> bool:
    """Whether `one` is right more often than `other` [n], by the exact sign test at level `chance`."""
    from scipy.stats import binomtest

    wins, losses = int((one & ~other).sum()), int((other & ~one).sum())
    return wins > losses and bool(binomtest(wins, wins + losses, alternative="greater").pvalue < chance)
