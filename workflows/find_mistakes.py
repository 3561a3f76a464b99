"""Finds labels that are likely wrong, with reasons and suggestions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..models.files import clear
from .data import items, saved_views
from .data.checks import check_images, check_output_field
from .data.labels import Labels, Reading, read_labels, require_classes
from .data.predicted_boxes import check_predictions
from .mistakes import box_flags, box_table, detector, detector_flags, folds, out_of_fold, output_field
from .mistakes.config import MistakeConfig
from .mistakes.detector_vectors import crop_vectors
from .mistakes.dismissed import find_dismissed
from .mistakes.results import MistakeResults, summarise
from .mistakes.verdict import POSTERIOR, judge
from .runs.arguments import Embeddings, Progress, Samples, public
from .runs.label_snapshot import freeze
from .runs.lifecycle import RunRequest
from .runs.run import Run
from .tagging.mistakes import find_tag_mistakes
from .training import timed
from .training.auto_embeddings import NO_RESNETS, choose_source, fine_tunes, is_auto, trains_resnet, without_download
from .training.embedding_source import EmbeddingSource, note_source, refuse_seen, texts, with_weights
from .training.resnet import check_network

NOT_JUDGED = "The geometry of fo.Polylines is not judged: neither doubled ones nor their shapes and places are found."


@public
def find_mistakes(
    samples: Samples,
    label_field: str,
    *,
    output_field: str = "mistake",
    embeddings: Embeddings = "auto",
    group_field: str | None = None,
    predictions: str | None = None,
    unlabelled: str | None = None,
    progress: Progress = None,
    resume: str | None = None,
    group_slice: str | None = None,
    **settings: Any,
) -> MistakeResults:
    """Judges every label by models that have not seen it; undo with `delete_run`.

    The labels are not changed: `output_field` receives the suggestion, its confidence, the mistakenness (0 correct
    .. 1 wrong), whether it is an issue, its rank and the reason. `review_labels` puts suggestions into the label field.

    Args:
        samples: a dataset or a view; patches of the label field stand for their boxes
        label_field: a field of `fo.Classification`, of boxes (`fo.Detections`, `fo.Polylines`), which are judged one
            by one, or of tags (`fo.Classifications`), of which missing ones are flagged too
        output_field: new field of the same type; of boxes with the same boxes, `item`, the id of each one's label, and
            `kind`, what is wrong with it
        embeddings: in place of training ResNets: a field of vectors, an array, `{sample id: vector}`, a Brain key, a
            model of FiftyOne's zoo or of timm, torchvision/resnet18, or a list of these; "auto": the best of these that
            is there, or else features of the images, with ResNets where labels are many; None: ResNets always
        group_field: samples with the same value (patient, video, product) are judged by the same model
        predictions: a field of `fo.Detections` with a detector's confidences, which also shows missing, spurious and
            badly placed boxes
        unlabelled: a name that counts as no label, as "object" in proposals of boxes
        progress: None for a bar, False for silence, or a function of (phase, done, total, note)
        resume: key of a stopped run
        group_slice: of a grouped dataset, the slice whose images are meant; None: the view has one
        settings: fields of ImageSettings, ResNetSettings, GraphSettings, MistakeSettings, BoxSettings,
            GeometrySettings and WorkerSettings

    Raises:
        ValueError: a bad argument; nothing was written
        TypeError: `samples` is not a dataset or view, or a setting does not exist
    """
    config, samples = MistakeConfig.read(settings), items.source(samples, label_field)
    inputs = Inputs(label_field, output_field, embeddings, group_field, predictions, unlabelled)
    if items.has_tags(samples, label_field):
        return find_tag_mistakes(samples, vars(inputs), config, resume, progress)
    labels, source, choice = _read(samples, inputs, config, resume)
    if embeddings is not None:
        inputs = replace(inputs, embeddings=source.name if source else None)
    if choice and source is None and _trains_resnets(labels, choice):
        config = replace(config, resnet=without_download(config.resnet, labels.paths.tolist()))
    request = RunRequest("find_mistakes", config.parts, vars(inputs), (output_field,))
    by_resnets = source is None and _trains_resnets(labels, choice)
    with timed.start(samples, request, progress=progress, resume=resume, trains_resnet=by_resnets) as run:
        note_source(run, source, choice)
        run.remember("trains_resnets", lambda: _trains_resnets(labels, choice))
        return run.finish(_judge(run, samples, freeze(run, labels), source, inputs, config))


@dataclass(frozen=True)
class Inputs:
    """Arguments of find_mistakes that its run records."""

    label_field: str
    output_field: str
    embeddings: Any  # a text once they are opened
    group_field: str | None
    predictions: str | None
    unlabelled: str | None


def _read(
    samples: Samples, inputs: Inputs, config: MistakeConfig, resume: str | None
) -> tuple[Labels, EmbeddingSource | None, str]:
    """Checks the arguments; returns the labels, and the source of the embeddings and its choice. Nothing is written.

    Raises:
        ValueError: a bad argument
    """
    label_field, embeddings, group_field = inputs.label_field, inputs.embeddings, inputs.group_field
    check_images(samples)
    check_output_field(samples, inputs.output_field, label_field, inputs.predictions, *texts(embeddings))
    reading = Reading(config.boxes, inputs.unlabelled)
    labels = read_labels(samples, label_field, group_field=group_field, reading=reading)
    if inputs.predictions is not None:
        check_predictions(samples, inputs.predictions, label_field)
    require_classes(labels, label_field, group_field)
    labels = labels.take(labels.labelled_indices)
    if (group_field is not None or labels.has_boxes) and not resume:
        folds.draw(labels, np.arange(len(labels.ids)), {}, config.mistakes)  # raises where groups leave no fold
    refuse_seen(samples, embeddings)
    embeddings = None if is_auto(embeddings) and trains_resnet(config.resnet) else embeddings
    source, choice = choose_source(samples, embeddings, labels, resume, config.resnet.device)
    choice += NO_RESNETS if source is None and not _trains_resnets(labels, choice) else ""
    if source is None and not choice:
        check_network(labels, config.resnet, config.images.size_px)
    return labels, source, choice


def _trains_resnets(labels: Labels, choice: str) -> bool:
    """Whether ResNets look at the images: asked for, or the labels are many.

    Args:
        choice: the sentence on embeddings="auto"; "" where the images were asked for
    """
    return not choice or fine_tunes(labels) or len(labels.ids) > out_of_fold.MAX_FEW_LABELS


def _judge(
    run: Run, samples: Samples, labels: Labels, source: EmbeddingSource | None, inputs: Inputs, config: MistakeConfig
) -> MistakeResults:
    """Predicts every labelled sample out of fold, judges its label, of a box its geometry, and writes the verdicts."""
    if source is None:
        predictions = out_of_fold.from_images(run, labels, config, run.record.notes["trains_resnets"])
    else:
        predictions = out_of_fold.from_vectors(run, labels, with_weights(run, labels, source), config)
    detected = detector.read_once(run, samples, config.geometry.min_match_iou) if inputs.predictions else None
    if detected:
        predictions = detector.with_classes(predictions, labels, detected)
    class_ids = labels.class_ids[predictions.rows]
    run.report("judging labels", 0, 1)
    dismissed = _dismissed(run, labels, predictions.rows, inputs.label_field)
    verdict = judge(predictions, class_ids, config.mistakes.method, dismissed)
    clear(run.folder / POSTERIOR)
    flags, geometry = None, config.geometry
    if (geometry.geometry or detected) and items.list_of(run.dataset, inputs.label_field) == "detections":
        table = box_table.read_once(run, samples, inputs.label_field)
        by_detector = None
        if detected:
            vectors = crop_vectors(run, labels, source, detected, config)
            by_detector = detector_flags.find_once(run, detected, table, labels.names, config, vectors)
        min_iou = geometry.duplicate_iou if geometry.geometry else None
        flags = box_flags.judge_boxes(table, labels.ids[predictions.rows], verdict, min_iou, by_detector)
    elif geometry.geometry and labels.has_boxes:
        labels.notes.append(NOT_JUDGED)
    output_field.write(run, labels, predictions, verdict, flags)
    return summarise(run, labels, predictions, verdict, flags, _save_view(run, inputs.output_field))


def _dismissed(run: Run, labels: Labels, rows: np.ndarray, label_field: str) -> np.ndarray:
    """Whether a person dismissed the flag of each judged label before, as the run first saw it [n]."""

    def compute() -> dict[str, np.ndarray]:
        names = [labels.names[i] for i in labels.class_ids[rows]]
        return {"rows": find_dismissed(run.dataset, label_field, labels.ids[rows], names)}

    return run.cached_arrays("dismissed", compute, labels.ids[rows], ("rows",))["rows"]


def _save_view(run: Run, output_field: str) -> dict[str, str]:
    """`FIELD: mistakes`, the most suspicious first."""

    def is_issue(at: items.Attribute) -> Any:
        return at("is_issue") == True  # noqa: E712

    issues = items.matching(run.dataset, output_field, is_issue, "rank")
    return {"mistakes": saved_views.save(run, f"{output_field}: mistakes", issues)}
