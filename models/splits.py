"""Random splits and folds of labelled samples that keep groups and near duplicates together."""

from __future__ import annotations

import math
import warnings

import numpy as np

from .errors import InvalidInput

BLOCK_ROWS = 1000  # searched at a time, because all pairs of many duplicates may not fit into memory
MIN_CORRELATION = 0.999  # of the thumbnails of two near duplicates (re-encoded, resized)


def near_duplicates(
    thumbnails: np.ndarray, min_correlation: float = MIN_CORRELATION, mirrored: bool = False
) -> np.ndarray:
    """Groups images that look the same -> index of each image's group [N].

    Args:
        thumbnails: small square gray images, 0..1 [N, D]
        mirrored: also those that look the same once mirrored
    """
    if len(thumbnails) < 2:
        return np.zeros(len(thumbnails), dtype=np.int64)
    first, inverse = _unique_rows(_pattern(thumbnails).round(4))
    features = _pattern(thumbnails[first]).round(4)
    queries = [features]
    if mirrored:
        side = math.isqrt(thumbnails.shape[1])
        queries.append(_pattern(thumbnails[first].reshape(-1, side, side)[:, :, ::-1].reshape(len(first), -1)))
    return np.asarray(_joined_within(features, queries, math.sqrt(2 - 2 * min_correlation))[inverse])


def similar_vectors(vectors: np.ndarray, min_similarity: float) -> np.ndarray:
    """Groups vectors by cosine similarity -> index of each vector's group [N].

    Args:
        vectors: [N, D]
        min_similarity: of two vectors that are joined, at most 1
    """
    if len(vectors) < 2:
        return np.zeros(len(vectors), dtype=np.int64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.maximum(norms, np.finfo(np.float32).tiny)
    return _joined_within(unit, [unit], math.sqrt(max(2 - 2 * min_similarity, 1e-6)))


def _pattern(thumbnails: np.ndarray) -> np.ndarray:
    """Features whose distance is the correlation of thumbnails; images of one colour differ in brightness."""
    centred = thumbnails - thumbnails.mean(1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    pattern = np.where(norms > 1e-3, centred / np.maximum(norms, 1e-3), 0.0)
    return np.hstack([pattern, thumbnails.mean(1, keepdims=True)])


def _joined_within(features: np.ndarray, queries: list[np.ndarray], radius: float) -> np.ndarray:
    """Groups rows that lie within the radius of another one's query -> index of each row's group [N].

    Args:
        queries: each with a row for every row of `features` [N, D]
    """
    from sklearn.neighbors import NearestNeighbors

    search, groups = NearestNeighbors(radius=radius).fit(features), np.arange(len(features))
    for rows in queries:
        for start in range(0, len(rows), BLOCK_ROWS):
            near = search.radius_neighbors_graph(rows[start : start + BLOCK_ROWS]).tocoo()
            groups = components(groups[start + near.row], groups[near.col], len(groups))[groups]
    return groups


def _unique_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of each distinct row's first occurrence [M], and each row's place among the distinct rows [N]."""
    places: dict[bytes, int] = {}
    inverse = np.array([places.setdefault(row.tobytes(), len(places)) for row in rows], dtype=np.int64)
    return np.unique(inverse, return_index=True)[1], inverse


def components(left: np.ndarray, right: np.ndarray, size: int) -> np.ndarray:
    """Connected component of each of `size` nodes, joined by edges from `left` to `right` [size]."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(left), dtype=bool), (left, right)), shape=(size, size))
    return np.asarray(connected_components(edges, directed=False)[1], dtype=np.int64)


def join(groups: np.ndarray, names: np.ndarray) -> np.ndarray:
    """Merges two groupings: samples that share either are in one group -> [N].

    Args:
        groups: index of each sample's group [N]
        names: text of each sample's other group, "" without one [N]
    """
    singletons = np.array([f"\0{i}" for i in range(len(names))])
    _, other = np.unique(np.where(names == "", singletons, names), return_inverse=True)
    count = int(groups.max(initial=-1)) + 1
    return np.asarray(components(groups, count + other, count + len(groups))[groups])


def draw(labels: np.ndarray, groups: np.ndarray, fraction: float, seed: int, *, stratify: bool) -> np.ndarray:
    """Draws about `fraction` of the samples, in whole groups -> mask [N].

    Every class keeps a sample outside the draw, for training.

    Args:
        labels: class of each sample [N]
        groups: index of each sample's group [N]
        stratify: keep the frequency of each class; False: a plain random draw, as a guarantee needs
    """
    rng = np.random.default_rng([seed, len(labels)])
    target = fraction * len(labels)
    rest = np.bincount(labels).astype(np.float64)  # samples of each class outside the draw
    room = fraction * rest if stratify else None  # samples of each class still to draw
    drawn = np.zeros(len(labels), dtype=bool)
    members: dict[int, list[int]] = {}
    for i, group in enumerate(groups.tolist()):
        members.setdefault(group, []).append(i)
    for group in rng.permutation(np.array(list(members))).tolist():
        rows = members[group]
        counts = np.bincount(labels[rows], minlength=len(rest))
        if ((rest - counts < 1) & (counts > 0)).any():
            continue
        # a group is drawn if at least half of it fits, as 0.5 is rounded up
        if room is None and drawn.sum() + len(rows) / 2 > target:
            continue
        if room is not None and (drawn.sum() >= target or (counts / 2 > room + 1e-9)[counts > 0].any()):
            continue
        drawn[rows] = True
        rest -= counts
        if room is not None:
            room -= counts
    return drawn


def folds(labels: np.ndarray, groups: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Stratified folds of whole groups -> fold of each sample [N].

    There are fewer folds than `count` with fewer groups, or where every class has fewer samples.

    Raises:
        ValueError: fewer than two folds
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    count = min(count, len(np.unique(groups)), int(np.bincount(labels).max(initial=0)))
    if count < 2:
        raise InvalidInput("the samples are all of one group, or each is the only one of its class: no fold is left")
    if len(np.unique(groups)) == len(groups):
        partitions = StratifiedKFold(count, shuffle=True, random_state=seed).split(labels, labels)
    else:  # takes a second for 5,000 groups
        partitions = StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(labels, labels, groups)
    fold_ids = np.zeros(len(labels), dtype=np.int64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # its samples are in folds too
        for fold, (_, rows) in enumerate(partitions):
            fold_ids[rows] = fold
    return fold_ids
