"""Trains a ResNet on the labelled samples, and predicts every sample."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..models.errors import InvalidInput
from ..models.probabilities import softmax, top_two
from ..models.settings import BoxSettings, ImageSettings, ResNetSettings, WorkerSettings
from .data import items
from .data.checks import check_images, check_output_field
from .data.fields import declare, write_values
from .data.label_fields import declare_labels, write_labels
from .data.labels import Labels, Reading, label_notes, read_labels, require_classes
from .display import results as shown
from .display.charts import Chart
from .display.tables import counted, left_out
from .runs.arguments import Classes, Part, Progress, Samples, public
from .runs.config import Config
from .runs.label_snapshot import freeze
from .runs.lifecycle import RunRequest
from .runs.run import Run
from .training import held_out, timed
from .training.image_survey import errors_by_id
from .training.partition import Split, SplitRule, freeze_parts, named_parts, note_parts
from .training.resnet import Fitted, check_network, fit
from .training.training_set import TrainingSet, prepare


@dataclass(frozen=True)
class TrainResNetConfig(Config):
    """Settings of train_resnet, by class."""

    images: ImageSettings
    boxes: BoxSettings
    resnet: ResNetSettings
    workers: WorkerSettings


@dataclass(repr=False)
class TrainResults(shown.RunResults):
    """What `train_resnet` returns. `str` prints it as a table."""

    run_key: str
    output_field: str
    names: list[str]
    trained: int  # images
    validated: int
    epochs: int
    accuracy: float | None  # on the validation split; None where no class had a label to spare
    test_accuracy: float | None  # on `test`
    test_loss: float | None
    rows: list[dict[str, Any]]  # a class: labels, recall on validation and test
    confusion: list[list[int]]  # label by predicted class, validation split [K, K]
    curves: list[dict[str, Any]]  # an epoch: loss, validation loss, accuracy, recall of each class
    checkpoint: str
    picture: str | None  # correct and wrong predictions on `test`
    precision: str
    skipped: dict[str, str]  # sample id: why its image could not be used
    notes: list[str]  # sentences on labels that cannot be validated
    synthetic: int  # samples left out because Evenset generated them
    views: dict[str, str] = field(default_factory=dict)

    def parts(self) -> list[shown.Part]:
        title = (
            f"{self.output_field}: {counted(self.trained, 'image')} trained, {self.validated:,} validated, "
            f"{counted(self.epochs, 'epoch')}"
        )
        accuracy = held_out.accuracy_text(self.accuracy, self.test_accuracy)
        notes = [*self.notes, *left_out(len(self.skipped), self.synthetic)]
        return [title, accuracy, "", self.rows, *notes]

    def charts(self) -> dict[str, Chart]:
        return held_out.charts(self.curves, self.confusion, self.names, self.rows)


@public
def train_resnet(
    samples: Samples,
    label_field: str,
    *,
    output_field: str = "resnet",
    embeddings_field: str | None = None,
    validation: Part = None,
    test: Part = None,
    group_field: str | None = None,
    include_synthetic: bool = False,
    classes: Classes = None,
    unlabelled: str | None = None,
    progress: Progress = None,
    resume: str | None = None,
    group_slice: str | None = None,
    **settings: Any,
) -> TrainResults:
    """Trains a ResNet on the labelled samples, and writes a prediction for every sample; undo with `delete_run`.

    Args:
        label_field: a field of `fo.Classification`, or of boxes; what has no label is predicted only
        output_field: new field of the same type: label, confidence, margin
        embeddings_field: new field of vectors; None: they stay in the run's folder
        validation: a view or tag that validates; None: a random, stratified part does
        test: a view or tag that is scored at the end; None: nothing is tested
        group_field: samples with the same value (patient, video, product) stay on one side
        include_synthetic: also train on the samples that `balance_classes` added; they never score
        classes: names in order, or `{name: [synonyms]}`
        unlabelled: a name that counts as no label, as "object" in proposals of boxes
        progress: None for a bar, False for silence, or a function of (phase, done, total, note)
        resume: key of a stopped run
        group_slice: of a grouped dataset, the slice whose images are meant; None: the view has one
        settings: fields of ImageSettings, ResNetSettings, BoxSettings and WorkerSettings

    Raises:
        ValueError: a bad argument; nothing was written
        TypeError: `samples` is not a dataset or view, or a setting does not exist
    """
    config, samples = TrainResNetConfig.read(settings), items.source(samples, label_field)
    inputs = Inputs(label_field, output_field, embeddings_field, classes, group_field, include_synthetic, unlabelled)
    labels, named = _read(samples, inputs, config, resume, validation, test)
    request = RunRequest("train_resnet", config.parts, vars(inputs), inputs.fields)
    with timed.start(samples, request, progress=progress, resume=resume) as run:
        note_parts(run, validation=validation, test=test)
        return run.finish(_train(run, labels, named, inputs, config))


@dataclass(frozen=True)
class Inputs:
    """Arguments of train_resnet that its run records."""

    label_field: str
    output_field: str
    embeddings_field: str | None
    classes: Classes
    group_field: str | None
    include_synthetic: bool
    unlabelled: str | None

    @property
    def fields(self) -> tuple[str, ...]:
        """Sample fields that the run creates."""
        return (self.output_field, *([self.embeddings_field] if self.embeddings_field else []))


def _read(
    samples: Samples, inputs: Inputs, config: TrainResNetConfig, resume: str | None, validation: Part, test: Part
) -> tuple[Labels, dict[Split, set[str]]]:
    """Checks the arguments; returns the labels, and the splits that the user named. Nothing is written.

    Raises:
        ValueError: a bad argument
    """
    check_images(samples)
    check_output_field(samples, inputs.output_field, inputs.label_field, inputs.embeddings_field)
    if inputs.embeddings_field is not None:
        check_output_field(samples, inputs.embeddings_field, inputs.label_field, name="embeddings_field")
    labels = read_labels(
        samples,
        inputs.label_field,
        classes=inputs.classes,
        group_field=inputs.group_field,
        include_synthetic=inputs.include_synthetic,
        reading=Reading(config.boxes, inputs.unlabelled),
    )
    if inputs.embeddings_field is not None and labels.has_boxes:
        raise InvalidInput(
            "embeddings_field is for labels of samples, which have one vector each: leave it out for boxes"
        )
    if not resume:
        require_classes(labels, inputs.label_field, inputs.group_field)
    named = named_parts(samples, validation, test)
    check_network(labels, config.resnet, config.images.size_px)
    return labels, named


def _train(
    run: Run, labels: Labels, named: dict[Split, set[str]], inputs: Inputs, config: TrainResNetConfig
) -> TrainResults:
    """Splits the labels, trains the network, and writes its predictions."""
    labels, named = freeze(run, labels), freeze_parts(run, named)
    rule = SplitRule(config.resnet.validation_fraction, config.resnet.seed)
    data = prepare(run, labels, config.images, named, rule)
    fitted = fit(run, data, config.resnet)
    _write(run, labels, fitted, inputs)
    return _results(run, data, fitted, inputs.output_field)


def _write(run: Run, labels: Labels, fitted: Fitted, inputs: Inputs) -> None:
    import fiftyone as fo

    rows = np.array([i for i in range(len(labels.ids)) if i not in fitted.errors and not labels.synthetic_mask[i]])
    classes, confidence, margin = top_two(softmax(fitted.logits[rows]))
    declare_labels(run, inputs.output_field, inputs.label_field, {"margin": fo.FloatField})
    columns = dict(label=np.array(labels.names, dtype=object)[classes], confidence=confidence, margin=margin)
    write_labels(run, inputs.output_field, inputs.label_field, labels, rows, columns)
    if inputs.embeddings_field:
        declare(run, inputs.embeddings_field, fo.VectorField, learned=True)
        vectors = dict(zip(labels.ids[rows].tolist(), fitted.embeddings[rows], strict=True))
        write_values(run, inputs.embeddings_field, vectors, "writing embeddings")


def _results(run: Run, data: TrainingSet, fitted: Fitted, output_field: str) -> TrainResults:
    from .training.prediction_grid import prediction_grid

    labels, split_ids = data.labels, data.split_ids
    validation, test, rows = held_out.score(labels, fitted.logits, split_ids)
    path, test_rows = run.folder / "predictions.png", np.flatnonzero(split_ids == Split.TEST)
    picture = prediction_grid(path, labels, fitted, test_rows) if test else None
    return TrainResults(
        run_key=run.key,
        output_field=output_field,
        names=labels.names,
        trained=int((split_ids == Split.TRAIN).sum()),
        validated=int((split_ids == Split.VALIDATION).sum()),
        epochs=len(fitted.curves),
        accuracy=validation.accuracy if validation else None,
        test_accuracy=test.accuracy if test else None,
        test_loss=test.loss if test else None,
        rows=rows,
        confusion=validation.confusion.tolist() if validation else [],
        curves=fitted.curves,
        checkpoint=str(run.folder / "checkpoint.safetensors"),
        picture=picture,
        precision=fitted.precision,
        skipped=errors_by_id(labels, fitted.errors),
        notes=label_notes(labels),
        synthetic=labels.synthetic_left_out,
    )
