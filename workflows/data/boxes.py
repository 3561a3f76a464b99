"""Boxes as regions of image files: checked, and with the size of each in pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...models.errors import InvalidInput
from ...models.settings import BoxSettings, ImageSettings
from ..display.tables import counted

MAX_LISTED = 5  # ids in a note
PIXELS = 2.0  # a right or lower edge beyond it is a pixel's, where a fraction of the image belongs
NO_NUMBERS, NO_AREA, OUTSIDE = ("without finite numbers", "without an area", "outside the image")


class Boxes(NamedTuple):
    """The boxes of a field that can be cropped."""

    rows: np.ndarray  # indices of these among all [N]
    paths: list[str]  # regions of image files [N]
    too_small: np.ndarray  # a side is shorter than min_box_px [N]
    notes: list[str]  # sentences on boxes that are left out or too small


def read_boxes(
    field: str, ids: Sequence[str], files: Sequence[str], shapes: Sequence[Any], sizes: Sequence[Any], crop: BoxSettings
) -> Boxes:
    """Checks boxes, and gives their regions; boxes that cannot be cropped are left out, and noted.

    Args:
        ids: of the labels [M]
        files: of their samples [M]
        shapes: bounding box of each as left, top, width and height, or the points of a polyline [M]
        sizes: width and height of the sample's image, (None, None) where it is not known [M]

    Raises:
        ValueError: two labels have the same id, or the boxes are in pixels
    """
    from ...models.images.region import paths_of, sizes_px

    boxes, reasons = check_boxes(field, ids, shapes)
    rows = np.flatnonzero(reasons == "")
    where = [files[i] for i in rows.tolist()]
    known = image_sizes(where, [sizes[i] for i in rows.tolist()])
    images = np.array([known[file] for file in where], dtype=np.float64).reshape(-1, 2)
    too_small = sizes_px(boxes[rows], images).min(axis=1) < crop.min_box_px
    notes = [
        _note(field, reason, [ids[i] for i in np.flatnonzero(reasons == reason).tolist()])
        for reason in np.unique(reasons)
    ]
    small = [ids[i] for i in rows[too_small].tolist()]
    if small:
        notes.append(
            f"{counted(len(small), 'box', 'has', 'have')} a side below min_box_px={crop.min_box_px}, and "
            f"{'is' if len(small) == 1 else 'are'} not accepted: {_listed(small)}."
        )
    paths = paths_of(where, boxes[rows], crop.box_margin, crop.box_shape)
    return Boxes(rows, paths, too_small, list(filter(None, notes)))


def check_boxes(field: str, ids: Sequence[str], shapes: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes as an array [M, 4], and why each is of no use, "" where it is [M].

    Raises:
        ValueError: two labels have the same id, or the boxes are in pixels
    """
    check_distinct(field, ids)
    boxes = as_array(shapes)
    check_fractions(field, boxes)
    return boxes, _reasons(boxes)


def check_distinct(field: str, ids: Sequence[str]) -> None:
    """Raises ValueError where two labels have the same id, as copies of a label have."""
    if len(set(ids)) < len(ids):
        label, count = Counter(ids).most_common(1)[0]
        raise InvalidInput(
            f"{count} labels of {field!r} have the id {label}: none could be told from another. Give copies an id of "
            "their own: detection.id = bson.ObjectId(), then sample.save()"
        )


def as_array(shapes: Sequence[Any]) -> np.ndarray:
    """Left, top, width and height of each shape, NaN where it has none [M, 4]."""
    try:
        array = np.array(shapes, dtype=np.float64)
        if array.shape == (len(shapes), 4):
            return array
    except (TypeError, ValueError):  # None, texts, several lengths or points
        pass
    return np.array([_box(shape) for shape in shapes], dtype=np.float64).reshape(-1, 4)


def _box(shape: Any) -> tuple[float, ...]:
    """A bounding box, or that of the points of a polyline; NaN where it is neither."""
    try:
        if len(shape) == 4 and not any(isinstance(value, (list, tuple)) for value in shape):
            return tuple(map(float, shape))
        points = np.array([point for line in shape for point in line], dtype=np.float64)
        low, high = points.min(axis=0), points.max(axis=0)
        return (*low.tolist(), *(high - low).tolist()) if points.shape[1:] == (2,) else (np.nan,) * 4
    except (TypeError, ValueError):
        return (np.nan,) * 4


def usable_boxes(boxes: np.ndarray) -> np.ndarray:
    """Indices of the boxes that can be cropped [n]."""
    return np.flatnonzero(_reasons(boxes) == "")


def _reasons(boxes: np.ndarray) -> np.ndarray:
    """Why each box cannot be cropped, "" where it can [M]."""
    left, top, width, height = boxes.T
    with np.errstate(invalid="ignore"):
        is_outside = (left >= 1) | (top >= 1) | (left + width <= 0) | (top + height <= 0)
        conditions = [~np.isfinite(boxes).all(axis=1), (width <= 0) | (height <= 0), is_outside]
    return np.select(conditions, [NO_NUMBERS, NO_AREA, OUTSIDE], "")


def check_fractions(field: str, boxes: np.ndarray) -> None:
    """Raises ValueError where most boxes have coordinates in pixels."""
    usable = boxes[np.isfinite(boxes).all(axis=1)]
    far = (usable[:, :2] + usable[:, 2:]).max(axis=1, initial=0) > PIXELS
    if len(usable) and far.mean() > 0.5:
        raise InvalidInput(
            f"the boxes of {field!r} are in pixels, as {usable[far][0].tolist()} is: FiftyOne's are [left, top, width, "
            "height] as fractions of the image. Divide them by its width and height"
        )


def image_sizes(files: Sequence[str], sizes: Sequence[Any]) -> dict[str, tuple[float, float]]:
    """Width and height of each image, from its header where it is not known; NaN where it cannot be read."""
    from ...models.images.image_size import upright_size
    from ...models.images.reader import in_order, thread_count

    by_file = dict(zip(files, sizes, strict=True))
    known = {file: tuple(size) for file, size in by_file.items() if all(size)}
    unknown = [file for file in by_file if file not in known]
    threads = thread_count(ImageSettings())
    read = in_order(upright_size, unknown, threads, ahead=64 * threads)
    known.update({file: size or (np.nan, np.nan) for file, size in zip(unknown, read, strict=True)})
    return known


def _note(field: str, reason: str, ids: Sequence[str]) -> str:
    """A sentence on boxes that are left out for a reason; "" where there is none."""
    if not reason:
        return ""
    return f"{counted(len(ids), 'box', 'is', 'are')} left out, {reason} in {field!r}: {_listed(ids)}."


def _listed(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - MAX_LISTED:,} more" if ids[MAX_LISTED:] else ""
    return ", ".join(ids[:MAX_LISTED]) + more
