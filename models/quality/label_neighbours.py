"""Labels of samples that are near each other: votes of neighbours, near-duplicates, and their contradictions."""

from __future__ import annotations

import numpy as np

MAX_EXPECTED_NEIGHBOURS = 1e-3  # below, a neighbour this near is a near-duplicate
EPS = 1e-12


def neighbour_votes(labels: np.ndarray, neighbours: np.ndarray, class_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of each row's neighbours with a label [N], and of all of them [N], the row itself not counted.

    Args:
        neighbours: -1 for none [N, k]
        class_ids: the label that is counted, of each row [N]
    """
    others = (neighbours >= 0) & (neighbours != np.arange(len(labels))[:, None])
    return (others & (labels[neighbours] == class_ids[:, None])).sum(axis=1), others.sum(axis=1)


def near_duplicates(neighbours: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Groups of near-duplicates -> group of each row [N].

    The expected number of neighbours within a distance d grows as d^m, m the intrinsic dimension (Levina & Bickel,
    2004). A neighbour at a distance where fewer than MAX_EXPECTED_NEIGHBOURS are expected is a near-duplicate.

    Args:
        neighbours: the nearest first, -1 for none [N, k]
        distances: [N, k]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    joined = neighbours >= 0
    radius = np.where(joined, distances, 0).max(axis=1, keepdims=True)  # distance to the last neighbour
    ratio = np.where(joined, distances, np.inf) / np.maximum(radius, EPS)
    mean_log = -np.log(np.clip(ratio, 1e-6, 1)).mean(axis=1)
    dimension = 1 / max(float(np.median(mean_log)), 1e-3)
    expected = neighbours.shape[1] * ratio**dimension
    start, rank = np.nonzero(joined & ((expected < MAX_EXPECTED_NEIGHBOURS) | (distances <= EPS)))
    edges = coo_array((np.ones(len(start)), (start, neighbours[start, rank])), shape=(len(neighbours),) * 2)
    return np.asarray(connected_components(edges, directed=False)[1], dtype=np.int64)


def contradictions(
    labels: np.ndarray, groups: np.ndarray, scores: np.ndarray, confirmed: np.ndarray | None = None
) -> np.ndarray:
    """Near-duplicate that contradicts each row, -1 for none [N]: one with its group's majority label.

    The majority is that of confirmed rows, then that of all rows, then the label of lowest mistakenness. Rows with it
    have no contradiction, so that relabelling the others settles the group.

    Args:
        groups: of near-duplicates [N]
        scores: of `mistakenness` [N]
        confirmed: labels that a person has confirmed [N]
    """
    confirmed = np.zeros(len(labels), dtype=bool) if confirmed is None else confirmed
    contradicting = np.full(len(labels), -1, dtype=np.int64)
    pairs = np.unique(np.stack([groups, labels], axis=1), axis=0)
    for group in np.flatnonzero(np.bincount(pairs[:, 0]) > 1):
        rows = np.flatnonzero(groups == group)
        sides = [rows[labels[rows] == class_id] for class_id in np.unique(labels[rows])]
        majority = max(sides, key=lambda side: (confirmed[side].sum(), len(side), -scores[side].mean()))
        contradicting[rows] = majority[scores[majority].argmin()]
        contradicting[majority] = -1
    return contradicting
