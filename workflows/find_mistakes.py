"""Finds labels that are likely wrong, says why, and suggests others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..models.settings import GraphSettings, ImageSettings, MistakeSettings, ResNetSettings, split
from .data import saved_views
from .data.checks import check_images, check_output_field
from .data.fields import declare_classification, write_classifications
from .data.labels import Labels, read_labels, require_classes
from .mistakes import dismissed, out_of_fold
from .mistakes.results import MistakeResults, Verdict, by_class, judge, notes, reasons
from .runs import lifecycle
from .runs.arguments import Progress, Samples, public
from .runs.label_snapshot import freeze
from .runs.run import Run
from .training import embedding_source
from .training.resnet import check_weights

MOST_VIEWS = 20  # of single classes: those with the most issues


@public
def find_mistakes(
    samples: Samples,
    label_field: str,
    *,
    output_field: str = "mistake",
    embeddings: str | None = None,
    group_field: str | None = None,
    progress: Progress = None,
    resume: str | None = None,
    **settings: Any,
) -> MistakeResults:
    """Judges every label by models that have not seen it; undo with `delete_run`.

    The labels are not changed: `output_field` receives the suggestion, its confidence, the mistakenness (0 right ..
    1 wrong), whether it is an issue, its rank and the reason. `review_labels` puts suggestions into the label field.

    Args:
        label_field: a field of `fo.Classification`
        output_field: new field of `fo.Classification`
        embeddings: a field of vectors, or the name of a model of FiftyOne's zoo, in place of training ResNets
        group_field: samples with the same value (patient, video, product) are judged by the same model
        progress: None for a bar, False for silence, or a function of (phase, done, total, note)
        resume: key of a stopped run to go on with
        settings: fields of ImageSettings, ResNetSettings, GraphSettings and MistakeSettings

    Raises:
        ValueError: a bad argument; nothing was written
        TypeError: `samples` is no dataset or view, or there is no such setting
    """
    image_settings, resnet_settings, graph_settings, choices = split(
        settings, ImageSettings, ResNetSettings, GraphSettings, MistakeSettings
    )
    check_images(samples)
    check_output_field(samples, output_field, label_field, embeddings)
    known = _labelled(read_labels(samples, label_field, group_field=group_field))
    require_classes(known, label_field, group_field)
    if group_field is not None and not resume:
        out_of_fold.deal(known, np.arange(len(known.ids)), {}, choices)  # groups may leave no fold
    embedding_source.refuse_seen(samples, embeddings)
    source = embedding_source.open_source(samples, embeddings, known, resume)
    if source is None:
        check_weights(known.names, resnet_settings)
    with lifecycle.start(
        samples,
        "find_mistakes",
        settings=(image_settings, resnet_settings, graph_settings, choices),
        inputs=dict(label_field=label_field, output_field=output_field, embeddings=embeddings, group_field=group_field),
        fields=(output_field,),
        progress=progress,
        resume=resume,
    ) as run:
        known = freeze(run, known)
        if source is None:
            found = out_of_fold.from_images(run, known, image_settings, resnet_settings, graph_settings, choices)
        else:
            found = out_of_fold.from_vectors(run, known, source, graph_settings, choices)
        labels = known.class_ids[found.rows]
        verdict = judge(found, labels, choices.method, _dismissed(run, known, found.rows, label_field))
        _write(run, known, found, verdict, output_field)
        saved = _save_views(run, label_field, output_field, known.names, labels[verdict.flags])
        results = MistakeResults(
            run_key=run.key,
            output_field=output_field,
            label_field=label_field,
            names=known.names,
            judged=len(labels),
            issues=int(verdict.flags.sum()),
            contradicted=int(verdict.contradicted.sum()),
            noise=verdict.noise,
            folds=found.folds,
            rows=by_class(verdict, labels, known.names),
            notes=notes(known, found, verdict, output_field),
            skipped={str(known.ids[i]): reason for i, reason in found.errors.items()},
            synthetic=known.synthetic_left_out,
            views=saved,
            dismissed=verdict.dismissed,
        )
        return run.finish(results)


def _labelled(labels: Labels) -> Labels:
    """The labelled samples alone: the others have nothing that could be wrong."""
    rows = labels.labelled_indices
    columns = {name: getattr(labels, name)[rows] for name in ("ids", "paths", "class_ids", "trusted", "groups", "synthetic_mask")}
    return replace(labels, **columns)


def _dismissed(run: Run, known: Labels, rows: np.ndarray, label_field: str) -> np.ndarray:
    """Which of the judged labels somebody has called right before [n]: as the run first saw it."""

    def compute() -> dict[str, np.ndarray]:
        labels = [known.names[i] for i in known.class_ids[rows]]
        return {"rows": dismissed.dismissed(run.dataset, label_field, known.ids[rows], labels)}

    return run.cached_arrays("dismissed", compute, known.ids[rows], ("rows",))["rows"]


ATTRIBUTES = {
    "mistakenness": "FloatField",
    "is_issue": "BooleanField",
    "rank": "IntField",
    "reason": "StringField",
    "contradicted_by": "StringField",
    "margin": "FloatField",
}


def _write(run: Run, labels: Labels, found: out_of_fold.Evidence, verdict: Verdict, output_field: str) -> None:
    import fiftyone as fo

    names = np.array(labels.names, dtype=object)
    columns = dict(
        label=names[verdict.suggestions],
        confidence=verdict.confidence,
        mistakenness=verdict.scores,
        is_issue=verdict.flags,
        rank=verdict.ranks,
        reason=reasons(labels, found, verdict),
        contradicted_by=np.where(verdict.contradicted, labels.ids[found.rows][verdict.against], None),
        margin=found.margins,
    )
    declare_classification(run, output_field, {name: getattr(fo, kind) for name, kind in ATTRIBUTES.items()})
    write_classifications(run, output_field, labels.ids[found.rows], columns)


def _save_views(run: Run, label_field: str, output_field: str, names: list[str], flagged: np.ndarray) -> dict[str, str]:
    """`FIELD: mistakes`, the most suspicious first, and `FIELD: mistakes of CLASS`, by the class that is given."""
    from fiftyone import ViewExpression
    from fiftyone import ViewField as F

    issues = run.dataset.match(F(f"{output_field}.is_issue") == True).sort_by(f"{output_field}.rank")  # noqa: E712
    saved = {"mistakes": saved_views.save(run, f"{output_field}: mistakes", issues)}
    counts = np.bincount(flagged, minlength=len(names))
    for index in np.argsort(-counts, kind="stable")[:MOST_VIEWS]:
        if counts[index]:
            name = f"mistakes of {names[index]}"
            view = issues.match(F(f"{label_field}.label") == ViewExpression.literal(names[index]))
            saved[name] = saved_views.save(run, f"{output_field}: {name}", view)
    return saved
