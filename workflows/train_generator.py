"""Trains a class-conditional diffusion model on the labelled images."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..models.devices import check_device
from .balancing.config import GeneratorConfig
from .balancing.generator import Generator
from .balancing.generator_split import check_settings, split_for, survey_at_drawable_size
from .balancing.generator_training import train_once
from .balancing.pasteable import refuse_boxes
from .balancing.starting_point import check_base, earlier_generator, prompts_of
from .data.checks import check_images
from .data.internals import root_dataset
from .data.labels import Labels, label_notes, read_labels, require_classes
from .display.charts import Chart, bars, training
from .display.results import Part, RunResults
from .display.tables import counted, left_out
from .runs.arguments import Classes, Progress, Samples, public
from .runs.label_snapshot import freeze
from .runs.lifecycle import RunRequest
from .runs.run import Run
from .training import timed
from .training.partition import Split


@dataclass(repr=False)
class GeneratorResults(RunResults):
    """Results of `train_generator`. `str` prints them as a table."""

    run_key: str
    names: list[str]
    folder: str  # of the pipeline, in diffusers' format
    size_px: int
    trained: int  # images
    held_out: int  # images
    steps: int  # updates
    loss: float
    seconds: float
    pictures: list[str]  # grids of samples, a row a class, the last one of the trained generator
    rows: list[dict[str, Any]]  # a class: training images, and held-out ones
    curves: list[dict[str, Any]]
    notes: list[str]
    skipped: dict[str, str] = field(default_factory=dict)  # sample id: why its image could not be used
    synthetic: int = 0  # samples left out because Evenset generated them
    views: dict[str, str] = field(default_factory=dict)

    def parts(self) -> list[Part]:
        title = f"{self.run_key}: a generator of {counted(len(self.names), 'class')}, {self.size_px} px"
        summary = (
            f"{counted(self.steps, 'update')} in {self.seconds / 60:.1f} minutes on {counted(self.trained, 'image')}, "
            f"loss {self.loss:.3f}; {self.held_out:,} held out"
        )
        notes = [*self.notes, *left_out(len(self.skipped), self.synthetic)]
        return [title, summary, "", self.rows, *notes]

    def charts(self) -> dict[str, Chart]:
        classes = bars(self.rows, "Images", "class", "trained", "held_out", kind="stacked")
        return {**training(self.curves), "classes": classes}


@public
def train_generator(
    samples: Samples,
    label_field: str,
    *,
    group_field: str | None = None,
    classes: Classes = None,
    progress: Progress = None,
    resume: str | None = None,
    group_slice: str | None = None,
    **settings: Any,
) -> GeneratorResults:
    """Trains a generator on the labelled images, for `balance_classes`; undo with `delete_run`.

    From `base="scratch"` it learns pixels, of at most 128 px. From a pretrained text-to-image model it tunes an adapter
    (LoRA) at the size of the photos; the model is not copied. It stops after `minutes` or `max_updates`. A part of the
    images is held out, so that `balance_classes` can measure the benefit of generated ones. Nothing is written to the
    samples.

    Args:
        label_field: a field of `fo.Classification`; samples without a label are left out
        group_field: samples with the same value (patient, video, product) stay on one side, as do near-duplicates
        classes: names in order, or `{name: [synonyms]}`
        progress: None for a bar, False for silence, or a function of (phase, done, total, note)
        resume: key of a stopped run to resume
        group_slice: of a grouped dataset, the slice whose images are meant; None: the view has one
        settings: fields of ImageSettings, GeneratorSettings, TuningSettings and TrainGeneratorSettings; `size_px` is
            at most 128, and None takes the median side, at most 64

    Raises:
        ValueError: a bad argument; nothing was written
        TypeError: `samples` is not a dataset or view, or a setting is unknown
        FloatingPointError: the training diverged; the last good state is kept in the run's folder
    """
    config = GeneratorConfig.read(settings)
    inputs = Inputs(label_field, group_field, classes)
    labels = _read(samples, inputs, config, resume)
    request = RunRequest("train_generator", config.parts, vars(inputs))
    with timed.start(samples, request, progress=progress, resume=resume) as run:
        return run.finish(_train(run, freeze(run, labels), config))


@dataclass(frozen=True)
class Inputs:
    """Arguments of train_generator that its run records."""

    label_field: str
    group_field: str | None
    classes: Classes


def _read(samples: Samples, inputs: Inputs, config: GeneratorConfig, resume: str | None) -> Labels:
    """Checks the arguments; returns the labels. Nothing is written.

    Raises:
        ValueError: a bad argument
    """
    check_settings(config.images, config.held_out, measured=False)
    check_device(config.generator.device)
    check_images(samples)
    check_base(root_dataset(samples), config.tuning, config.images)
    refuse_boxes(samples, inputs.label_field, "a generator draws")
    labels = read_labels(samples, inputs.label_field, classes=inputs.classes, group_field=inputs.group_field)
    prompts_of(labels.names, config.tuning)
    if not resume:
        require_classes(labels, inputs.label_field, inputs.group_field)
    return labels


def _train(run: Run, labels: Labels, config: GeneratorConfig) -> GeneratorResults:
    """Holds a part of the images out, and trains on the others."""
    stats = survey_at_drawable_size(run, labels, config.images)
    earlier = earlier_generator(run.dataset, config.tuning)
    split_ids = split_for(run, labels, stats, earlier, config.held_out, measured=False)
    generator = train_once(run, labels, stats, split_ids, config)
    skipped = {str(labels.ids[i]): reason for i, reason in stats.errors.items()}
    return _results(run, labels, split_ids, generator, skipped)


def _origin(generator: Generator) -> list[str]:
    """A sentence on the pretrained model that was tuned; none for a generator from scratch."""
    if not (base := generator.base):
        return []
    revision = f", commit {base['revision']}" if base["revision"] else ""
    licence = f"its card names the licence {base['licence']!r}" if base["licence"] else "its card names no licence"
    return [f"Tuned from {base['name']}{revision}; {licence}. The adapter needs that model to draw."]


def _warnings(run: Run, generator: Generator, updates: int) -> list[str]:
    """Sentences on a training that diverged, or ended before its learning rate had fallen."""
    if generator.warning:
        return [generator.warning]
    max_updates = run.record.settings["max_updates"]
    if max_updates is None or updates >= max_updates:
        return []
    return [
        f"The time was over after {updates:,} of {max_updates:,} updates, with a large learning rate still: raise "
        "minutes, or set it to None, so that max_updates alone ends the training."
    ]


def _results(
    run: Run, labels: Labels, split_ids: np.ndarray, generator: Generator, skipped: dict[str, str]
) -> GeneratorResults:
    trained, held_out = (
        np.bincount(labels.class_ids[split_ids == part], minlength=len(labels.names))
        for part in (Split.TRAIN, Split.HELD_OUT)
    )
    last = run.curves[-1]
    return GeneratorResults(
        run_key=run.key,
        names=labels.names,
        folder=str(generator.folder),
        size_px=generator.size_px,
        trained=int(trained.sum()),
        held_out=int(held_out.sum()),
        steps=last["epoch"],
        loss=last["loss"],
        seconds=last.get("seconds", 0.0),
        pictures=sorted(str(path) for path in run.folder.glob("samples_*.png")),
        rows=[
            {"class": name, "trained": trains, "held_out": measures}
            for name, trains, measures in zip(labels.names, trained.tolist(), held_out.tolist(), strict=True)
        ],
        curves=run.curves,
        notes=[*label_notes(labels), *_origin(generator), *_warnings(run, generator, last["epoch"])],
        skipped=skipped,
        synthetic=labels.synthetic_left_out,
    )
