"""Boxes of a sample that objects were pasted into: its host's, copied, and those of the objects, in a file each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from bson import ObjectId, json_util

from ...models.files import write_text
from ...models.regular_files import regular
from .provenance import PROVENANCE, RUN

SOURCE, SOURCE_SAMPLE, HOST = "evenset_source", "evenset_source_sample", "evenset_host"  # attributes of a new box
OWN = ("_id", "index", "instance")  # what tells a box from others: a copy has its own, or none
GEOMETRY = ("bounding_box", "mask", "mask_path", "confidence")  # of the source, which a pasted object leaves behind

Document = dict[str, Any]  # a box as the database has it


class Origins(NamedTuple):
    """Where the boxes of a new sample come from."""

    run_key: str
    host_id: str  # of the sample whose image they are in


def copied(box: Document, origins: Origins) -> Document:
    """The host's box in the new sample."""
    return _new(box, box, origins.host_id, origins)


def pasted(
    source: Document, sample_id: str, bounding_box: Sequence[float], mask: np.ndarray | None, origins: Origins
) -> Document:
    """The box of a pasted object, with the attributes of its source.

    Args:
        sample_id: of the source
        bounding_box: in the new image
        mask: in this box [h, w]; None where the source has none
    """
    import fiftyone as fo

    kept = {name: value for name, value in source.items() if name not in (*GEOMETRY, *PROVENANCE)}
    shape = fo.Detection(bounding_box=list(map(float, bounding_box)), mask=mask).to_dict()
    geometry = {name: value for name, value in shape.items() if name in ("bounding_box", "mask")}
    return _new({**kept, **geometry}, source, sample_id, origins)


def _new(box: Document, source: Document, sample_id: str, origins: Origins) -> Document:
    kept = {name: value for name, value in box.items() if name not in OWN}
    provenance = {RUN: origins.run_key, SOURCE: str(source["_id"]), SOURCE_SAMPLE: sample_id, HOST: origins.host_id}
    return {"_id": ObjectId(), **kept, **provenance}


def save(path: Path, boxes: Sequence[Document]) -> None:
    """Writes boxes with their masks as MongoDB's JSON; a kill leaves no half file."""
    path.parent.mkdir(exist_ok=True)
    write_text(path, json_util.dumps(list(boxes)))


def load(path: str) -> Any:
    """The boxes as `fo.Detections`."""
    import fiftyone as fo

    documents = json_util.loads(regular(Path(path)).read_text(encoding="utf-8"))
    return fo.Detections(detections=[fo.Detection.from_dict(document) for document in documents])
