"""Groups of exact and near duplicates: thumbnails and vectors propose pairs, thumbnails confirm them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...models.flips import AUTO, resolve_flips
from ...models.graphs import nearest_neighbours
from ...models.images.first_images import photo_kind
from ...models.images.measure import Measurements
from ...models.quality import near_duplicates
from ...models.settings import CheckSettings, GraphSettings
from ...models.splits import components
from ..data.labels import Labels
from ..embeddings import store
from ..runs.run import Run
from ..training.embedding_source import EmbeddingSource, note, read_or_compute

BY_VECTORS = "Near duplicates were sought among the nearest images by {} and by thumbnails."
BY_THUMBNAILS = "Near duplicates were sought among the nearest images by thumbnails."


class Duplicates(NamedTuple):
    """Duplicates among the images."""

    groups: np.ndarray  # index of the group, -1 where alone [N]
    is_exact: np.ndarray  # another file has the same bytes [N]
    is_near: np.ndarray  # another file looks the same, and has other bytes [N]
    limit: float  # similarity from which pairs are near duplicates


def find(
    run: Run, labels: Labels, images: Measurements, source: EmbeddingSource | str | None, settings: CheckSettings
) -> Duplicates:
    """Finds the groups.

    Args:
        source: of vectors; "auto": those of an encoder that are stored; None: thumbnails alone
    """
    readable = np.flatnonzero(images.is_readable)
    _, firsts, inverse = np.unique(images.digests[readable], return_index=True, return_inverse=True)
    distinct = readable[firsts]  # one image of each content
    kept = run.cached_arrays("pairs", lambda: _compare(run, labels, images, distinct, source, settings), labels.ids)
    limit = max(float(kept["limit"]), settings.min_similarity)
    near = kept["pairs"][kept["values"] >= limit]
    same = np.full(len(labels.ids), -1)
    same[readable] = distinct[inverse]
    pairs = np.concatenate([np.stack([readable, same[readable]], axis=1), near.reshape(-1, 2)])
    found = components(pairs[:, 0], pairs[:, 1], len(labels.ids))
    sizes = np.bincount(found)
    is_near = np.isin(same, near.reshape(-1)) & (same >= 0)
    is_exact = (same >= 0) & (np.bincount(same[same >= 0], minlength=len(same))[same] > 1)
    return Duplicates(np.where(sizes[found] > 1, found, -1), is_exact, is_near, limit)


def _compare(
    run: Run,
    labels: Labels,
    images: Measurements,
    distinct: np.ndarray,
    source: EmbeddingSource | str | None,
    settings: CheckSettings,
) -> dict[str, Any]:
    """Pairs of images [P, 2] with their similarities [P], and the similarity of a near duplicate."""
    if len(distinct) < 2:
        return dict(pairs=np.zeros((0, 2), np.int64), values=np.zeros(0), limit=np.array(settings.min_similarity))
    run.report("searching for near duplicates", 0, 1)
    thumbnails = images.thumbnails[distinct]
    features, vectors = near_duplicates.features(thumbnails), _vectors(run, labels, distinct, source)
    mirrored = resolve_flips(AUTO, *photo_kind(labels.paths[distinct].tolist())) != "none"  # digits and letters differ
    by_pixels = _nearest(features)
    neighbours = [by_pixels, *([] if vectors is None else [_nearest(vectors)])]
    neighbours += [_nearest(near_duplicates.symmetric_part(features))] if mirrored else []
    pairs = near_duplicates.unique_pairs(np.hstack(neighbours))
    values = near_duplicates.similarities(
        thumbnails, pairs, lambda done: run.report("comparing near duplicates", done, len(pairs)), mirrored
    )
    limit = near_duplicates.limit(by_pixels, pairs, values, settings.min_similarity, settings.fence_iqr)
    return dict(pairs=distinct[pairs], values=values, limit=np.array(limit))


def _nearest(rows: np.ndarray) -> np.ndarray:
    """The nearest rows by the cosine, -1 for none [N, k]."""
    count = min(near_duplicates.CANDIDATES, len(rows) - 1)
    usable = np.isfinite(rows).all(axis=1) & (np.abs(rows).max(axis=1, initial=0) > 0)
    if usable.sum() < 2:
        return np.full((len(rows), count), -1)
    settings = GraphSettings(neighbours=near_duplicates.CANDIDATES, metric="cosine", pca_dim=None)
    found = nearest_neighbours.build(rows, settings).neighbours.astype(np.int64)
    return np.pad(found, ((0, 0), (0, count - found.shape[1])), constant_values=-1)


def _vectors(run: Run, labels: Labels, distinct: np.ndarray, source: EmbeddingSource | str | None) -> np.ndarray | None:
    """Vectors of the distinct images [n, D]; None where thumbnails alone propose pairs."""
    if isinstance(source, EmbeddingSource):
        note(run, BY_VECTORS.format(source.name))
        return np.asarray(read_or_compute(run, labels, source)[0][distinct])
    stored = store.complete(run.dataset, labels.paths[distinct].tolist()) if source else None
    note(run, BY_VECTORS.format(stored[0]) if stored else BY_THUMBNAILS)
    return stored[1] if stored else None
