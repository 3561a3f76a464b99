"""Label errors: mistakenness of each label, flags, and suggested labels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..errors import InvalidInput
from ..probabilities import blocks
from . import noise_mixture

METHODS = ("noise_mixture", "evenset", "self_confidence", "normalized_margin", "confidence_weighted_entropy")
ANCHOR_FRACTION = 0.1  # the most certain rows of each predicted class, assumed to be of that class
MIN_ANCHORS = 5  # of each class that has as many rows
UNIFORM_NOISE = 0.02  # fraction of labels assumed to be uniformly random, beyond the noise of the anchors
EM_STEPS = 20
NOISE_SHRINKAGE = 50  # labels by which the noise of anchor points is halved
PRIOR_NOISE, PRIOR_LABELS = 0.05, 50  # of curated data sets (Northcutt et al., 2021: .034), and its weight
MAX_FLAGS = 2  # times the expected number of mistakes
EPS = 1e-12


def mistakenness(
    probabilities: np.ndarray, labels: np.ndarray, neighbours: np.ndarray | None = None, *, method: str = "evenset"
) -> np.ndarray:
    """How likely each label is wrong, 0 right .. 1 wrong [N].

    Args:
        probabilities: of each class, by a model trained without the row's label [N, K]
        labels: class of each row as labelled [N]
        neighbours: indices of the nearest rows, -1 for none [N, k]: probabilities are averaged over them. None: not
            averaged (`average` does so without leaks, where the model of each fold is available)
        method: "evenset" (see `posterior`), "noise_mixture" (see `mixture_posterior`), or 1 minus a score of cleanlab
            (Northcutt et al., 2021)

    Raises:
        ValueError: unknown method
    """
    if method not in METHODS:
        raise InvalidInput(f"there is no method {method!r}: choose one of {', '.join(METHODS)}")
    if neighbours is not None:
        probabilities = average(probabilities, np.arange(len(labels)), neighbours)
    if method in POSTERIORS:
        return 1 - of_labels(POSTERIORS[method](probabilities, labels), labels)
    from cleanlab.rank import get_label_quality_scores

    return np.clip(1 - np.asarray(get_label_quality_scores(labels, probabilities, method=method), np.float64), 0, 1)


def of_labels(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Probability of each row's label [N]."""
    return np.asarray(probabilities[np.arange(len(labels)), labels])


