"""Decisions of a person, one for each sample: from a dict of labels, or from a CSV file."""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...models.errors import InvalidInput
from ...models.files import write_text
from ...models.regular_files import read_json
from ...models.settings import check_text
from ..data import items
from ..data.box_kinds import Correction
from ..data.csv_rows import Row, read_rows
from ..data.folders import run_folder
from ..data.internals import root_dataset
from ..data.label_text import or_none
from ..data.provenance import ReviewAction
from ..display.tables import counted

FILE = "decisions.json"  # in a review's folder, for a resume
MAX_NAMES = 10  # classes listed in a message


@dataclass(frozen=True)
class Decision:
    """What a person decided on a sample."""

    action: ReviewAction
    label: str | None  # the correct label; the suggestion that was seen, None where it was not recorded
    place: str  # where it was given, for a message

    def name(self, suggestion: str | None) -> str | None:
        """The label to write; None for a rejected suggestion."""
        return None if self.action == ReviewAction.REJECT else self.label or suggestion


def read_decisions(labels: Mapping[str, str | None] | str | Path) -> dict[str, Decision]:
    """Decisions by sample id.

    Args:
        labels: label by sample id, None to reject; or a CSV file with columns id, label and decision

    Raises:
        ValueError: there is none, or a row of the file is wrong
    """
    if not isinstance(labels, Mapping):
        decisions = _of_file(str(labels))
    else:
        decisions = {i: _of_label(label, f"labels[{i!r}]") for i, label in labels.items()}
    if not decisions:
        raise InvalidInput(f"labels: {'it is empty' if isinstance(labels, Mapping) else f'{labels} decides nothing'}")
    return decisions


def _of_label(label: str | None, place: str) -> Decision:
    if label is not None and or_none(label) is None:
        raise InvalidInput(f"{place} is blank: give a label, or None to reject the suggestion")
    return Decision(ReviewAction.REJECT if label is None else ReviewAction.CORRECT, label, place)


def _rows(path: str) -> Iterator[Row]:
    try:
        yield from read_rows(path)
    except InvalidInput as error:
        raise InvalidInput(f"labels: {error}") from error


def _of_file(path: str) -> dict[str, Decision]:
    """Decisions of a CSV file; rows with neither label nor decision are undecided, and left out."""
    decisions: dict[str, Decision] = {}
    lines: dict[str, int] = {}
    for line, row in _rows(path):
        place, sample_id = f"{path}, line {line}", row["id"]
        if "label" not in row and "decision" not in row:
            raise InvalidInput(f"{path}: there is neither a column 'label' nor a column 'decision'")
        if sample_id in lines:
            raise InvalidInput(f"{place}, column id: {sample_id} is in line {lines[sample_id]} already")
        lines[sample_id] = line
        label, decision = row.get("label") or None, row.get("decision", "").lower()
        check_text(f"{place}, column label", label or "")
        if decision in (ReviewAction.ACCEPT, ReviewAction.REJECT):
            decisions[sample_id] = Decision(ReviewAction(decision), label, place)
        elif decision:
            raise InvalidInput(
                f"{place}, column decision: {row['decision']!r} is neither accept nor reject: to write another label, "
                "leave it empty"
            )
        elif label:
            decisions[sample_id] = Decision(ReviewAction.CORRECT, label, place)
    return decisions


def check_decisions(samples: Any, review: Any, *, resumes: bool = False) -> None:
    """Refuses decisions on samples or suggestions that are not there, and labels of unknown classes.

    Args:
        review: a `Review` with decisions
        resumes: samples may have been deleted since they were checked

    Raises:
        ValueError: one of these
    """
    if resumes:
        return
    columns = ["id", f"{review.field}.label", f"{review.label_field}.label"]
    rows = zip(*items.values(samples, columns), strict=True)
    suggested = {i: or_none(name) for i, name, _ in rows if i in review.decisions}
    unknown = [decision.place for i, decision in review.decisions.items() if i not in suggested]
    if unknown:
        raise InvalidInput(
            f"{_column(unknown[0], 'id')}: {len(unknown):,} of {counted(len(review.decisions), 'id')} "
            f"{'is' if len(unknown) == 1 else 'are'} no {items.noun(samples, review.label_field)} of {samples.name!r}"
            f"{', such as this one' if unknown[1:] else ''}"
        )
    for i, decision in review.decisions.items():
        _check_suggestion(decision, suggested[i], review.field)
    if not review.settings.new_class:
        _check_classes(root_dataset(samples), review)


