"""The part of each sample."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...models.dataset_split import NO_PART, partition
from ...models.settings import SplitSettings
from ..data.labels import Labels
from .tags import tags_of

LEFT_OUT, SOURCE_HELD_OUT = -1, -2  # in place of a part: no tag; a synthetic sample whose source is held out
PRIORITY = ("train", "test", "val")  # of a class that is too small for all parts


class Assignment(NamedTuple):
    """The samples, or boxes, of a split and their parts, as indices into `tags_of(settings)`."""

    labels: Labels
    groups: np.ndarray  # index of each sample's group [N]
    kept: np.ndarray  # part that each had by its tag, negative for the others [N]
    parts: np.ndarray  # part of each, negative without one [N]
    errors: dict[int, str]  # index of a sample: why it cannot be read

    @property
    def tagged_real(self) -> np.ndarray:
        """Whether each sample is real and has a part [N]."""
        return np.asarray((self.parts >= 0) & ~self.labels.synthetic_mask)

    @property
    def is_first(self) -> np.ndarray:
        """Whether each is the first of its sample, which may have several boxes [N]."""
        first = np.zeros(len(self.parts), dtype=bool)
        first[np.unique(self.labels.sample_ids, return_index=True)[1]] = True
        return first


def assign(
    labels: Labels, groups: np.ndarray, kept: np.ndarray, readable: np.ndarray, settings: SplitSettings
) -> np.ndarray:
    """Index into `tags_of(settings)` of each sample, LEFT_OUT or SOURCE_HELD_OUT [N].

    Args:
        groups: index of each sample's group [N]
        kept: part of samples that stay where they are, -1 for the others [N]
        readable: whether each sample can be read [N]
    """
    names = list(tags_of(settings))
    order = [names.index(part) for part in PRIORITY if part in names]
    place = np.argsort(order)  # of each part among the priorities
    class_ids = np.where(labels.class_ids < 0, len(labels.names), labels.class_ids)  # unlabelled: a class of its own
    takes = (labels.class_ids >= 0) | (settings.unlabelled == "split") | (kept >= 0)
    rows = np.flatnonzero(takes & readable & ~labels.synthetic_mask)
    parts = np.full(len(labels.ids), LEFT_OUT)
    fractions = [getattr(settings, names[part]) for part in order]
    own_kept = np.where(kept[rows] >= 0, place[kept[rows]], NO_PART)
    parts[rows] = np.array(order)[partition(class_ids[rows], groups[rows], fractions, settings.seed, own_kept)]
    held_out = np.unique(groups[rows][parts[rows] > 0])  # part 0 is train
    synthetic = labels.synthetic_mask & readable
    parts[synthetic] = np.where(np.isin(groups[synthetic], held_out), SOURCE_HELD_OUT, 0)
    return np.where(kept >= 0, kept, parts)


def leaking_groups(groups: np.ndarray, parts: np.ndarray) -> int:
    """Number of groups with samples in several parts: an earlier split put them there."""
    pairs = np.unique(np.stack([groups[parts >= 0], parts[parts >= 0]]), axis=1)
    return int((np.unique(pairs[0], return_counts=True)[1] > 1).sum()) if pairs.size else 0
