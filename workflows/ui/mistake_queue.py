"""Labels that find_mistakes flagged, as a person goes through them; and the flags that somebody dismissed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...models.errors import InvalidInput
from ...models.regular_files import regular
from ..data import folders, locks
from ..data.checks import require_fields
from ..delete_run import delete_run
from ..reviewing import policy
from ..reviewing.request import NothingToReview
from ..reviewing.writing import review_shown
from ..runs import records


@dataclass
class Suspects:
    """A page of flagged labels, the most suspicious first."""

    first: int  # place of the first row
    count: int  # on all pages
    edited: int  # flagged, and not listed: the label, or that of the contradicting near-duplicate, was edited since
    rows: list[dict[str, Any]]  # id, path, given, suggestion, mistakenness, reason


@dataclass
class Decided:
    """What became of a decision."""

    changed: int  # samples
    passed_over: int  # somebody else decided on them meanwhile, or they are gone
    run_key: str | None  # deleting it undoes the decision; None: nothing was left to decide


def look(dataset: Any, run_key: str, first: int, most: int) -> Suspects:
    """The flagged labels of a run from place `first` on, at most `most` of them; a place behind the last is the last.

    Raises:
        ValueError: there is no such run, or its field was removed
    """
    inputs = records.read_record(dataset, run_key).inputs
    field, label_field = inputs["output_field"], inputs["label_field"]
    if not dataset.has_sample_field(f"{field}.is_issue"):
        raise InvalidInput(f"the field {field!r} of {run_key} was removed: find the mistakes again")
    flagged = dataset.match({f"{field}.is_issue": True}).sort_by(f"{field}.rank")
    judged = _judged(dataset, run_key)
    settled = policy.settled(dataset, field, label_field)
    ids, labels = flagged.values(["id", f"{label_field}.label"])
    pairs = [(i, label) for i, label in zip(ids, labels, strict=True) if label is not None and i not in settled]
    same = [i for i, label in pairs if judged.get(i, label) == label]
    first = min(first, max(len(same) - 1, 0) // most * most)
    shown = dataset.select(same[first : first + most], ordered=True)
    paths = ["id", "filepath", f"{label_field}.label", f"{field}.label", f"{field}.mistakenness", f"{field}.reason"]
    names = ("id", "path", "given", "suggestion", "mistakenness", "reason")
    rows = [dict(zip(names, values, strict=True)) for values in zip(*shown.values(paths), strict=True)]
    return Suspects(first, len(same), len(ids) - len(same), rows)


def _judged(dataset: Any, run_key: str) -> dict[str, str]:
    """The label of each sample as the run saw it; empty where its files were deleted by hand."""
    path = folders.run_folder(dataset, run_key) / "labels.npz"
    if not path.exists():
        return {}
    with np.load(regular(path), allow_pickle=False) as kept:
        return dict(zip(kept["ids"].tolist(), kept["names"][kept["classes"]].tolist(), strict=True))


def losses(dataset: Any, label_field: str, shown: Sequence[dict[str, Any]]) -> list[policy.Taken]:
    """Labels of each class that applying these rows would change, and how many there are."""
    return policy.taken_labels(dataset, label_field, Counter(row["given"] for row in shown))


def decide(
    dataset: Any, field: str, label_field: str, action: str, shown: Sequence[dict[str, Any]], force: bool = False
) -> Decided:
    """Accepts or rejects suggestions as a person saw them; what is no longer so is passed over.

    Args:
        field: output field of `find_mistakes`
        action: "accept", or "reject" to dismiss
        shown: rows of `look`
        force: more than half of a class's labels may change

    Raises:
        Refused: they would, or a class that is gone would come back; nothing was written
        ValueError: one of the fields was removed; nothing was written
    """
    seen = {row["id"]: (True, row["suggestion"], row["given"]) for row in shown}
    paths = ["id", f"{field}.is_issue", f"{field}.label", f"{label_field}.label"]
    with locks.lock_field(dataset, f"queue of {field}", locks.WAIT_SECONDS):
        dataset.reload()
        require_fields(dataset, field, label_field)
        now = zip(*dataset.select(list(seen)).values(paths), strict=True)
        ids = [i for i, *values in now if tuple(values) == seen[i]]
        if not ids:
            return Decided(0, len(seen), None)
        try:
            done = review_shown(
                dataset.select(ids), field, label_field, {i: seen[i][1:] for i in ids}, action=action, force=force
            )
        except NothingToReview:  # somebody changed all of them at this very moment
            return Decided(0, len(seen), None)
        if not done.changed:
            delete_run(dataset, done.run_key)
            return Decided(0, len(seen), None)
    return Decided(done.changed, len(seen) - done.changed, done.run_key)
