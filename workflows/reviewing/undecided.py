"""Labels that find_mistakes flagged and nobody decided: a balance would multiply them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..data import items
from ..data.box_kinds import KIND, Correction, correction_of
from ..data.label_text import or_none
from ..display.tables import counted
from ..runs import records
from ..runs.label_snapshot import frozen
from ..runs.records import RunRecord
from .near_duplicates import settled

MAX_LISTED = 5  # classes in the sentence


def undecided_mistakes(dataset: Any, label_field: str) -> dict[str, int]:
    """Undecided flags of the newest finished `find_mistakes` on the label field, by class."""
    return dict(Counter(undecided_labels(dataset, label_field).values()).most_common())


def undecided_labels(dataset: Any, label_field: str) -> dict[str, str]:
    """The label of each item with an undecided flag, by its id."""
    run = _newest_run(dataset, label_field)
    if run is None:
        return {}
    field = run.inputs["output_field"]
    labels = frozen(dataset, run.key)
    read = {} if labels is None else dict(zip(labels.ids.tolist(), labels.class_ids.tolist(), strict=True))
    names = [] if labels is None else labels.names
    flagged = dataset if items.has_boxes(dataset, field) else dataset.match({f"{field}.is_issue": True})
    paths = ["id", f"{field}.is_issue", f"{label_field}.label"]
    paths += [f"{field}.{KIND}"] if dataset.has_field(items.leaf(dataset, f"{field}.{KIND}")) else []
    rows = zip(*items.values(flagged, paths), strict=True)
    decided = settled(dataset, field, label_field)
    undecided = {}
    for i, is_issue, label, *kind in rows:
        is_edited = i in read and names[read[i]] != label
        is_of_label = correction_of(*kind or (None,)) == Correction.RELABEL  # else the box may be wrong, and not pasted
        if is_issue and is_of_label and or_none(label) is not None and i not in decided and not is_edited:
            undecided[i] = label
    return undecided


def _newest_run(dataset: Any, label_field: str) -> RunRecord | None:
    runs = [
        records.read_record(dataset, key) for key in dataset.list_runs() if key.startswith("evenset_find_mistakes_")
    ]
    finished = [
        run
        for run in runs
        if run.state == "done"
        and run.label_field == label_field
        and dataset.has_field(items.leaf(dataset, f"{run.inputs['output_field']}.is_issue"))
    ]
    return max(finished, key=lambda run: run.started, default=None)


def multiplied(undecided: dict[str, int], to_add: dict[str, int]) -> dict[str, int]:
    """The undecided mistakes in classes that get images.

    Args:
        to_add: images that each class gets
    """
    return {name: count for name, count in undecided.items() if to_add.get(name)}


def warning(undecided: dict[str, int]) -> list[str]:
    """A sentence on undecided mistakes by class; empty without any."""
    if not undecided:
        return []
    listed = ", ".join(f"{name} ({count:,})" for name, count in list(undecided.items())[:MAX_LISTED])
    more = f" and {len(undecided) - MAX_LISTED} more" if len(undecided) > MAX_LISTED else ""
    total = counted(sum(undecided.values()), "label")
    return [
        f"{total} of classes that get images may be wrong, and nobody has decided: {listed}{more}. New images "
        "multiply these mistakes: decide on them first."
    ]
