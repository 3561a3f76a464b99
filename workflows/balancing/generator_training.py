"""Training of a generator, once a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...models.files import aside
from ...models.images.reader import Images
from ...models.settings import GeneratorSettings, ImageSettings, SamplingSettings
from ..data.internals import dataset_id
from ..data.labels import Labels
from ..display.image_grid import COLUMNS, MAX_ROWS, image_grid, save
from ..runs import launch
from ..runs.run import Run
from ..training.image_survey import ImageStats
from ..training.partition import Split
from .generator import FOLDER, NOTE, Generator, draw_images, find_generator
from .generator_split import file_digests

if TYPE_CHECKING:
    from ...models.diffusion.training import Pipeline

SHAPING = ("fit", "grayscale", "denoise", "denoise_strength", "autocontrast")  # image settings that shape the pixels


def train_once(
    run: Run,
    labels: Labels,
    stats: ImageStats,
    split_ids: np.ndarray,
    image_settings: ImageSettings,
    settings: GeneratorSettings,
) -> Generator:
    """Trains on the Split.TRAIN part, and keeps the generator in the run's folder; a resumed run reads it there."""
    from ...models.diffusion import training

    folder, rows = run.folder / FOLDER, np.flatnonzero(split_ids == Split.TRAIN)
    if not (folder / NOTE).exists():
        images = Images(labels.paths[rows].tolist(), image_settings, stats.size_px, stats.channels)
        # kept, as a resumed run may have other cores, and would choose another shape
        shape = run.remember("shape", lambda: training.architecture_settings(stats.size_px, settings))
        settings = replace(settings, **shape, flips=stats.flips(settings.flips))
        pipeline = training.build(labels.names, stats.channels, stats.size_px, settings)
        note = _note(run, labels, stats, split_ids, image_settings)
        class_ids = labels.class_ids[rows]
        watch: dict[str, Any] = dict(pictures=run.folder, check=run.check_stop)
        source = labels.names, images.paths, image_settings, stats.size_px, stats.channels
        try:
            with (
                launch.lead(_train_along, *source, class_ids, settings),
                closing(
                    training.train(pipeline, images.__getitem__, class_ids, settings, run.folder, **watch)
                ) as steps,
            ):
                for _ in run.watch(steps, "training the generator"):
                    pass
        except FloatingPointError as error:
            if not run.curves:  # diverged at the first update
                raise
            _save(pipeline, folder, dict(note, warning=f"The training of {run.key} diverged: {error}."))
            kept = f"the generator of the updates before is in {folder}, and generator={run.key!r} draws with it"
            raise FloatingPointError(f"{error}; {kept}") from error
        _draw_final_grid(run, pipeline, labels.names, settings.precision)
        _save(pipeline, folder, note)
    (run.folder / training.STATE).unlink(missing_ok=True)  # four times the generator's size, and not needed again
    return find_generator(run.dataset, str(folder), labels.names, source=run.key)


def _train_along(
    names: list[str],
    paths: Sequence[str],
    image_settings: ImageSettings,
    size_px: int,
    channels: int,
    class_ids: np.ndarray,
    settings: GeneratorSettings,
) -> None:
    """Trains in step with the first process, which owns the run; it gives the initial weights.

    Raises:
        ValueError: an image cannot be read from this process
    """
    from ...models.diffusion import training

    pipeline = training.build(names, channels, size_px, settings)
    images = Images(paths, image_settings, size_px, channels)
    for _ in training.train(pipeline, images.__getitem__, class_ids, settings, Path()):
        pass


def _note(
    run: Run, labels: Labels, stats: ImageStats, split_ids: np.ndarray, image_settings: ImageSettings
) -> dict[str, Any]:
    """The generator's classes and size, and the images that it sees and does not see."""
    trains = split_ids == Split.TRAIN
    return dict(
        names=labels.names,
        size_px=stats.size_px,
        channels=stats.channels,
        dataset=str(dataset_id(run.dataset)),
        held_out=labels.ids[split_ids == Split.HELD_OUT].tolist(),
        saw=file_digests(run, labels.paths, trains)[trains].tolist(),
        images={name: getattr(image_settings, name) for name in SHAPING},
    )


def _save(pipeline: Pipeline, folder: Path, note: dict[str, Any]) -> None:
    from ...models.diffusion import training

    with aside(folder) as part:
        training.save(pipeline, part)
        (part / NOTE).write_text(json.dumps(note))


def _draw_final_grid(run: Run, pipeline: Pipeline, names: list[str], precision: str) -> None:
    """Draws images of the trained generator, a row a class."""
    run.report("drawing samples", 0, 1)
    shown = names[:MAX_ROWS]
    labels = np.repeat(np.arange(len(shown)), COLUMNS)
    images = draw_images(pipeline, labels, SamplingSettings(precision=precision), np.arange(len(labels)))
    save(run.folder / "samples_final.png", image_grid(dict(zip(shown, np.split(images, len(shown)), strict=True))))
