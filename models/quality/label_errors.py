"""Labels that are likely wrong: scored, flagged, and what they should be instead."""

from __future__ import annotations

import numpy as np

from ..errors import InvalidInput

METHODS = ("evenset", "self_confidence", "normalized_margin", "confidence_weighted_entropy")
CERTAIN = 0.1  # part of the rows predicted as a class that is taken to be that class
FEWEST_CERTAIN = 5  # where a class has so many
ANYTHING = 0.02  # part of the labels that is taken to be drawn at random, whatever the certain rows show
ROUNDS = 20  # of expectation maximisation
SURPRISING = 1e-3  # neighbours that chance would put so near: fewer than this, and it is a near-duplicate
TINY = 1e-12


def mistakenness(
    probabilities: np.ndarray, labels: np.ndarray, neighbours: np.ndarray | None = None, *, method: str = "evenset"
) -> np.ndarray:
    """How likely each label is wrong, 0 right .. 1 wrong [N].

    Args:
        probabilities: of each class, by a model that has not seen the row's label [N, K]
        labels: the class that is given [N]
        neighbours: indices of the nearest rows, -1 where there is none [N, k]: probabilities are averaged over them.
            None: they stay as they are (`average` does the same where each fold's model is at hand, and leaks nothing)
        method: "evenset" (see `beliefs`), or one of cleanlab's scores turned round (Northcutt et al., 2021)

    Raises:
        ValueError: there is no such method
    """
    if method not in METHODS:
        raise InvalidInput(f"there is no method {method!r}: choose one of {', '.join(METHODS)}")
    if neighbours is not None:
        probabilities = average(probabilities[None], np.zeros(len(labels), dtype=np.int64), neighbours)
    if method == "evenset":
        return np.asarray(1 - beliefs(probabilities, labels)[np.arange(len(labels)), labels])
    from cleanlab.rank import get_label_quality_scores

    return np.clip(1 - np.asarray(get_label_quality_scores(labels, probabilities, method=method), np.float64), 0, 1)


