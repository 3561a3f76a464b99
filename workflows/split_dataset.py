"""Splits a dataset into training, validation and test, by tags, without leaks between them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..models.errors import ImageError, InvalidInput
from ..models.settings import BoxSettings, SplitSettings, split
from .data import items, sample_tags, synthetic
from .data.checks import check_images, check_label_field
from .data.groups import require_groups
from .data.internals import root_dataset
from .data.labels import PARENT, SYNTHETIC, Labels, Reading, read_labels, real_samples
from .data.locks import lock_field
from .data.tags import read_tags
from .display.tables import counted
from .runs.arguments import Embeddings, Progress, Samples, public
from .runs.lifecycle import RunRequest
from .runs.run import Run
from .splitting.assignment import Assignment, assign
from .splitting.results import SplitResults, summarize
from .splitting.similarity import group, open_vectors
from .splitting.tags import METHOD, all_tags, check_tags, kept_parts, tags_of, with_kept
from .training import timed
from .training.embedding_source import EmbeddingSource, note_source
from .training.image_survey import errors_of, unreadable

LOCK = "tags of a split"


@public
def split_dataset(
    samples: Samples,
    label_field: str,
    *,
    group_field: str | None = None,
    embeddings: Embeddings = None,
    progress: Progress = None,
    resume: str | None = None,
    group_slice: str | None = None,
    **settings: Any,
) -> SplitResults:
    """Tags samples as train, val or test, each class in the same fractions; undo with `delete_run`.

    On one side stay near-duplicates (mirrored ones too), samples of one file, those with the same value of
    `group_field`, and synthetic samples with their source. Synthetic samples are in train alone: where the source is
    held out, they get no tag. Every class is in every part where it has as many groups as there are parts. Boxes and
    tags are split with their samples, and a sample without a label gets no tag.

    Args:
        label_field: a field of `fo.Classification`, of boxes, or of tags (`fo.Classifications`)
        group_field: samples with the same value (patient, video, product) stay on one side
        embeddings: near-duplicates by these vectors, and not by the images: a field of vectors, an array, `{sample id:
            vector}`, a Brain key, or a model; "auto": vectors that are there, else images; None: images
        progress: None for a bar, False for silence, or a function of (phase, done, total, note)
        resume: key of a stopped run
        group_slice: of a grouped dataset, the slice whose images are meant; None: the view has one
        settings: fields of SplitSettings: train, val, test, keep, unlabelled, ...

    Raises:
        ValueError: a bad argument, no label, or tags that are taken; nothing was written
        TypeError: `samples` is not a dataset or view, or a setting is unknown
    """
    (split_settings,) = split(settings, SplitSettings)
    check_images(samples)
    check_label_field(samples, label_field, boxes=True, tags=True)
    samples = items.source(samples, label_field)
    dataset = root_dataset(samples)
    with lock_field(dataset, LOCK):
        if not resume:
            check_tags(dataset, split_settings)
            samples = with_kept(samples, split_settings)
        labels = _read(samples, label_field, group_field, split_settings)
        source = open_vectors(samples, embeddings, labels, resume)
        inputs = dict(label_field=label_field, group_field=group_field, embeddings=source.name if source else None)
        request = RunRequest(METHOD, settings=(split_settings,), inputs=inputs)
        with timed.start(samples, request, progress=progress, resume=resume) as run:
            note_source(run, source)
            return run.finish(_split(run, samples, labels, source, split_settings))


def _read(samples: Any, label_field: str, group_field: str | None, settings: SplitSettings) -> Labels:
    """The samples that take part: without a label only those that are split too, or have their tag already.

    Raises:
        ValueError: there is no label, a single group, or a sample with two of the tags
    """
    noun = items.noun(samples, label_field)
    has_synthetic = noun == items.SAMPLE and SYNTHETIC in root_dataset(samples).get_field_schema()
    if noun == items.TAG:
        labels = read_tags(samples, label_field, group_field=group_field).as_items()
    else:
        options: dict[str, Any] = dict(include_synthetic=has_synthetic, reading=Reading(BoxSettings(min_box_px=1)))
        labels = read_labels(samples, label_field, group_field=group_field, **options)
    if not labels.is_labelled.any():
        raise InvalidInput(f"no real {noun} has a label in {label_field!r}: label a few of each class first")
    if group_field:
        require_groups(labels.groups[labels.is_labelled], group_field)
    kept = kept_parts(samples, labels.sample_ids, settings) >= 0
    rows = np.flatnonzero((labels.class_ids >= 0) | kept | (settings.unlabelled == "split"))
    notes = list(labels.notes)
    if left := len(labels.ids) - len(rows):
        subject = items.SAMPLE if noun == items.TAG else noun
        notes.append(f"{counted(left, subject)} without a label got no tag: unlabelled='split' splits them too.")
    if noun == items.BOX and (empty := real_samples(samples)[0].count("id") - len(np.unique(labels.sample_ids))):
        notes.append(f"{counted(empty, 'sample')} without a box got no tag.")
    return replace(labels.take(rows), notes=notes)


def _split(
    run: Run, samples: Any, labels: Labels, source: EmbeddingSource | None, settings: SplitSettings
) -> SplitResults:
    kept = kept_parts(samples, labels.sample_ids, settings)  # again: a resume has removed what was half written

    def compute() -> dict[str, np.ndarray]:
        groups = group(run, labels, source, settings)
        readable = ~np.isin(np.arange(len(labels.ids)), list(groups.errors))
        if not (readable & labels.is_labelled).any():
            reason = next(iter(groups.errors.values()))
            raise ImageError(f"none of the labelled images can be read, the first because {reason}")
        parts = assign(labels, groups.of, kept, readable, settings)
        return dict(parts=parts, groups=groups.of, kept=kept, **unreadable(labels.ids, groups.errors))

    arrays = run.cached_arrays("split", compute, labels.ids, ("parts", "groups", "kept"))
    result = Assignment(labels, arrays["groups"], arrays["kept"], arrays["parts"], errors_of(arrays, labels.ids))
    new = {
        tag: np.unique(labels.sample_ids[(result.parts == part) & (result.kept < 0)]).tolist()
        for part, tag in enumerate(tags_of(settings).values())
    }
    label_field = run.record.inputs["label_field"]
    copies = _copies_for_training(run.dataset, label_field, result, settings)
    new[settings.train_tag] += copies
    sample_tags.add(run, run.folder, {tag: ids for tag, ids in new.items() if ids})
    results = summarize(run.key, label_field, result, settings)
    if copies:
        got = counted(len(copies), "image with pasted objects", "is", "are")
        results.notes.append(f"{got} tagged {settings.train_tag!r}, as all that they were made of.")
    return results


def _copies_for_training(dataset: Any, label_field: str, result: Assignment, settings: SplitSettings) -> list[str]:
    """Synthetic samples with boxes whose hosts and sources are all in train; others would leak, and get no tag."""
    if not items.has_boxes(dataset, label_field) or not dataset.has_field(PARENT):
        return []  # samples of one label are split with their real ones
    train = set(result.labels.sample_ids[result.parts == 0].tolist())
    view = dataset.match_tags(SYNTHETIC).match_tags(all_tags(settings), bool=False).exists(label_field)
    return [own for own, parents in synthetic.parents(view, label_field).items() if parents <= train]
