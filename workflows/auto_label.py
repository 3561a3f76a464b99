"""From a few labels, a label for every sample: accepted where a precision can be promised, else up for review."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..models.confidence import ensemble
from ..models.errors import InvalidInput
from ..models.settings import AutoLabelSettings, GraphSettings, ImageSettings, ResNetSettings, split
from .data import saved_views
from .data.checks import check_images, check_output_field
from .data.fields import declare_classification, write_classifications
from .data.internals import root_dataset
from .data.labels import Labels, read_ids, read_labels, require_classes
from .labeling import predictions, warm_start
from .labeling.acceptance import Decision, alone, decide, keep
from .labeling.predictions import Scores
from .labeling.results import AutoLabelResults, summarise
from .runs import lifecycle
from .runs.arguments import Classes, Part, Progress, Samples, public
from .runs.label_snapshot import freeze
from .runs.run import Run
from .training.embedding_source import open_source, refuse_seen
from .training.partition import freeze_parts, named_parts, note_parts
from .training.resnet import check_weights


@public
def auto_label(
    samples: Samples,
    label_field: str | None = None,
    *,
    output_field: str = "auto_label",
    embeddings: str | None = None,
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
        embeddings: a field of vectors, or the name of a model of FiftyOne's zoo, in place of training a ResNet
        run: key (or "dataset/key", or folder) of a run whose checkpoint is used in place of training
        after: key of an earlier auto_label run on this dataset: goes on from its checkpoint in a quarter of the epochs,
            on all labels but those that it held out
        classes: names in order, or `{name: [synonyms]}`
        validation: a view or tag that chooses the epoch; None: a part is drawn
        group_field: samples with the same value (patient, video, product) stay on one side of a split
        include_synthetic: train on the samples that `balance_classes` added, too; they get no suggestion, and never
            calibrate
        progress: None for a bar, False for silence, or a function of (phase, done, total, note)
        resume: key of a stopped run to go on with
        settings: fields of ImageSettings, ResNetSettings, GraphSettings and AutoLabelSettings

    Raises:
        ValueError: a bad argument; nothing was written
        TypeError: `samples` is no dataset or view, or there is no such setting
    """
    image_settings, resnet_settings, graph_settings, choices = split(
        settings, ImageSettings, ResNetSettings, GraphSettings, AutoLabelSettings
    )
    check_images(samples)
    check_output_field(samples, output_field, label_field, embeddings if isinstance(embeddings, str) else None)
    origin = predictions.find_run(root_dataset(samples), run) if run else None
    _check_together(label_field, embeddings, run, after, validation, settings.get("members"))
    earlier = warm_start.find(samples, after, label_field, resnet_settings, choices) if after else None
    names = predictions.check_classes(origin, classes)
    if label_field is None:
        labels = read_ids(samples, list(names or ()))
    else:
        labels = read_labels(
            samples, label_field, classes=names, group_field=group_field, include_synthetic=include_synthetic
        )
    if not (origin or resume):
        require_classes(labels, label_field or "", group_field)
    given = named_parts(samples, validation)
    refuse_seen(samples, embeddings)
    name = origin.vectors if origin and embeddings is None else embeddings
    source = open_source(samples, name, labels, resume)
    predictions.check_source(source, origin)
    if not origin and source is None:
        check_weights(labels.names, resnet_settings)
    inputs: dict[str, Any] = dict(label_field=label_field, output_field=output_field, run=run, after=after)
    inputs.update(classes=classes, group_field=group_field, include_synthetic=include_synthetic)
    with lifecycle.start(
        samples,
        lifecycle.RunRequest(
            "auto_label",
            settings=(image_settings, resnet_settings, graph_settings, choices),
            inputs={**inputs, "embeddings": embeddings if isinstance(embeddings, str) else None},
            fields=(output_field,),
        ),
        progress=progress,
        resume=resume,
    ) as current:
        note_parts(current, validation=validation)
        labels, given = freeze(current, labels), freeze_parts(current, given)
        if earlier:
            current.cached_arrays("seen", lambda: {"seen": earlier.seen})
        if origin:
            found = predictions.from_run(current, labels, origin, resnet_settings, source)
        elif source is not None:
            found = predictions.from_vectors(current, labels, source, graph_settings, choices, earlier)
        else:
            every = (image_settings, resnet_settings, graph_settings, choices)
            found = predictions.from_images(current, labels, given, every, earlier)
        decision = decide(labels, found, choices)
        keep(current, decision, decision if found.alone is None else alone(labels, found, choices))
        _write(current, labels, found, decision, output_field)
        saved = _save_views(current, output_field)
        return current.finish(summarise(current, labels, found, decision, choices, output_field, saved))


