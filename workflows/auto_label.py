"""From a few labels, a label for every sample: accepted where the precision is bounded, else up for review."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..models.confidence import ensemble
from ..models.errors import InvalidInput
from .data import saved_views
from .data.checks import check_images, check_output_field
from .data.fields import declare_classification, write_classifications
from .data.internals import root_dataset
from .data.labels import Labels, read_ids, read_labels, require_classes
from .data.status import Status
from .labeling import saved_decision
from .labeling.checkpoint import Checkpoint, check_classes, check_source, find_checkpoint, from_checkpoint
from .labeling.config import AutoLabelConfig
from .labeling.decision import Decision, decide, decide_by_checkpoint
from .labeling.predictions import Predictions, from_images, from_vectors
from .labeling.results import AutoLabelResults, summarise
from .labeling.warm_start import WarmStart, find_start
from .runs import lifecycle, records
from .runs.arguments import Classes, Embeddings, Part, Progress, Samples, public
from .runs.label_snapshot import freeze
from .runs.run import Run
from .training.auto_embeddings import AUTO, choose_source, is_auto, trains_resnet
from .training.embedding_source import EmbeddingSource, note_source, refuse_seen, texts
from .training.given_vectors import is_description
from .training.partition import Split, freeze_parts, named_parts, note_parts
from .training.resnet import check_weights


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
    progress: Progress = None,
    resume: str | None = None,
    **settings: Any,
) -> AutoLabelResults:
    """Labels every sample from the few that have a label; undo with `delete_run`.

    The labels are not changed: `output_field` receives the suggestion, its confidence, and its status ("labelled",
    "accepted", "review"). `review_labels` puts suggestions into the label field.

    Args:
        label_field: a field of `fo.Classification`; not needed together with `run`
        output_field: new field of `fo.Classification`
        embeddings: in place of training a ResNet: a field of vectors, an array, `{sample id: vector}`, a Brain key, a
            model of FiftyOne's zoo or of timm, torchvision/resnet18, or a list of these; "auto": the best of these that
            is there; None: a ResNet
        run: key (or "dataset/key", or folder) of a run whose checkpoint is used in place of training
        after: key of an earlier auto_label run on this dataset: starts from its checkpoint, in a quarter of the epochs,
            and trains on all labels except those that it held out
        classes: names in order, or `{name: [synonyms]}`
        validation: a view or tag that chooses the epoch; None: a random part does
        group_field: samples with the same value (patient, video, product) stay on one side of a split
        include_synthetic: also train on the samples that `balance_classes` added; they get no suggestion, and never
            calibrate
        progress: None for a bar, False for silence, or a function of (phase, done, total, note)
        resume: key of a stopped run
        settings: fields of ImageSettings, ResNetSettings, GraphSettings and AutoLabelSettings

    Raises:
        ValueError: a bad argument; nothing was written
        TypeError: `samples` is not a dataset or view, or a setting does not exist
    """
    config = AutoLabelConfig.read(settings)
    inputs = Inputs(label_field, output_field, run, after, classes, group_field, include_synthetic, embeddings)
    inputs, prepared = _read(samples, inputs, config, resume, validation)
    request = lifecycle.RunRequest("auto_label", config.parts, vars(inputs), (output_field,))
    with lifecycle.start(samples, request, progress=progress, resume=resume) as current:
        note_parts(current, validation=validation)
        note_source(current, prepared.source, prepared.choice)
        return current.finish(_label(current, prepared, inputs, config))


@dataclass(frozen=True)
class Inputs:
    """Arguments of auto_label that its run records."""

    label_field: str | None
    output_field: str
    run: str | None
    after: str | None
    classes: Classes
    group_field: str | None
    include_synthetic: bool
    embeddings: Any  # a text once they are opened


@dataclass(frozen=True)
class Prepared:
    """Samples and checked arguments of a run, read before it starts."""

    labels: Labels
    named: dict[Split, set[str]]  # ids that the user named for a split
    source: EmbeddingSource | None  # of the vectors; None: a ResNet looks at the images
    choice: str  # the sentence on embeddings="auto"
    checkpoint: Checkpoint | None  # of an earlier run, in place of training
    start: WarmStart | None  # an earlier run to start from


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
    if is_auto(inputs.embeddings):
        inputs = replace(inputs, embeddings=_without_images(samples, inputs, config, validation))
    embeddings = inputs.embeddings
    checkpoint = find_checkpoint(root_dataset(samples), inputs.run) if inputs.run else None
    _check_combination(inputs, validation, config.labeling.members)
    start = find_start(samples, inputs.after, label_field, config) if inputs.after else None
    labels = _read_labels(samples, inputs, check_classes(checkpoint, inputs.classes))
    if not (checkpoint or resume):
        require_classes(labels, label_field or "", inputs.group_field)
    named = named_parts(samples, validation)
    refuse_seen(samples, embeddings)
    vectors = checkpoint.vectors if checkpoint and embeddings is None else embeddings
    source, choice = choose_source(samples, vectors, labels, resume, config.resnet.device)
    check_source(source, checkpoint)
    if not checkpoint and source is None:
        check_weights(labels.names, config.resnet)
    if embeddings is not None:
        inputs = replace(inputs, embeddings=source.name if source else None)
    return inputs, Prepared(labels, named, source, choice, checkpoint, start)


def _without_images(samples: Samples, inputs: Inputs, config: AutoLabelConfig, validation: Part) -> str | None:
    """ "auto", unless another argument needs the images (None), or an earlier round has its vectors."""
    if inputs.run or validation is not None or config.labeling.members == "resnet" or trains_resnet(config.resnet):
        return None
    if not inputs.after:
        return AUTO
    earlier = records.read_record(root_dataset(samples), inputs.after).inputs.get("embeddings")
    return AUTO if earlier and is_description(earlier) else earlier


def _check_combination(inputs: Inputs, validation: Part, members: str) -> None:
    """Rejects arguments that contradict each other.

    Raises:
        ValueError: they do
    """
    if inputs.label_field is None and inputs.run is None:
        raise InvalidInput("give a label_field to learn from, or the run of a trained model")
    if inputs.embeddings is not None and members == "resnet":
        raise InvalidInput("members='resnet' looks at images: leave embeddings out, or have members='graph'")
    if inputs.embeddings is not None and validation is not None:
        raise InvalidInput("validation chooses a ResNet's epoch: with embeddings= there is none, so leave it out")
    if inputs.after and (inputs.run or validation is not None):
        raise InvalidInput(
            "after goes on from that run's model, and keeps its validation part: leave run and validation out"
        )


def _read_labels(samples: Samples, inputs: Inputs, classes: Classes) -> Labels:
    """The labels; without a label field, the samples as unlabelled."""
    if inputs.label_field is None:
        return read_ids(samples, list(classes or ()))
    return read_labels(
        samples,
        inputs.label_field,
        classes=classes,
        group_field=inputs.group_field,
        include_synthetic=inputs.include_synthetic,
    )


def _label(run: Run, prepared: Prepared, inputs: Inputs, config: AutoLabelConfig) -> AutoLabelResults:
    """Predicts every sample, decides what is accepted, and writes the suggestions."""
    labels, named, start = freeze(run, prepared.labels), freeze_parts(run, prepared.named), prepared.start
    if start:
        run.cached_arrays("seen", lambda: {"seen": start.seen})
    if prepared.checkpoint:
        predictions = from_checkpoint(run, labels, prepared.checkpoint, config.resnet, prepared.source)
    elif prepared.source is not None:
        predictions = from_vectors(run, labels, prepared.source, config, start)
    else:
        predictions = from_images(run, labels, named, config, start)
    decision = _decide(run, labels, predictions, config)
    _write(run, labels, predictions, decision, inputs.output_field)
    views = _save_views(run, inputs.output_field)
    return summarise(run, labels, predictions, decision, config.labeling, views)


def _decide(run: Run, labels: Labels, predictions: Predictions, config: AutoLabelConfig) -> Decision:
    """The decision for every sample, saved in the run's folder."""
    decision = decide(labels, predictions, config.labeling)
    is_single = predictions.checkpoint_logits is None
    by_checkpoint = decision if is_single else decide_by_checkpoint(labels, predictions, config.labeling)
    saved_decision.save(run.folder, decision, by_checkpoint)
    return decision


