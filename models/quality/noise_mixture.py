"""Label errors by a mixture of noise models: uniform errors, and errors towards the classes that resemble each other.

With few labels a noise transition matrix cannot be estimated. Which of a few shapes it has can be: the labels' own
likelihood tells uniform errors from confusions, as uniform ones fall on classes that a model gives no probability.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..probabilities import blocks

SHARPNESS = (1, 2, 4)  # powers of the confusion matrix: from all confusions to each class's most frequent one
TEMPERATURES = np.geomspace(0.4, 1.6, 9)  # of the predictions; with few labels they are too flat
RATES = np.linspace(0.01, 0.3, 15)  # of wrong labels
# log prior odds of uniform errors to each shape of confusion: a model's own errors pass for confusions as well.
# 0: average precision .797 uniform, .602 confusable; 4: .797, .601; 6: .800, .598 (225 labels of CIFAR-10)
UNIFORM_LOG_ODDS = 4.0
PSEUDOCOUNT = 0.5  # of confusions of a class, spread over the others
EPS = 1e-9

Predictions = tuple[list[np.ndarray], np.ndarray, np.ndarray]


def posterior(probabilities: np.ndarray, labels: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """P(class | image, label) [N, K], averaged over the noise models by their likelihood.

    A label is wrong at a rate; a wrong one is drawn from the row of its class in a matrix, which is uniform or a power
    of the confusion matrix. The likelihood is that of the labels, under out-of-fold predictions of some temperature.

    Args:
        probabilities: of each class, by a model trained without the row's label [N, K]
        labels: class of each row as labelled [N]
        out: array for the result, in place of a new one [N, K]
    """
    shapes, result = _shapes(probabilities, labels), np.empty(probabilities.shape) if out is None else out
    parts = [*blocks(len(labels), len(TEMPERATURES) * (probabilities.shape[1] + len(RATES)))]
    evidence = np.zeros((len(shapes), len(TEMPERATURES), len(RATES)))

    @lru_cache(1)  # one part is not computed twice, and of many only one is in memory
    def predictions(number: int) -> Predictions:
        return _predict(probabilities[parts[number]], labels[parts[number]], shapes)

    for number in range(len(parts)):
        evidence += _log_evidence(*predictions(number)[1:])
    evidence[0] += UNIFORM_LOG_ODDS
    weights = np.exp(evidence - evidence.max())
    weights /= weights.sum()
    for number, rows in enumerate(parts):
        result[rows] = _average(*predictions(number), labels[rows], shapes, weights)
    return result


def _predict(probabilities: np.ndarray, labels: np.ndarray, shapes: list[np.ndarray]) -> Predictions:
    """By temperature: predictions, T of [n, K]; of the label if right [T, n], and if wrong, by shape [S, T, n]."""
    log_probabilities = np.log(probabilities + EPS)
    predictions = [_normalise(np.exp(log_probabilities / temperature)) for temperature in TEMPERATURES]
    own = np.stack([predicted[np.arange(len(labels)), labels] for predicted in predictions])
    other = np.stack([[_towards(q, shape, labels).sum(axis=1) for q in predictions] for shape in shapes])
    return predictions, own, other


def _average(
    predictions: list[np.ndarray],
    own: np.ndarray,
    other: np.ndarray,
    labels: np.ndarray,
    shapes: list[np.ndarray],
    weights: np.ndarray,
) -> np.ndarray:
    """The posterior [n, K], averaged over the noise models.

    Args:
        predictions, own, other: of `_predict`
        weights: of each shape, temperature and rate [S, T, R]
    """
    average = np.zeros(predictions[0].shape)
    for s, shape in enumerate(shapes):
        for t, predicted in enumerate(predictions):
            inverse = weights[s, t][:, None] / _likelihood(own[t], other[s, t])  # [R, n]
            average += _towards(predicted, shape, labels) * (RATES @ inverse)[:, None]
            average[np.arange(len(labels)), labels] += own[t] * ((1 - RATES) @ inverse)
    return _normalise(average)


def _shapes(probabilities: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """P(label | class, the label is wrong) of each noise model, uniform first [K, K]."""
    classes = probabilities.shape[1]
    others = 1 - np.eye(classes)
    confusion = np.full((classes, classes), PSEUDOCOUNT / classes)
    for rows in blocks(*probabilities.shape):
        np.add.at(confusion, labels[rows], probabilities[rows])
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
