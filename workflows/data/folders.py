"""Folders of a dataset's runs."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from ...models.errors import InvalidInput
from ...models.regular_files import is_folder
from .internals import dataset_id

VARIABLE = "EVENSET_DIR"  # of the environment: a folder that several machines share
EMBEDDINGS = "embeddings"  # the folder of encoders' vectors, beside those of the runs
TRIES = 100  # to make a folder
SAMPLES, ORIGIN = "samples.npy", "origin.json"  # of a run: ids of its samples; its database and dataset


def root() -> Path:
    """Folder of all runs: that of EVENSET_DIR, or `evenset` in FiftyOne's folder of datasets.

    Raises:
        ValueError: EVENSET_DIR names no folder
    """
    import fiftyone as fo

    if not (value := os.environ.get(VARIABLE)):
        return Path(fo.config.default_dataset_dir) / "evenset"
    folder = Path(value).expanduser()
    if not folder.is_absolute():
        raise InvalidInput(f"EVENSET_DIR is {value!r}: it has to be an absolute path")
    if not is_folder(folder):
        raise InvalidInput(f"EVENSET_DIR is {value!r}, which is not a folder: mount or make it, or unset the variable")
    return folder


def require_writable_root() -> None:
    """Raises ValueError where EVENSET_DIR names no folder that this user can write."""
    folder = root()
    if os.environ.get(VARIABLE) and not os.access(folder, os.W_OK | os.X_OK):
        raise InvalidInput(f"EVENSET_DIR is {str(folder)!r}, which this user cannot write: change its rights or mount")


def dataset_folder(dataset: Any) -> Path:
    return root() / str(dataset_id(dataset))


def run_folder(dataset: Any, key: str) -> Path:
    return dataset_folder(dataset) / key


def make_run_folder(folder: Path) -> None:
    """Makes the folder of a new run, while others may remove the empty one above it."""
    for tries_left in range(TRIES, 0, -1):
        try:
            folder.mkdir(parents=True)
            return
        except FileNotFoundError:
            if tries_left == 1:
                raise


def remove_if_empty(folder: Path) -> None:
    """Removes the folder of a dataset without runs."""
    with contextlib.suppress(OSError):
        folder.rmdir()
        if not os.environ.get(VARIABLE):
            folder.parent.rmdir()
