"""Logistic regression whose strength of regularisation is chosen by cross-validation, with out-of-fold predictions.

The loss is that of scikit-learn's LogisticRegression, whose checks take three quarters of a fit on some hundred labels:
an ensemble makes 500 of them (benchmarks/regression.py).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..probabilities import blocks

STRENGTHS = np.logspace(-1, 3, 9)  # values of C that are tried, for rows of length 1 on average
DEFAULT_STRENGTH = 10.0  # where too few labels could choose
MIN_TUNING_ROWS, MAX_TUNING_ROWS = 10, 2_000
MAX_FIT_ROWS = 50_000
LOG_UNSEEN = float(np.log(1e-4))  # log-probability of a class without labels, and the least of any
DESCENT = dict(maxiter=300, maxls=50, gtol=1e-3, ftol=64 * np.finfo(float).eps)


class TunedRegression(NamedTuple):
    """A fitted regression."""

    weights: np.ndarray  # on all labels, of the classes that have some, the last row the offsets [d + 1, P]
    present: np.ndarray  # these classes [P]
    out_of_fold: np.ndarray  # log-probabilities of each labelled row, by a regression without its fold [n, K]
    strength: float  # C, the inverse regularisation

    def predict(self, rows: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Log-probabilities of rows, into `out` if given, float32 [N, K]."""
        return _predict(self.weights, self.present, rows, self.out_of_fold.shape[1], out)


def fit(
    rows: np.ndarray, labels: np.ndarray, classes: int, folds: np.ndarray, strength: float | None = None
) -> TunedRegression:
    """Fits multinomial logistic regression on the labelled rows, with the C of the least out-of-fold log-loss.

    Args:
        rows: of length 1 on average [N, d]
        labels: class of each row, -1 where unknown [N]; at least two classes
        folds: fold of each labelled row, in the order of the rows [n]; one fold alone leaves DEFAULT_STRENGTH
        strength: C, in place of choosing it
    """
    from threadpoolctl import threadpool_limits

    labelled = labels >= 0
    targets = labels[labelled]
    with threadpool_limits(1, "blas"):  # threads wait for one another between products as small as these
        basis = span(rows[labelled])
        inputs = rows[labelled] @ basis
        strength = strength or choose_strength(inputs, targets, classes, folds)
        out_of_fold = _predict_folds(inputs, targets, classes, folds, np.array([strength]))[0]
        present, places = np.unique(targets, return_inverse=True)
        weights = descend(inputs, places, strength)
    return TunedRegression(np.vstack([basis @ weights[:-1], weights[-1:]]), present, out_of_fold, strength)


def span(inputs: np.ndarray) -> np.ndarray:
    """Basis of the space that the rows span [d, r]: the penalty keeps weights inside it, and r columns are quicker."""
    if inputs.shape[1] <= len(inputs):
        return np.eye(inputs.shape[1], dtype=inputs.dtype)
    return np.asarray(np.linalg.qr(inputs.T)[0])


def choose_strength(inputs: np.ndarray, targets: np.ndarray, classes: int, folds: np.ndarray) -> float:
    """The strength of the least out-of-fold log-loss, by at most MAX_TUNING_ROWS rows.

    Args:
        inputs: of length 1 on average [n, d]
        targets, folds: class and fold of each row [n]
    """
    if len(targets) > MAX_TUNING_ROWS:
        drawn = np.sort(np.random.default_rng(0).choice(len(targets), MAX_TUNING_ROWS, replace=False))
        inputs, targets, folds = inputs[drawn], targets[drawn], folds[drawn]
    scored = np.flatnonzero(is_learnable(targets, folds))
    if len(scored) < MIN_TUNING_ROWS:
        return DEFAULT_STRENGTH
    predictions = _predict_folds(inputs, targets, classes, folds, STRENGTHS)
    return float(STRENGTHS[predictions[:, scored, targets[scored]].mean(axis=1).argmax()])


