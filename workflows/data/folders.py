"""Where a run's files lie, and how one process keeps others from the same field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .internals import dataset_id

SAMPLES, ORIGIN = "samples.npy", "origin.json"  # of a run: its samples' ids, and whose the folder is


def dataset_folder(dataset: Any) -> Path:
    import fiftyone as fo

    return Path(fo.config.default_dataset_dir) / "evenset" / str(dataset_id(dataset))


def run_folder(dataset: Any, key: str) -> Path:
    return dataset_folder(dataset) / key
