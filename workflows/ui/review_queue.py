"""The review queue: the next sample, and decisions on it, one review run a sitting.

No browser holds the queue: its order lies in FiftyOne's execution store, and the database says which samples still
wait. So it survives a restart, and several people can work through it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..data import items, locks
from ..data.checks import require_fields
from ..data.internals import root_dataset
from ..data.status import Status
from ..runs import records
from ..runs.lookup import writer_of
from . import sittings
from .review_order import count_waiting, most_informative, read_waiting
from .sittings import Sitting

KEPT_SECONDS = 86_400  # an order is kept this long


def first(dataset: Any, field: str, label_field: str, skipped: list[str]) -> tuple[str | None, int]:
    """The first item of the queue, None where only skipped ones are left; and the number that wait."""
    return first_id(dataset, field, label_field, skipped), count_waiting(root_dataset(dataset), field, label_field)


def first_id(dataset: Any, field: str, label_field: str, skipped: list[str]) -> str | None:
    """The first item of the queue, None where only skipped ones are left.

    The order is computed again once all of it is decided or skipped.
    """
    dataset = root_dataset(dataset)
    store, name = records.store(dataset), f"queue:{field}"
    run = writer_of(dataset, field, "auto_label")
    stored = store.get(name) or {}
    order = stored["ids"] if (stored.get("run"), stored.get("began")) == (run.key, run.started) else []
    for attempt in range(2):
        left = {*read_waiting(dataset, field, label_field, (), order)[0]} - set(skipped) if order else set()
        for i in order:
            if i in left:
                return str(i)
        if attempt == 0:
            order = most_informative(dataset, field, label_field, 50 + len(skipped))
            store.set(name, dict(run=run.key, began=run.started, ids=order), ttl=KEPT_SECONDS)
    return None


class Decision(NamedTuple):
    """A person's decision on one suggestion."""

    item_id: str
    action: str  # of ReviewAction
    label: str | None = None  # the correct one, for "correct"
    shown: str | None = None  # the suggestion that the person saw; None: the current one


def decide(dataset: Any, field: str, label_field: str, decision: Decision, person: str = "") -> str | None:
    """Writes a person's decision on one suggestion; returns the key of its review run.

    None where somebody else decided it in between, or its suggestion changed: it stays as it is.

    Args:
        person: whose sitting it is

    Raises:
        ValueError: one of the fields was removed; nothing was written
    """
    dataset, item_id = root_dataset(dataset), decision.item_id
    with locks.lock_field(dataset, f"queue of {field}", locks.WAIT_SECONDS):
        require_fields(dataset, field, label_field)
        paths = [f"{field}.label", f"{label_field}.label"]  # checked again when the label is written
        ids, suggestions, labels = read_waiting(dataset, field, label_field, paths, [item_id])
        if not ids or decision.shown not in (None, suggestions[0]):
            return None
        view = items.holding(dataset, field, ids)
        written = sittings.decide(
            Sitting(dataset, field, label_field, person), view, {item_id: (suggestions[0], labels[0])},
            label=decision.label, action=decision.action, status=Status.REVIEW.value,
        )  # fmt: skip
        return written.run_key if written else None
