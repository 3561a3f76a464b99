"""Exports labelled images, boxes or tags as a folder, with a manifest and a model card of what was done."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..models.errors import ImageError
from ..models.settings import ExportSettings, split
from .data import export_folders, items
from .data.checks import check_images, check_label_field, require_fields
from .data.field_access import require_visible
from .data.internals import root_dataset
from .display.tables import counted
from .exporting import formats, manifest, model_card
from .exporting import labels as label_files
from .exporting.images import check_space, copy_images, sizes_of
from .exporting.results import ExportResults, count_classes, count_origins
from .exporting.selection import Origin, Request, Row, Selection, read_splits, read_wanted, select
from .runs import records
from .runs.arguments import Progress, Samples, public
from .runs.lifecycle import RunRequest
from .runs.lookup import unlabelled_name, writer_of
from .runs.run import Run
from .splitting.tags import newest_tags
from .training import timed


@public
def export_dataset(
    samples: Samples,
    folder: str | Path,
    label_field: str,
    *,
    labels: str | Sequence[str] = "labelled, reviewed",
    suggestions: str | None = None,
    splits: str | Sequence[str] | None = None,
    include_synthetic: bool = False,
    progress: Progress = None,
    resume: str | None = None,
    group_slice: str | None = None,
    **settings: Any,
) -> ExportResults:
    """Copies labelled images and their labels into a new folder, with labels.csv and a README.md of what was done.

    Of boxes, the images that have an exported one are copied, and labels.csv has a line for each box. Of tags it has a
    line for each tag, and for each image whose list of tags is empty.

    The folder appears when it is complete. `delete_run` removes the record of the export; the folder stays, as it is
    the user's.

    Args:
        folder: a new or empty folder
        label_field: a field of `fo.Classification`, of boxes (`fo.Detections`, `fo.Polylines`), or of tags
            (`fo.Classifications`)
        labels: which labels: labelled (by you), reviewed (accepted as seen, or corrected), accepted (suggestions that
            auto_label accepted, or a review in bulk), unseen (up for review, and accepted in bulk); several with
            commas, or a list
        suggestions: field of auto_label whose accepted suggestions count, for labels="accepted"; None: the newest one
        splits: tags that become folders, with commas, or a list; "none": one folder for all; None: the tags of the
            newest split_dataset, if there is one
        include_synthetic: with labelled samples that Evenset generated
        progress: None for a bar, False for silence, or a function of (phase, done, total, note)
        resume: key of a stopped run
        group_slice: of a grouped dataset, the slice whose images are meant; None: the view has one
        settings: fields of ExportSettings: format, decode_images, escape_formulas

    Raises:
        ValueError: a bad argument, nothing to export, or no readable image; nothing was written
        TypeError: `samples` is not a dataset or view, or a setting is unknown
        OSError: the disk is full; nothing is left of the export
    """
    (export_settings,) = split(settings, ExportSettings)
    samples = items.source(samples, label_field, *([] if suggestions is None else [suggestions]))
    check_images(samples)
    check_label_field(samples, label_field, boxes=True, tags=True)
    noun = items.noun(samples, label_field)
    format = formats.choose(export_settings.format, noun)
    target = export_folders.check(Path(folder))
    wanted = read_wanted(labels)
    tags = newest_tags(root_dataset(samples)) if splits is None else read_splits(splits)
    newest, run_key = _suggestions(samples, label_field, suggestions)
    field = newest if suggestions or Origin.ACCEPTED in wanted else None
    unlabelled = unlabelled_name(root_dataset(samples), newest)
    request = Request(label_field, wanted, field, run_key, tuple(tags), include_synthetic, unlabelled)
    chosen = select(samples, request)
    layout = formats.plan(chosen.rows, tags, format, noun)
    check_space([image.path for image in layout.images], target)
    inputs = dict(
        folder=str(target),
        label_field=label_field,
        labels=list(wanted),
        suggestions=field,
        splits=list(tags),
        include_synthetic=include_synthetic,
    )
    start = RunRequest("export_dataset", settings=(export_settings,), inputs=inputs)
    with timed.start(samples, start, progress=progress, resume=resume) as run:
        return run.finish(_export(run, target, chosen, request, layout, export_settings))


def _suggestions(samples: Any, label_field: str, suggestions: str | None) -> tuple[str | None, str | None]:
    """The given field of suggestions, or the newest of the label field, and the run that wrote it.

    Raises:
        ValueError: no run of auto_label wrote the given field, or the view hides it
    """
    dataset = root_dataset(samples)
    if suggestions is not None:
        record = writer_of(dataset, suggestions, "auto_label")
        require_fields(dataset, suggestions)
        require_visible(samples, suggestions)
        return suggestions, record.key
    for key in reversed([key for key in records.keys(dataset) if key.startswith("evenset_auto_label_")]):
        record = records.read_record(dataset, key)
        field = record.inputs.get("output_field")
        if record.state == "done" and record.label_field == label_field and field and dataset.has_sample_field(field):
            return field, key
    return None, None


def _export(
    run: Run, target: Path, chosen: Selection, request: Request, layout: formats.Layout, settings: ExportSettings
) -> ExportResults:
    part = export_folders.begin(run, target)
    paths, targets = [image.path for image in layout.images], [part / layout.copied(image) for image in layout.images]
    skipped = copy_images(run, paths, targets, decodes=settings.decode_images)
    sizes = sizes_of(layout, part, skipped) if layout.noun == items.BOX else {}
    copied = [(i, row) for i, row in enumerate(chosen.rows) if layout.image_of[i] not in skipped]
    if not copied:
        reason = next(iter(skipped.values()))
        raise ImageError(f"none of the {counted(len(paths), 'image')} can be read, the first because {reason}")
    rows = [row for _, row in copied]
    label_files.write(run, part, rows, layout, sizes)
    escaped = manifest.write(part, copied, layout, sizes, escapes=settings.escape_formulas)
    results = ExportResults(
        run_key=run.key,
        folder=str(target),
        format=layout.format,
        label_field=request.label_field,
        images=len(paths) - len(skipped),
        origins=count_origins(rows),
        rows=count_classes(rows, request.splits, layout.noun),
        left_out=chosen.left_out,
        labels=list(request.wanted),
        skipped={layout.images[image].sample_id: reason for image, reason in skipped.items()},
        boxes=len(rows) if layout.noun == items.BOX else None,
        tags=sum(not row.is_untagged for row in rows) if layout.noun == items.TAG else None,
        notes=[*chosen.notes, *_notes(run, rows, layout, escaped)],
    )
    model_card.write(run, part, results, layout)
    run.report("finishing", 1, 1)  # the last moment to stop
    export_folders.finish(run, part, target)
    return results


def _notes(run: Run, rows: list[Row], layout: formats.Layout, escaped: int) -> list[str]:
    notes = []
    if escaped:
        notes.append(
            f"{counted(escaped, 'label', 'begins', 'begin')} with = + - or @, with a ' in front in labels.csv, so that "
            "no spreadsheet executes it: escape_formulas=False leaves them as they are."
        )
    other = sum(name != folder for name, folder in layout.classes.items())
    if other and layout.format == formats.FOLDERS:
        notes.append(
            f"{counted(other, 'class', 'has', 'have')} a folder of another name, since file systems do not take, or do "
            "not tell apart, theirs: README.md lists them."
        )
    copied = {row.sample_id for row in rows}
    renamed = sum(image.name != Path(image.path).name for image in layout.images if image.sample_id in copied)
    if renamed:
        notes.append(f"{counted(renamed, 'file', 'has', 'have')} another name here, as names recur: see labels.csv.")
    if flagged := _flagged({row.id for row in rows}, run):
        notes.append(
            f"{counted(flagged, 'exported label', 'is', 'are')} flagged by find_mistakes, and undecided: review them "
            "first, and export again."
        )
    return notes


def _flagged(ids: set[str], run: Run) -> int:
    """How many of the items carry an undecided flag of a mistake in the label field."""
    dataset, flagged = run.dataset, set[str]()
    for key in [key for key in records.keys(dataset) if key.startswith("evenset_find_mistakes_")]:
        record = records.read_record(dataset, key)
        field = record.inputs.get("output_field")
        is_same = record.state == "done" and record.label_field == run.record.inputs["label_field"]
        if is_same and field and dataset.has_field(items.leaf(dataset, f"{field}.is_issue")):
            flagged |= {
                i for i, is_issue in zip(*items.values(dataset, ["id", f"{field}.is_issue"]), strict=True) if is_issue
            }
    return len(flagged & ids)
