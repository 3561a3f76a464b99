"""The request of a review, and the checks of its arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...models.errors import InvalidInput
from ...models.settings import ReviewSettings
from ..data import box_kinds, items
from ..data.box_kinds import Correction
from ..data.checks import check_label_field
from ..data.field_access import require_visible
from ..data.internals import root_dataset
from ..data.label_text import or_none
from ..data.provenance import ReviewAction
from ..data.status import Status
from ..display.tables import counted
from ..runs.lookup import label_field_of, writer_of
from ..runs.records import RunRecord
from .decisions import Decision, known_classes, unknown_class


class NothingToReview(InvalidInput):
    """No sample has a suggestion that the review would take."""


@dataclass(frozen=True)
class Review:
    """Arguments of a review, checked, and the run of its suggestions."""

    field: str
    label_field: str
    label: str | None
    classes: Sequence[str] | None
    settings: ReviewSettings
    writer: RunRecord  # of the run that suggests
    shown: Mapping[str, tuple[str | None, str | None]] | None = None  # suggestion and label that a person saw
    decisions: Mapping[str, Decision] | None = None  # by sample id: they replace action, status, label and classes

    @property
    def is_of_mistakes(self) -> bool:
        """Whether find_mistakes wrote the suggestions."""
        return self.writer.method == "find_mistakes"

    def known(self, label: str | None) -> str | None:
        """A label; None where it is blank, or the name that counted as no label."""
        return None if label == self.writer.inputs.get("unlabelled") else or_none(label)

    @property
    def is_unseen(self) -> bool:
        """Whether it accepts suggestions of auto_label that nobody looked at."""
        accepts = self.decisions is None and self.settings.action == ReviewAction.ACCEPT
        return accepts and not self.settings.seen and not self.is_of_mistakes

    @property
    def state_attribute(self) -> str:
        """The attribute of a suggestion that `takes` goes by: whether it is flagged, or its status."""
        return "is_issue" if self.is_of_mistakes else "status"

    @property
    def statuses(self) -> tuple[str, ...]:
        return (Status.ACCEPTED, Status.REVIEW) if self.settings.status == "all" else (self.settings.status,)

    def accepts(self, item_id: str) -> bool:
        """Whether the review accepts the suggestion of an item, if it takes it."""
        if self.decisions is None:
            return self.settings.action == ReviewAction.ACCEPT
        return item_id in self.decisions and self.decisions[item_id].action == ReviewAction.ACCEPT

    def correction(self, item_id: str, kind: str | None) -> Correction:
        """What the review does to a flagged box or tag; RELABEL unless it accepts a flag of another kind.

        A missing box is also added where its label is corrected.
        """
        correction = self._correction_of(kind)
        takes = self.accepts(item_id) or (correction == Correction.ADD and not self.rejects(item_id))
        return correction if takes else Correction.RELABEL

    def _correction_of(self, kind: str | None) -> Correction:
        """The edit that corrects a flag; of a suggestion for a proposed box RELABEL, as its new label adds the box."""
        correction = box_kinds.correction_of(kind)
        return Correction.RELABEL if correction == Correction.ADD and not self.is_of_mistakes else correction

    def rejects(self, item_id: str) -> bool:
        """Whether the review rejects the suggestion of an item, or decides nothing on it."""
        if self.decisions is None:
            return self.settings.action == ReviewAction.REJECT
        return item_id not in self.decisions or self.decisions[item_id].action == ReviewAction.REJECT

    def name(self, item_id: str, suggestion: str | None) -> str:
        """The label that an accepted or corrected item gets."""
        name = self.label if self.decisions is None else self.decisions[item_id].name(suggestion)
        return name or suggestion or ""

    def takes(
        self, sample_id: str, suggestion: str | None, status: Any, label: str | None, kind: str | None = None
    ) -> bool | None:
        """Whether the action takes a sample; None where the sample's label alone prevents it.

        Args:
            status: of the suggestion; for one of find_mistakes, whether it is flagged
            kind: of a flagged box, or of a tag that is suggested
        """
        if self.shown is not None and self.shown.get(sample_id) != (suggestion, label):
            return False
        suggestion, label = or_none(suggestion), self.known(label)
        if self.decisions is not None:
            decision = self.decisions.get(sample_id)
            if decision is None or suggestion is not None:
                return decision is not None
            return None if decision.label == label is not None else decision.label is not None
        if self.classes is not None and suggestion not in self.classes:
            return False
        if self.settings.action == ReviewAction.CORRECT:
            return True
        if self.is_of_mistakes:  # flagged counts as accepted, the others as in review
            status = Status.ACCEPTED if status else Status.REVIEW
        if status not in self.statuses:
            return False
        correction = self._correction_of(kind)
        if label is not None and not self.is_of_mistakes and correction == Correction.RELABEL:
            return None
        if correction == Correction.DELETE and not self.is_of_mistakes:  # a tag; of a box flags alone have a kind
            return label is not None
        return suggestion not in (None, label) if correction == Correction.RELABEL else status == Status.ACCEPTED


def build_review(
    samples: Any,
    field: str,
    label_field: str | None,
    label: str | None,
    classes: Sequence[str] | None,
    settings: ReviewSettings,
) -> Review:
    """Checks the arguments that stay valid while a review waits for others.

    Raises:
        ValueError: a bad argument
    """
    writer = writer_of(root_dataset(samples), field, "auto_label", "find_mistakes")
    label_field = label_field or label_field_of(writer, field)
    if label_field == field:
        raise InvalidInput(f"label_field: {field!r} holds the suggestions, labels go into another field")
    check_label_field(samples, label_field, boxes=True, tags=True)
    if settings.action == ReviewAction.CORRECT and items.has_tags(samples, label_field):
        raise InvalidInput("action: a tag is there or not, and has no other label to correct: accept or reject it")
    if items.list_of(samples, field) != items.list_of(samples, label_field):
        raise InvalidInput(
            f"label_field: {label_field!r} does not hold labels of the kind in {field!r}, so that suggestions have no "
            "place there: give the field that they were learned from"
        )
    if classes is not None and not len(classes):
        raise InvalidInput("classes has to be a list of names, as classes=['cat'], or None: it is empty")
    require_visible(samples, field, label_field)
    return Review(field, label_field, label, classes, settings, writer)


def decide(review: Review, decisions: Mapping[str, Decision]) -> Review:
    """A review that carries out decisions, one a sample.

    Raises:
        ValueError: it also has arguments that choose samples or a label
    """
    defaults = ReviewSettings()
    chosen = {"label": review.label, "classes": review.classes}
    chosen |= {name: getattr(review.settings, name) for name in ("action", "status")}
    other = [name for name, value in chosen.items() if value != getattr(defaults, name, None)]
    if other:
        raise InvalidInput(f"labels decides on each sample: leave {' and '.join(other)} out")
    return replace(review, decisions=decisions)


def inputs_of(review: Review) -> dict[str, Any]:
    classes = None if review.classes is None else list(review.classes)
    inputs = dict(field=review.field, label_field=review.label_field, label=review.label, classes=classes)
    return inputs if review.decisions is None else {**inputs, "labels": {}}  # the run's folder has them


def why_none(review: Review, noun: str, labelled: int, uncorrected: int) -> str:
    """Why a review takes no item, as a sentence.

    Args:
        noun: of the items
        labelled: items that it leaves because they have a label
        uncorrected: flagged boxes that it cannot correct
    """
    if uncorrected:
        return f"{uncorrected_note(uncorrected)} Nothing else of the view is flagged"
    status = review.settings.status
    wanted = {"all": "accepted or in review"}.get(status, status)
    if review.is_of_mistakes:
        wanted = {Status.ACCEPTED.value: "flagged", Status.REVIEW.value: "unflagged"}.get(status, "another label")
    which = f" of {', '.join(review.classes)}" if review.classes else ""
    return f"no {noun} of the view has a suggestion{which} in {review.field!r} to {review.settings.action}: " + (
        f"{labelled:,} of them {'has' if labelled == 1 else 'have'} a label already"
        if labelled
        else f"none is {wanted}"
    )


def check_label(samples: Any, review: Review) -> None:
    """Raises ValueError where a correction has no label, or one of an unknown class."""
    settings, label = review.settings, review.label
    if settings.action != ReviewAction.CORRECT:
        if label is not None:
            raise InvalidInput(f"label is for action='correct', not for {settings.action!r}")
        return
    if or_none(label) is None:
        raise InvalidInput("action='correct' needs the correct label, as label='shirt'")
    names = known_classes(root_dataset(samples), review)
    if label not in names and not settings.new_class:
        raise InvalidInput(unknown_class(str(label), names, review.label_field))


def uncorrected_note(count: int) -> str:
    """A sentence on flags of boxes that accepting leaves."""
    return (
        f"{counted(count, 'flag', 'has', 'have')} no automatic correction: correct the box by hand, or its label by "
        "action='correct', or dismiss the flag by action='reject'."
    )
