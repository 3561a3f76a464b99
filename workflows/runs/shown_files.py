"""Deletes a run's files, except those that samples of any dataset show."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ..data.folders import run_folder
from ..data.internals import dataset_id
from ..data.marks import mark

IMAGES = "images-*"  # folders in a run's folder whose files samples show


class Shown(NamedTuple):
    """Samples of one dataset that show files of a run, and the paths of these files."""

    samples: int
    paths: set[str]


def shown_files(folder: Path, *, other_than: Any = None) -> dict[str, Shown]:
    """Samples that show files of a run's folder, by name of their dataset.

    Args:
        other_than: a dataset to leave out
    """
    import fiftyone.core.odm as foo

    if not any(folder.glob(IMAGES)):
        return {}
    database, begin = foo.get_db_conn(), {"$regex": f"^{re.escape(os.path.abspath(folder) + os.sep)}"}
    skipped = other_than and dataset_id(other_than)
    shown: dict[str, Shown] = {}
    for dataset in database.datasets.find({"_id": {"$ne": skipped}, "sample_collection_name": {"$regex": "^samples"}}):
        ids, paths = set(), set()
        for field in _path_fields(dataset, folder.name):
            samples = database[dataset["sample_collection_name"]].find({field: begin}, {field: 1})
            for sample in samples:  # by an index for filepath, else by a scan
                ids.add(sample["_id"])
                paths.add(_value(sample, field))
        if ids:
            shown[dataset["name"]] = Shown(len(ids), paths)
    return shown


def shown_by(folder: Path) -> str | None:
    """Name of a dataset whose samples show files of the runs in a dataset's folder."""
    return next((name for run in folder.glob("*") if run.is_dir() for name in shown_files(run)), None)


def _path_fields(dataset: dict[str, Any], run_key: str) -> Iterator[str]:
    """Fields with paths of images: those that the App can show, and those that the run wrote."""
    yield "filepath"
    media = set(dataset.get("app_config", {}).get("media_fields", ())) - {"filepath"}
    written = {
        field["name"]
        for field in dataset.get("sample_fields", ())
        if field.get("description") == mark(run_key) and field.get("ftype", "").endswith("StringField")
    }
    yield from sorted(media | written)


def _value(document: dict[str, Any], path: str) -> Any:
    value: Any = document
    for name in path.split("."):
        value = value[name]
    return value


def delete(dataset: Any, run_key: str) -> dict[str, int]:
    """Deletes the files of a run; returns the number of samples, by dataset, that show files which stay."""
    folder = run_folder(dataset, run_key)
    shown = shown_files(folder)
    if not shown:
        shutil.rmtree(folder, ignore_errors=True)
        return {}
    shown_paths = {path for entry in shown.values() for path in entry.paths}
    for path in sorted(folder.rglob("*"), reverse=True):  # the content of a folder before the folder
        with contextlib.suppress(OSError):  # a folder that is not empty
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            elif os.path.abspath(path) not in shown_paths:
                path.unlink()
    return {name: entry.samples for name, entry in shown.items()}


def is_taken(dataset: Any, run_key: str) -> bool:
    """Whether a key without a record still has files that samples show; others are deleted."""
    if run_folder(dataset, run_key).exists():
        delete(dataset, run_key)
    return run_folder(dataset, run_key).exists()
