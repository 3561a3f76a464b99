"""Errors in labelled boxes that a detector reveals: missing, spurious and badly placed boxes, and wrong classes.

A prediction with a label at its place is real. The others are missing labels and false positives; labels without a
prediction are misses of the detector and spurious labels. Both are learning from positive and unlabelled data (Elkan
and Noto, 2008): matched boxes are the positives.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .box_geometry import overlaps

FLAG_ABOVE = 0.5  # probability: more likely an error than not
FOLDS = 5
SURE_PREDICTIONS, SURE_LABELS = (
    0.1,
    0.5,
)  # of a class, those most surely real: their unmatched ones are the other's errors
MIN_SURE = 20
EPS = 1e-6
TINY = 1e-12  # step between p-values of equal distances
MAX_DIRECTIONS = 32  # principal ones of vectors: with more, few unmatched boxes are learned by heart
MIN_UNMATCHED = 10  # with fewer there is nothing to learn from
FLOOR = 0.01  # of 1 - IoU: differences below it are rounding
NORMAL_MAD = 1.4826  # standard deviations in a median absolute deviation

Values = NDArray[np.float64]


def logit(probability: Values) -> Values:
    clipped = np.clip(probability, 1e-3, 1 - 1e-3)
    return np.asarray(np.log(clipped / (1 - clipped)))


def largest_overlap(
    boxes: Values, images: NDArray[np.int64], others: Values, their_images: NDArray[np.int64]
) -> Values:
    """Largest intersection over union of each box with those of another set in its image, 0 without any [N].

    Args:
        boxes, others: left, top, width and height [N, 4], [M, 4]
        images, their_images: index of the image of each [N], [M]
    """
    largest = np.zeros(len(boxes))
    for own, near in zip(*_by_image(images, their_images), strict=True):
        if len(own) and len(near):
            largest[own] = overlaps(boxes[own], others[near]).max(axis=1)
    return largest


def largest_overlap_within(boxes: Values, images: NDArray[np.int64], priority: Values) -> Values:
    """Largest intersection over union of each box with one of its image that has a higher priority [N]."""
    largest = np.zeros(len(boxes))
    for own in _by_image(images)[0]:
        is_higher = priority[own][None] > priority[own][:, None]
        largest[own] = (overlaps(boxes[own], boxes[own]) * is_higher).max(axis=1, initial=0)
    return largest


def _by_image(*images: NDArray[np.int64]) -> list[list[NDArray[np.int64]]]:
    """Rows of each image in each of several sets of boxes."""
    every, groups = np.unique(np.concatenate(images)), []
    for own in images:
        order = np.argsort(own, kind="stable")
        groups.append(np.split(order, np.searchsorted(own, every[1:], sorter=order)))
    return groups


def matched_probability(
    features: Values, vectors: Values | None, matched: NDArray[np.bool_], images: NDArray[np.int64], seed: int
) -> Values | None:
    """Probability that each box has a match, from regressions on other images [N]; None where too few have none.

    Args:
        features: of each box [N, F]
        vectors: of its crop, NaN where it has none; None without vectors [N, D]
        images: index of the image of each, which stays in one fold [N]
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.preprocessing import StandardScaler

    if min(matched.sum(), (~matched).sum()) < MIN_UNMATCHED or len(np.unique(images)) < FOLDS:
        return None
    rows = features if vectors is None else np.concatenate([features, _directions(vectors)], axis=1)
    probability = np.full(len(matched), matched.mean())
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for train, held_out in folds.split(rows, matched, images):
        if 0 < matched[train].sum() < len(train):
            scaler = StandardScaler().fit(rows[train])
            model = LogisticRegression(C=0.3, max_iter=500).fit(scaler.transform(rows[train]), matched[train])
            probability[held_out] = model.predict_proba(scaler.transform(rows[held_out]))[:, 1]
    return probability


def _directions(vectors: Values) -> Values:
    """Principal directions of vectors, 0 where there is no vector [N, d]."""
    from sklearn.decomposition import PCA

    usable = np.isfinite(vectors).all(axis=1)
    reduced = np.zeros((len(vectors), min(MAX_DIRECTIONS, vectors.shape[1], max(int(usable.sum()) - 1, 1))))
    if usable.sum() > reduced.shape[1]:
        reduced[usable] = PCA(reduced.shape[1], svd_solver="covariance_eigh").fit_transform(vectors[usable])
    return reduced


