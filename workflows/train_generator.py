"""Trains a class-conditional diffusion model on the labelled images."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..models.settings import GeneratorSettings, ImageSettings, TrainGeneratorSettings, split
from .balancing import generator as generating
from .data.checks import check_images
from .data.labels import Labels, label_notes, read_labels, require_classes
from .display.tables import counted, left_out, table
from .runs import lifecycle
from .runs.arguments import Classes, Progress, Samples, public
from .runs.label_snapshot import freeze
from .runs.run import Run
from .training.partition import Split


@dataclass
class GeneratorResults:
    """What `train_generator` returns. `str` prints it as a table."""

    run_key: str
    names: list[str]
    folder: str  # of the pipeline, in diffusers' format
    size_px: int
    trained: int  # images
    held_out: int  # images that it never saw
    steps: int
    loss: float
    seconds: float
    pictures: list[str]  # grids of samples, a row a class, the last one of the trained generator
    rows: list[dict[str, Any]]  # a class: images that trained, and that were held out
    curves: list[dict[str, Any]]
    notes: list[str]
    skipped: dict[str, str] = field(default_factory=dict)  # sample id: why its image could not be used
    synthetic: int = 0  # samples left out because Evenset generated them
    views: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        title = f"{self.run_key}: a generator of {counted(len(self.names), 'class')}, {self.size_px} px"
        found = (
            f"{counted(self.steps, 'update')} in {self.seconds / 60:.1f} minutes on {counted(self.trained, 'image')}, "
            f"loss {self.loss:.3f}; {self.held_out:,} held out"
        )
        left = [*self.notes, *left_out(len(self.skipped), self.synthetic)]
        return "\n".join([title, found, "", table(self.rows), *left])


@public
def train_generator(
    samples: Samples,
    label_field: str,
    *,
    group_field: str | None = None,
    classes: Classes = None,
    progress: Progress = None,
    resume: str | None = None,
    **settings: Any,
) -> GeneratorResults:
    """Trains a generator of the labelled images, for `balance_classes`; undo with `delete_run`.

    It stops after `minutes` or `max_updates`. A part of the images is held out, and noted in the run, so that
    `balance_classes` can measure what the generated ones are worth. Nothing is written to the samples.

    Args:
        label_field: a field of `fo.Classification`; samples without a label are left out
        group_field: samples with the same value (patient, video, product) stay on one side, as do near-duplicates
        classes: names in order, or `{name: [synonyms]}`
        progress: None for a bar, False for silence, or a function of (phase, done, total, note)
        resume: key of a stopped run to go on with
        settings: fields of ImageSettings, GeneratorSettings and TrainGeneratorSettings; `size_px` is at most 128, and 0
            takes the median side, at most 64

    Raises:
        ValueError: a bad argument; nothing was written
        TypeError: `samples` is no dataset or view, or there is no such setting
        FloatingPointError: the training diverged; the last good state is kept in the run's folder
    """
    image_settings, generator_settings, choices = split(
        settings, ImageSettings, GeneratorSettings, TrainGeneratorSettings
    )
    generating.check(image_settings, choices, measured=False)
    check_images(samples)
    labels = read_labels(samples, label_field, classes=classes, group_field=group_field)
    if not resume:
        require_classes(labels, label_field, group_field)
    with lifecycle.start(
        samples,
        lifecycle.RunRequest(
            "train_generator",
            settings=(image_settings, generator_settings, choices),
            inputs=dict(label_field=label_field, group_field=group_field, classes=classes),
        ),
        progress=progress,
        resume=resume,
    ) as run:
        labels = freeze(run, labels)
        stats = generating.look_at_images(run, labels, image_settings)
        split_ids = generating.hold_out(run, labels, stats, choices)
        generator = generating.train(run, labels, stats, split_ids, image_settings, generator_settings)
        skipped = {str(labels.ids[i]): reason for i, reason in stats.errors.items()}
        return run.finish(_results(run, labels, split_ids, generator, skipped))


def _warnings(run: Run, generator: generating.Generator, last: dict[str, Any]) -> list[str]:
    """Sentences on a training that did not end as it should."""
    found, steps = [generator.warning] if generator.warning else [], run.record.settings["max_updates"]
    if not found and steps is not None and last["epoch"] < steps:
        found.append(
            f"The time was over after {last['epoch']:,} of {steps:,} updates, with large steps still: raise minutes, "
            "or set it to None, so that max_updates alone ends the training."
        )
    return found


def _results(
    run: Run, labels: Labels, split_ids: np.ndarray, generator: generating.Generator, skipped: dict[str, str]
) -> GeneratorResults:
    seen, held = (
        np.bincount(labels.class_ids[split_ids == part], minlength=len(labels.names))
        for part in (Split.TRAIN, Split.HELD_OUT)
    )
    last = run.curves[-1]
    return GeneratorResults(
        run_key=run.key,
        names=labels.names,
        folder=str(generator.folder),
        size_px=generator.size_px,
        trained=int(seen.sum()),
        held_out=int(held.sum()),
        steps=last["epoch"],
        loss=last["loss"],
        seconds=last.get("seconds", 0.0),
        pictures=sorted(str(path) for path in run.folder.glob("samples_*.png")),
        rows=[
            {"class": name, "trained": int(a), "held out": int(b)}
            for name, a, b in zip(labels.names, seen, held, strict=True)
        ],
        curves=run.curves,
        notes=[*label_notes(labels), *_warnings(run, generator, last)],
        skipped=skipped,
        synthetic=labels.synthetic_left_out,
    )
