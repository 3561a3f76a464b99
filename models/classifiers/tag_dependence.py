"""Tags that occur together: each tag's probability, given those of the others (stacking: Godbole & Sarawagi, 2004).

Which tags a sample has speaks for or against another, as does how many it has.
"""

from __future__ import annotations

import numpy as np

STRENGTH = 1.0  # C, of standardised columns
MIN_ROWS = 10  # with and without the tag; fewer cannot show a dependence


def fit(own: np.ndarray, others: np.ndarray, targets: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Probability of each tag, out of fold [N, K].

    Args:
        own: log-odds of each tag, by models that have not seen it [N, K]
        others: log-odds of each tag as the other tags see them: these may know it [N, K]
        targets: 1 where the sample has the tag, 0 where not [N, K]
        folds: of each sample [N]
    """
    columns = np.arange(own.shape[1])
    stacked = [_fit_tag(own[:, k], others[:, columns != k], targets[:, k], folds) for k in columns]
    return np.stack(stacked, axis=1)


def _fit_tag(own: np.ndarray, others: np.ndarray, targets: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Probability of one tag, out of fold [N]."""
    from scipy.special import expit
    from sklearn.linear_model import LogisticRegression

    result = np.asarray(expit(own))
    counts = expit(others).sum(axis=1, keepdims=True)  # expected number of other tags
    columns = np.hstack([own[:, None], others, counts])
    columns = (columns - columns.mean(axis=0)) / np.maximum(columns.std(axis=0), 1e-6)
    for fold in np.unique(folds):
        train, test = folds != fold, folds == fold
        positive = int(targets[train].sum())
        if min(positive, int(train.sum()) - positive) >= MIN_ROWS:
            model = LogisticRegression(C=STRENGTH, max_iter=300).fit(columns[train], targets[train])
            result[test] = model.predict_proba(columns[test])[:, 1]
    return result
