"""Images of items: the files of samples, and crops of boxes, which are made when they are shown."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...models.errors import ImageError
from ...models.images.region import Region, parse
from ...models.settings import BoxSettings, ImageSettings
from ..data import items
from ..data.boxes import as_array

SHARPNESS = 2  # pixels of a crop for each one of the screen
QUALITY = 85  # of a JPEG
LINE_COLOUR, SUGGESTED_COLOUR, LINE_PX = "#ff6d04", "#00a3ff", 3  # of a box in its image, and of its right place


def values(samples: Any, label_field: str, paths: Sequence[str], field: str | None = None) -> list[list[Any]]:
    """As `items.values`; the "filepath" of a box names its region of the file (models/images/region.py).

    Args:
        field: that a run wrote: with the boxes that the label field lacks
    """
    if not items.has_boxes(samples, label_field):
        return items.values(samples, paths)
    shape = items.shape_of(samples, label_field)
    fields = [label_field, field] if field else [label_field]
    read = items.values(samples, [*paths, *(f"{name}.{shape}" for name in fields)])
    columns, own = read[: len(paths)], read[len(paths) :]
    shapes = [next((value for value in values if value is not None), None) for values in zip(*own, strict=True)]
    place, config = list(paths).index("filepath"), BoxSettings()
    boxes = zip(columns[place], as_array(shapes).tolist(), strict=True)
    columns[place] = [
        str(Region(file, (left, top, wide, high), config.box_margin, config.box_shape)) if wide > 0 < high else file
        for file, (left, top, wide, high) in boxes
    ]
    return columns


def describe(dataset: Any, label_field: str, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Id, path and label of these items, in their order, without those that were deleted; with tags, of samples."""
    if items.has_tags(dataset, label_field):
        tags = items.leaf(dataset, f"{label_field}.label")
        read = dataset.select(list(ids), ordered=True).values(["id", "filepath", tags])
        return [
            dict(id=i, path=path, label=", ".join(filter(None, own or ())) or "no tag")
            for i, path, own in zip(*read, strict=True)
        ]
    paths = ["id", "filepath", f"{label_field}.label"]
    rows = zip(*values(items.holding(dataset, label_field, ids), label_field, paths), strict=True) if ids else ()
    found = {i: dict(id=i, path=path, label=label) for i, path, label in rows}
    return [found[i] for i in ids if i in found]


def crop_url(path: str, side_px: int) -> str:
    """The crop that a path names, as a data URL; "" where the image cannot be read."""
    return _url(path, side_px, True, _written(path))


def whole_url(path: str, side_px: int, suggested: Sequence[float] | None = None) -> str:
    """The image of a path, with the box that it names drawn, as a data URL; "" where it cannot be read.

    Args:
        suggested: where the box should be, drawn in another colour
    """
    return _url(path, side_px, False, _written(path), tuple(suggested or ()))


def _written(path: str) -> int:
    """When the file was written, in nanoseconds; 0 where it is missing."""
    region = parse(path)
    file = Path(region.file if region else path)
    return file.stat().st_mtime_ns if file.exists() else 0


@lru_cache(maxsize=256)  # of some 30 KB: a page is drawn again at each event
def _url(path: str, side_px: int, is_crop: bool, written: int, suggested: tuple[float, ...] = ()) -> str:
    from PIL import Image

    from ...models.images.decode import decode  # late: it imports OpenCV

    region, largest_px = parse(path), SHARPNESS * side_px
    try:
        pixels = decode(path if is_crop or region is None else region.file, ImageSettings(), lambda *_: None, 3).pixels
    except ImageError:
        return ""
    image = Image.fromarray(pixels)
    if region is None or is_crop:
        image.thumbnail((largest_px, largest_px))
    else:
        scale = largest_px / max(image.size)
        image = image.resize([max(1, round(side * scale)) for side in image.size], Image.Resampling.LANCZOS)
        for box, colour in ((region.box, LINE_COLOUR), (suggested, SUGGESTED_COLOUR)):
            _draw(image, box, colour)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _draw(image: Any, box: Sequence[float], colour: str) -> None:
    """Draws the outline of a box, if there is one."""
    from PIL import ImageDraw

    if box:
        left, top, wide, high = box
        x, y = left * image.width, top * image.height
        corners = (x, y, x + wide * image.width, y + high * image.height)
        ImageDraw.Draw(image).rectangle(corners, outline=colour, width=LINE_PX * SHARPNESS)
