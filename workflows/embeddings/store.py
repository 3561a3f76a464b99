"""Store of encoders' vectors: kept once for dataset, encoder and preprocessing, by file, and shared by all workflows.

An encoder's folder has shards (.npz) of paths, sizes, modification times and vectors; a later shard counts first.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...models.errors import InvalidInput
from ...models.files import clear, save_arrays, write_text
from ...models.images.region import file_of
from ...models.regular_files import regular
from ..data.durable_writes import database_id
from ..data.folders import EMBEDDINGS, ORIGIN, dataset_folder

NOTES = "encoder.json"  # of an encoder's folder; its time is that of the last use
MAX_SLUG = 80  # characters of an encoder's name in that of its folder


class FileKey(NamedTuple):
    """Size and time of a file: a changed file has another key."""

    size: int
    mtime_ns: int


class Wanted(NamedTuple):
    """Files whose vectors are wanted."""

    paths: Sequence[str]  # distinct [N]
    keys: list[FileKey | None]  # None where there is no such file [N]


@dataclass(frozen=True)
class Store:
    """The vectors of one encoder for the files of one dataset."""

    folder: Path
    notes: str  # encoder and preprocessing, as JSON

    def read(self, wanted: Wanted) -> np.ndarray | None:
        """Vectors of files, float32 [N, D], NaN where the store has none of a file as it is now; None without any."""
        place, vectors = {path: i for i, path in enumerate(wanted.paths)}, None
        for shard in _shards(self.folder):
            with np.load(regular(shard), allow_pickle=False) as file:
                entries = zip(file["paths"].tolist(), file["sizes"].tolist(), file["times"].tolist(), strict=True)
                at = [place.get(path, -1) if _is(wanted, place, path, (size, t)) else -1 for path, size, t in entries]
                rows = np.flatnonzero(np.array(at, dtype=np.int64) >= 0)
                if len(rows):
                    block = file["vectors"]
                    if vectors is None:
                        vectors = np.full((len(place), block.shape[1]), np.nan, dtype=np.float32)
                    vectors[np.array(at)[rows]] = block[rows]
        return vectors

    def add(self, wanted: Wanted, rows: np.ndarray, vectors: np.ndarray) -> None:
        """Writes a shard.

        Args:
            rows: indices of the files [n]
            vectors: [n, D]
        """
        self.touch()  # somebody may have deleted it meanwhile
        keys = [wanted.keys[i] or FileKey(-1, -1) for i in rows]
        save_arrays(
            self.folder / f"{time.time_ns():020d}-{os.getpid()}.npz",
            paths=np.array([wanted.paths[i] for i in rows], dtype=str),
            sizes=np.array([key.size for key in keys], dtype=np.int64),
            times=np.array([key.mtime_ns for key in keys], dtype=np.int64),
            vectors=np.asarray(vectors, dtype=np.float32),
        )

    def touch(self) -> None:
        """Records the time of a use."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / NOTES, self.notes)


def _is(wanted: Wanted, place: dict[str, int], path: str, key: tuple[int, int]) -> bool:
    return path in place and wanted.keys[place[path]] == key


def open_store(dataset: Any, encoder: str, preprocessing: str, version: str = "") -> Store:
    """The store of an encoder.

    Args:
        version: of the weights
    """
    root = dataset_folder(dataset) / EMBEDDINGS
    root.mkdir(parents=True, exist_ok=True)
    if not (root / ORIGIN).exists():  # tells `clean` whose they are
        write_text(root / ORIGIN, json.dumps(dict(database=database_id(), dataset=dataset.name)))
    digest = hashlib.sha256("\n".join((encoder, preprocessing, version)).encode()).hexdigest()[:8]
    slug = re.sub(r"[^A-Za-z0-9.]+", "-", encoder)[-MAX_SLUG:].strip("-.")
    return Store(root / f"{slug}-{digest}", json.dumps(dict(encoder=encoder, preprocessing=preprocessing)))


