"""Images that objects are pasted into, and the objects' sources: read as they are now, and written as new files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...models.errors import ImageError
from ...models.settings import ImageSettings
from ..data import pasted_boxes, scenes
from ..data.boxes import as_array
from ..data.pasted_boxes import Document, Origins
from ..data.scenes import Scenes
from ..runs.run import Run
from .rejection_sampling import stem

if TYPE_CHECKING:
    from ...models.images.cutout import Cutout
    from ...models.images.same_format import Original

CHANGED = "its image or its boxes were changed or deleted since the run began"
NO_FIT = "its mask does not fit its box"
MAX_OUTLINES = 500  # of sources, kept in memory: at most 64 kB each


class Pasted(NamedTuple):
    """An object in its new image."""

    row: int  # of its source among the boxes
    source: Document
    box: np.ndarray  # left, top, width and height, as fractions [4]
    mask: np.ndarray | None  # in this box, where its source has one [h, w]


@dataclass
class Canvas:
    """An image that objects are pasted into."""

    original: Original
    pixels: np.ndarray  # RGB, 0 to 255 [H, W, 3]
    boxes: list[Document]  # of the label field
    objects: list[Pasted] = field(default_factory=list)


@dataclass
class Files:
    """Reads images and boxes of scenes, and writes new images.

    Args:
        errors: id of a sample or box: why it cannot be used; filled in, and never read, since a resumed run meets
            others
    """

    run: Run
    scenes: Scenes
    label_field: str
    settings: ImageSettings  # limits on files
    feather: float
    errors: dict[str, str] = field(default_factory=dict)
    outlines: dict[int, np.ndarray | None] = field(default_factory=dict)  # by row of the source
    bad_hosts: set[int] = field(default_factory=set)
    bad_rows: set[int] = field(default_factory=set)  # boxes that cannot be cut out

    def host(self, scene: int) -> Canvas | None:
        """The image of a scene, to paste into; None where it cannot be used."""
        from ...models.images import same_format

        if scene in self.bad_hosts:
            return None
        boxes = self._boxes(scene)
        try:
            if boxes is None:
                raise ImageError(CHANGED)
            original = same_format.read(str(self.scenes.paths[scene]), self.settings)
            if original.image.mode.startswith("I") or original.image.mode == "F":
                raise ImageError(f"{self.scenes.paths[scene]} has more than 8 bits a channel, and objects have 8")
            if original.image.size != tuple(self.scenes.sizes_px[scene].astype(int)):
                raise ImageError(CHANGED)
        except ImageError as error:
            self.bad_hosts.add(scene)
            self.errors[str(self.scenes.ids[scene])] = str(error)
            return None
        has_alpha = original.image.mode in ("LA", "PA", "RGBA") or "transparency" in original.image.info
        image = original.image.convert("RGBA").convert("RGB") if has_alpha else original.image.convert("RGB")
        return Canvas(original, np.asarray(image, dtype=np.float32).copy(), boxes)

    def cut(self, row: int) -> tuple[Cutout, Document] | None:
        """The object of a box, and the box; None where they cannot be used."""
        from ...models.images import cutout

        if row in self.bad_rows:
            return None
        scene, box_id = int(self.scenes.box_scenes[row]), str(self.scenes.box_ids[row])
        try:
            boxes = self._boxes(scene)
            if boxes is None:
                raise ImageError(CHANGED)
            image = self._pixels(scene)
        except ImageError as error:
            self.bad_rows.add(row)
            self.errors[str(self.scenes.ids[scene])] = str(error)
            return None
        source = next(box for box in boxes if str(box["_id"]) == box_id)
        left, top, width, height = (self.scenes.boxes[row] * np.tile(self.scenes.sizes_px[scene], 2)).tolist()
        own = (left, top, width, height)
        mask = self._mask(source) if self.scenes.has_mask[row] else self._outline(row, image, own)
        if self.scenes.has_mask[row] and (mask is None or not cutout.fits(mask, width, height)):
            self.bad_rows.add(row)
            self.errors[box_id] = NO_FIT
            return None
        return cutout.cut(image, own, mask, self.feather), source

    def _pixels(self, scene: int) -> np.ndarray:
        """The image of a source [H, W, 3].

        Raises:
            ImageError: it cannot be read, or has another size than when the run began
        """
        from ...models.images.decode import decode

        pixels = decode(str(self.scenes.paths[scene]), self.settings, lambda width, height: None, 3).pixels
        if pixels.shape[1::-1] != tuple(self.scenes.sizes_px[scene].astype(int)):
            raise ImageError(CHANGED)
        return pixels

    def _outline(self, row: int, image: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray | None:
        from ...models.images import cutout

        if len(self.outlines) > MAX_OUTLINES:
            self.outlines.clear()
        if row not in self.outlines:
            self.outlines[row] = cutout.outline(image, box)
        return self.outlines[row]

    def _mask(self, box: Document) -> np.ndarray | None:
        try:
            mask = scenes.mask_of(box)
        except (OSError, ValueError):  # its file is missing or damaged
            return None
        return None if mask is None else mask.astype(bool)

    def _boxes(self, scene: int) -> list[Document] | None:
        """The boxes of a scene's label field; None where they are no longer those that the run read."""
        boxes = scenes.boxes_of(self.run.dataset, self.label_field, str(self.scenes.ids[scene]))
        rows = self.scenes.rows_of(scene)
        if boxes is None or [str(box["_id"]) for box in boxes] != self.scenes.box_ids[rows].tolist():
            return None
        now = as_array([box.get("bounding_box") for box in boxes])
        labels = [box.get("label") or "" for box in boxes]
        is_same = np.array_equal(now, self.scenes.boxes[rows], equal_nan=True)
        return boxes if is_same and labels == self.scenes.labels[rows].tolist() else None

    def write(self, canvas: Canvas, scene: int, number: int, notes: dict[str, Any]) -> tuple[str, str]:
        """Writes the new image in the format of the old one, and its boxes; returns both paths."""
        from ...models.images import same_format

        origins = Origins(self.run.key, str(self.scenes.ids[scene]))
        documents = [pasted_boxes.copied(box, origins) for box in canvas.boxes]
        documents += [self._document(pasted, origins) for pasted in canvas.objects]
        boxes_file = self.run.folder / "boxes" / f"{number:06d}.json"
        pasted_boxes.save(boxes_file, documents)
        image = same_format.change(canvas.original, lambda image: _with_pixels(image, canvas.pixels))
        return str(same_format.write(image, canvas.original, stem(self.run, number), notes)), str(boxes_file)

    def _document(self, pasted: Pasted, origins: Origins) -> Document:
        sample_id = str(self.scenes.ids[self.scenes.box_scenes[pasted.row]])
        return pasted_boxes.pasted(pasted.source, sample_id, pasted.box.tolist(), pasted.mask, origins)


def _with_pixels(image: Any, pixels: np.ndarray) -> Any:
    """The image, of mode L, LA, RGB or RGBA, with other colours [H, W, 3]; its alpha channel stays."""
    from PIL import Image

    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    colours = Image.fromarray(pixels.round().astype(np.uint8)).convert(image.mode.removesuffix("A"))
    if alpha:
        colours.putalpha(alpha)
    return colours
