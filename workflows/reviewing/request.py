"""What a review is asked to do, and the checks of its arguments."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...models.errors import InvalidInput
from ...models.settings import ReviewSettings
from ..data.checks import check_label_field
from ..data.field_access import require_visible
from ..data.internals import root_dataset
from ..data.label_text import or_none
from ..runs.lookup import writer_of
from ..runs.records import RunRecord


class NothingToReview(InvalidInput):
    """No sample has such a suggestion."""


@dataclass(frozen=True)
class Review:
    """What a review is to do."""

    field: str
    label_field: str
    label: str | None
    classes: Sequence[str] | None
    choices: ReviewSettings
    owner: RunRecord  # of the run that suggests
    shown: Mapping[str, tuple[str | None, str | None]] | None = None  # suggestion and label that a person saw

    @property
    def mistakes(self) -> bool:
        """Whether the suggestions are those of find_mistakes."""
        return bool(self.owner.method == "find_mistakes")

    @property
    def statuses(self) -> tuple[str, ...]:
        return ("accepted", "review") if self.choices.status == "all" else (self.choices.status,)

    def takes(self, sample_id: str, suggestion: str | None, status: Any, label: str | None) -> bool | None:
        """Whether the action takes a sample; None where it would, had the sample no label.

        Args:
            status: of the suggestion; for one of find_mistakes, whether it is flagged
        """
        if self.shown is not None and self.shown.get(sample_id) != (suggestion, label):
            return False
        suggestion, label = or_none(suggestion), or_none(label)
        if self.classes is not None and suggestion not in self.classes:
            return False
        if self.choices.action == "correct":
            return True
        if self.mistakes:  # flagged counts as accepted, the others as in review
            status = "accepted" if status else "review"
        if status not in self.statuses:
            return False
        if label is not None and not self.mistakes:
            return None
        return suggestion not in (None, label)


def _request(
    samples: Any,
    field: str,
    label_field: str | None,
    label: str | None,
    classes: Sequence[str] | None,
    choices: ReviewSettings,
) -> Review:
    """Checks what does not change while a review waits for others.

    Raises:
        ValueError: a bad argument
    """
    owner = writer_of(root_dataset(samples), field, "auto_label", "find_mistakes")
    label_field = label_field or owner.label_field
    if label_field is None:
        raise InvalidInput(f"{field!r} was made by an earlier run's model: say the label_field that labels go to")
    if label_field == field:
        raise InvalidInput(f"label_field: {field!r} holds the suggestions, labels go into another field")
    check_label_field(samples, label_field)
    if classes is not None and not len(classes):
        raise InvalidInput("classes has to be a list of names, as classes=['cat'], or None: it is empty")
    require_visible(samples, field, label_field)
    return Review(field, label_field, label, classes, choices, owner)


def _inputs(review: Review) -> dict[str, Any]:
    classes = None if review.classes is None else list(review.classes)
    return dict(field=review.field, label_field=review.label_field, label=review.label, classes=classes)


def _why_none(review: Review, kept: int) -> str:
    status = review.choices.status
    wanted = {"all": "accepted or in review"}.get(status, status)
    if review.mistakes:
        wanted = {"accepted": "flagged", "review": "unflagged"}.get(status, "another label")
    which = f" of {', '.join(review.classes)}" if review.classes else ""
    return f"no sample of the view has a suggestion{which} in {review.field!r} to {review.choices.action}: " + (
        f"{kept:,} of them {'has' if kept == 1 else 'have'} a label already" if kept else f"none is {wanted}"
    )


def _check_label(samples: Any, review: Review) -> None:
    choices, label = review.choices, review.label
    if choices.action != "correct":
        if label is not None:
            raise InvalidInput(f"label is for action='correct', not for {choices.action!r}")
        return
    if or_none(label) is None:
        raise InvalidInput("action='correct' needs the right label, as label='shirt'")
    dataset = root_dataset(samples)
    values = [*dataset.distinct(f"{review.label_field}.label"), *dataset.distinct(f"{review.field}.label")]
    names = set(filter(or_none, values))
    if label not in names and not choices.new_class:
        near = difflib.get_close_matches(label, names, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(names))}"
        raise InvalidInput(f"{label!r} is no class of {review.label_field!r}: {hint} (new_class=True adds it)")
