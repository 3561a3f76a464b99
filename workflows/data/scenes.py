"""Images with their boxes, for pasting objects of some into others."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from . import items
from .boxes import as_array, image_sizes
from .internals import root_dataset, sample_collection
from .labels import real_samples

MASKS = ("mask", "mask_path")


@dataclass(frozen=True)
class Scenes:
    """Images, the boxes of the label field, and those of all fields, which nothing may cover."""

    ids: np.ndarray  # of the samples, text [S]
    paths: np.ndarray  # text [S]
    sizes_px: np.ndarray  # width and height, NaN where the file cannot be read [S, 2]
    is_annotated: np.ndarray  # has a list of boxes, which may be empty, and each box a label [S]
    box_ids: np.ndarray  # of the label field, text [B]
    labels: np.ndarray  # "" where a box has none, text [B]
    box_scenes: np.ndarray  # index of the image of each box, ascending [B]
    boxes: np.ndarray  # left, top, width and height, as fractions, NaN where a box has no numbers [B, 4]
    has_mask: np.ndarray  # [B]
    taken: np.ndarray  # boxes of all fields with finite numbers [T, 4]
    taken_scenes: np.ndarray  # index of the image of each, ascending [T]

    def without_hosts(self, sample_ids: Collection[str]) -> Scenes:
        """The same, in which nothing is pasted into some samples."""
        return replace(self, is_annotated=self.is_annotated & ~np.isin(self.ids, list(sample_ids)))

    def taken_in(self, scene: int) -> np.ndarray:
        """The boxes of all fields in an image [t, 4]."""
        return self.taken[slice(*np.searchsorted(self.taken_scenes, [scene, scene + 1]))]

    def rows_of(self, scene: int) -> slice:
        """The boxes of the label field in an image."""
        return slice(*np.searchsorted(self.box_scenes, [scene, scene + 1]))


def read_scenes(samples: Any, label_field: str) -> Scenes:
    """Reads the real samples, with all their boxes, those too that a view hides."""
    dataset = root_dataset(samples)
    view = dataset.select(real_samples(samples)[0].values("id"))
    root, mask = items.root_of(dataset, label_field), _has_mask()
    ids, paths, box_ids, labels, shapes = view.values(
        ["id", "filepath", f"{root}.id", f"{root}.label", f"{root}.bounding_box"]
    )
    masks = view.values(_mapped(root, mask))
    known = image_sizes(paths, [(None, None)] * len(paths))  # of the files: metadata may be those of earlier ones
    scenes = np.repeat(np.arange(len(ids)), [len(own or ()) for own in box_ids])
    boxes = as_array(_flat(shapes))
    taken, taken_scenes = _all_boxes(dataset, view)
    return Scenes(
        ids=np.array(ids, dtype=str),
        paths=np.array(paths, dtype=str),
        sizes_px=np.array([known[path] for path in paths], dtype=float).reshape(-1, 2),
        is_annotated=np.array([own is not None and None not in own and "" not in own for own in labels], dtype=bool),
        box_ids=np.array(_flat(box_ids), dtype=str),
        labels=np.array([label or "" for label in _flat(labels)], dtype=str),
        box_scenes=scenes,
        boxes=boxes,
        has_mask=np.array(_flat(masks), dtype=bool),
        taken=taken,
        taken_scenes=taken_scenes,
    )


def _all_boxes(dataset: Any, view: Any) -> tuple[np.ndarray, np.ndarray]:
    """The boxes of all fields with finite numbers, and the index of the image of each."""
    fields = [name for name in dataset.get_field_schema() if items.has_boxes(dataset, name)]
    parts, scenes = [np.zeros((0, 4))], [np.zeros(0, dtype=int)]
    for field in fields:
        lists = view.values(f"{items.root_of(dataset, field)}.{items.shape_of(dataset, field)}")
        boxes = as_array(_flat(lists))
        finite = np.isfinite(boxes).all(axis=1)
        parts.append(boxes[finite])
        scenes.append(np.repeat(np.arange(len(lists)), [len(own or ()) for own in lists])[finite])
    order = np.argsort(np.concatenate(scenes), kind="stable")
    return np.concatenate(parts)[order], np.concatenate(scenes)[order]


def _has_mask() -> Any:
    from fiftyone import ViewField as F

    return (F(MASKS[0]) != None) | (F(MASKS[1]) != None)  # noqa: E711


def _mapped(root: str, expression: Any) -> Any:
    from fiftyone import ViewField as F

    return F(root).map(expression)


def _flat(lists: Any) -> list[Any]:
    return [value for own in lists for value in own or ()]


def boxes_of(dataset: Any, label_field: str, sample_id: str) -> list[dict[str, Any]] | None:
    """The boxes of a sample as the database has them now; None where the sample was deleted or its list removed."""
    from bson import ObjectId

    name = getattr(dataset.get_field(label_field), "db_field", None) or label_field
    labels = items.list_of(dataset, label_field)
    row = sample_collection(dataset).find_one({"_id": ObjectId(sample_id)}, {f"{name}.{labels}": 1})
    own = ((row or {}).get(name) or {}).get(labels)
    return None if own is None else list(own)


def mask_of(box: dict[str, Any]) -> np.ndarray | None:
    """The mask of a box, None without one.

    Raises:
        OSError: its file is missing
    """
    import fiftyone as fo

    mask = fo.Detection.from_dict(box).get_mask()
    return None if mask is None else np.asarray(mask)