def average(predictions: np.ndarray, folds: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """Half each row's prediction, half its neighbours' mean [N, K], by the one model that has not seen its label.

    Args:
        predictions: of each fold's model, which trained on the other folds, for every row [F, N, K]
        folds: the fold of each row [N]
        neighbours: indices of the nearest rows, -1 where there is none [N, k]
    """
    own = predictions[folds, np.arange(len(folds))].astype(np.float64)
    total, count = np.zeros_like(own), (neighbours >= 0).sum(axis=1, keepdims=True)
    for column in neighbours.T:
        total += np.where((column >= 0)[:, None], predictions[folds, column], 0)
    return np.asarray(np.where(count > 0, (own + total / np.maximum(count, 1)) / 2, own))


def beliefs(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Probability of each class, given the image and the label that somebody gave it [N, K].

    By Bayes' rule, P(c | image, label) = P(c | image) P(label | c) / P(label | image). A score of the model alone finds
    mistakes that are anything; P(label | c) also finds those that are always the same, and where mistakes are made only
    on images that look like another class, it is flat, and leaves the model's word.

    Args:
        probabilities: of each class, by a model that has not seen the row's label [N, K]
        labels: the class that is given [N]
    """
    confusion = transitions(probabilities, labels)
    joint = unmix(probabilities, confusion) * confusion[:, labels].T
    return np.asarray(joint / np.maximum(joint.sum(axis=1, keepdims=True), TINY))


def transitions(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """P(label | class), rows are classes [K, K], read off the rows whose class is the most certain.

    There the model errs least, so that what differs from it is the label's error (anchor points: Patrini et al., 2017).
    Rows are drawn towards "a wrong label is anything", as far as the counts themselves say (empirical Bayes).
    """
    classes = probabilities.shape[1]
    predicted, certainty = probabilities.argmax(axis=1), probabilities.max(axis=1)
    counts = np.zeros((classes, classes))
    for name in range(classes):
        rows = np.flatnonzero(predicted == name)
        size = max(round(CERTAIN * len(rows)), min(FEWEST_CERTAIN, len(rows)))
        certain = rows[np.argsort(-certainty[rows], kind="stable")[:size]]
        counts[name] = np.bincount(labels[certain], minlength=classes)
    wrong = np.clip(1 - np.trace(counts) / counts.sum(), 1e-3, max(1 - 1 / classes, 1e-3))  # at most as chance has it
    anything = np.full((classes, classes), wrong / max(classes - 1, 1))
    np.fill_diagonal(anything, 1 - wrong)
    weight = max(np.geomspace(1, 1e5, 16), key=lambda weight: _evidence(counts, weight * anything))
    found = (counts + weight * anything) / (counts.sum(axis=1, keepdims=True) + weight)
    return np.asarray((1 - ANYTHING) * found + ANYTHING / classes)


def _evidence(counts: np.ndarray, prior: np.ndarray) -> float:
    """Log-likelihood of counts [K, K] whose rows are drawn with chances that are Dirichlet of `prior` [K, K]."""
    from scipy.special import gammaln

    total, drawn = prior.sum(axis=1), counts.sum(axis=1)
    rows = gammaln(total) - gammaln(total + drawn) + (gammaln(counts + prior) - gammaln(prior)).sum(axis=1)
    return float(rows.sum())


def unmix(probabilities: np.ndarray, confusion: np.ndarray) -> np.ndarray:
    """P(class | image) [N, K] where `probabilities`, learned from labels with errors, say P(label | image) [N, K].

    Expectation maximisation of the likelihood, from even chances; a few rounds keep it smooth.
    """
    found = np.full_like(probabilities, 1 / probabilities.shape[1], dtype=np.float64)
    for _ in range(ROUNDS):
        found *= (probabilities / np.maximum(found @ confusion, TINY)) @ confusion.T
        found /= np.maximum(found.sum(axis=1, keepdims=True), TINY)
    return found


def flag(probabilities: np.ndarray, labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Which labels to call mistakes [N]: those with the highest scores, as many as confident learning counts
    (Northcutt et al., 2021), or as the probabilities of a mistake add up to, whichever is more.

    Args:
        probabilities: of each class, by a model that has not seen the row's label [N, K]
        scores: of `mistakenness`, by any method [N]
    """
    from cleanlab.count import num_label_issues

    present, compact = np.unique(labels, return_inverse=True)
    if len(present) < 2:
        return np.zeros(len(labels), dtype=bool)
    chances = beliefs(probabilities, labels)
    expected = 1 - chances[np.arange(len(labels)), labels]
    within = probabilities[:, present] / np.maximum(probabilities[:, present].sum(axis=1, keepdims=True), TINY)
    count = max(int(num_label_issues(compact, within)), round(expected.sum()))
    flags = np.zeros(len(labels), dtype=bool)
    flags[np.argsort(-scores, kind="stable")[:count]] = True
    return np.asarray(flags & ((probabilities.argmax(axis=1) != labels) | (chances.argmax(axis=1) != labels)))


def suggest(chances: np.ndarray, labels: np.ndarray, flags: np.ndarray) -> np.ndarray:
    """The likeliest class of each row [N], and of a flagged row the likeliest that it is not called.

    Args:
        chances: of `beliefs` [N, K]
    """
    allowed = chances.copy()
    allowed[np.flatnonzero(flags), labels[flags]] = -1
    return np.asarray(allowed.argmax(axis=1))


def votes(labels: np.ndarray, neighbours: np.ndarray, classes: int) -> np.ndarray:
    """How many of each row's neighbours have which label [N, K]; a row never votes for itself."""
    rows = np.broadcast_to(np.arange(len(labels))[:, None], neighbours.shape)
    others = (neighbours >= 0) & (neighbours != rows)
    counts = np.zeros((len(labels), classes), dtype=np.int64)
    np.add.at(counts, (rows[others], labels[neighbours[others]]), 1)
    return counts


def near_duplicates(neighbours: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Groups rows that are nearer than chance would put them -> index of each row's group [N].

    The number of neighbours within a distance d grows as d^m, m the intrinsic dimension (estimated as by Levina &
    Bickel, 2004); where fewer than SURPRISING are expected, the neighbour is the same thing again.

    Args:
        neighbours: the nearest first, -1 where there is none [N, k]
        distances: [N, k]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    joined = neighbours >= 0
    reach = np.where(joined, distances, 0).max(axis=1, keepdims=True)  # to the last neighbour
    ratio = np.where(joined, distances, np.inf) / np.maximum(reach, TINY)
    spread = -np.log(np.clip(ratio, 1e-6, 1)).mean(axis=1)
    dimension = 1 / max(float(np.median(spread)), 1e-3)
    start, place = np.nonzero(joined & ((neighbours.shape[1] * ratio**dimension < SURPRISING) | (distances <= TINY)))
    edges = coo_array((np.ones(len(start)), (start, neighbours[start, place])), shape=(len(neighbours),) * 2)
    return np.asarray(connected_components(edges, directed=False)[1], dtype=np.int64)


def contradictions(
    labels: np.ndarray, groups: np.ndarray, scores: np.ndarray, confirmed: np.ndarray | None = None
) -> np.ndarray:
    """The row that contradicts each row, -1 where none does [N]: a near-duplicate that has the label of their group.

    That label is what most of the group's confirmed rows have, then what most rows have, then the one that fits best:
    one side of each contradiction stays, so that changing the other settles it.

    Args:
        groups: near-duplicates share one [N]
        scores: of `mistakenness` [N]
        confirmed: labels that a person has called right [N]
    """
    confirmed = np.zeros(len(labels), dtype=bool) if confirmed is None else confirmed
    against = np.full(len(labels), -1, dtype=np.int64)
    pairs = np.unique(np.stack([groups, labels], axis=1), axis=0)
    for group in np.flatnonzero(np.bincount(pairs[:, 0]) > 1):
        rows = np.flatnonzero(groups == group)
        sides = [rows[labels[rows] == name] for name in np.unique(labels[rows])]
        stays = max(sides, key=lambda side: (confirmed[side].sum(), len(side), -scores[side].mean()))
        against[rows] = stays[scores[stays].argmin()]
        against[stays] = -1
    return against
