"""What a balance would do, before anything is written: the plan, how long it would take, and what would come."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from ..models.images import Images
from . import generating
from .balance_plan import Plan
from .balance_results import DryRun
from .generating import Generator
from .pictures import COLUMNS, image_grid
from .samples import Labels

MOST_CLASSES = 12  # of the preview
IMAGES_A_SECOND = 60.0  # drawn and judged on two cores, until it is measured
PROBES = 6  # ways to train that are measured
PROBE_MINUTES = 0.5  # for each of them and each repetition, about


def preview(known: Labels, plan: Plan, ready: Generator | None, settings: tuple[Any, ...]) -> DryRun:
    """Draws a few images where there is a generator, else shows the real ones that would be learned from."""
    choices, image_settings, generator_settings, sampling = settings[:4]
    shown = np.flatnonzero(plan.add)[:MOST_CLASSES]
    grid, speed, notes = None, IMAGES_A_SECOND, list(plan.notes)
    if len(shown) and ready is not None and choices.source == "generate":
        pipeline = generating.load(ready, generator_settings.device)
        labels = np.repeat([ready.names.index(known.names[i]) for i in shown], COLUMNS)
        start = time.perf_counter()
        images = generating.draw(pipeline, labels, sampling, np.arange(len(labels)))
        speed = len(labels) / (time.perf_counter() - start)
        grid = {known.names[i]: part for i, part in zip(shown, np.split(images, len(shown)), strict=True)}
    elif len(shown):
        grid = _real(known, shown, image_settings)
        notes.append("The preview shows real images, of which the new ones would be made.")
    minutes = plan.add.sum() / speed / 60
    if plan.add.any():
        minutes += generator_settings.minutes if ready is None and choices.source == "generate" else 0
        minutes += PROBES * choices.probe_seeds * PROBE_MINUTES if choices.measure_benefit else 0
    picture = np.asarray(image_grid(grid)) if grid else None
    return DryRun(plan.rows, float(minutes), picture, notes)


def _real(known: Labels, shown: np.ndarray, settings: Any) -> dict[str, np.ndarray]:
    """The first readable images of each class."""
    size = settings.size_px or generating.USUAL_PX
    rows = {}
    for i in shown.tolist():
        paths = known.paths[known.classes == i][:COLUMNS].tolist()
        found = [block for _, block in Images(paths, settings, size, 3).batches(COLUMNS)]
        if found:
            rows[known.names[i]] = np.concatenate(found)
    return rows
