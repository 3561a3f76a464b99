"""Groups of samples that stay on one side: near-duplicates, the same file, and values of the group field."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...models.images.file_checks import LARGEST_IMAGES
from ...models.images.survey import survey
from ...models.settings import SplitSettings
from ..data.labels import Labels
from ..runs.run import Run
from ..training.embedding_source import EmbeddingSource, read_or_compute


class Groups(NamedTuple):
    """Groups, and samples that cannot be read."""

    of: np.ndarray  # index of each sample's group [N]
    errors: dict[int, str]  # index of a sample: why it cannot be read


def group(run: Run, labels: Labels, source: EmbeddingSource | None, settings: SplitSettings) -> Groups:
    """Groups samples by their vectors or, without any, by their images."""
    from ...models.splits import join, near_duplicates, similar_vectors

    same_file = np.unique(labels.paths, return_inverse=True)[1]
    similar, errors = np.arange(len(labels.ids)), {}
    if source is not None:
        vectors, errors = read_or_compute(run, labels, source)
        rows = _others(len(labels.ids), errors)
        run.report("comparing vectors", 0, 1)
        similar[rows] = rows[_first_of_group(similar_vectors(vectors[rows], settings.min_similarity))]
    elif settings.near_duplicates:
        images = survey(
            labels.paths.tolist(), LARGEST_IMAGES, lambda done, total: run.report("looking at images", done, total)
        )
        errors = images.errors
        rows = _others(len(labels.ids), errors)
        run.report("comparing images", 0, 1)
        similar[rows] = rows[_first_of_group(near_duplicates(images.thumbnails[rows], mirrored=True))]
    files = np.array([f"file {number}" for number in same_file])
    return Groups(join(join(similar, files), labels.groups), errors)


def _others(count: int, errors: dict[int, str]) -> np.ndarray:
    """Indices of the samples without an error."""
    return np.setdiff1d(np.arange(count), np.fromiter(errors, dtype=np.int64, count=len(errors)))


def _first_of_group(groups: np.ndarray) -> np.ndarray:
    """Index of the first member of each member's group [N]."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    return np.asarray(first[inverse])
