"""Labels as a run first read them, kept in its folder for a resume."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...models.regular_files import regular
from ..data import folders
from ..data.labels import Labels
from .run import Run

STORED = {"class_ids": "classes", "synthetic_left_out": "synthetic", "synthetic_mask": "made"}  # names in the file


def freeze(run: Run, labels: Labels) -> Labels:
    """The labels as the run first saw them, so that a resumed run trains on the same; deleted samples are left out."""
    plain = {STORED.get(name, name): np.asarray(value) for name, value in vars(labels).items()}
    ids = run.cached_arrays("labels", lambda: plain)["ids"]
    rows = tuple(plain.keys() - {"names", "notes", "synthetic"})
    return _labels(run.cached_arrays("labels", lambda: plain, ids[~np.isin(ids, list(run.gone))], rows))


def frozen(dataset: Any, run_key: str) -> Labels | None:
    """The labels of a run that was stopped, as it first saw them; None where it ended before that."""
    path = folders.run_folder(dataset, run_key) / "labels.npz"
    if not path.exists():
        return None
    with np.load(regular(path), allow_pickle=False) as kept:
        return _labels(dict(kept))


def _labels(kept: dict[str, np.ndarray]) -> Labels:
    columns: dict[str, Any] = {**kept, "synthetic": int(kept["synthetic"])}
    columns.update((name, kept[name].tolist()) for name in ("names", "notes") if name in kept)
    names = {stored: name for name, stored in STORED.items()}
    return Labels(**{names.get(name, name): value for name, value in columns.items()})
