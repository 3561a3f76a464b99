"""Vectors of items, as a run keeps them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..data import folders, tag_ids
from ..runs import cached_arrays, records
from ..training.embedding_source import kept_vectors

FILES = (  # of a run, with its array
    ("predictions.npz", "embeddings"),
    ("features.npz", "vectors"),
    ("image_vectors.npz", "vectors"),
)


def vectors_of(dataset: Any, run_key: str, ids: list[str]) -> np.ndarray | None:
    """Embeddings of a run, NaN where an item has none [N, D]; None where it keeps none. A tag has its sample's."""
    record = records.read_record(dataset, run_key)
    ids = [tag_ids.tag_of(i)[0] for i in ids]
    vectors = kept_vectors(dataset, record, ids) or _cached_vectors(folders.run_folder(dataset, run_key), ids)
    length = max((len(vector) for vector in vectors.values() if vector is not None), default=0)
    if not length:
        return None
    none = np.full(length, np.nan, dtype=np.float32)
    rows = [none if (vector := vectors.get(i)) is None else vector for i in ids]
    return np.array(rows, dtype=np.float32)


def _cached_vectors(folder: Path, ids: list[str]) -> dict[str, Any]:
    """Vectors of items in a run's folder, by id."""
    labels = cached_arrays.read(folder / "labels.npz", "ids") or cached_arrays.read(folder / "tags.npz", "ids")
    if labels is None:
        return {}
    rows = cached_arrays.rows_of(labels["ids"], ids)
    for name, array in FILES:
        if (arrays := cached_arrays.read(folder / name, array)) is not None:
            return dict(zip(labels["ids"][rows].tolist(), arrays[array][rows], strict=True))
    return {}
