"""The review queue: the next sample, decisions on it, and their undo, one review run a person and day.

No browser holds the queue: its order lies in FiftyOne's execution store, and the database says which samples still
wait. So it survives a restart, and several people can work through it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ...models.errors import InvalidInput
from ..data import folders, label_edits, locks
from ..data.checks import require_fields
from ..data.internals import root_dataset
from ..data.status import Status
from ..delete_run import delete_run
from ..load_results import load_results
from ..reviewing.request import NothingToReview
from ..reviewing.results import ReviewResults
from ..reviewing.writing import review_shown
from ..runs import records, review_undo, run_files
from ..runs.lookup import writer_of
from ..runs.run import Run
from .review_order import most_informative, waiting

KEPT_SECONDS = 86_400  # an order and a sitting are kept this long


def first(dataset: Any, field: str, label_field: str, skipped: list[str]) -> tuple[str | None, int]:
    """The first sample of the queue, None where only skipped ones are left; and the number that wait.

    The order is computed again once all of it is decided or skipped.
    """
    dataset = root_dataset(dataset)
    queue = waiting(dataset, field, label_field)
    store, name = records.store(dataset), f"queue:{field}"
    run = writer_of(dataset, field, "auto_label")
    stored = store.get(name) or {}
    order = stored["ids"] if (stored.get("run"), stored.get("began")) == (run.key, run.started) else []
    for attempt in range(2):
        left = set(queue.select(order).values("id")) - set(skipped) if order else set()
        for i in order:
            if i in left:
                return i, len(queue)
        if attempt == 0:
            order = most_informative(dataset, field, label_field, 50 + len(skipped))
            store.set(name, dict(run=run.key, began=run.started, ids=order), ttl=KEPT_SECONDS)
    return None, len(queue)


class Decision(NamedTuple):
    """A person's decision on one suggestion."""

    sample_id: str
    action: str  # of ReviewAction
    label: str | None = None  # the correct one, for "correct"
    shown: str | None = None  # the suggestion that the person saw; None: the current one


def decide(dataset: Any, field: str, label_field: str, decision: Decision, sitting: str = "") -> str | None:
    """Writes a person's decision on one suggestion; returns the key of its review run.

    None where somebody else decided the sample in between, or its suggestion changed: it stays as it is.

    Args:
        sitting: identifies a person: the decisions of a sitting become one run

    Raises:
        ValueError: one of the fields was removed; nothing was written
    """
    dataset, sample_id = root_dataset(dataset), decision.sample_id
    with locks.lock_field(dataset, f"queue of {field}", locks.WAIT_SECONDS):
        dataset.reload()
        require_fields(dataset, field, label_field)
        view = waiting(dataset, field, label_field).select(sample_id)  # checked again when the label is written
        suggestions = view.values(f"{field}.label")
        if not suggestions or decision.shown not in (None, suggestions[0]):
            return None
        into = _sitting(dataset, field, label_field, sitting)
        if into and sample_id in _decided(dataset, into):
            into = None  # somebody removed its label: one review changes a sample once
        try:
            results = review_shown(
                view, field, label_field, {sample_id: (suggestions[0], None)},
                label=decision.label, action=decision.action, status=Status.REVIEW.value, into=into,
            )  # fmt: skip
        except NothingToReview:  # somebody changed it at this moment
            return None
        if results.unwritten:
            if not into:
                delete_run(dataset, results.run_key)
            return None
        records.store(dataset).set(f"sitting:{sitting}:{field}", results.run_key, ttl=KEPT_SECONDS)
        return results.run_key


def _sitting(dataset: Any, field: str, label_field: str, sitting: str) -> str | None:
    """The open review of this person, if it still exists."""
    key = records.store(dataset).get(f"sitting:{sitting}:{field}")
    if not key or key not in dataset.list_runs():
        return None
    record = records.read_record(dataset, key)
    fields = [record.inputs.get(name) for name in ("field", "label_field")]
    suggested = writer_of(dataset, field, "auto_label").started  # a later run may have the same field
    is_open = record.state == "done" and fields == [field, label_field] and record.started > suggested
    return str(key) if is_open and not run_files.is_foreign(dataset, record) else None


def _decided(dataset: Any, run_key: str) -> list[str]:
    """Ids that a review decided, in order."""
    return list(dict.fromkeys(line["id"] for line in label_edits.read(folders.run_folder(dataset, run_key))))


def decided(dataset: Any, field: str, label_field: str, sitting: str) -> list[str]:
    """Ids that were decided in this sitting, in order."""
    key = _sitting(dataset, field, label_field, sitting)
    return _decided(dataset, key) if key else []


def undo(dataset: Any, field: str, label_field: str, sitting: str, done: int | None = None) -> str | None:
    """Undoes the last decision of this sitting; returns the sample's id.

    Args:
        done: number of decisions on the screen; with another number nothing is undone (None)

    Raises:
        ValueError: there is no decision, or its label was edited since: it stays, and the earlier one is next
    """
    dataset = root_dataset(dataset)
    with locks.lock_field(dataset, f"queue of {field}", locks.WAIT_SECONDS):
        dataset.reload()
        key = _sitting(dataset, field, label_field, sitting)
        ids = _decided(dataset, key) if key else []
        if done not in (None, len(ids)):
            return None
        if not key or not ids:
            raise InvalidInput("there is nothing to undo")
        lines = label_edits.read(folders.run_folder(dataset, key))
        mine = [line for line in lines if line["id"] == ids[-1]]
        with locks.lock_field(dataset, label_field, locks.WAIT_SECONDS):
            review_undo.check_fields(dataset, key, label_field, mine)
            edited = review_undo.restore(dataset, mine, label_field).edited
            _shorten(dataset, key, [line for line in lines if line["id"] != ids[-1]])
        if len(ids) == 1:
            delete_run(dataset, key)
        if edited:
            raise InvalidInput(f"the label of {ids[-1]} was edited since, and stays")
        return ids[-1]


def _shorten(dataset: Any, key: str, lines: list[label_edits.Line]) -> None:
    """Leaves these changes of a review, and counts again."""
    label_edits.save(folders.run_folder(dataset, key), lines)
    if lines:
        results = load_results(dataset, key)
        assert isinstance(results, ReviewResults)
        results.changed = len({line["id"] for line in lines})
        Run(dataset, records.read_record(dataset, key), None, log=results.log).finish(results)
