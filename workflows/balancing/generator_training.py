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
from .base_tuning import TrainingImages, tune
from .config import BalanceConfig, GeneratorConfig
from .generator import FOLDER, NOTE, Generator, draw_images, find_generator
from .generator_split import file_digests
from .starting_point import earlier_generator

if TYPE_CHECKING:
    from ...models.diffusion.training import Pipeline

SHAPING = ("fit", "grayscale", "denoise", "denoise_strength", "autocontrast")  # image settings that shape the pixels


def train_once(
    run: Run, labels: Labels, stats: ImageStats, split_ids: np.ndarray, config: GeneratorConfig | BalanceConfig
) -> Generator:
    """Trains on the Split.TRAIN part, and keeps the generator in the run's folder; a resumed run reads it there."""
    earlier = earlier_generator(run.dataset, config.tuning)
    if earlier:
        stats = stats._replace(size_px=earlier.size_px, channels=earlier.channels)
    rows, note = np.flatnonzero(split_ids == Split.TRAIN), _note(run, labels, stats, split_ids, config.images)
    if earlier:
        note |= dict(saw=sorted({*note["saw"], *earlier.saw}))
    images = TrainingImages(labels.names, labels.paths[rows], labels.class_ids[rows], stats, note)
    if earlier or config.tuning.is_scratch:
        _train_pixels(run, images, config, earlier)
    else:
        tune(run, images, config)
    return find_generator(run.dataset, str(run.folder / FOLDER), labels.names, source=run.key)


def _train_pixels(
    run: Run, source: TrainingImages, config: GeneratorConfig | BalanceConfig, earlier: Generator | None
) -> None:
    """Trains a small generator of pixels.

    Args:
        earlier: a generator to start from; None: random weights
    """
    from ...models.diffusion import training

    folder, stats = run.folder / FOLDER, source.stats
    if not (folder / NOTE).exists():
        images = Images(source.paths.tolist(), config.images, stats.size_px, stats.channels)
        settings = _shaped(run, config.generator, stats, earlier)
        pipeline = training.build(source.names, stats.channels, stats.size_px, settings)
        if earlier:
            training.start_from(pipeline, training.load(earlier.folder, "cpu"))
        along = source.names, images.paths, config.images, stats.size_px, stats.channels, source.class_ids, settings
        watch: dict[str, Any] = dict(pictures=run.folder, check=run.check_stop)
        try:
            with (
                launch.lead(_train_along, *along),
                closing(
                    training.train(pipeline, images.__getitem__, source.class_ids, settings, run.folder, **watch)
                ) as steps,
            ):
                for _ in run.watch(steps, "training the generator"):
                    pass
        except FloatingPointError as error:
            if not run.curves:  # diverged at the first update
                raise
            _save(pipeline, folder, dict(source.note, warning=f"The training of {run.key} diverged: {error}."))
            kept = f"the generator of the updates before is in {folder}, and generator={run.key!r} draws with it"
            raise FloatingPointError(f"{error}; {kept}") from error
        _draw_final_grid(run, pipeline, source.names, settings.precision)
        _save(pipeline, folder, source.note)
    (run.folder / training.STATE).unlink(missing_ok=True)  # four times the generator's size, and not needed again


def _shaped(run: Run, settings: GeneratorSettings, stats: ImageStats, earlier: Generator | None) -> GeneratorSettings:
    """The settings with flips and the network's shape: of an earlier generator, or by time and device.

    The shape is kept, as a resumed run may have other cores, and would choose another one.
    """
    from ...models.diffusion import training

    def shape() -> dict[str, int]:
        if earlier:
            return training.shape_of(training.load(earlier.folder, "cpu"))
        return training.architecture_settings(stats.size_px, settings)

    return replace(settings, **run.remember("shape", shape), flips=stats.flips(settings.flips))


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
