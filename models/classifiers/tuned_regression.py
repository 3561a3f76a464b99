"""Logistic regression whose strength of regularisation is chosen by cross-validation, with out-of-fold predictions."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

STRENGTHS = np.logspace(-1, 3, 9)  # values of C that are tried, for rows of length 1 on average
DEFAULT_STRENGTH = 10.0  # where too few labels could choose
MIN_TUNING_ROWS, MAX_TUNING_ROWS = 10, 2_000
LOG_UNSEEN = float(np.log(1e-4))  # log-probability of a class without labels, and the least of any


class TunedRegression(NamedTuple):
    """Predictions of a fitted regression."""

    log_probabilities: np.ndarray  # of every row, by the regression on all labels [N, K]
    out_of_fold: np.ndarray  # of each labelled row, by a regression without its fold [n, K]
    strength: float  # C, the inverse regularisation


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
    from sklearn import config_context

    labelled = labels >= 0
    targets, basis = labels[labelled], _basis(rows[labelled])
    inputs = rows[labelled] @ basis
    checks = config_context(assume_finite=True, skip_parameter_validation=True)  # a fifth of the time of small fits
    with warnings.catch_warnings(), checks:
        warnings.filterwarnings("ignore", "The number of unique classes")  # many classes with few labels are usual
        strength = strength or _choose_strength(inputs, targets, classes, folds)
        out_of_fold = _predict_folds(inputs, targets, classes, folds, np.array([strength]))[0]
        model = _regression(strength).fit(inputs, targets)
    return TunedRegression(_predict(model, rows @ basis, classes), out_of_fold, strength)


def _basis(inputs: np.ndarray) -> np.ndarray:
    """Basis of the space that the rows span [d, r]: the penalty keeps weights inside it, and r columns are quicker."""
    if inputs.shape[1] <= len(inputs):
        return np.eye(inputs.shape[1], dtype=inputs.dtype)
    return np.asarray(np.linalg.svd(inputs, full_matrices=False)[2].T)


def _choose_strength(inputs: np.ndarray, targets: np.ndarray, classes: int, folds: np.ndarray) -> float:
    """The strength of the least log-loss, by at most MAX_TUNING_ROWS rows."""
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
        model = _regression(strengths[0])
        for i, strength in enumerate(strengths):
            model.C = strength
            predictions[i, test] = _predict(model.fit(inputs[train], targets[train]), inputs[test], classes)
    return predictions


def _regression(strength: float) -> LogisticRegression:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=300, tol=1e-3, warm_start=True)


def _predict(model: LogisticRegression, rows: np.ndarray, classes: int) -> np.ndarray:
    """Log-probabilities of all classes [N, K]."""
    log_probabilities = np.full((len(rows), classes), LOG_UNSEEN)
    with np.errstate(divide="ignore"):  # probabilities of 0
        log_probabilities[:, model.classes_] = np.maximum(model.predict_log_proba(rows), LOG_UNSEEN)
    return log_probabilities
