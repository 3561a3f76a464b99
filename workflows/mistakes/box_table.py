"""All labelled boxes of a field, also those that cannot be cropped, for a look at their geometry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..data import items
from ..data.box_kinds import BoxKind
from ..data.boxes import as_array, image_sizes
from ..data.field_access import with_all_fields
from ..data.label_text import or_none
from ..data.labels import SIZE, real_samples
from ..runs.run import Run
from .dismissed import dismissed_flags

KINDS = tuple(kind.value for kind in BoxKind)


@dataclass
class BoxTable:
    """The labelled boxes of a field."""

    ids: np.ndarray  # of the labels, text [M]
    sample_ids: np.ndarray  # text [M]
    labels: np.ndarray  # text [M]
    boxes: np.ndarray  # left, top, width and height, NaN where there is no number [M, 4]
    sizes_px: np.ndarray  # width and height of the image, NaN where they are not known [M, 2]
    dismissed: np.ndarray  # whether a person dismissed a flag of each of KINDS before [M, kinds]


@dataclass
class Found:
    """Flags of one kind."""

    mask: np.ndarray  # [M]
    scores: np.ndarray  # mistakenness [M]
    reasons: dict[int, str] = field(default_factory=dict)  # by row


def read_boxes(samples: Any, label_field: str) -> dict[str, np.ndarray]:
    """Arrays of a BoxTable, without `dismissed`."""
    columns = ["id", items.SAMPLE_ID, "filepath", f"{label_field}.label", f"{label_field}.bounding_box", *SIZE]
    read = items.values(real_samples(with_all_fields(samples))[0], columns)
    rows = [i for i, label in enumerate(read[3]) if or_none(label) is not None]
    ids, sample_ids, files, labels, shapes, *sizes = ([column[i] for i in rows] for column in read)
    known = image_sizes(files, list(zip(*sizes, strict=True)))
    return dict(
        ids=np.array(ids, dtype=str),
        sample_ids=np.array(sample_ids, dtype=str),
        labels=np.array(labels, dtype=str),
        boxes=as_array(shapes),
        sizes_px=np.array([known[file] for file in files], dtype=np.float64).reshape(-1, 2),
    )


def read_once(run: Run, samples: Any, label_field: str) -> BoxTable:
    """The boxes as the run first read them."""

    def compute() -> dict[str, np.ndarray]:
        arrays, flags = read_boxes(samples, label_field), dismissed_flags(run.dataset, label_field)
        pairs = list(zip(arrays["ids"].tolist(), arrays["labels"].tolist(), strict=True))
        dismissed = [[(*pair, kind) in flags for kind in KINDS] for pair in pairs]
        return {**arrays, "dismissed": np.array(dismissed, dtype=bool).reshape(-1, len(KINDS))}

    return BoxTable(**run.cached_arrays("boxes", compute))
