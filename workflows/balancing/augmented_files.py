"""Augmented images in the size and format of their originals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...models.errors import ImageError
from ...models.synthetic import Origin
from ..runs.run import Run
from .config import BalanceConfig
from .rejection_sampling import stem

if TYPE_CHECKING:
    from ...models.images.same_format import Original


class AugmentedFiles:
    """Writes augmented images of given classes, and records files that cannot be read.

    Args:
        paths, ids, labels: real images, the ids of their samples, and their classes [n]
        config: flips other than "auto"
    """

    def __init__(self, run: Run, paths: np.ndarray, ids: np.ndarray, labels: np.ndarray, config: BalanceConfig) -> None:
        self.run, self.config = run, config
        self.paths, self.ids, self.labels = paths, ids, labels
        self.errors: dict[str, str] = {}  # id of a sample: why its image cannot be read

    def readable_classes(self, classes: np.ndarray) -> list[int]:
        """Those of the classes that have an image that can be read."""
        return [
            i for i in classes.tolist() if any(self._read(row) for row in np.flatnonzero(self.labels == i).tolist())
        ]

    def write(self, number: int, class_id: int) -> tuple[Path, dict[str, Any]]:
        """Augments a random image of the class; seed and number fix the result. Returns the file and its origin.

        Raises:
            ImageError: no image of the class can be read
        """
        from ...models.images import same_format
        from ...models.images.augment import augment

        seed, rows = self.config.balance.seed, np.flatnonzero(self.labels == class_id)
        for row in np.random.default_rng([seed, number]).permutation(rows).tolist():
            if original := self._read(row):
                image = same_format.change(
                    original, lambda pixels: augment(pixels, self.config.augment, (seed, number))
                )
                origin = dict(source=str(Origin.AUGMENT), seed=seed, nearest_real_id=str(self.ids[row]))
                notes = dict(run=self.run.key, number=number, **origin)
                return same_format.write(image, original, stem(self.run, number), notes), origin
        raise ImageError(f"none of the {len(rows)} images of a class can be read any more: restore them")

    def _read(self, row: int) -> Original | None:
        from ...models.images import same_format

        sample_id = str(self.ids[row])
        if sample_id in self.errors:
            return None
        try:
            return same_format.read(str(self.paths[row]), self.config.images)
        except ImageError as error:
            self.errors[sample_id] = str(error)
            return None
