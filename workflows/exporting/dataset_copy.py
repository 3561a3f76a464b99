"""Labels of an export in FiftyOne's own format, with all fields."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..data import group_slices, items
from ..data.box_documents import BoxValues, in_field, read_documents
from ..runs.run import Run
from . import tag_rows
from .formats import Layout
from .selection import Origin, Row


def write_dataset(run: Run, part: Path, rows: Sequence[Row], layout: Layout) -> None:
    """Writes all fields, from a temporary dataset whose samples show the copies and hold the exported labels."""
    from fiftyone.utils.data.exporters import FiftyOneDatasetExporter

    label_field = run.record.inputs["label_field"]
    ids = list(dict.fromkeys(row.sample_id for row in rows))
    images = {image.sample_id: image for image in layout.images}
    copy = group_slices.flat(run.dataset).select(ids).clone()
    try:
        paths = {sample_id: str(part / layout.copied(images[sample_id])) for sample_id in ids}
        copy.set_values("filepath", paths, key_field="id", progress=False)
        labels = _labels(copy, label_field, rows, layout.noun)
        if labels:
            copy.set_values(label_field, labels, key_field="id", progress=False)
        for number, (split, name) in enumerate(layout.splits.items()):
            run.report("writing labels", number, len(layout.splits))
            exporter = FiftyOneDatasetExporter(
                str(part / name),
                export_media=False,
                rel_dir=str(part / name),
                **dict.fromkeys(("export_saved_views", "export_runs", "export_workspaces"), False),
            )
            with exporter:
                own = [sample_id for sample_id in ids if images[sample_id].split == split]
                exporter.export_samples(copy.select(own), progress=False)
    finally:
        copy.delete()


def _labels(copy: Any, label_field: str, rows: Sequence[Row], noun: str) -> dict[str, Any]:
    """Labels by sample, where they are others than the copy's."""
    if noun == items.SAMPLE:
        return _classes(rows)
    return (_boxes if noun == items.BOX else _tags)(copy, label_field, rows)


def _tags(copy: Any, label_field: str, rows: Sequence[Row]) -> dict[str, Any]:
    """The tags of each sample without those that are left out."""
    wanted: dict[str, dict[str, float | None]] = defaultdict(dict)
    for row in rows:
        wanted[row.sample_id].update({} if row.is_untagged else {row.label: row.confidence})
    return tag_rows.documents(copy, label_field, wanted)


def _classes(rows: Sequence[Row]) -> dict[str, Any]:
    """Labels of the samples that have only a suggestion so far."""
    import fiftyone as fo

    return {
        row.sample_id: fo.Classification(label=row.label, confidence=row.confidence)
        for row in rows
        if row.origin == Origin.ACCEPTED
    }


def _boxes(copy: Any, label_field: str, rows: Sequence[Row]) -> dict[str, Any]:
    """The boxes of each sample without those that are left out."""
    values = [BoxValues(row.id, row.label, row.confidence, row.box or ()) for row in rows]
    sample_ids = [row.sample_id for row in rows]
    documents = defaultdict(list)
    for sample_id, document in zip(sample_ids, read_documents(copy, label_field, sample_ids, values), strict=True):
        documents[sample_id].append(document)
    return {sample_id: in_field(copy, label_field, own) for sample_id, own in documents.items()}