def _check_together(
    label_field: str | None, embeddings: Any, run: str | None, after: str | None, validation: Any, members: Any
) -> None:
    """Refuses arguments that say different things.

    Raises:
        ValueError: they do
    """
    if label_field is None and run is None:
        raise InvalidInput("give a label_field to learn from, or the run of a trained model")
    if embeddings is not None and members == "resnet":
        raise InvalidInput("members='resnet' looks at images: leave embeddings out, or have members='graph'")
    if embeddings is not None and validation is not None:
        raise InvalidInput("validation chooses a ResNet's epoch: with embeddings= there is none, so leave it out")
    if after and (run or validation is not None):
        raise InvalidInput(
            "after goes on from that run's model, and keeps its validation part: leave run and validation out"
        )


ATTRIBUTES = {
    "status": "StringField",
    "resnet_label": "StringField",
    "resnet_confidence": "FloatField",
    "gcn_label": "StringField",
    "gcn_confidence": "FloatField",
    "agreement": "FloatField",
    "margin": "FloatField",
}


def _write(run: Run, labels: Labels, found: Scores, decision: Decision, output_field: str) -> None:
    """The field: given labels as they are, without a confidence (the model has seen them); suggestions elsewhere."""
    import fiftyone as fo

    rows = np.flatnonzero((decision.usable | (labels.class_ids >= 0)) & ~labels.synthetic_mask)
    names = np.array([*labels.names, None], dtype=object)
    given = labels.class_ids[rows] >= 0
    label = np.where(given, names[labels.class_ids[rows]], names[decision.classes[rows]])
    status = np.where(given, "labelled", np.where(decision.accepted[rows], "accepted", "review"))
    usable = decision.usable[rows]
    columns = dict(
        label=label,
        confidence=np.where(given, np.nan, decision.confidence[rows]),
        status=status,
        margin=np.where(usable, decision.margin[rows], np.nan),
    )
    said = found.members or ({"resnet": ensemble.normalise(found.logits + found.prior)} if found.resnet else {})
    for name in said.keys() & {"resnet", "gcn"}:
        own = said[name][rows]
        best = np.nan_to_num(own, nan=-np.inf).argmax(axis=1)
        columns[f"{name}_label"] = np.where(np.isnan(own).any(axis=1), None, names[best])
        columns[f"{name}_confidence"] = np.exp(own[np.arange(len(rows)), best])
    if found.members:
        each, weights = np.stack(list(found.members.values())), np.array(list(found.weights.values()))
        columns["agreement"] = ensemble.agreement(each, weights)[rows]
    declare_classification(run, output_field, {name: getattr(fo, kind) for name, kind in ATTRIBUTES.items()})
    write_classifications(run, output_field, labels.ids[rows], columns)


def _save_views(run: Run, output_field: str) -> dict[str, str]:
    """`FIELD: accepted`, `FIELD: review` (the least certain first) and `FIELD: labelled`."""
    from fiftyone import ViewField as F

    status = F(f"{output_field}.status")
    found = {name: run.dataset.match(status == name) for name in ("accepted", "review", "labelled")}
    found["review"] = found["review"].sort_by(f"{output_field}.confidence")
    return {name: saved_views.save(run, f"{output_field}: {name}", view) for name, view in found.items()}
