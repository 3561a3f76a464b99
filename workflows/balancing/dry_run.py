"""Dry run of a balance: the plan, an estimate of the time, and a preview; nothing is written."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...models.images.reader import Images
from ...models.images.region import file_of
from ...models.settings import ImageSettings
from ..data.labels import Labels
from ..display.image_grid import COLUMNS, image_grid
from ..training import duration
from ..training.stage_costs import Facts
from .config import BalanceConfig
from .generator import Generator, draw_images, load_pipeline
from .generator_split import MAX_AUTO_PX
from .inputs import Prepared
from .measurement import describe
from .plan import Plan
from .results import DryRun
from .starting_point import is_pretrained
from .untuned_preview import draw_untuned

MAX_CLASSES = 12  # of the preview
DRAWS = 1.5  # images drawn for one that is added
UPDATE_COST = 6  # steps of a drawn image that take as long as an update: thrice four passes, where a step takes two


def preview(dataset: Any, prepared: Prepared) -> DryRun:
    """Draws a few images by a generator or an untuned base; else shows the real ones that would train a generator."""
    labels, plan, generator, config = prepared.labels, prepared.plan, prepared.generator, prepared.config
    shown = np.flatnonzero(plan.add)[:MAX_CLASSES]
    rows, notes = None, list(plan.notes)
    notes += [describe(config, int(plan.real.max(initial=0)))] if len(shown) else []
    if len(shown) and generator is not None and not generator.base and config.generates:
        pipeline = load_pipeline(generator, config.generator.device)
        class_ids = np.repeat([generator.names.index(labels.names[i]) for i in shown], COLUMNS)
        images = draw_images(pipeline, class_ids, config.sampling, np.arange(len(class_ids)))
        rows = {labels.names[i]: part for i, part in zip(shown, np.split(images, len(shown)), strict=True)}
    elif len(shown) and config.tunes and is_pretrained(dataset, config.tuning):
        untuned = draw_untuned(labels, shown.tolist(), config)
        minutes = _tuning_minutes(plan, untuned.seconds, config)
        return DryRun(plan.rows, minutes, np.asarray(image_grid(untuned.rows)), [*notes, untuned.sentence], plan.noun)
    elif len(shown):
        rows = _real_images(labels, shown, config.images)
        notes.append(
            "results.preview shows real images, from which the new ones would be made."
            if rows
            else "There is no preview: none of the first images of these classes can be read."
        )
    grid = np.asarray(image_grid(rows)) if rows else None
    return DryRun(plan.rows, _minutes(labels, plan, generator, config), grid, notes, plan.noun)


def _tuning_minutes(plan: Plan, seconds: float, config: BalanceConfig) -> float:
    """An estimate for a pretrained base: its training, and images at the speed that was measured.

    Args:
        seconds: of an image
    """
    updates = config.generator
    of_updates = (updates.max_updates or 0) * seconds * UPDATE_COST / max(config.drawing.pretrained_steps, 1)
    minutes = [value for value in (updates.minutes, of_updates / 60 if updates.max_updates else None) if value]
    return min(minutes) + DRAWS * int(plan.add.sum()) * seconds / 60


def _minutes(labels: Labels, plan: Plan, generator: Generator | None, config: BalanceConfig) -> float:
    """An estimate; 0 if nothing is missing."""
    if not plan.add.any():
        return 0.0
    values = {name: value for part in config.parts for name, value in vars(part).items()}
    size_px = generator.size_px if generator else values["size_px"]
    files = list(map(file_of, labels.paths[: duration.SAMPLED_FILES].tolist()))
    side_px, megapixels = duration.file_sizes(files)
    facts = Facts(len(labels.ids), tuple(plan.real.tolist()), side_px, megapixels)
    work = {**values, "size_px": size_px, "generator": generator, "added": int(plan.add.sum())}
    return duration.estimate_of("balance_classes", facts, work).seconds / 60


def _real_images(labels: Labels, class_ids: np.ndarray, settings: ImageSettings) -> dict[str, np.ndarray]:
    """The first readable images of each class."""
    size = settings.size_px or MAX_AUTO_PX
    rows = {}
    for i in class_ids.tolist():
        paths = labels.paths[labels.class_ids == i][:COLUMNS].tolist()
        blocks = [block for _, block in Images(paths, settings, size, 3).batches(COLUMNS)]
        if blocks:
            rows[labels.names[i]] = np.concatenate(blocks)
    return rows