def _check_suggestion(decision: Decision, suggestion: str | None, field: str) -> None:
    """Accepting and rejecting need the suggestion that was seen."""
    if decision.action == ReviewAction.CORRECT:
        return
    if or_none(suggestion) is None:
        column = _column(decision.place, "decision")
        raise InvalidInput(f"{column}: it has no suggestion in {field!r} to {decision.action}")
    if decision.label not in (None, suggestion):
        raise InvalidInput(
            f"{_column(decision.place, 'label')}: {decision.label!r} is not the suggestion in {field!r}, which is "
            f"{suggestion!r}: leave the decision empty to write another label"
        )


def _check_classes(dataset: Any, review: Any) -> None:
    names = known_classes(dataset, review)
    for decision in review.decisions.values():
        if decision.action == ReviewAction.CORRECT and decision.label not in names:
            place = _column(decision.place, "label")
            raise InvalidInput(f"{place}: {unknown_class(decision.label, names, review.label_field)}")


def known_classes(dataset: Any, review: Any) -> set[str]:
    """Classes of the label field and of the suggestions."""
    paths = (items.leaf(dataset, f"{field}.label") for field in (review.label_field, review.field))
    return {name for path in paths for name in dataset.distinct(path) if review.known(name)}


def unknown_class(label: str, names: set[str], label_field: str) -> str:
    """The sentence that refuses a label of another class."""
    near = difflib.get_close_matches(label, names, 1)
    listed = ", ".join(sorted(names)[:MAX_NAMES]) + (" and more" if len(names) > MAX_NAMES else "")
    hint = f"did you mean {near[0]!r}?" if near else f"there are {listed}"
    return f"{label!r} is not a class of {label_field!r}: {hint} (new_class=True adds it)"


def _column(place: str, name: str) -> str:
    """A place with the column, where it is in a file."""
    return f"{place}, column {name}" if ", line " in place else place


def names_written(
    views: Sequence[Any], review: Any, ids: set[str] | None = None
) -> Iterator[tuple[str | None, str | None]]:
    """The label to write, "" for a deleted box, and the current one, of each item that the review takes.

    Args:
        ids: of these items, where the views have others too
    """
    columns = ["id", f"{review.field}.label", f"{review.label_field}.label", *kind_path(views[0], review)]
    for view in views:
        for i, suggestion, label, *kind in zip(*items.values(view, columns), strict=True):
            if (ids is None or i in ids) and review.correction(i, *kind or [None]) == Correction.DELETE:
                yield "", review.known(label)
            elif ids is None or i in ids:
                name = review.decisions[i].name(or_none(suggestion)) if review.decisions else review.label or suggestion
                yield name, review.known(label)


def kind_path(samples: Any, review: Any) -> list[str]:
    """Path of the kind of the flags, where they have one."""
    return items.kind_paths(root_dataset(samples), review.field) if review.is_of_mistakes else []


def save_decisions(folder: Path, decisions: Mapping[str, Decision]) -> None:
    write_text(folder / FILE, json.dumps({i: dataclasses.astuple(decision) for i, decision in decisions.items()}))


def saved_decisions(dataset: Any, key: str) -> dict[str, Decision]:
    """The decisions of a review that was stopped.

    Raises:
        ValueError: it was killed before it had saved them
    """
    folder = run_folder(dataset, key)
    if not (folder / FILE).exists():
        raise InvalidInput(f"the decisions of {key} are not in its folder: delete it, and pass them again")
    rows = read_json(folder / FILE).items()
    return {i: Decision(ReviewAction(action), label, place) for i, (action, label, place) in rows}
