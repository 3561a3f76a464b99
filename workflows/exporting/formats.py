"""Formats of an export: where its files lie, and what writes the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...models.errors import InvalidInput
from ..data import items
from .file_names import folder_names, image_names
from .selection import Row

AUTO, FOLDERS, FIFTYONE, CSV, JSON, COCO, YOLO, VOC = (
    "auto",
    "folders",
    "fiftyone",
    "csv",
    "json",
    "coco",
    "yolo",
    "voc",
)
OF = {  # formats of each kind of item, the first is the default
    items.SAMPLE: (FOLDERS, FIFTYONE, CSV, JSON),
    items.BOX: (COCO, YOLO, VOC, FIFTYONE, CSV, JSON),
    items.TAG: (JSON, FIFTYONE, CSV),
}
HOLDS = {items.SAMPLE: "one label a sample", items.BOX: "boxes", items.TAG: "several tags a sample"}
STAGED, DATA = ".images", "data"  # folders of images: until FiftyOne moves them, and for good
IMAGES, TEXTS, ALL = "images", "labels", "train"  # of yolo: folders of images and labels, and the split where none is


@dataclass(frozen=True)
class Image:
    """An image of an export."""

    sample_id: str
    path: str
    name: str  # of its copy
    split: str
    label: str  # of its first row: its class, where the items are samples


@dataclass(frozen=True)
class Layout:
    """Where the files of an export lie, relative to its folder."""

    format: str
    noun: str  # of the items
    splits: dict[str, str]  # folder of each split; "" for all samples where there is none
    classes: dict[str, str]  # folder of each class, for `folders`
    images: list[Image]
    image_of: list[int]  # index of each row's image

    def copied(self, image: Image) -> Path:
        """Where an image is copied to."""
        return Path(self.splits[image.split], STAGED if self.format in (FOLDERS, YOLO) else DATA, image.name)

    def final(self, image: Image) -> Path:
        """Where it lies in the finished export."""
        split = self.splits[image.split]
        if self.format == YOLO:
            return Path(IMAGES, split or ALL, image.name)
        return Path(split, self.classes[image.label] if self.format == FOLDERS else DATA, image.name)


def choose(format: str, noun: str) -> str:
    """The format that "auto" stands for.

    Raises:
        ValueError: the format is not for items of this kind
    """
    if format == AUTO:
        return OF[noun][0]
    if format not in OF[noun]:
        raise InvalidInput(f"format {format!r} is not for {HOLDS[noun]}: choose one of {', '.join(OF[noun])}")
    return format


def plan(rows: Sequence[Row], splits: Sequence[str], format: str, noun: str) -> Layout:
    labels = sorted({row.label for row in rows if not row.is_untagged})
    first: dict[str, Row] = {}  # row of each sample
    for row in rows:
        first.setdefault(row.sample_id, row)
    index = {sample_id: number for number, sample_id in enumerate(first)}
    paths = [row.path for row in first.values()]
    names = image_names([path.replace("&", "%26") for path in paths] if format == VOC else paths)  # & ends its XML
    images = [
        Image(row.sample_id, row.path, name, row.split, row.label)
        for row, name in zip(first.values(), names, strict=True)
    ]
    folders = folder_names(splits) if splits else {"": ""}
    return Layout(format, noun, folders, folder_names(labels), images, [index[row.sample_id] for row in rows])