ATTRIBUTES = {
    "status": "StringField",
    "resnet_label": "StringField",
    "resnet_confidence": "FloatField",
    "gcn_label": "StringField",
    "gcn_confidence": "FloatField",
    "agreement": "FloatField",
    "margin": "FloatField",
}


def _write(run: Run, labels: Labels, predictions: Predictions, decision: Decision, output_field: str) -> None:
    """The field: labels as they are, without a confidence since they trained; suggestions elsewhere."""
    import fiftyone as fo

    rows = np.flatnonzero((decision.usable | (labels.class_ids >= 0)) & ~labels.synthetic_mask)
    names = np.array([*labels.names, None], dtype=object)
    is_labelled, usable = labels.class_ids[rows] >= 0, decision.usable[rows]
    suggested = np.where(decision.acceptance.accepted[rows], Status.ACCEPTED, Status.REVIEW)
    suggestions = decision.suggestions
    columns = dict(
        label=np.where(is_labelled, names[labels.class_ids[rows]], names[suggestions.class_ids[rows]]),
        confidence=np.where(is_labelled, np.nan, suggestions.confidence[rows]),
        status=np.where(is_labelled, Status.LABELLED, suggested),
        margin=np.where(usable, suggestions.margin[rows], np.nan),
        **_member_columns(predictions, rows, suggestions.class_ids[rows], names),
    )
    declare_classification(run, output_field, {name: getattr(fo, kind) for name, kind in ATTRIBUTES.items()})
    write_classifications(run, output_field, labels.ids[rows], columns)


