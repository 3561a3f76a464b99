"""Vectors of image files by an encoder: those of the store, and for other files computed and stored."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...models.errors import InvalidInput
from ..data.folders import EMBEDDINGS
from ..data.labels import Labels
from ..display.tables import counted
from ..runs.run import Run
from ..runs.shards import Executor
from .encoders import Files, ImageEncoder
from .sharded import encode_by_workers
from .store import Store, Wanted, look_up, open_store

SHARD_IMAGES, SHARD_SECONDS = 1024, 30.0  # a kill loses no more than either


class Encoded(NamedTuple):
    """Vectors of all samples."""

    vectors: np.ndarray  # float32, NaN where there is none [N, D]
    errors: dict[int, str]  # index of the sample: why it has none
    notes: dict[int, str]  # index of the sample: a doubt about its image
    folder: Path  # of the store


def encode(run: Run, labels: Labels, samples: Any, encoder: ImageEncoder, keep: bool = True) -> Encoded:
    """As `encode_files`, of labelled items."""
    return encode_files(run, Files(labels.paths.tolist(), labels.ids.tolist(), samples), encoder, keep)


def encode_files(run: Run, images: Files, encoder: ImageEncoder, keep: bool = True) -> Encoded:
    """Vectors of images; each file is encoded once.

    Args:
        keep: False: outside the store, in a run's folder, since the encoder has no name to be found by

    Raises:
        ValueError: no image has a vector
    """
    paths, firsts, inverse = np.unique(np.array(images.paths, dtype=str), return_index=True, return_inverse=True)
    wanted = look_up(paths.tolist())
    if keep:
        store = open_store(run.dataset, encoder.name, encoder.preprocessing, encoder.version)
    else:
        store = Store(run.folder / EMBEDDINGS, "{}")
    store.touch()
    vectors = store.read(wanted)
    missing = np.arange(len(paths)) if vectors is None else np.flatnonzero(np.isnan(vectors).any(axis=1))
    errors: dict[int, str] = {}
    notes: dict[int, str] = {}
    if len(missing):
        done = len(paths) - len(missing)

        def report(count: int) -> None:  # raising ends the work
            run.report(f"computing embeddings by {encoder.name}", done + count, len(paths))

        ids = [images.ids[i] for i in firsts[missing].tolist()]
        files = Files([wanted.paths[i] for i in missing.tolist()], ids, images.samples)
        count = len(missing)  # one precision a run, although a resumed one has fewer images to time it by
        encoder.precision = run.remember(f"precision of {encoder.name}", lambda: encoder.choose_precision(count))
        settings = run.record.settings
        if settings.get("workers"):
            executor = Executor(settings["workers"], getattr(encoder, "device", "") == "cuda")
            blocks = encode_by_workers(encoder, files, report, executor, bool(settings["ship_images"]))
        else:
            blocks = encoder.encode(files, report)
        for rows, block in _stored(store, wanted, missing, blocks):
            if vectors is None:
                vectors = np.full((len(paths), block.shape[1]), np.nan, dtype=np.float32)
            vectors[rows] = block
        errors = {int(missing[i]): reason for i, reason in encoder.errors.items()}
        notes = {int(missing[i]): doubt for i, doubt in encoder.notes.items()}
    if vectors is None:
        reason = next(iter(errors.values()), "")
        raise InvalidInput(f"{encoder.name} gave no vector for any of {counted(len(paths), 'image')}: {reason}")
    errors, notes = ({i: texts[j] for i, j in enumerate(inverse.tolist()) if j in texts} for texts in (errors, notes))
    return Encoded(vectors[inverse], errors, notes, store.folder)


def _stored(
    store: Store, wanted: Wanted, missing: np.ndarray, blocks: Iterator[tuple[np.ndarray, np.ndarray]]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Passes vectors on, and keeps them in shards; also those that were computed before an error or a stop.

    Args:
        missing: index among `wanted` of each encoded file
    """
    rows: list[np.ndarray] = []
    vectors: list[np.ndarray] = []
    since = time.monotonic()

    def flush() -> None:
        nonlocal since
        if rows:
            store.add(wanted, np.concatenate(rows), np.concatenate(vectors))
        rows.clear()
        vectors.clear()
        since = time.monotonic()

    try:
        for indices, block in blocks:
            rows.append(missing[indices])
            vectors.append(block)
            yield rows[-1], block
            if sum(map(len, rows)) >= SHARD_IMAGES or time.monotonic() - since > SHARD_SECONDS:
                flush()
    finally:
        flush()
