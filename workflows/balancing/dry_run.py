"""What a balance would do, before anything is written: the plan, how long it would take, and examples."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...models.images.reader import Images
from ..data.labels import Labels
from ..display.image_grid import COLUMNS, image_grid
from ..training import duration
from . import generator
from .generator import Generator
from .plan import Plan
from .results import DryRun

MOST_CLASSES = 12  # of the preview


def preview(known: Labels, plan: Plan, ready: Generator | None, settings: tuple[Any, ...]) -> DryRun:
    """Draws a few images where there is a generator, else shows the real ones that would be learned from."""
    choices, image_settings, generator_settings, sampling = settings[:4]
    shown = np.flatnonzero(plan.add)[:MOST_CLASSES]
    grid, notes = None, list(plan.notes)
    if len(shown) and ready is not None and choices.source == "generate":
        pipeline = generator.load(ready, generator_settings.device)
        labels = np.repeat([ready.names.index(known.names[i]) for i in shown], COLUMNS)
        images = generator.draw(pipeline, labels, sampling, np.arange(len(labels)))
        grid = {known.names[i]: part for i, part in zip(shown, np.split(images, len(shown)), strict=True)}
    elif len(shown):
        grid = _real(known, shown, image_settings)
        notes.append(
            "results.preview shows real images, of which the new ones would be made."
            if grid
            else "There is no preview: none of the first images of these classes can be read."
        )
    picture = np.asarray(image_grid(grid)) if grid else None
    return DryRun(plan.rows, _minutes(known, plan, ready, settings), picture, notes)


def _minutes(labels: Labels, plan: Plan, ready: Generator | None, settings: tuple[Any, ...]) -> float:
    """About how long it would take; nothing where nothing is missing."""
    if not plan.add.any():
        return 0.0
    values = {name: value for part in settings for name, value in vars(part).items()}
    size_px = ready.size_px if ready else values["size_px"]
    size_px = size_px or min(duration.side(labels.paths.tolist()), generator.USUAL_PX)
    given = {**values, "generator": ready, "made": int(plan.add.sum())}
    return (
        duration.seconds("balance_classes", len(labels.ids), len(labels.labelled_indices), size_px, given) or 0.0
    ) / 60


def _real(labels: Labels, shown: np.ndarray, settings: Any) -> dict[str, np.ndarray]:
    """The first readable images of each class."""
    size = settings.size_px or generator.USUAL_PX
    rows = {}
    for i in shown.tolist():
        paths = labels.paths[labels.class_ids == i][:COLUMNS].tolist()
        found = [block for _, block in Images(paths, settings, size, 3).batches(COLUMNS)]
        if found:
            rows[labels.names[i]] = np.concatenate(found)
    return rows
