"""Labels of an export in its format, by FiftyOne's exporters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..data import items
from ..runs.run import Run
from . import box_labels, formats
from .box_labels import Sizes
from .dataset_copy import write_dataset
from .formats import Image, Layout
from .selection import Row


def write(run: Run, part: Path, rows: Sequence[Row], layout: Layout, sizes: Sizes) -> None:
    """Writes the labels.

    Args:
        part: the folder, with the images
        rows: those whose image was copied
        sizes: width and height of these images, by sample id; needed for boxes
    """
    run.report("writing labels", 0, 1)
    if layout.format == formats.FIFTYONE:
        write_dataset(run, part, rows, layout)
    elif layout.format != formats.CSV:  # which has labels.csv
        copied = {row.sample_id for row in rows}
        for split in layout.splits:
            images = [image for image in layout.images if image.split == split and image.sample_id in copied]
            own = [row for row in rows if row.split == split]
            if layout.noun == items.BOX:
                box_labels.write(run, part, own, images, layout, sizes)
            else:
                _write_classes(run, part, own, images, layout)
    for split in layout.splits.values():
        if (part / split / formats.STAGED).exists():
            (part / split / formats.STAGED).rmdir()  # FiftyOne moved all of them
            if split and not any((part / split).iterdir()):
                (part / split).rmdir()


def _write_classes(run: Run, part: Path, rows: Sequence[Row], images: Sequence[Image], layout: Layout) -> None:
    """The class or the tags of each image of a split, as folders of images, or as labels.json."""
    from fiftyone.utils.data.exporters import (
        FiftyOneImageClassificationDatasetExporter,
        ImageClassificationDirectoryTreeExporter,
    )

    if not images:
        return
    folder = part / layout.splits[images[0].split]
    if layout.format == formats.FOLDERS:
        exporter = ImageClassificationDirectoryTreeExporter(str(folder), export_media="move")
    else:
        exporter = FiftyOneImageClassificationDatasetExporter(
            str(folder), export_media=False, rel_dir=str(folder / formats.DATA), classes=list(layout.classes)
        )
    by_sample = defaultdict(list)
    for row in rows:
        by_sample[row.sample_id].append(row)
    with exporter:
        for number, image in enumerate(images):
            exporter.export_sample(str(part / layout.copied(image)), _label(by_sample[image.sample_id], layout))
            run.report("writing labels", number + 1, len(images))


def _label(rows: Sequence[Row], layout: Layout) -> Any:
    """The class of a sample, or its tags."""
    import fiftyone as fo

    labels = [
        fo.Classification(label=layout.classes[row.label] if layout.format == formats.FOLDERS else row.label)
        for row in rows
        if not row.is_untagged
    ]
    return fo.Classifications(classifications=labels) if layout.noun == items.TAG else labels[0]