def is_learnable(targets: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Whether other folds have the class of each row [n]."""
    counts = np.zeros((folds.max() + 1, targets.max() + 1), dtype=np.int64)
    np.add.at(counts, (folds, targets), 1)
    return np.asarray(counts.sum(axis=0)[targets] > counts[folds, targets])


def _predict_folds(
    inputs: np.ndarray, targets: np.ndarray, classes: int, folds: np.ndarray, strengths: np.ndarray
) -> np.ndarray:
    """Log-probabilities of each row by regressions on the other folds, for each strength [S, n, K]."""
    predictions = np.full((len(strengths), len(targets), classes), LOG_UNSEEN)
    for fold in np.unique(folds):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        present = np.unique(targets[train])
        if len(present) < 2:  # nothing to separate
            predictions[:, test[:, None], present] = 0.0
            continue
        places, weights = np.searchsorted(present, targets[train]), None
        for i, strength in enumerate(strengths):
            weights = descend(inputs[train], places, strength, weights)
            predictions[i, test] = _predict(weights, present, inputs[test], classes)
    return predictions


def descend(
    inputs: np.ndarray,
    targets: np.ndarray,
    strength: float,
    start: np.ndarray | None = None,
    row_weights: np.ndarray | None = None,
) -> np.ndarray:
    """Weights of least mean log-loss + |weights|^2 / (2 n strength), the last row the offsets [d + 1, K].

    Of more than MAX_FIT_ROWS rows so many are drawn: that bounds time and memory, and moves few predictions.

    Args:
        inputs: [n, d]
        targets: class of each row, 0 to K - 1, each of them present [n]
        start: weights to begin with; None: 0
        row_weights: factor of each row's log-loss, about 1 [n]; None: 1
    """
    from scipy.optimize import minimize

    if len(targets) > MAX_FIT_ROWS:
        drawn = draw(targets)
        inputs, targets = inputs[drawn], targets[drawn]
        row_weights = None if row_weights is None else row_weights[drawn]
    n, classes = len(targets), int(targets.max()) + 1
    design = np.hstack([inputs, np.ones((n, 1), dtype=inputs.dtype)])
    rows, shape = np.arange(n), (design.shape[1], classes)
    penalty = (2 if classes == 2 else 1) / (n * strength)  # two classes share what scikit-learn gives to one vector
    factors = np.ones(n, dtype=inputs.dtype) if row_weights is None else row_weights.astype(inputs.dtype)

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(shape)
        logits = design @ weights.astype(design.dtype)
        logits -= logits.max(axis=1, keepdims=True)
        chosen, exponentials = logits[rows, targets], np.exp(logits, out=logits)
        totals = exponentials.sum(axis=1, keepdims=True)
        errors = np.divide(exponentials, totals, out=exponentials)
        errors[rows, targets] -= 1
        errors *= factors[:, None]
        gradient = (design.T @ errors / n).astype(np.float64)
        gradient[:-1] += penalty * weights[:-1]
        loss = (factors * (np.log(totals[:, 0]) - chosen)).mean(dtype=np.float64)
        return float(loss + penalty / 2 * (weights[:-1] ** 2).sum()), gradient.ravel()

    begin = np.zeros(shape) if start is None else start
    found = minimize(objective, begin.ravel(), jac=True, method="L-BFGS-B", options=DESCENT)
    return np.asarray(found.x.reshape(shape))


def draw(targets: np.ndarray) -> np.ndarray:
    """Indices of MAX_FIT_ROWS rows and more, in order: the first of each class, and others at random."""
    firsts = np.unique(targets, return_index=True)[1]
    others = np.random.default_rng(0).choice(len(targets), MAX_FIT_ROWS, replace=False)
    return np.union1d(firsts, others)


def _predict(
    weights: np.ndarray, present: np.ndarray, rows: np.ndarray, classes: int, out: np.ndarray | None = None
) -> np.ndarray:
    """Log-probabilities of all classes [N, K].

    Args:
        weights: of the classes that are present [d + 1, P]
    """
    slopes, offsets = weights[:-1].astype(rows.dtype), weights[-1]
    log_probabilities = np.empty((len(rows), classes), np.float32) if out is None else out
    for block in blocks(*log_probabilities.shape):
        log_probabilities[block] = LOG_UNSEEN
        logits = rows[block] @ slopes + offsets
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        log_probabilities[block, present] = np.maximum(logits, LOG_UNSEEN)
    return log_probabilities
