"""Labels of an export in one of the formats, by FiftyOne's exporters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..runs.run import Run
from .file_names import folder_names, image_names
from .selection import Origin, Row

FOLDERS, FIFTYONE, CSV, JSON = "folders", "fiftyone", "csv", "json"
STAGED, DATA = ".images", "data"  # folders of images: until FiftyOne moves them to their class, and for good


@dataclass(frozen=True)
class Layout:
    """Where the files of an export lie, relative to its folder."""

    format: str
    splits: dict[str, str]  # folder of each split; "" for all samples where there is none
    classes: dict[str, str]  # folder of each class, for `folders`
    names: list[str]  # file name of each row

    def copied(self, row: int, rows: Sequence[Row]) -> Path:
        """Where the image of a row is copied to."""
        inner = STAGED if self.format == FOLDERS else DATA
        return Path(self.splits[rows[row].split], inner, self.names[row])

    def final(self, row: int, rows: Sequence[Row]) -> Path:
        """Where it lies in the finished export."""
        inner = self.classes[rows[row].label] if self.format == FOLDERS else DATA
        return Path(self.splits[rows[row].split], inner, self.names[row])


def plan(rows: Sequence[Row], splits: Sequence[str], format: str) -> Layout:
    labels = sorted({row.label for row in rows})
    folders = folder_names(splits) if splits else {"": ""}
    return Layout(format, folders, folder_names(labels), image_names([row.path for row in rows]))


def write(run: Run, part: Path, rows: Sequence[Row], layout: Layout, copied: Sequence[int]) -> None:
    """Writes the labels.

    Args:
        part: the folder, with the images
        copied: indices of the rows whose image was copied
    """
    run.report("writing labels", 0, 1)
    if layout.format == FIFTYONE:
        _write_dataset(run, part, rows, layout, copied)
    elif layout.format != CSV:  # which has labels.csv
        for split in layout.splits:
            own = [row for row in copied if rows[row].split == split]
            _write_split(run, part, rows, layout, own, layout.splits[split])
    for split in layout.splits.values():
        if (part / split / STAGED).exists():
            (part / split / STAGED).rmdir()  # FiftyOne moved all of them


def _write_split(run: Run, part: Path, rows: Sequence[Row], layout: Layout, own: Sequence[int], split: str) -> None:
    """One split as folders of images, or as labels.json."""
    import fiftyone as fo
    from fiftyone.utils.data.exporters import (
        FiftyOneImageClassificationDatasetExporter,
        ImageClassificationDirectoryTreeExporter,
    )

    folder = part / split
    if layout.format == FOLDERS:
        exporter = ImageClassificationDirectoryTreeExporter(str(folder), export_media="move")
    else:
        exporter = FiftyOneImageClassificationDatasetExporter(
            str(folder), export_media=False, rel_dir=str(folder / DATA), classes=list(layout.classes)
        )
    with exporter:
        for number, row in enumerate(own):
            label = layout.classes[rows[row].label] if layout.format == FOLDERS else rows[row].label
            path = part / layout.copied(row, rows)
            exporter.export_sample(str(path), fo.Classification(label=label))
            run.report("writing labels", number + 1, len(own))


def _write_dataset(run: Run, part: Path, rows: Sequence[Row], layout: Layout, copied: Sequence[int]) -> None:
    """FiftyOne's own format, with all fields, from a temporary dataset whose samples show the copies."""
    import fiftyone as fo
    from fiftyone.utils.data.exporters import FiftyOneDatasetExporter

    label_field = run.record.inputs["label_field"]
    copy = run.dataset.select([rows[row].id for row in copied]).clone()
    try:
        paths = {rows[row].id: str(part / layout.copied(row, rows)) for row in copied}
        copy.set_values("filepath", paths, key_field="id", progress=False)
        suggested = {
            rows[row].id: fo.Classification(label=rows[row].label, confidence=rows[row].confidence)
            for row in copied
            if rows[row].origin == Origin.ACCEPTED
        }
        if suggested:
            copy.set_values(label_field, suggested, key_field="id", progress=False)
        for number, (split, name) in enumerate(layout.splits.items()):
            run.report("writing labels", number, len(layout.splits))
            exporter = FiftyOneDatasetExporter(
                str(part / name),
                export_media=False,
                rel_dir=str(part / name),
                **dict.fromkeys(("export_saved_views", "export_runs", "export_workspaces"), False),
            )
            with exporter:
                exporter.export_samples(
                    copy.select([rows[row].id for row in copied if rows[row].split == split]), progress=False
                )
    finally:
        copy.delete()