def average(predictions: np.ndarray, rows: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """Mean of each row's prediction and its neighbours' mean [n, K].

    Args:
        predictions: by a model that was trained without the labels of the rows [N, K]
        rows: indices of the predictions that are averaged [n]
        neighbours: indices of the predictions nearest to each, -1 for none [n, k]
    """
    own = predictions[rows].astype(np.float64)
    total, count = np.zeros_like(own), (neighbours >= 0).sum(axis=1, keepdims=True)
    for column in neighbours.T:
        total += np.where((column >= 0)[:, None], predictions[column], 0)
    return np.asarray(np.where(count > 0, (own + total / np.maximum(count, 1)) / 2, own))


def posterior(probabilities: np.ndarray, labels: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """P(class | image, label) [N, K], by Bayes' rule: P(class | image) P(label | class) / P(label | image).

    The model's probability alone finds random errors. P(label | class) also finds systematic ones. Where errors occur
    only on images that resemble another class, it is flat, and the model's probability decides.

    Args:
        probabilities: of each class, by a model trained without the row's label [N, K]
        labels: class of each row as labelled [N]
        out: array for the result, in place of a new one [N, K]
    """
    result = np.empty(probabilities.shape) if out is None else out
    for rows, block in _posteriors(probabilities, labels):
        result[rows] = block
    return result


def _posteriors(probabilities: np.ndarray, labels: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """The posterior by blocks of rows."""
    transition = noise_transition_matrix(probabilities, labels)
    for rows in blocks(*probabilities.shape):
        joint = deconvolve_noise(probabilities[rows], transition) * transition[:, labels[rows]].T
        yield rows, joint / np.maximum(joint.sum(axis=1, keepdims=True), EPS)


def noise_transition_matrix(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """P(label | class), rows are classes [K, K], from the most certain rows of each class.

    There the model errs least, so that deviations are label noise (anchor points: Patrini et al., 2017). Rows are
    shrunk towards uniform noise, as strongly as the counts support (empirical Bayes).
    """
    classes = probabilities.shape[1]
    predicted, certainty = probabilities.argmax(axis=1), probabilities.max(axis=1)
    counts = np.zeros((classes, classes))
    for class_id in range(classes):
        rows = np.flatnonzero(predicted == class_id)
        size = max(round(ANCHOR_FRACTION * len(rows)), min(MIN_ANCHORS, len(rows)))
        anchors = rows[np.argsort(-certainty[rows], kind="stable")[:size]]
        counts[class_id] = np.bincount(labels[anchors], minlength=classes)
    noise = np.clip(1 - np.trace(counts) / counts.sum(), 1e-3, max(1 - 1 / classes, 1e-3))  # at most chance level
    uniform = np.full((classes, classes), noise / max(classes - 1, 1))
    np.fill_diagonal(uniform, 1 - noise)
    weight = max(np.geomspace(1, 1e5, 16), key=lambda weight: _log_evidence(counts, weight * uniform))
    transition = (counts + weight * uniform) / (counts.sum(axis=1, keepdims=True) + weight)
    return np.asarray((1 - UNIFORM_NOISE) * transition + UNIFORM_NOISE / classes)


def _log_evidence(counts: np.ndarray, prior: np.ndarray) -> float:
    """Log-likelihood of counts [K, K] whose rows are Dirichlet-multinomial with parameters `prior` [K, K]."""
    from scipy.special import gammaln

    total, drawn = prior.sum(axis=1), counts.sum(axis=1)
    rows = gammaln(total) - gammaln(total + drawn) + (gammaln(counts + prior) - gammaln(prior)).sum(axis=1)
    return float(rows.sum())


def deconvolve_noise(probabilities: np.ndarray, transition: np.ndarray) -> np.ndarray:
    """P(class | image) [N, K] from P(label | image), by expectation maximisation from a uniform start.

    Few steps keep it smooth.

    Args:
        probabilities: of each label, by a model trained on noisy labels [N, K]
        transition: P(label | class) [K, K]
    """
    clean = np.full_like(probabilities, 1 / probabilities.shape[1], dtype=np.float64)
    for _ in range(EM_STEPS):
        clean *= (probabilities / np.maximum(clean @ transition, EPS)) @ transition.T
        clean /= np.maximum(clean.sum(axis=1, keepdims=True), EPS)
    return clean


def mixture_posterior(probabilities: np.ndarray, labels: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """`noise_mixture.posterior` with at least the noise of anchor points, and at most a credible one [N, K].

    A model that has learned the errors of well separated classes predicts them, as it predicts ambiguous images: the
    likelihood does not tell the two apart, anchor points do.

    Args:
        out: array for the result, in place of a new one [N, K]
    """
    mixture = noise_mixture.posterior(probabilities, labels, out)
    wrong = 1 - of_labels(mixture, labels)
    if not len(labels) or not 0 < wrong.mean() < 1:
        return mixture
    by_anchors = [of_labels(block, labels[rows]) for rows, block in _posteriors(probabilities, labels)]
    anchored = float(1 - np.concatenate(by_anchors).mean())
    noise = max(anchored * len(labels) / (len(labels) + NOISE_SHRINKAGE), float(wrong.mean()))
    factor = _odds_factor(wrong, credible_noise(noise, probabilities, labels))
    mixture[np.arange(len(labels)), labels] /= factor
    for rows in blocks(*mixture.shape):
        mixture[rows] /= mixture[rows].sum(axis=1, keepdims=True)
    return mixture


def credible_noise(noise: float, probabilities: np.ndarray, labels: np.ndarray) -> float:
    """An estimate of the fraction of wrong labels, lowered towards PRIOR_NOISE where the model is weak.

    A weak model's own errors pass for those of the labels. A label counts by the cube of Cohen's kappa. Of 400 labels
    with 8 % wrong: .104 in place of .305 at a kappa of .32, .062 in place of .066 at one of .74.
    """
    chance = float(((np.bincount(labels) / len(labels)) ** 2).sum())
    accuracy = float((probabilities.argmax(axis=1) == labels).mean())
    kappa = max(accuracy - chance, 0.0) / max(1 - chance, EPS)
    weight = len(labels) * kappa**3
    return min(noise, (weight * noise + PRIOR_LABELS * PRIOR_NOISE) / (weight + PRIOR_LABELS))


def _odds_factor(probabilities: np.ndarray, mean: float) -> float:
    """Factor of all odds that gives probabilities another mean."""
    from scipy.optimize import brentq
    from scipy.special import expit, logit

    scores = logit(np.clip(probabilities, EPS, 1 - EPS))
    return float(np.exp(brentq(lambda shift: expit(scores + shift).mean() - mean, -50, 50)))


POSTERIORS = {"evenset": posterior, "noise_mixture": mixture_posterior}


def flag(probabilities: np.ndarray, labels: np.ndarray, scores: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """Labels to report as mistakes: those with the highest scores, where the likeliest class is another [N].

    Their number is confident learning's (Northcutt et al., 2021), at least the expected number of mistakes, at most
    MAX_FLAGS times that, and at least the number of those that are likelier wrong than right.

    Args:
        probabilities: of each class, by a model trained without the row's label [N, K]
        scores: of `mistakenness`, by any method [N]
        clean: P(class | image, label) [N, K]
    """
    if len(np.unique(labels)) < 2:
        return np.zeros(len(labels), dtype=bool)
    expected = 1 - of_labels(clean, labels)
    confident = min(_count_issues(probabilities, labels), round(MAX_FLAGS * expected.sum()))
    count = max(confident, round(expected.sum()), int((expected > 0.5).sum()))
    flags = np.zeros(len(labels), dtype=bool)
    flags[np.argsort(-scores, kind="stable")[:count]] = True
    return np.asarray(flags & ((probabilities.argmax(axis=1) != labels) | (clean.argmax(axis=1) != labels)))


def _count_issues(probabilities: np.ndarray, labels: np.ndarray) -> int:
    """Number of mistakes by confident learning; by blocks of rows of a table in a file."""
    from cleanlab.count import num_label_issues
    from cleanlab.experimental.label_issues_batched import LabelInspector

    present, compact = np.unique(labels, return_inverse=True)

    def normalised(rows: slice) -> np.ndarray:
        chosen = probabilities[rows][:, present]
        return np.asarray(chosen / np.maximum(chosen.sum(axis=1, keepdims=True), EPS))

    if not isinstance(probabilities, np.memmap):
        return int(num_label_issues(compact, normalised(slice(None))))
    inspector = LabelInspector(num_class=len(present), store_results=False, verbose=False)
    for step in (inspector.update_confident_thresholds, inspector.score_label_quality):
        for rows in blocks(*probabilities.shape):
            step(compact[rows], normalised(rows))
    return int(inspector.get_num_issues())


def suggest(probabilities: np.ndarray, labels: np.ndarray, flags: np.ndarray) -> np.ndarray:
    """Likeliest class of each row; for flagged rows other than the label [N].

    Args:
        probabilities: of `posterior` [N, K]
    """
    suggestions, flagged = probabilities.argmax(axis=1), np.flatnonzero(flags)
    others = probabilities[flagged]
    others[np.arange(len(flagged)), labels[flagged]] = -1
    suggestions[flagged] = others.argmax(axis=1)
    return np.asarray(suggestions)
