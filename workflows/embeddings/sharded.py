"""Vectors of image files by an encoder on several workers."""

from __future__ import annotations

import functools
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...models.errors import InvalidInput
from ..runs import shards
from ..runs.shards import Executor, Lazy
from ..runs.shared_files import SharedFiles, share
from .encoders import Files, ImageEncoder, NetworkEncoder, Report, open_encoder

SHARD_BATCHES = 8  # batches of the encoder in a shard


@dataclass(frozen=True)
class Shard:
    """Images for a worker."""

    encoder: str  # name
    version: str  # of its weights
    device: str
    precision: str
    files: SharedFiles


@dataclass(frozen=True)
class Vectors:
    """What a worker made of a shard."""

    rows: np.ndarray  # indices of images with a vector [m]
    vectors: np.ndarray  # float32 [m, D]
    errors: dict[int, str]  # index of an image: why it has none
    notes: dict[int, str]


def encode_by_workers(
    encoder: ImageEncoder, files: Files, report: Report, executor: Executor, ship_images: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """As `encoder.encode`, in the order in which the workers are done.

    Raises:
        ValueError: the encoder has to stay in one process, or the workers do not fit
        RunError: images cannot be read from a worker, or a shard failed for another reason
    """
    from ...models.encoders.encoder import batch_size

    if not isinstance(encoder, NetworkEncoder):
        raise InvalidInput(
            f"workers: {encoder.name} of FiftyOne stays in one process: leave workers out, or give a model of timm"
        )
    size = SHARD_BATCHES * batch_size(encoder.device)
    precision = encoder.precision or encoder.choose_precision(len(files.paths))
    parts = [files.paths[first : first + size] for first in range(0, len(files.paths), size)]

    def make(place: int) -> Shard:
        shared = share(parts[place], ship_images)
        return Shard(encoder.name, encoder.version, encoder.device, precision, shared)

    done = 0
    for place, result in shards.results(Lazy(len(parts), make), encode_shard, executor):
        first = place * size
        for own, theirs in ((encoder.errors, result.errors), (encoder.notes, result.notes)):
            own.update({first + i: text for i, text in theirs.items()})
        if len(result.rows):
            yield first + result.rows, result.vectors
        done += len(parts[place])
        report(done)


def encode_shard(shard: Shard) -> Vectors:
    """Encodes a shard, on a worker.

    Raises:
        ValueError: a file or the same weights are missing here
    """
    encoder = _opened(shard.encoder, shard.device)
    if encoder.version != shard.version:
        raise InvalidInput(f"{socket.gethostname()} has other weights of {shard.encoder} than the first machine")
    encoder.precision = shard.precision
    with tempfile.TemporaryDirectory() as folder:
        paths = shard.files.local_paths(Path(folder))
        blocks = list(encoder.encode(Files(paths, [""] * len(paths), None), lambda count: None))
        errors, notes = (
            {i: shard.files.original(paths, text, i) for i, text in texts.items()}
            for texts in (encoder.errors, encoder.notes)
        )
    empty = np.zeros(0, dtype=np.int64), np.zeros((0, 0), dtype=np.float32)
    rows, vectors = (np.concatenate(column) for column in zip(*blocks, strict=True)) if blocks else empty
    return Vectors(rows, vectors, errors, notes)


@functools.lru_cache(maxsize=1)
def _opened(name: str, device: str) -> Any:
    return open_encoder(name, device)