def look_up(paths: Sequence[str]) -> Wanted:
    """The files as they are now."""
    files = list(map(file_of, paths))
    keys = {file: _key(file) for file in dict.fromkeys(files)}  # a file has many boxes
    return Wanted(paths, [keys[file] for file in files])


def _key(path: str) -> FileKey | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return FileKey(status.st_size, status.st_mtime_ns)


def _shards(folder: Path) -> list[Path]:
    """The readable shards, the oldest first; a damaged one is removed, and its vectors are computed again."""
    readable = []
    for shard in sorted(folder.glob("*.npz")):
        try:
            with np.load(regular(shard), allow_pickle=False) as file:
                if {"paths", "sizes", "times", "vectors"} <= set(file.files):
                    readable.append(shard)
                    continue
        except (OSError, EOFError, ValueError, zipfile.BadZipFile):
            pass
        clear(shard)
    return readable


def rows(dataset: Any) -> list[dict[str, Any]]:
    """A row for each encoder whose vectors the dataset has, the last used first."""
    return [_row(folder) for folder in _folders(dataset)]


def counts(dataset: Any) -> dict[str, int]:
    """Number of vectors by encoder, the last used first; quick, and earlier versions of changed files count too."""
    found: dict[str, int] = {}
    for folder in _folders(dataset):
        name = json.loads(regular(folder / NOTES).read_text())["encoder"]
        found[name] = found.get(name, 0)
        for shard in folder.glob("*.npz"):
            with (
                contextlib.suppress(OSError, EOFError, ValueError, zipfile.BadZipFile),
                np.load(regular(shard)) as file,
            ):
                found[name] += len(file["sizes"])
    return found


def complete(dataset: Any, paths: Sequence[str]) -> tuple[str, np.ndarray] | None:
    """Name and vectors [N, D] of the encoder last used that has a vector of each file; None without one."""
    distinct, inverse = np.unique(np.array(paths, dtype=str), return_inverse=True)
    wanted = look_up(distinct.tolist())
    for folder in _folders(dataset):
        vectors = Store(folder, "").read(wanted)
        if vectors is not None and not np.isnan(vectors).any():
            return json.loads(regular(folder / NOTES).read_text())["encoder"], vectors[inverse]
    return None


def _folders(dataset: Any) -> list[Path]:
    """Folder of each encoder, the last used first."""
    notes = (dataset_folder(dataset) / EMBEDDINGS).glob(f"*/{NOTES}")
    return [path.parent for path in sorted(notes, key=lambda path: -path.stat().st_mtime)]


def _row(folder: Path) -> dict[str, Any]:
    notes = json.loads(regular(folder / NOTES).read_text())
    paths: set[str] = set()
    dimensions = 0
    for shard in _shards(folder):
        with np.load(regular(shard), allow_pickle=False) as file:
            paths.update(file["paths"].tolist())
            dimensions = file["vectors"].shape[1]
    return {
        **notes,
        "images": len(paths),
        "dimensions": dimensions,
        "bytes": sum(path.stat().st_size for path in folder.glob("*.npz")),
        "last_use": datetime.fromtimestamp((folder / NOTES).stat().st_mtime).isoformat(" ", "minutes"),
    }


def delete(dataset: Any, name: str | None) -> list[dict[str, Any]]:
    """Deletes the vectors of an encoder, or of all; returns their rows.

    Raises:
        ValueError: the dataset has none of this encoder
    """
    deleted = [row for row in rows(dataset) if name in (None, row["encoder"])]
    if name is not None and not deleted:
        names = ", ".join(repr(row["encoder"]) for row in rows(dataset)) or "none"
        raise InvalidInput(f"{dataset.name!r} has no vectors of {name!r}: its encoders are {names}")
    for folder in _folders(dataset):
        if name in (None, json.loads(regular(folder / NOTES).read_text())["encoder"]):
            clear(folder)
    return deleted
