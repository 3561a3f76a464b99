"""Folders of a dataset's runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .internals import dataset_id

EMBEDDINGS = "embeddings"  # the folder of encoders' vectors, beside those of the runs
SAMPLES, ORIGIN = "samples.npy", "origin.json"  # of a run: ids of its samples; its database and dataset


def dataset_folder(dataset: Any) -> Path:
    import fiftyone as fo

    return Path(fo.config.default_dataset_dir) / "evenset" / str(dataset_id(dataset))


def run_folder(dataset: Any, key: str) -> Path:
    return dataset_folder(dataset) / key
