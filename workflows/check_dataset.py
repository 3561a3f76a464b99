"""Checks images, files, labels and splits before anything is learned from them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import Any

from ..models.errors import InvalidInput
from ..models.settings import CheckSettings, split
from .checking import duplicates, problems, writing
from .checking.measuring import measure_images
from .checking.results import CheckResults, summarise
from .checking.splits import read_splits
from .data.checks import check_images, check_output_field
from .data.labels import Labels, read_ids, read_labels
from .runs.arguments import Embeddings, Progress, Samples, Splits, public
from .runs.lifecycle import RunRequest
from .runs.run import Run
from .training import timed
from .training.auto_embeddings import is_auto, vector_sources
from .training.embedding_source import EmbeddingSource, note_source, open_source, texts


@public
def check_dataset(
    samples: Samples,
    *,
    label_field: str | None = None,
    splits: Splits = None,
    output_field: str = "check",
    embeddings: Embeddings = "auto",
    progress: Progress = None,
    resume: str | None = None,
    group_slice: str | None = None,
    **settings: Any,
) -> CheckResults:
    """Finds damaged files, duplicates, leaks between splits, and images that stand out; undo with `delete_run`.

    Each image is looked at once. Nothing is changed: `output_field` receives the problems and measurements of each
    sample, and each kind of problem that occurs has a saved view.

    Args:
        label_field: a field of `fo.Classification`: duplicates with different labels, and spellings of one name
        splits: two tags or more, or a field whose values are the splits: duplicates in several of them
        output_field: new field of embedded documents
        embeddings: vectors whose nearest images are compared beside those of thumbnails: as in `find_mistakes`, but
            "auto" takes only those that are there, and None none
        progress: None for a bar, False for silence, or a function of (phase, done, total, note)
        resume: key of a stopped run
        group_slice: of a grouped dataset, the slice whose images are meant; None: the view has one
        settings: fields of CheckSettings

    Raises:
        ValueError: a bad argument, or no readable image; nothing was written
        TypeError: `samples` is not a dataset or view, or a setting is unknown
    """
    (config,) = split(settings, CheckSettings)
    inputs = Inputs(label_field, splits, output_field, embeddings)
    check_images(samples)
    field = splits if isinstance(splits, str) else None
    check_output_field(samples, output_field, label_field, field, *texts(embeddings))
    split_names = read_splits(samples, splits)
    labels = read_labels(samples, label_field) if label_field else read_ids(samples, None)
    if not len(labels.ids):
        raise InvalidInput("all samples are synthetic: pass those with your own images")
    source = _open_source(samples, embeddings, labels, resume)
    if isinstance(source, EmbeddingSource):
        inputs = replace(inputs, embeddings=source.name)
    request = RunRequest("check_dataset", (config,), vars(inputs), (output_field,))
    with timed.start(samples, request, progress=progress, resume=resume) as run:
        note_source(run, source if isinstance(source, EmbeddingSource) else None)
        return run.finish(_check(run, labels, split_names, source, inputs))


@dataclass(frozen=True)
class Inputs:
    """Arguments of check_dataset that its run records."""

    label_field: str | None
    splits: Any
    output_field: str
    embeddings: Any  # a text, or None, once they are opened


def _open_source(samples: Any, embeddings: Any, labels: Labels, resume: str | None) -> EmbeddingSource | str | None:
    """The source of vectors; "auto" where the dataset has none: an encoder's may still be stored.

    Raises:
        TypeError, ValueError: as `open_source`
    """
    if not is_auto(embeddings):
        return open_source(samples, embeddings, labels, resume)
    for name in vector_sources(samples):
        with contextlib.suppress(InvalidInput):  # a bad vector
            return open_source(samples, name, labels)
    return str(embeddings)


def _check(
    run: Run,
    labels: Labels,
    splits: dict[str, frozenset[str]],
    source: EmbeddingSource | str | None,
    inputs: Inputs,
) -> CheckResults:
    """Measures, compares and judges the images, and writes what was found."""
    (config,) = split(run.record.settings, CheckSettings)
    images = measure_images(run, labels, config)
    copies = duplicates.find(run, labels, images, source, config)
    found = problems.collect(labels, images, copies, splits, config, has_labels=inputs.label_field is not None)
    views = writing.write(run, labels.ids, found, inputs.output_field, config.tags)
    return summarise(run, labels, images, found, views)
