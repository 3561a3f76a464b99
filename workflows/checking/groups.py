"""Within groups of duplicates: labels that differ, members of several splits, and the members that can go."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...models.images.measure import Measurements
from ..data.label_text import spellings
from ..data.labels import Labels


def members(groups: np.ndarray) -> list[np.ndarray]:
    """Indices of the samples of each group.

    Args:
        groups: -1 where alone [N]
    """
    rows = np.flatnonzero(groups >= 0)
    rows = rows[np.argsort(groups[rows], kind="stable")]
    return [part for part in np.split(rows, np.flatnonzero(np.diff(groups[rows])) + 1) if len(part)]


def conflicts(groups: np.ndarray, labels: Labels) -> np.ndarray:
    """Whether a sample's label differs from that of a duplicate; spellings of one name are the same label [N]."""
    first = {other: name for name, others in spellings(_counts(labels)).items() for other in others}
    names = [first.get(name, name) for name in labels.names]
    mask = np.zeros(len(groups), dtype=bool)
    for rows in members(groups):
        labelled = rows[labels.class_ids[rows] >= 0]
        if len({names[i] for i in labels.class_ids[labelled]}) > 1:
            mask[labelled] = True
    return mask


def misspelled(labels: Labels) -> tuple[np.ndarray, list[str]]:
    """Whether a label is a rarer spelling of another one [N], and a sentence for each name with several."""
    counts = _counts(labels)
    found = spellings(counts)
    rarer = [labels.names.index(other) for others in found.values() for other in others]
    sentences = [
        ", ".join(f"{name!r} ({counts[name]:,})" for name in (first, *others)) for first, others in found.items()
    ]
    return np.isin(labels.class_ids, rarer), sentences


def _counts(labels: Labels) -> dict[str, int]:
    counts = np.bincount(labels.class_ids[labels.class_ids >= 0], minlength=len(labels.names))
    return dict(zip(labels.names, counts.tolist(), strict=True))


def leaks(groups: np.ndarray, ids: np.ndarray, splits: Mapping[str, frozenset[str]]) -> np.ndarray:
    """Whether a sample, or it and its duplicates, are in several splits [N].

    Args:
        splits: of each sample by id
    """
    own = [splits[i] for i in ids.tolist()]
    mask = np.array([len(names) > 1 for names in own], dtype=bool)
    for rows in members(groups):
        if len(frozenset().union(*(own[i] for i in rows))) > 1:
            mask[[i for i in rows if own[i]]] = True
    return mask


def redundant(groups: np.ndarray, labels: Labels, images: Measurements) -> np.ndarray:
    """All members of each group but one: the largest that is labelled, or else the largest [N]."""
    mask = np.zeros(len(groups), dtype=bool)
    area = images.sizes.prod(axis=1)
    for rows in members(groups):
        order = np.lexsort((rows, -area[rows], labels.class_ids[rows] < 0))
        mask[rows[order[1:]]] = True
    return mask
