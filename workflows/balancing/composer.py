"""Chooses images and objects to paste into them: few boxes of full classes, free places, plausible sizes."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...models.settings import PasteSettings
from ..data.scenes import Scenes
from .canvas import Canvas, Files, Pasted

if TYPE_CHECKING:
    from ...models.images.cutout import Cutout
    from ...models.images.places import Places
    from ..data.pasted_boxes import Document

MAX_SOURCES = 5  # objects of a class that are tried in an image
MAX_COMPARED = 8  # free places whose surroundings are compared with the object's own
MIN_GAP = 0.05  # between an object and others, as a fraction of its shorter side
MIRRORS = (("horizontal", "both"), ("vertical", "both"))  # values of flips that mirror along each axis


class Candidate(NamedTuple):
    """An object, and free places for it."""

    row: int  # of its box
    cutout: Cutout
    source: Document
    places: Places
    mirrors: tuple[bool, bool]  # horizontally, vertically


class Composition(NamedTuple):
    """A new image."""

    scene: int  # index of its host
    canvas: Canvas
    passed: list[int]  # hosts that had no free place


@dataclass
class Composer:
    """Composes new images. Image number i depends on the seed, on i, and on the images before it.

    Args:
        class_ids: of each box of the scenes, -1 for other classes and unlabelled boxes [B]
        seed: with the number, fixes an image
        flips: "none", "horizontal", "vertical" or "both"
    """

    files: Files
    names: list[str]  # of classes [K]
    class_ids: np.ndarray
    settings: PasteSettings
    seed: int
    flips: str
    uses: np.ndarray = field(init=False)  # of each image as host, and attempts that found no place [S]

    def __post_init__(self) -> None:
        self.uses = np.zeros(len(self.scenes.ids), dtype=int)

    @property
    def scenes(self) -> Scenes:
        return self.files.scenes

    @cached_property
    def counts(self) -> np.ndarray:
        """Boxes of each class in each image [S, K]."""
        counts = np.zeros((len(self.scenes.ids), len(self.names)), dtype=int)
        known = self.class_ids >= 0
        np.add.at(counts, (self.scenes.box_scenes[known], self.class_ids[known]), 1)
        return counts

    @cached_property
    def others(self) -> np.ndarray:
        """Boxes of no class in each image [S]."""
        return np.bincount(self.scenes.box_scenes[self.class_ids < 0], minlength=len(self.scenes.ids))

    @cached_property
    def unusable(self) -> dict[str, np.ndarray]:
        """Why a box is not cut out: the first reason that applies, by which its rows are listed [B]."""
        from ...models.images import places
        from ...models.quality import box_geometry

        scenes, boxes = self.scenes, self.scenes.boxes
        has_area = box_geometry.has_area(boxes)
        with np.errstate(invalid="ignore"):
            sides_px = (boxes[:, 2:] * scenes.sizes_px[scenes.box_scenes]).min(axis=1, initial=np.inf)
            reasons = {
                "without an area": ~has_area,
                "in images that cannot be read": np.isnan(sides_px),
                f"smaller than min_paste_px={self.settings.min_paste_px}": sides_px < self.settings.min_paste_px,
                "cut off at the border of the image": ~places.is_whole(boxes),
            }
        rows = np.flatnonzero(has_area)
        covered = np.zeros(len(boxes))
        covered[rows] = places.covered(boxes[rows], scenes.box_scenes[rows])
        return {**reasons, "covered by other boxes": (covered > places.MAX_COVERED) & ~scenes.has_mask}

    @cached_property
    def sources(self) -> dict[int, np.ndarray]:
        """Rows of the boxes that can be cut out, by class."""
        usable = (self.class_ids >= 0) & ~np.any(list(self.unusable.values()), axis=0)
        return {i: np.flatnonzero(usable & (self.class_ids == i)) for i in range(len(self.names))}

    def why_none(self, class_id: int) -> str:
        """Counts of a class's boxes that cannot be cut out, by reason."""
        left, words = self.class_ids == class_id, []
        for reason, unusable in self.unusable.items():
            if count := int((left & unusable).sum()):
                words.append(f"{count:,} {reason}")
            left = left & ~unusable
        return ", ".join(words)

    def compose(self, number: int, missing: np.ndarray) -> Composition | None:
        """An image with pasted objects; None where no image has a free place.

        Args:
            missing: boxes that each class still lacks [K]
        """
        rng = np.random.default_rng([self.seed, number])
        passed: list[int] = []
        for scene in self._hosts(rng, missing):
            self.files.run.check_stop()
            self.uses[scene] += 1
            canvas = self._fill(scene, missing - self.counts[scene], rng)
            if canvas is not None:
                return Composition(scene, canvas, passed)
            passed.append(scene)
        return None

    def _hosts(self, rng: np.random.Generator, missing: np.ndarray) -> list[int]:
        """Images to paste into, those with the fewest boxes of full classes the most often."""
        unwanted = self.counts @ (missing <= 0) + self.others
        rank = (self.uses + 1) * (unwanted + 1)
        order = np.lexsort((rng.random(len(rank)), rank))
        usable = self.scenes.is_annotated & np.isfinite(self.scenes.sizes_px).all(axis=1)
        return [scene for scene in order.tolist() if usable[scene]]

    def _fill(self, scene: int, missing: np.ndarray, rng: np.random.Generator) -> Canvas | None:
        """Pastes objects into an image until it has no place or no need for more; None where it gets none."""
        wanted = np.array([max(left, 0) if len(self.sources[i]) else 0 for i, left in enumerate(missing.tolist())])
        canvas, taken = None, self.scenes.taken_in(scene)
        for _ in range(self.settings.objects_per_image):
            classes = np.flatnonzero(wanted)
            weights = rng.random(len(classes)) ** (1 / wanted[classes])  # drawn by need (Efraimidis and Spirakis, 2006)
            order = classes[np.argsort(-weights)].tolist()
            candidate = next((candidate for i in order if (candidate := self._find(scene, i, taken, rng))), None)
            canvas = canvas or (self.files.host(scene) if candidate else None)
            if candidate is None or canvas is None:
                break
            canvas.objects.append(self._paste(canvas, candidate))
            wanted[self.class_ids[candidate.row]] -= 1
            taken = np.concatenate([taken, canvas.objects[-1].box[None]])
        return canvas

    def _find(self, scene: int, class_id: int, taken: np.ndarray, rng: np.random.Generator) -> Candidate | None:
        """An object of a class from another image, and free places for it; None where there are none."""
        from ...models.images import places

        of_class = self.sources[class_id]
        rows = of_class[self.scenes.box_scenes[of_class] != scene]
        for row in rng.choice(rows, min(MAX_SOURCES, len(rows)), replace=False).tolist():
            image_px = self.scenes.sizes_px[scene]
            object_px = self.scenes.boxes[row, 2:] * self.scenes.sizes_px[self.scenes.box_scenes[row]]
            drawn = places.draw(rng, self.scenes.boxes[rows], object_px, image_px, self.settings.max_resize)
            open_places = places.free(drawn, taken, max(self.settings.feather, MIN_GAP), image_px)
            is_mirrored, is_flipped = rng.random(2) < [0.5 * (self.flips in kinds) for kinds in MIRRORS]
            if len(open_places.boxes) and (cut := self.files.cut(row)):  # after all draws: a resumed run repeats them
                return Candidate(row, *cut, open_places, (bool(is_mirrored), bool(is_flipped)))
        return None

    def _paste(self, canvas: Canvas, candidate: Candidate) -> Pasted:
        """Pastes an object at the free place whose surroundings are most like its own."""
        from ...models.images import cutout

        size = np.array(canvas.original.image.size)
        best: tuple[float, Cutout, tuple[int, int]] | None = None
        for box, scale in zip(candidate.places.boxes[:MAX_COMPARED], candidate.places.scales, strict=False):
            version = cutout.change(candidate.cutout, float(scale), *candidate.mirrors)
            left, top = (box[:2] * size - version.box[:2]).round().astype(int).tolist()
            difference = cutout.mismatch(canvas.pixels, version, (left, top))
            if best is None or difference < best[0]:
                best = (difference, version, (left, top))
        assert best is not None  # there is a free place
        _, version, corner = best
        cutout.paste(canvas.pixels, version, corner, self.settings.match_colours)
        px = np.array([corner[0] + version.box[0], corner[1] + version.box[1], *version.box[2:]])
        mask = cutout.mask_of(version) if self.scenes.has_mask[candidate.row] else None
        return Pasted(candidate.row, candidate.source, px / np.tile(size, 2), mask)
