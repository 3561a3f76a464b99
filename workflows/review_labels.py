"""Accepts, corrects or rejects suggestions; one call undoes a review."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..models.settings import ReviewSettings, split
from .data import items
from .data.checks import check_images
from .data.internals import root_dataset
from .reviewing.decisions import read_decisions, saved_decisions
from .reviewing.request import build_review, decide
from .reviewing.results import ReviewResults
from .reviewing.writing import carry_out
from .runs.arguments import Decisions, Progress, Samples, public


@public
def review_labels(
    samples: Samples,
    field: str,
    *,
    labels: Decisions = None,
    label_field: str | None = None,
    label: str | None = None,
    classes: Sequence[str] | None = None,
    progress: Progress = None,
    resume: str | None = None,
    into: str | None = None,
    group_slice: str | None = None,
    **settings: Any,
) -> ReviewResults:
    """Accepts, corrects or rejects the suggestions of `samples`; undo with `delete_run`.

    Accepting copies the suggestion into the label field, correcting writes `label` there, and rejecting removes the
    suggestion. Written labels carry evenset_run, evenset_review and evenset_selection. Accepting keeps an existing
    label, except for suggestions of `find_mistakes`: there it replaces the label, and rejecting removes the flag.
    Correcting replaces an existing label. A change of more than half of a class's labels needs force.

    `labels` has a person's decision on each of its samples instead: a suggestion or label that it repeats counts as
    seen, another label as corrected, and an original label that it repeats stays as it is.

    Args:
        samples: a dataset or a view; of boxes also patches, of the labels or of the suggestions
        field: output field of `auto_label` or `find_mistakes`
        labels: label by sample id, or by the label's id of a box, where None rejects the suggestion; or a CSV file with
            the columns id, label and decision, which is accept, reject or empty; rows with neither label nor decision
            are left out
        label_field: where labels go; None: the field that `field` was learned from
        label: the correct label, for action="correct"
        classes: only suggestions of these classes
        into: key of a finished review of the same fields, which this one joins: they are undone together
        group_slice: of a grouped dataset, the slice whose images are meant; None: the view has one
        settings: fields of ReviewSettings: action, status, seen, new_class, force

    Raises:
        ValueError: a bad argument or row of the file, or no sample has such a suggestion; nothing was written
        TypeError: `samples` is not a dataset or view, or a setting is unknown
    """
    (review_settings,) = split(settings, ReviewSettings)
    samples = items.source(samples, field, label_field)
    check_images(samples)
    review = build_review(samples, field, label_field, label, classes, review_settings)
    if labels is not None:
        decisions = saved_decisions(root_dataset(samples), resume) if resume else read_decisions(labels)
        review = decide(review, decisions)
    return carry_out(samples, review, progress=progress, resume=resume, into=into)
