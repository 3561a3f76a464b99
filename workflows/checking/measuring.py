"""Measurements of the images, in blocks: a resumed run looks at none twice."""

from __future__ import annotations

from functools import partial

import numpy as np

from ...models.errors import ImageError
from ...models.images.measure import Measurements, measure
from ...models.settings import CheckSettings
from ..data.labels import Labels
from ..display.tables import counted
from ..runs.cached_arrays import Arrays
from ..runs.run import Run

BLOCK_IMAGES = 512


def measure_images(run: Run, labels: Labels, settings: CheckSettings) -> Measurements:
    """Looks at every image once.

    Raises:
        ImageError: none can be read
    """
    blocks = []
    for first in range(0, len(labels.ids), BLOCK_IMAGES):
        rows = slice(first, first + BLOCK_IMAGES)
        compute = partial(_measure, run, labels.paths, rows, settings)
        blocks.append(run.cached_arrays(f"measured {first}", compute, labels.ids[rows], Measurements._fields))
    columns = (np.concatenate([block[name] for block in blocks]) for name in Measurements._fields)
    images = Measurements(*columns)
    if not images.is_readable.any():
        count = counted(len(labels.ids), "image")
        raise ImageError(f"none of the {count} can be read, the first because {images.reasons[0]}")
    return images


def _measure(run: Run, paths: np.ndarray, rows: slice, settings: CheckSettings) -> Arrays:
    def report(done: int) -> None:
        run.report("looking at images", rows.start + done, len(paths))

    return measure(paths[rows].tolist(), settings, report)._asdict()
