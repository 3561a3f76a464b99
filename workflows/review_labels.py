"""A person's word on suggestions: accepted, corrected or rejected, recorded so that one call undoes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..models.settings import ReviewSettings, split
from .data.checks import check_images
from .reviewing.request import _request
from .reviewing.results import ReviewResults
from .reviewing.writing import _review
from .runs.arguments import Progress, Samples, public


@public
def review_labels(
    samples: Samples,
    field: str,
    *,
    label_field: str | None = None,
    label: str | None = None,
    classes: Sequence[str] | None = None,
    progress: Progress = None,
    resume: str | None = None,
    into: str | None = None,
    **settings: Any,
) -> ReviewResults:
    """Accepts, corrects or rejects the suggestions of `samples`; undo with `delete_run`.

    Accepting copies the suggestion into the label field, correcting writes `label` there, and rejecting drops the
    suggestion. Labels that are written carry evenset_run, evenset_review and evenset_selection. Accepting keeps a label
    that is there, but for a suggestion of `find_mistakes`: there it replaces the label, and rejecting takes the flag
    away. Correcting writes over a label that is there. What would take more than half of a class's labels needs force.

    Args:
        field: output field of `auto_label` or `find_mistakes`
        label_field: where labels go; None: the field that `field` was learned from
        label: the right label, for action="correct"
        classes: only suggestions of these classes
        into: key of a finished review of the same fields that this one becomes a part of: one undo takes all back
        settings: fields of ReviewSettings: action, status, seen, new_class, force

    Raises:
        ValueError: a bad argument, or no sample has such a suggestion; nothing was written
        TypeError: `samples` is no dataset or view, or there is no such setting
    """
    (choices,) = split(settings, ReviewSettings)
    check_images(samples)
    review = _request(samples, field, label_field, label, classes, choices)
    return _review(samples, review, progress=progress, resume=resume, into=into)
