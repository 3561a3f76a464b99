"""The files of a run that ended: those that samples of any dataset still show stay, the others go."""

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

IMAGES = "images-*"  # folders of a run with files that samples show


class Shown(NamedTuple):
    """What the samples of one dataset show of a run's files."""

    samples: int
    paths: set[str]


def shown_files(folder: Path, *, other_than: Any = None) -> dict[str, Shown]:
    """What samples show of the files in a run's folder, for the name of each dataset where there are any.

    Args:
        other_than: a dataset that is not asked
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
            for sample in samples:  # found by the index of filepath, and elsewhere by a scan of the collection
                ids.add(sample["_id"])
                paths.add(_value(sample, field))
        if ids:
            shown[dataset["name"]] = Shown(len(ids), paths)
    return shown


def shown_by(folder: Path) -> str:
    """Name of a dataset whose samples show files of the runs in a dataset's folder; "" where there is none."""
    return next((name for run in folder.glob("*") if run.is_dir() for name in shown_files(run)), "")


def _path_fields(dataset: dict[str, Any], run_key: str) -> Iterator[str]:
    """Fields of a dataset's document that hold paths of images: what the App can show, and what the run wrote."""
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
    """Deletes the files of a run; returns how many samples of which dataset show files that stay."""
    folder = run_folder(dataset, run_key)
    shown = shown_files(folder)
    if not shown:
        shutil.rmtree(folder, ignore_errors=True)
        return {}
    kept = {path for one in shown.values() for path in one.paths}
    for path in sorted(folder.rglob("*"), reverse=True):  # the content of a folder before the folder
        with contextlib.suppress(OSError):  # a folder that is not empty
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            elif os.path.abspath(path) not in kept:
                path.unlink()
    return {name: one.samples for name, one in shown.items()}


def is_taken(dataset: Any, run_key: str) -> bool:
    """Whether files lie in the folder of a run that has no record; those that nothing shows are deleted."""
    if run_folder(dataset, run_key).exists():
        delete(dataset, run_key)
    return run_folder(dataset, run_key).exists()
