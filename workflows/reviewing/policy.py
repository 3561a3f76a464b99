"""What a review does only when it is told to: most of a class's labels taken, or a class written that is gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from bson import ObjectId

from ...models.errors import InvalidInput
from ...models.regular_files import regular
from ...models.settings import ReviewSettings
from ..data import folders, label_edits
from ..data.fields import CHUNK
from ..data.internals import root_dataset
from ..data.labels import PROVENANCE, name_index
from ..runs import records
from ..runs.records import RunRecord

FEWEST_LOST = 3  # labels: fewer are no loss of a class, whatever part of it they are
MOST_CLASSES = 10  # that a sentence lists
VERBS = {"accept": "accepting", "correct": "correcting"}


class Refused(InvalidInput):
    """A review that takes another setting, force or new_class, to be done."""


class Taken(NamedTuple):
    """Labels of a class that an action changes to another class."""

    name: str
    changed: int
    total: int  # labels that the class has in the dataset

    @property
    def is_most(self) -> bool:
        return self.changed >= FEWEST_LOST and 2 * self.changed > self.total


def parts(dataset: Any, ids: Sequence[str]) -> list[Any]:
    """Views of samples, each small enough for one query (the database takes 16 MB)."""
    return [dataset.select(ids[first : first + CHUNK]) for first in range(0, len(ids), CHUNK)]


def check(
    views: Sequence[Any],
    field: str,
    label_field: str,
    label: str | None,
    source: RunRecord,
    config: ReviewSettings,
) -> None:
    """Refuses an action that would bring back classes which are gone, or take most of a class's labels.

    Args:
        views: of the samples that the action takes
        field, source: the suggestions, and the record of the run that wrote them
        label: for action="correct"

    Raises:
        Refused: it would, and `config` does not say so
        ValueError: the labels have attributes of other types under the names that Evenset writes
    """
    if config.action == "reject" or not views:
        return  # no label of the label field changes
    dataset = root_dataset(views[0])
    _check_provenance(dataset, label_field)
    written = {label} if label else set(_count(views, f"{field}.label"))
    gone = sorted(gone_classes(dataset, source, label_field, written))
    if gone and not config.new_class:
        others = f" (nor are {_listed([repr(name) for name in gone[1:]])})" if gone[1:] else ""
        raise Refused(
            f"{gone[0]!r} is no longer a class of {label_field!r}{others}: it was renamed or removed since {field!r} "
            f"was made. Run {source.method} again, or leave it out (new_class=True adds it)"
        )
    taken = taken_labels(dataset, label_field, _count(views, f"{label_field}.label", label))
    most = [row for row in taken if row.is_most]
    if most and not config.force:
        raise Refused(
            f"{VERBS[config.action]} would take {describe(most)}, more than half of a class: "
            "look at each of them first (force=True does it all the same)"
        )


def taken_labels(dataset: Any, label_field: str, counts: Counter[str]) -> list[Taken]:
    """Labels that an action takes from each class, the largest part of a class first."""
    totals = dataset.count_values(f"{label_field}.label")
    taken = [Taken(name, count, totals.get(name, count)) for name, count in counts.items()]
    return sorted(taken, key=lambda row: (-row.changed / row.total, row.name))


def describe(taken: Sequence[Taken]) -> str:
    """ "3 of 3 labels of 'bee', 20 of 30 of 'cow'"."""
    rows = [f"{row.changed:,} of {row.total:,}{'' if i else ' labels'} of {row.name!r}" for i, row in enumerate(taken)]
    return _listed(rows)


def gone_classes(dataset: Any, source: RunRecord, label_field: str, names: set[str]) -> set[str]:
    """Which of `names` a run read in the label field, though none of its labels is of that class now.

    A field without any label has lost none: labels may go into a new one.
    """
    labels = {name for name in dataset.distinct(f"{label_field}.label") if _is_class(name)}
    here, read = set(labels), set()
    for record in _learned_by(dataset, source) if labels else ():
        if record.label_field == label_field:
            known, index = name_index([], record.inputs.get("classes") or [])  # a class may have synonyms
            here |= {known[index[name]] for name in labels & index.keys()}
            read |= _classes_read(dataset, record, names)
    return (names & read) - here


def settled_flags(
    dataset: Any, field: str, label_field: str, lines: Iterable[label_edits.Line]
) -> list[label_edits.Line]:
    """Changes that take a flag away, where those of a review change the label of the near-duplicate that it is about.

    Args:
        lines: changes of the review
    """
    labels = [line for line in lines if line["field"] == label_field]
    changed = {line["id"] for line in labels if (line["before"] or {}).get("label") != line["after"]["label"]}
    settles = {i: near for i, near, _ in _contradicted(dataset, field) if near in changed and i not in changed}
    nothing = dict.fromkeys(("label", "confidence", "mistakenness", "reason"))
    added = []
    for i, found in label_edits.labels_of(dataset, list(settles), [field]).items():
        flag = found[field] or {}
        line = label_edits.change(i, field, flag, {**flag, "_id": ObjectId(), **nothing, "is_issue": False})
        added.append({**line, "settles": settles[i]})
    return added


def settled(dataset: Any, field: str, label_field: str) -> set[str]:
    """Ids of samples whose flag a near-duplicate contradicts that was edited since: it has not the suggested label."""
    flags = _contradicted(dataset, field)
    near = dataset.select(list({other for _, other, _ in flags}))
    now = dict(zip(*near.values(["id", f"{label_field}.label"]), strict=True))
    return {i for i, other, suggested in flags if now.get(other) != suggested}


def _contradicted(dataset: Any, field: str) -> list[tuple[str, str, str]]:
    """Flagged samples that a near-duplicate contradicts: id, that of the near-duplicate, and the suggested label."""
    path = f"{field}.contradicted_by"
    if not dataset.has_field(path):  # of auto_label
        return []
    flagged = dataset.match({f"{field}.is_issue": True, path: {"$ne": None}})
    return list(zip(*flagged.values(["id", path, f"{field}.label"]), strict=True))


def _check_provenance(dataset: Any, label_field: str) -> None:
    """Raises ValueError where the labels have an attribute that Evenset writes a text to, and that holds no text."""
    import fiftyone as fo

    for path in (f"{label_field}.{name}" for name in PROVENANCE):
        field = dataset.get_field(path)
        if field is None:  # a label may have attributes that the schema does not declare
            other = {path: {"$exists": True, "$ne": None, "$not": {"$type": "string"}}}
            kind, fits = "other values", not dataset.match(other).limit(1).count()
        else:
            kind, fits = type(field).__name__, isinstance(field, fo.StringField)
        if not fits:
            raise InvalidInput(
                f"the attribute {path!r} holds {kind}, and Evenset writes a text there: rename it, or remove it"
            )


def _count(views: Sequence[Any], path: str, without: str | None = None) -> Counter[str]:
    """How many samples have each value."""
    counts: Counter[str] = Counter()
    for view in views:
        counts.update(view.count_values(path))
    return Counter({name: count for name, count in counts.items() if _is_class(name) and name != without})


def _is_class(name: str | None) -> bool:
    return bool(name and name.strip())


def _learned_by(dataset: Any, source: RunRecord) -> list[RunRecord]:
    """The record of a run, and that of the run whose model it used, if that is one of this dataset too."""
    place, _, key = (source.inputs.get("run") or "").rpartition("/")
    if place not in ("", dataset.name) or key not in records.keys(dataset):
        return [source]
    return [source, records.read_record(dataset, key)]


def _classes_read(dataset: Any, record: RunRecord, names: set[str]) -> set[str]:
    """Classes of which a run read a label; without its files all of `names`, but for those of another run's model."""
    import numpy as np

    folder = folders.run_folder(dataset, record.key)
    if not (folder / "labels.npz").exists():
        return set() if folder.exists() or record.inputs.get("run") else names
    with np.load(regular(folder / "labels.npz"), allow_pickle=False) as kept:
        classes = kept["classes"]
        return set(kept["names"][np.unique(classes[classes >= 0])].tolist())


def _listed(rows: Sequence[str]) -> str:
    more = f" and {len(rows) - MOST_CLASSES} more" if rows[MOST_CLASSES:] else ""
    return ", ".join(rows[:MOST_CLASSES]) + more
