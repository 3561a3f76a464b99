"""Parts of the labelled samples: what belongs together stays on one side."""

from __future__ import annotations

import warnings

import numpy as np

from .errors import InvalidInput

ROWS_AT_ONCE = 1000  # of which all pairs are looked at
SIMILAR = 0.999  # correlation of two thumbnails above which images count as the same (re-encoded, resized)


def near_duplicates(thumbnails: np.ndarray, similar: float = SIMILAR) -> np.ndarray:
    """Groups images that look the same -> index of each image's group [N].

    Args:
        thumbnails: small gray images, 0..1 [N, D]
    """
    from sklearn.neighbors import NearestNeighbors

    if len(thumbnails) < 2:
        return np.zeros(len(thumbnails), dtype=np.int64)
    centred = thumbnails - thumbnails.mean(1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    pattern = np.where(norms > 1e-3, centred / np.maximum(norms, 1e-3), 0.0)
    features = np.hstack([pattern, thumbnails.mean(1, keepdims=True)])  # flat images differ by their brightness
    first, same = _equal_rows(features.round(4))
    features, groups = features[first], np.arange(len(first))
    search = NearestNeighbors(radius=float(np.sqrt(2 - 2 * similar))).fit(features)
    for start in range(0, len(first), ROWS_AT_ONCE):  # all pairs of many alike would not fit into memory
        near = search.radius_neighbors_graph(features[start : start + ROWS_AT_ONCE]).tocoo()
        groups = _merge(groups, start + near.row, near.col)
    return np.asarray(groups[same])


def _equal_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first of the rows that are equal [M], and to which of them each row is equal [N]."""
    places: dict[bytes, int] = {}
    same = np.array([places.setdefault(row.tobytes(), len(places)) for row in rows], dtype=np.int64)
    return np.unique(same, return_index=True)[1], same


def _merge(groups: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Joins the groups of the pairs `left`, `right` -> [N]."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(left), dtype=bool), (groups[left], groups[right])), shape=(len(groups),) * 2)
    return np.asarray(connected_components(edges, directed=False)[1][groups], dtype=np.int64)


def join(groups: np.ndarray, names: np.ndarray) -> np.ndarray:
    """Joins two groupings: samples equal in either end in one group -> [N].

    Args:
        groups: index of each sample's group [N]
        names: text of each sample's other group, "" where it has none [N]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    alone = np.array([f"\0{i}" for i in range(len(names))])
    _, other = np.unique(np.where(names == "", alone, names), return_inverse=True)
    size = int(groups.max(initial=-1)) + 1
    edges = coo_array((np.ones(len(groups)), (groups, size + other)), shape=(size + len(groups),) * 2)
    return np.asarray(connected_components(edges, directed=False)[1][groups], dtype=np.int64)


def draw(labels: np.ndarray, groups: np.ndarray, fraction: float, seed: int, *, stratify: bool) -> np.ndarray:
    """Draws about `fraction` of the samples, whole groups at a time -> mask [N].

    Every class keeps a sample outside the draw, so that it can be learned.

    Args:
        labels: class of each sample [N]
        groups: index of each sample's group [N]
        stratify: keep the share of each class; False: a plain random draw, as a promise needs
    """
    rng = np.random.default_rng([seed, len(labels)])
    wanted = fraction * len(labels)
    left = np.bincount(labels).astype(np.float64)  # samples of each class that are not drawn
    room = fraction * left if stratify else None
    drawn = np.zeros(len(labels), dtype=bool)
    members: dict[int, list[int]] = {}
    for i, group in enumerate(groups.tolist()):
        members.setdefault(group, []).append(i)
    for group in rng.permutation(np.array(list(members))).tolist():
        rows = members[group]
        taken = np.bincount(labels[rows], minlength=len(left))
        if ((left - taken < 1) & (taken > 0)).any():
            continue
        # at least half of a group has to fit, as 0.5 is rounded up
        if room is None and drawn.sum() + len(rows) / 2 > wanted:
            continue
        if room is not None and (drawn.sum() >= wanted or (taken / 2 > room + 1e-9)[taken > 0].any()):
            continue
        drawn[rows] = True
        left -= taken
        if room is not None:
            room -= taken
    return drawn


def folds(labels: np.ndarray, groups: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Deals samples out to folds, whole groups at a time, each class as evenly as they allow -> fold of each [N].

    There are fewer folds than `count` where there are fewer groups, or no class has so many samples.

    Raises:
        ValueError: fewer than two folds
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    count = min(count, len(np.unique(groups)), int(np.bincount(labels).max(initial=0)))
    if count < 2:
        raise InvalidInput("the samples are all of one group, or each is the only one of its class: no fold is left")
    if len(np.unique(groups)) == len(groups):
        dealt = StratifiedKFold(count, shuffle=True, random_state=seed).split(labels, labels)
    else:  # takes a second for 5,000 groups
        dealt = StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(labels, labels, groups)
    found = np.zeros(len(labels), dtype=np.int64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # its samples are dealt out all the same
        for fold, (_, held) in enumerate(dealt):
            found[held] = fold
    return found
