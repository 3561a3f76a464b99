"""Boxes of an export as COCO, YOLO, VOC or FiftyOne's JSON, by FiftyOne's exporters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from ..data.box_documents import BoxValues, in_field, read_documents
from ..runs.run import Run
from . import formats
from .formats import Image, Layout
from .selection import Row

Sizes = Mapping[str, tuple[float, float]]  # width and height in pixels, by sample id
BATCH = 500  # images whose labels, with masks, are in memory at once
ROUNDING = 1e-3  # pixels: FiftyOne cuts fractions off, and would make 27 of 27.9999


def write(run: Run, part: Path, rows: Sequence[Row], images: Sequence[Image], layout: Layout, sizes: Sizes) -> None:
    """Writes the boxes of one split.

    Args:
        rows: of the split
        images: of these rows
    """
    if not images:
        return
    by_sample = defaultdict(list)
    for row in rows:
        by_sample[row.sample_id].append(row)
    done = 0
    with _exporter(part, layout, images[0].split) as exporter:
        for start in range(0, len(images), BATCH):
            batch = images[start : start + BATCH]
            own = [by_sample[image.sample_id] for image in batch]
            for image, labels in zip(batch, _labels(run, own, layout.format, sizes), strict=True):
                exporter.export_sample(str(part / layout.copied(image)), labels, _metadata(sizes[image.sample_id]))
                done += 1
                run.report("writing labels", done, len(images))


def _exporter(part: Path, layout: Layout, split: str) -> Any:
    """FiftyOne's exporter of a format into the folder of a split."""
    from fiftyone.utils.coco import COCODetectionDatasetExporter
    from fiftyone.utils.data.exporters import FiftyOneImageDetectionDatasetExporter
    from fiftyone.utils.voc import VOCDetectionDatasetExporter
    from fiftyone.utils.yolo import YOLOv5DatasetExporter

    name, classes = layout.splits[split], list(layout.classes)
    if layout.format == formats.YOLO:
        name = name or formats.ALL
        return YOLOv5DatasetExporter(str(part), name, export_media="move", classes=classes, include_path=False)
    folder = part / name
    given: dict[str, Any] = dict(export_media=False, rel_dir=str(folder / formats.DATA))
    if layout.format == formats.VOC:
        return VOCDetectionDatasetExporter(str(folder), include_paths=False, extra_attrs=False, **given)
    if layout.format == formats.COCO:
        return COCODetectionDatasetExporter(str(folder), classes=classes, info={}, extra_attrs=False, **given)
    return FiftyOneImageDetectionDatasetExporter(str(folder), classes=classes, include_attributes=False, **given)


def _labels(run: Run, rows: Sequence[Sequence[Row]], format: str, sizes: Sizes) -> list[Any]:
    """The labels of each image: as its field holds them, or for VOC and JSON boxes alone."""
    import fiftyone as fo

    if format in (formats.VOC, formats.JSON):
        return [fo.Detections(detections=[_box(row, format, sizes) for row in own]) for own in rows]
    field = run.record.inputs["label_field"]
    flat = [BoxValues(row.id, row.label, row.confidence, row.box or ()) for own in rows for row in own]
    documents = iter(read_documents(run.dataset, field, [own[0].sample_id for own in rows], flat))
    return [in_field(run.dataset, field, [next(documents) for _ in own]) for own in rows]


def _box(row: Row, format: str, sizes: Sizes) -> Any:
    """A box without mask and attributes, in whole pixels for VOC."""
    import fiftyone as fo

    left, top, width, height = row.box or ()
    if format != formats.VOC:
        return fo.Detection(label=row.label, bounding_box=[left, top, width, height], confidence=row.confidence)
    across, down = sizes[row.sample_id]
    x, y, right, bottom = (
        (round(value * size) + ROUNDING) / size
        for value, size in ((left, across), (top, down), (left + width, across), (top + height, down))
    )
    return fo.Detection(label=escape(row.label), bounding_box=[x, y, right - x, bottom - y])


def _metadata(size: tuple[float, float]) -> Any:
    import fiftyone as fo

    return fo.ImageMetadata(width=int(size[0]), height=int(size[1]))
