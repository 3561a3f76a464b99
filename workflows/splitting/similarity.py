"""Groups of samples that stay on one side: near-duplicates, the same file, and values of the group field."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ...models.errors import InvalidInput
from ...models.images.file_checks import LARGEST_IMAGES
from ...models.images.region import file_of
from ...models.images.survey import survey
from ...models.settings import SplitSettings
from ..data import items
from ..data.internals import root_dataset
from ..data.labels import Labels
from ..embeddings import store
from ..runs.run import Run
from ..training.auto_embeddings import is_auto, vector_sources
from ..training.embedding_source import EmbeddingSource, open_source, read_or_compute


class Groups(NamedTuple):
    """Groups, and samples that cannot be read."""

    of: np.ndarray  # index of each sample's group [N]
    errors: dict[int, str]  # index of a sample: why it cannot be read


def open_vectors(samples: Any, embeddings: Any, labels: Labels, resume: str | None) -> EmbeddingSource | None:
    """The vectors that tell near-duplicates; None: the images do.

    "auto" takes a field or a Brain run with a vector for each sample, or an encoder's kept vectors of each file.

    Raises:
        TypeError, ValueError: as `embedding_source.open_source`
    """
    labels = of_samples(labels)
    if not is_auto(embeddings):
        return open_source(samples, embeddings, labels, resume)
    files = len(np.unique(labels.paths))
    kept = [name for name, count in store.counts(root_dataset(samples)).items() if count >= files]
    for name in [*vector_sources(samples), *kept]:
        with contextlib.suppress(InvalidInput):  # a sample has no vector, or a bad one
            return open_source(samples, name, labels)
    return None


def group(run: Run, labels: Labels, source: EmbeddingSource | None, settings: SplitSettings) -> Groups:
    """Groups samples or boxes by their vectors or, without any, by their images; tags as their samples are."""
    if labels.noun != items.TAG:
        return _group(run, labels, source, settings)
    place = np.unique(labels.sample_ids, return_inverse=True)[1]
    found = _group(run, of_samples(labels), source, settings)
    errors = {i: found.errors[row] for i, row in enumerate(place.tolist()) if row in found.errors}
    return Groups(found.of[place], errors)


def of_samples(labels: Labels) -> Labels:
    """A row for each sample of tags, by ascending id; other labels as they are."""
    if labels.noun != items.TAG:
        return labels
    rows = labels.take(np.unique(labels.sample_ids, return_index=True)[1])
    return replace(rows, ids=rows.sample_ids)


def _group(run: Run, labels: Labels, source: EmbeddingSource | None, settings: SplitSettings) -> Groups:
    from ...models.splits import join, near_duplicates, similar_vectors

    files = [file_of(path) for path in labels.paths.tolist()]
    same_file = np.unique(files, return_inverse=True)[1]
    similar = np.arange(len(labels.ids))
    errors: dict[int, str] = {}
    if source is not None:
        vectors, errors = read_or_compute(run, labels, source)
        rows = _others(len(labels.ids), errors)
        run.report("comparing vectors", 0, 1)
        similar[rows] = rows[_first_of_group(similar_vectors(vectors[rows], settings.min_similarity))]
    elif settings.near_duplicates:
        distinct = {file: place for place, file in enumerate(dict.fromkeys(files))}
        images = survey(
            list(distinct), LARGEST_IMAGES, lambda done, total: run.report("looking at images", done, total)
        )
        places = np.array([distinct[file] for file in files])
        errors = {i: images.errors[place] for i, place in enumerate(places.tolist()) if place in images.errors}
        rows, readable = _others(len(files), errors), _others(len(distinct), images.errors)
        run.report("comparing images", 0, 1)
        of_file = np.zeros(len(distinct), dtype=np.int64)
        of_file[readable] = near_duplicates(images.thumbnails[readable], mirrored=True)
        similar[rows] = rows[_first_of_group(of_file[places[rows]])]
    together = np.array([f"file {number}" for number in same_file])
    return Groups(join(join(similar, together), labels.groups), errors)


def _others(count: int, errors: dict[int, str]) -> np.ndarray:
    """Indices of the samples without an error."""
    return np.setdiff1d(np.arange(count), np.fromiter(errors, dtype=np.int64, count=len(errors)))


def _first_of_group(groups: np.ndarray) -> np.ndarray:
    """Index of the first member of each member's group [N]."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    return np.asarray(first[inverse])
