"""From a few labels, a label for every sample: accepted where the precision is bounded, else up for review."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..models.errors import InvalidInput
from .data import items
from .data.checks import check_images, check_output_field
from .data.fields import ensure_label_field
from .data.internals import root_dataset
from .data.labels import Labels, count_classes
from .data.proposals import check_proposals
from .labeling import saved_decision
from .labeling.checkpoint import Checkpoint, check_classes, check_source, find_checkpoint, from_checkpoint
from .labeling.config import AutoLabelConfig
from .labeling.decision import Decision, decide, decide_by_checkpoint
from .labeling.inputs import Inputs, check_combination, looks_at_images, read_items, require_labels
from .labeling.output_field import save_views, write_suggestions
from .labeling.predictions import Predictions, from_images, from_names, from_vectors
from .labeling.results import AutoLabelResults, summarise
from .labeling.warm_start import WarmStart, find_start, inherit
from .runs.arguments import Classes, Embeddings, Part, Progress, Samples, public
from .runs.label_snapshot import freeze
from .runs.lifecycle import RunRequest
from .runs.run import Run
from .tagging.suggest import suggest_tags
from .training import timed
from .training.auto_embeddings import FINE_TUNES, choose_source, fine_tunes, is_auto, without_download
from .training.embedding_source import EmbeddingSource, note_source, read_joined, refuse_seen, texts
from .training.joined_sources import join
from .training.partition import Split, freeze_parts, named_parts, note_parts
from .training.resnet import check_network
from .training.zero_shot import TextEncoder, encode, encode_images, open_encoder


@public
def auto_label(
    samples: Samples,
    label_field: str | None = None,
    *,
    output_field: str = "auto_label",
    embeddings: Embeddings = "auto",
    run: str | None = None,
    after: str | None = None,
    classes: Classes = None,
    validation: Part = None,
    group_field: str | None = None,
    include_synthetic: bool = False,
    unlabelled: str | None = None,
    boxes: str | None = None,
    progress: Progress = None,
    resume: str | None = None,
    group_slice: str | None = None,
    **settings: Any,
) -> AutoLabelResults:
    """Labels every sample from the few that have a label; undo with `delete_run`.

    The labels are not changed: `output_field` receives the suggestion, its confidence, and its status ("labelled",
    "accepted", "review"). `review_labels` puts suggestions into the label field. Of tags (`fo.Classifications`) each
    class is judged by itself: `action` says whether to add or remove it, and samples whose field is None are those
    without a label.

    Args:
        samples: a dataset or a view; patches of the label field stand for their boxes
        label_field: a field of `fo.Classification`, of boxes (`fo.Detections`, `fo.Polylines`), which are labelled
            one by one, or of tags (`fo.Classifications`); not needed together with `run`. With `text_encoder` and
            `classes` it may have no label yet, or not exist
        output_field: new field of the same type; of boxes with the same boxes, and `item`, the id of each one's label
        embeddings: in place of training a ResNet: a field of vectors, an array, `{sample id: vector}`, a Brain key, a
            model of FiftyOne's zoo or of timm, torchvision/resnet18, or a list of these; "auto": the best of these that
            is there; None: a ResNet
        run: key (or "dataset/key", or folder) of a run whose checkpoint is used in place of training
        after: key of an earlier auto_label run on this dataset: starts from its checkpoint, in a quarter of the epochs,
            and trains on all labels except those that it held out. Where they are not given, embeddings, classes,
            group_field, random_labels, target_precision, text_encoder and prompts are that run's
        classes: names in order, or `{name: [synonyms]}`
        validation: a view or tag that chooses the epoch; None: a random part does
        group_field: samples with the same value (patient, video, product) stay on one side of a split
        include_synthetic: also train on the samples that `balance_classes` added; they get no suggestion, and never
            calibrate
        unlabelled: a name that counts as no label, as "object" in proposals of boxes
        boxes: another field of boxes, which are labelled too, whatever their label; a review adds them to label_field
        progress: None for a bar, False for silence, or a function of (phase, done, total, note)
        resume: key of a stopped run
        group_slice: of a grouped dataset, the slice whose images are meant; None: the view has one
        settings: fields of ImageSettings, ResNetSettings, GraphSettings, AutoLabelSettings, BoxSettings, TagSettings
            and WorkerSettings

    Raises:
        ValueError: a bad argument; nothing was written
        TypeError: `samples` is not a dataset or view, or a setting does not exist
    """
    given = Inputs(
        label_field, output_field, run, after, classes, group_field, include_synthetic, embeddings, unlabelled, boxes
    )
    samples = items.source(samples, label_field)
    arguments, settings = inherit(root_dataset(samples), after, vars(given), settings)
    inputs, config = Inputs(**arguments), AutoLabelConfig.read(settings)
    if items.has_tags(samples, inputs.label_field):
        return suggest_tags(samples, {**vars(inputs), "validation": validation}, config, resume, progress)
    inputs, prepared = _read(samples, inputs, config, resume, validation)
    if prepared.choice and (prepared.source is None or prepared.fine_tunes):
        config = replace(config, resnet=without_download(config.resnet, prepared.labels.paths.tolist()))
    request = RunRequest("auto_label", config.parts, vars(inputs), (output_field,))
    with timed.start(samples, request, progress=progress, resume=resume, trains_resnet=prepared.fine_tunes) as current:
        note_parts(current, validation=validation)
        note_source(current, prepared.source, prepared.choice)
        return current.finish(_label(current, prepared, inputs, config))


@dataclass(frozen=True)
class Prepared:
    """Samples and checked arguments of a run, read before it starts."""

    labels: Labels
    named: dict[Split, set[str]]  # ids that the user named for a split
    source: EmbeddingSource | None  # of the vectors; None: a ResNet looks at the images
    choice: str  # the sentence on embeddings="auto"
    fine_tunes: bool  # a ResNet takes part beside the chosen vectors
    checkpoint: Checkpoint | None  # of an earlier run, in place of training
    start: WarmStart | None  # an earlier run to start from
    encoder: TextEncoder | None  # knows the classes by their names


def _read(
    samples: Samples, inputs: Inputs, config: AutoLabelConfig, resume: str | None, validation: Part
) -> tuple[Inputs, Prepared]:
    """Checks the arguments, and reads labels, vectors and earlier models. Nothing is written.

    Returns:
        the arguments as the run records them, and what was read

    Raises:
        ValueError: a bad argument
    """
    label_field = inputs.label_field
    check_images(samples)
    check_output_field(samples, inputs.output_field, label_field, *texts(inputs.embeddings))
    if is_auto(inputs.embeddings) and looks_at_images(inputs, config, validation):
        inputs = replace(inputs, embeddings=None)
    embeddings = inputs.embeddings
    if inputs.boxes is not None:
        check_proposals(samples, label_field, inputs.boxes)
    checkpoint = find_checkpoint(root_dataset(samples), inputs.run) if inputs.run else None
    check_combination(inputs, validation, config.labeling)
    start = find_start(samples, inputs.after, label_field, config) if inputs.after else None
    text_encoder = checkpoint.text_encoder if checkpoint and embeddings is None else config.labeling.text_encoder
    labels = read_items(samples, inputs, check_classes(checkpoint, inputs.classes), config)
    if not (checkpoint or resume):
        require_labels(labels, inputs, bool(text_encoder))
    named = named_parts(samples, validation)
    refuse_seen(samples, embeddings)
    vectors = checkpoint.vectors if checkpoint and embeddings is None and not text_encoder else embeddings
    source, choice = _choose_source(samples, vectors, labels, resume, start, config.resnet.device)
    check_source(source, checkpoint)
    if source is None and not (choice or checkpoint or text_encoder):
        check_network(labels, config.resnet, config.images.size_px)
    encoder = None
    if text_encoder:
        options = (config.labeling.prompts, inputs.classes, config.resnet.device)
        encoder = open_encoder(text_encoder, *options, resume)
    if embeddings is not None:
        inputs = replace(inputs, embeddings=source.name if source else None)
    pays = (choice and fine_tunes(labels)) or (start and start.checkpoint)
    has_resnet = bool(source and pays) and config.labeling.members != "graph"
    choice += FINE_TUNES if choice and has_resnet else ""
    return inputs, Prepared(labels, named, source, choice, has_resnet, checkpoint, start, encoder)


def _choose_source(
    samples: Samples, embeddings: Any, labels: Labels, resume: str | None, start: WarmStart | None, device: str
) -> tuple[EmbeddingSource | None, str]:
    """Opens the vectors, and says why these, where they are "auto".

    Raises:
        ValueError: they cannot be used; where they are the earlier run's, the message says so
    """
    try:
        return choose_source(samples, embeddings, labels, resume, device)
    except InvalidInput as error:
        if start is None or not isinstance(embeddings, str) or start.embeddings != embeddings:
            raise
        raise InvalidInput(
            f"after: {start.key} learned from the embeddings {embeddings!r}, which a next round takes over: {error}. "
            "Give embeddings= another field or model, or leave after out"
        ) from error


def _label(run: Run, prepared: Prepared, inputs: Inputs, config: AutoLabelConfig) -> AutoLabelResults:
    """Predicts every sample, decides what is accepted, and writes the suggestions."""
    labels, named, start = freeze(run, prepared.labels), freeze_parts(run, prepared.named), prepared.start
    if start and start.kept:
        run.cached_arrays("seen", lambda: {"seen": start.seen})
    predictions = _predict(run, labels, named, prepared, config)
    decision = _decide(run, labels, predictions, config)
    if inputs.label_field is not None:
        ensure_label_field(run, inputs.label_field)  # for the review of a run without labels
    write_suggestions(run, labels, predictions, decision)
    views = save_views(run, inputs.output_field)
    return summarise(run, labels, predictions, decision, config.labeling, views)


def _predict(
    run: Run, labels: Labels, named: dict[Split, set[str]], prepared: Prepared, config: AutoLabelConfig
) -> Predictions:
    """Predicts by an earlier model, by names, by vectors, or by images."""
    source, encoder, start = prepared.source, prepared.encoder, prepared.start
    if prepared.checkpoint:
        vectors = read_joined(run, labels, source) if source else None
        if encoder:
            image_vectors, errors = encode_images(run, labels, encoder, config.images)
            vectors = join([image_vectors], errors)
        return from_checkpoint(run, labels, prepared.checkpoint, config.resnet, vectors)
    if encoder:
        zero_shot = encode(run, labels, encoder, config.images)
        if count_classes(labels) < 2:
            return from_names(run, labels, zero_shot)
        return from_vectors(run, labels, source, config, start, zero_shot)
    if source is not None and not run.remember("fine_tunes", lambda: prepared.fine_tunes):
        return from_vectors(run, labels, source, config, start)
    return from_images(run, labels, named, config, start, source)


def _decide(run: Run, labels: Labels, predictions: Predictions, config: AutoLabelConfig) -> Decision:
    """The decision for every sample, saved in the run's folder."""
    run.report("calibrating confidences", 0, 1)
    decision = decide(labels, predictions, config.labeling)
    is_single = predictions.checkpoint_logits is None
    by_checkpoint = decision if is_single else decide_by_checkpoint(labels, predictions, config.labeling)
    saved_decision.save(run.folder, decision, by_checkpoint)
    return decision
