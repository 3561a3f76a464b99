"""Label errors by a mixture of noise models: uniform errors, and errors towards the classes that resemble each other.

With few labels a noise transition matrix cannot be estimated. Which of a few shapes it has can be: the labels' own
likelihood tells uniform errors from confusions, as uniform ones fall on classes that a model gives no probability.
"""

from __future__ import annotations

import numpy as np

SHARPNESS = (1, 2, 4)  # powers of the confusion matrix: from all confusions to each class's most frequent one
TEMPERATURES = np.geomspace(0.4, 1.6, 9)  # of the predictions; with few labels they are too flat
RATES = np.linspace(0.01, 0.3, 15)  # of wrong labels
# log prior odds of uniform errors to each shape of confusion: a model's own errors pass for confusions as well.
# 0: average precision .797 uniform, .602 confusable; 4: .797, .601; 6: .800, .598 (225 labels of CIFAR-10)
UNIFORM_LOG_ODDS = 4.0
PSEUDOCOUNT = 0.5  # of confusions of a class, spread over the others
EPS = 1e-9


def posterior(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """P(class | image, label) [N, K], averaged over the noise models by their likelihood.

    A label is wrong at a rate; a wrong one is drawn from the row of its class in a matrix, which is uniform or a power
    of the confusion matrix. The likelihood is that of the labels, under out-of-fold predictions of some temperature.

    Args:
        probabilities: of each class, by a model trained without the row's label [N, K]
        labels: class of each row as labelled [N]
    """
    shapes, rows = _shapes(probabilities, labels), np.arange(len(labels))
    log_probabilities = np.log(probabilities + EPS)
    predictions = [_normalise(np.exp(log_probabilities / temperature)) for temperature in TEMPERATURES]
    own = np.stack([predicted[rows, labels] for predicted in predictions])  # [T, N]
    other = np.stack([[_towards(q, shape, labels).sum(axis=1) for q in predictions] for shape in shapes])  # [S, T, N]
    evidence = _log_evidence(own, other)  # [S, T, R]
    evidence[0] += UNIFORM_LOG_ODDS
    weights = np.exp(evidence - evidence.max())
    weights /= weights.sum()

    average = np.zeros(probabilities.shape)
    for s, shape in enumerate(shapes):
        for t, predicted in enumerate(predictions):
            inverse = weights[s, t][:, None] / _likelihood(own[t], other[s, t])  # [R, N]
            average += _towards(predicted, shape, labels) * (RATES @ inverse)[:, None]
            average[rows, labels] += own[t] * ((1 - RATES) @ inverse)
    return _normalise(average)


def _shapes(probabilities: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """P(label | class, the label is wrong) of each noise model, uniform first [K, K]."""
    classes = probabilities.shape[1]
    others = 1 - np.eye(classes)
    confusion = np.full((classes, classes), PSEUDOCOUNT / classes)
    np.add.at(confusion, labels, probabilities)
    confusion = _normalise(confusion * others)
    return [others / max(classes - 1, 1), *(_normalise(confusion**power) for power in SHARPNESS)]


def _towards(predicted: np.ndarray, shape: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """P(class | image) P(label | class, the label is wrong) [N, K]."""
    return np.asarray(predicted * shape[:, labels].T)


def _likelihood(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Likelihood of each label at each rate [R, N]."""
    return np.asarray((1 - RATES)[:, None] * own + RATES[:, None] * other + EPS)


def _log_evidence(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Log-likelihood of all labels, for each shape, temperature and rate [S, T, R]."""
    return np.array(
        [
            [np.log(_likelihood(correct, wrong)).sum(axis=1) for correct, wrong in zip(own, shape, strict=True)]
            for shape in other
        ]
    )


def _normalise(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.maximum(rows.sum(axis=1, keepdims=True), 1e-300))
