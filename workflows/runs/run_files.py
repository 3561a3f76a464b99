"""Folder and sample ids of a run, also in a clone or an import of its dataset."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from ...models.errors import InvalidInput
from ...models.regular_files import regular
from ..data.folders import SAMPLES, VARIABLE, dataset_folder, run_folder
from ..data.internals import dataset_id
from .records import RunRecord, read_stored


def is_foreign(dataset: Any, record: RunRecord) -> bool:
    """Whether a run belongs to another dataset, of which this one is a clone or an import."""
    return record.dataset not in (None, str(dataset_id(dataset)))  # None: a record of an earlier version


def _origin(record: RunRecord) -> Any:
    """The dataset that a run belongs to; None where this database lacks it."""
    import fiftyone as fo
    import fiftyone.core.odm as foo
    from bson import ObjectId

    if not ObjectId.is_valid(record.dataset):  # an edited record
        return None
    row = foo.get_db_conn().datasets.find_one({"_id": ObjectId(record.dataset)}, ["name"])
    return row and fo.load_dataset(row["name"])


def files_of(dataset: Any, record: RunRecord) -> Path:
    """Folder of a run; in a clone or an import that of the original run, unless its key was used again."""
    own = run_folder(dataset, record.key)
    if own.exists() or not is_foreign(dataset, record):
        return own
    origin = _origin(record)
    if origin and origin.has_run(record.key) and read_stored(origin, record.key).started != record.started:
        return own
    return dataset_folder(dataset).parent / str(record.dataset) / record.key


def why_gone(dataset: Any, record: RunRecord) -> str:
    """Why a run's folder lacks its files, as a clause."""
    if not is_foreign(dataset, record):
        if record.host not in (None, socket.gethostname()):
            return f"the files of {record.key} are not on this machine: it ran on {record.host} (see {VARIABLE})"
        unless = "" if record.dataset else ", or belong to another dataset if this is a clone or an import"
        return f"the files of {record.key} were deleted by hand{unless}"
    origin = _origin(record)
    other = f"dataset {origin.name!r}" if origin else "another dataset"
    return f"the files of {record.key} belong to {other}, of which {dataset.name!r} is a clone or an import"


def ids_of_run(dataset: Any, key: str) -> list[str]:
    """Ids of a run's samples, in its order.

    Raises:
        ValueError: its files were deleted by hand, or belong to another dataset
    """
    import numpy as np

    path = run_folder(dataset, key) / SAMPLES
    if not path.exists():
        record = read_stored(dataset, key)
        remedy = (
            "start another run here"
            if is_foreign(dataset, record)
            else "delete it (evenset.delete_run), and start again"
        )
        raise InvalidInput(f"{why_gone(dataset, record)}: {remedy}")
    return np.load(regular(path), allow_pickle=False).tolist()  # type: ignore[no-any-return]
