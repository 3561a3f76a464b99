"""Measurements of the images, in blocks: a resumed run looks at none twice."""

from __future__ import annotations

from functools import partial

import numpy as np

from ...models.errors import ImageError
from ...models.images.measure import COLUMNS, Measurements, measure
from ...models.settings import CheckSettings
from ..data.labels import Labels
from ..display.tables import counted
from ..runs.cached_arrays import Arrays
from ..runs.run import Run
from ..runs.run_files import ids_of_run

BLOCK_IMAGES = 512


def measure_images(run: Run, labels: Labels, settings: CheckSettings) -> Measurements:
    """Looks at every image once.

    Raises:
        ImageError: none can be read
    """
    place = {i: number for number, i in enumerate(ids_of_run(run.dataset, run.key))}  # also of samples deleted since
    numbers = np.array([place.get(i, len(place)) // BLOCK_IMAGES for i in labels.ids.tolist()])
    order = np.argsort(numbers, kind="stable")
    blocks: list[Arrays] = []
    for rows in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
        compute = partial(_measure, run, labels.paths[rows], sum(len(block["reasons"]) for block in blocks), settings)
        name = f"measured {numbers[rows[0]]}"
        blocks.append(run.cached_arrays(name, compute, labels.ids[rows], COLUMNS))
    back = np.argsort(order)
    columns = {name: np.concatenate([block[name] for block in blocks])[back] for name in COLUMNS}
    images = Measurements(**columns)
    if not images.is_readable.any():
        count = counted(len(labels.ids), "image")
        raise ImageError(f"none of the {count} can be read, the first because {images.reasons[0]}")
    return images


def _measure(run: Run, paths: np.ndarray, before: int, settings: CheckSettings) -> Arrays:
    def report(done: int) -> None:
        run.report("looking at images", before + done, run.record.samples)

    return measure(paths.tolist(), settings, report)._asdict()