def _member_columns(
    predictions: Predictions, rows: np.ndarray, class_ids: np.ndarray, names: np.ndarray
) -> dict[str, np.ndarray]:
    """Label and confidence by ResNet and GCN alone, and the agreement of all members on the classes suggested.

    Args:
        rows: indices of samples [n]
        class_ids: suggested for them [n]
    """
    columns: dict[str, np.ndarray] = {}
    members = predictions.members
    if not members and predictions.resnet:
        members = {"resnet": ensemble.normalise(predictions.logits + predictions.log_prior)}
    for name in members.keys() & {"resnet", "gcn"}:
        scores = members[name][rows]
        best = np.nan_to_num(scores, nan=-np.inf).argmax(axis=1)
        columns[f"{name}_label"] = np.asarray(np.where(np.isnan(scores).any(axis=1), None, names[best]))
        columns[f"{name}_confidence"] = np.exp(scores[np.arange(len(rows)), best])
    if predictions.members:
        stack = np.stack([scores[rows] for scores in predictions.members.values()])
        columns["agreement"] = ensemble.agreement(stack, class_ids)
    return columns


def _save_views(run: Run, output_field: str) -> dict[str, str]:
    """`FIELD: accepted`, `FIELD: review` (by ascending confidence) and `FIELD: labelled`."""
    from fiftyone import ViewField as F

    status = F(f"{output_field}.status")
    states = (Status.ACCEPTED, Status.REVIEW, Status.LABELLED)
    views = {state.value: run.dataset.match(status == state.value) for state in states}
    views[Status.REVIEW] = views[Status.REVIEW].sort_by(f"{output_field}.confidence")
    return {name: saved_views.save(run, f"{output_field}: {name}", view) for name, view in views.items()}
