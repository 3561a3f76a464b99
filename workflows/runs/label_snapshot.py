"""Labels as a run first read them, kept in its folder for a resume."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from ..data import folders
from ..data.labels import Labels
from . import cached_arrays
from .run import Run

FILE = "labels.npz"
STORED = {"class_ids": "classes", "synthetic_left_out": "synthetic", "synthetic_mask": "made"}  # names in the file
NOT_ROWS = {"names", "notes", "synthetic"}  # arrays of the file without a row a sample


def freeze(run: Run, labels: Labels) -> Labels:
    """The labels as the run first read them, without items that were deleted since: a resumed run trains on these."""
    arrays = {STORED.get(name, name): np.asarray(value) for name, value in vars(labels).items()}
    is_new = not (run.folder / FILE).exists()
    stored = run.cached_arrays("labels", lambda: arrays)
    if is_new:
        return labels
    ids, is_box = stored["ids"], stored.get("sample_ids", stored["ids"]) != stored["ids"]
    is_gone = np.isin(ids, list(run.gone)) | (is_box & ~np.isin(ids, labels.ids))
    rows = tuple(stored.keys() - NOT_ROWS)
    return _labels(run.cached_arrays("labels", lambda: arrays, ids[~is_gone], rows))


def frozen(dataset: Any, run_key: str) -> Labels | None:
    """The labels as a run first read them; None where it has no snapshot."""
    arrays = cached_arrays.read(folders.run_folder(dataset, run_key) / FILE)
    return None if arrays is None else _labels(arrays)


def _labels(arrays: dict[str, np.ndarray]) -> Labels:
    values: dict[str, Any] = {**arrays, "synthetic": int(arrays["synthetic"])}
    values.update((name, arrays[name].tolist()) for name in ("names", "notes") if name in arrays)
    stored = {item.name: STORED.get(item.name, item.name) for item in fields(Labels)}
    return Labels(**{name: values[key] for name, key in stored.items() if key in values})
