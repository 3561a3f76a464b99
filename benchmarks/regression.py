"""Fits of the tuned regression beside scikit-learn's LogisticRegression: the same loss, tolerance and strengths.

    python benchmarks/regression.py

Rows around a centre for each class; a path over all strengths is fitted by both, in turns. Prints milliseconds a fit of
processor time, and the largest difference between their probabilities.
"""

from __future__ import annotations

import time

import numpy as np
from evenset.models.classifiers import tuned_regression
from sklearn.linear_model import LogisticRegression
from tabulate import tabulate

SIZES = ((80, 8, 3), (150, 64, 10), (400, 400, 10), (900, 900, 10), (2_000, 1_280, 20))  # labels, columns, classes
ROUNDS = 5
SPREAD = 1.2  # standard deviation around centres that are 2 apart from the origin


def main() -> None:
    names = ("labels", "columns", "classes", "scikit-learn, ms", "descend, ms", "ratio", "difference")
    print(tabulate([row(*size) for size in SIZES], names, floatfmt=(*["g"] * 3, *[".2f"] * 3, ".3f")))


def row(count: int, columns: int, classes: int) -> list[float]:
    rng = np.random.default_rng(0)
    truth = np.arange(count) % classes
    rows = rng.normal(2 * np.eye(max(columns, classes))[truth][:, :columns], SPREAD)
    rows = (rows / np.linalg.norm(rows, axis=1).mean()).astype(np.float32)
    seconds, difference = np.zeros(2), 0.0
    for _ in range(ROUNDS):
        model, weights = LogisticRegression(max_iter=300, tol=1e-3, warm_start=True), None
        for strength in tuned_regression.STRENGTHS:
            began = time.process_time()
            model.C = strength
            model.fit(rows, truth)
            between = time.process_time()
            weights = tuned_regression.descend(rows, truth, strength, weights)
            seconds += (between - began, time.process_time() - between)
            mine = np.exp(tuned_regression._predict(weights, np.arange(classes), rows, classes))
            difference = max(difference, float(np.abs(model.predict_proba(rows) - mine).max()))
    theirs, own = 1000 * seconds / ROUNDS / len(tuned_regression.STRENGTHS)
    return [count, columns, classes, theirs, own, theirs / own, difference]


if __name__ == "__main__":
    main()
