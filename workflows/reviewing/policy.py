"""Safeguards of a review: it neither takes most of a class's labels, nor restores a removed class, nor accepts unseen
what is up for review, unless allowed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...models.errors import InvalidInput
from ..data import folders, items
from ..data.fields import DB_BATCH
from ..data.internals import root_dataset
from ..data.labels import name_index
from ..data.provenance import ReviewAction, provenance_paths
from ..data.status import Status
from ..display.tables import counted
from ..runs import cached_arrays, records
from ..runs.records import RunRecord
from .decisions import names_written
from .request import Review

MIN_LOST = 3  # labels: a loss of fewer is allowed, whatever their part of the class
MAX_CLASSES = 10  # listed in a sentence
VERBS = {ReviewAction.ACCEPT: "accepting", ReviewAction.CORRECT: "correcting"}


class Refused(InvalidInput):
    """A review that needs force or new_class."""


class Taken(NamedTuple):
    """Labels of a class that a review changes to another class."""

    name: str
    changed: int
    total: int  # labels that the class has in the dataset

    @property
    def is_most(self) -> bool:
        return self.changed >= MIN_LOST and 2 * self.changed > self.total


def batches(dataset: Any, ids: Sequence[str]) -> list[Any]:
    """Views of samples, each small enough for one query."""
    return [dataset.select(ids[first : first + DB_BATCH]) for first in range(0, len(ids), DB_BATCH)]


def check(views: Sequence[Any], review: Review, ids: set[str] | None = None) -> None:
    """Refuses a review that would restore removed classes, take most of a class's labels, or accept unseen ones.

    Args:
        views: of the items that the review takes
        ids: of these items, where the views have others too

    Raises:
        Refused: it would, and its settings do not allow it
        ValueError: the labels have attributes of other types under the names that Evenset writes
    """
    settings, label_field = review.settings, review.label_field
    if (settings.action == ReviewAction.REJECT and review.decisions is None) or not views:
        return  # no label of the label field changes
    dataset = root_dataset(views[0])
    _check_provenance(dataset, label_field)
    if review.is_unseen and settings.status == Status.REVIEW and not settings.force:
        _check_seen(views, review, ids)
    written, counts = _effect(views, review, ids)
    gone = sorted(gone_classes(dataset, review.writer, label_field, written))
    if gone and not settings.new_class:
        others = f" (nor are {_listed([repr(name) for name in gone[1:]])})" if gone[1:] else ""
        raise Refused(
            f"{gone[0]!r} is no longer a class of {label_field!r}{others}: it was renamed or removed since "
            f"{review.field!r} was made. Run {review.writer.method} again, or leave it out (new_class=True adds it)"
        )
    taken = taken_labels(dataset, label_field, counts)
    most = [row for row in taken if row.is_most]
    if most and not settings.force:
        verb = VERBS[ReviewAction(settings.action)] if review.decisions is None else "labels"
        raise Refused(
            f"{verb} would take {describe(most)}, more than half of a class: "
            "look at each of them first (force=True does it anyway)"
        )


def _check_seen(views: Sequence[Any], review: Review, ids: set[str] | None) -> None:
    """Refuses to accept what is up for review, where nobody looked at it; "all" asks for it in so many words."""
    rows = (row for view in views for row in zip(*items.values(view, ["id", f"{review.field}.status"]), strict=True))
    if count := sum(status == Status.REVIEW and (ids is None or i in ids) for i, status in rows):
        raise Refused(
            f"{counted(count, 'suggestion', 'is', 'are')} up for review, and accepting in bulk looks at none: look at "
            "each, correct the wrong ones, and accept the others with seen=True (force=True accepts them unseen)"
        )


def _effect(views: Sequence[Any], review: Review, ids: set[str] | None) -> tuple[set[str], Counter[str]]:
    """Classes that a review writes, and the number of labels that it takes from each class."""
    if review.decisions is None and ids is None:
        written = {review.label} if review.label else set(_count(views, f"{review.field}.label"))
        return written, _count(views, f"{review.label_field}.label", review.label)
    pairs = [(name, label) for name, label in names_written(views, review, ids) if name is not None]
    return {name for name, _ in pairs if name}, Counter(label for name, label in pairs if label not in (None, name))


def taken_labels(dataset: Any, label_field: str, counts: Counter[str]) -> list[Taken]:
    """Labels that a review takes from each class, the largest part of a class first."""
    totals = dataset.count_values(items.leaf(dataset, f"{label_field}.label"))
    taken = [Taken(name, count, totals.get(name, count)) for name, count in counts.items()]
    return sorted(taken, key=lambda row: (-row.changed / row.total, row.name))


def describe(taken: Sequence[Taken]) -> str:
    """ "3 of 3 labels of 'bee', 20 of 30 of 'cow'"."""
    rows = [f"{row.changed:,} of {row.total:,}{'' if i else ' labels'} of {row.name!r}" for i, row in enumerate(taken)]
    return _listed(rows)


def gone_classes(dataset: Any, writer: RunRecord, label_field: str, names: set[str]) -> set[str]:
    """Those of `names` that a run read in the label field, and that no label has now.

    An empty label field has lost no class: it may be a new one.
    """
    labels = {name for name in dataset.distinct(items.leaf(dataset, f"{label_field}.label")) if _is_class(name)}
    current, read = set(labels), set()
    for record in _training_runs(dataset, writer) if labels else ():
        if record.label_field == label_field:
            classes, index = name_index([], record.inputs.get("classes") or [])  # a class may have synonyms
            current |= {classes[index[name]] for name in labels & index.keys()}
            read |= _classes_read(dataset, record, names)
    return (names & read) - current


def _check_provenance(dataset: Any, label_field: str) -> None:
    """Raises ValueError where an attribute that Evenset writes holds other values than text."""
    import fiftyone as fo

    for path in provenance_paths(label_field):
        field = dataset.get_field(items.leaf(dataset, path))
        if field is None:  # a label may have attributes that the schema does not declare
            other: dict[str, Any] = {path: {"$exists": True, "$ne": None, "$not": {"$type": "string"}}}
            if items.has_several(dataset, label_field):
                own = {path.rpartition(".")[2]: other[path]}
                other = {items.root_of(dataset, label_field): {"$elemMatch": own}}
            kind, fits = "other values", not dataset.match(other).limit(1).count()
        else:
            kind, fits = type(field).__name__, isinstance(field, fo.StringField)
        if not fits:
            raise InvalidInput(
                f"the attribute {path!r} holds {kind}, where Evenset writes text: rename it, or remove it"
            )


def _count(views: Sequence[Any], path: str, without: str | None = None) -> Counter[str]:
    """Number of samples with each class but one."""
    counts: Counter[str] = Counter()
    for view in views:
        counts.update(view.count_values(path))
    return Counter({name: count for name, count in counts.items() if _is_class(name) and name != without})


def _is_class(name: str | None) -> bool:
    return bool(name and name.strip())


def _training_runs(dataset: Any, writer: RunRecord) -> list[RunRecord]:
    """A run, and the run of this dataset whose model it used, if any."""
    origin, _, key = (writer.inputs.get("run") or "").rpartition("/")
    if origin not in ("", dataset.name) or key not in records.keys(dataset):
        return [writer]
    return [writer, records.read_record(dataset, key)]


def _classes_read(dataset: Any, record: RunRecord, names: set[str]) -> set[str]:
    """Classes of which a run read a label; `names` where its files are missing, unless it used another run's model."""
    folder = folders.run_folder(dataset, record.key)
    labels = cached_arrays.read(folder / "labels.npz", "classes", "names")
    if labels is None:
        return set() if folder.exists() or record.inputs.get("run") else names
    return set(labels["names"][np.unique(labels["classes"][labels["classes"] >= 0])].tolist())


def _listed(rows: Sequence[str]) -> str:
    more = f" and {len(rows) - MAX_CLASSES} more" if rows[MAX_CLASSES:] else ""
    return ", ".join(rows[:MAX_CLASSES]) + more