def real_probability(
    matched: NDArray[np.bool_], probability: Values, classes: NDArray[np.int64], sure_fraction: float
) -> Values:
    """Probability that an unmatched box is real, given the probability that it has a match [N]; 1 where it has one.

    P(real | unmatched, x) = (1 - c) / c * g(x) / (1 - g(x)), with c = P(matched | real), which a class has by its boxes
    of the highest g (Elkan and Noto, 2008, equation 3). A match and a miss are added to these: c is never 1.

    Args:
        classes: of the boxes, as each has its own c [N]
        sure_fraction: part of a class's boxes that are surely real
    """
    real = np.ones(len(matched))
    for index in np.unique(classes).tolist():
        rows = np.flatnonzero(classes == index)
        count = min(len(rows), max(MIN_SURE, round(sure_fraction * len(rows))))
        surest = rows[np.argsort(-probability[rows], kind="stable")[:count]]
        rate = (matched[surest].sum() + 1) / (count + 2)
        own = np.clip(probability[rows], EPS, 1 - EPS)
        real[rows] = np.where(matched[rows], 1.0, np.clip((1 - rate) / rate * own / (1 - own), 0, 1))
    return real


def displacement(ious: Values, factors: Values) -> Values:
    """How far each label is from its prediction, in robust standard deviations of such pairs [N].

    log(1 - IoU) is regressed on what makes it larger: a low confidence, a small box, the class.

    Args:
        ious: of pairs [N]
        factors: of each [N, F]
    """
    from sklearn.linear_model import HuberRegressor
    from sklearn.preprocessing import StandardScaler

    if not len(ious):
        return np.zeros(0)
    distance = np.log(np.maximum(1 - ious, FLOOR))
    rest = distance - np.median(distance)
    if len(ious) > 10 * factors.shape[1] and np.ptp(distance) > 0:
        scaled = StandardScaler().fit_transform(factors)
        rest = distance - HuberRegressor(max_iter=1000).fit(scaled, distance).predict(scaled)
    rest -= np.median(rest)
    spread = NORMAL_MAD * np.median(np.abs(rest))
    return np.asarray(rest / max(spread, EPS))


def moved_probability(distances: Values) -> Values:
    """Probability that a label is not where the others are: one minus the local false discovery rate [N].

    The density of p-values is the decreasing one of the highest likelihood (Grenander, 1956; Strimmer, 2008).

    Args:
        distances: in standard deviations of the pairs that are right [N]
    """
    from scipy.stats import norm
    from sklearn.isotonic import IsotonicRegression

    if not len(distances):
        return np.zeros(0)
    order = np.argsort(-distances, kind="stable")
    steps = np.maximum(np.diff(norm.sf(distances[order]), prepend=0), TINY)
    ranks, curve = np.arange(len(order)), IsotonicRegression(increasing=False)
    density = curve.fit(ranks, 1 / (len(order) * steps), steps).predict(ranks)
    _, starts, counts = np.unique(-density, return_index=True, return_counts=True)
    centres = distances[order][starts + counts // 2][::-1]  # between those of its levels the curve is linear
    probability = 1 - np.minimum(1 / density[starts], 1)[::-1]
    return np.asarray(np.interp(distances, centres, probability))


def class_likelihood(
    predicted: NDArray[np.int64], labels: NDArray[np.int64], confidence: Values, classes: int
) -> Values:
    """P(the detector's class | the true class) of each pair, by its confidence [N, K].

    The detector's accuracy is that on the labels, a few of which are wrong: as monotone in the confidence.

    Args:
        predicted: class of each prediction, -1 where labels do not have it [N]
        labels: class of the label [N]
    """
    from sklearn.isotonic import IsotonicRegression

    known = predicted >= 0
    likelihood = np.ones((len(predicted), classes))
    if classes < 2 or known.sum() < MIN_UNMATCHED:
        return likelihood
    correct = (predicted == labels)[known].astype(float)
    curve = IsotonicRegression(out_of_bounds="clip").fit(confidence[known], correct)
    high = (correct.sum() + 1) / (len(correct) + 2)  # one error at least
    accuracy = np.clip(curve.predict(confidence[known]), 1 / classes, max(high, 1 - 1 / (len(correct) + 2)))
    rows = np.flatnonzero(known)
    likelihood[rows] = ((1 - accuracy) / (classes - 1))[:, None]
    likelihood[rows, predicted[rows]] = accuracy
    return likelihood
