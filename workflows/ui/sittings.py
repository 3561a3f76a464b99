"""A sitting: one person's decisions on the suggestions of a field, which become one review run.

A decision starts another run where IDLE_SECONDS passed without one, or another run came between. The changes lie in the
run's folder, and the database says which samples still wait: so nothing is lost when the server restarts. What a person
skipped is remembered as long as the sitting.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...models.errors import InvalidInput
from ..data import folders, label_edits, locks
from ..data.internals import reload_dataset
from ..delete_run import delete_run
from ..load_results import load_results
from ..reviewing.request import NothingToReview
from ..reviewing.results import ReviewResults
from ..reviewing.writing import review_shown, reviewed_ids
from ..runs import records, review_undo, run_files
from ..runs.lookup import writer_of
from ..runs.run import Run

IDLE_SECONDS = 600  # without a decision: the next one starts another run
KEPT_SECONDS = 86_400  # the database remembers a sitting this long
PREFIX, SKIPPED = "sitting:", "skipped:"  # of the keys in FiftyOne's execution store


@dataclass(frozen=True)
class Sitting:
    """What is decided, and by whom."""

    dataset: Any
    field: str  # of the suggestions: output of auto_label or find_mistakes
    label_field: str
    person: str = ""  # "": nobody in particular

    @property
    def stored_under(self) -> str:
        return f"{PREFIX}{self.person}:{self.field}"

    @property
    def skipped_under(self) -> str:
        return f"{SKIPPED}{self.person}:{self.field}"


class Written(NamedTuple):
    """Outcome of a decision."""

    run_key: str
    changed: int  # samples


def run_of(sitting: Sitting) -> str | None:
    """Key of the sitting's review run, if it still exists and is about the current suggestions."""
    dataset, stored = sitting.dataset, records.store(sitting.dataset).get(sitting.stored_under)
    if not stored or stored["run"] not in dataset.list_runs():
        return None
    record = records.read_record(dataset, stored["run"])
    fields = [record.inputs.get(name) for name in ("field", "label_field")]
    is_own = fields == [sitting.field, sitting.label_field] and record.started == stored["began"] > _suggested(sitting)
    return record.key if is_own and record.state == "done" and not run_files.is_foreign(dataset, record) else None


def decided(sitting: Sitting) -> list[str]:
    """Ids that were decided in this sitting, in order."""
    key = run_of(sitting)
    return _decided(sitting.dataset, key) if key else []


def _decided(dataset: Any, run_key: str) -> list[str]:
    return reviewed_ids(label_edits.stream(folders.run_folder(dataset, run_key)))


def skipped(sitting: Sitting) -> list[str]:
    """Ids that were skipped in this sitting, in order; of suggestions that are still there."""
    stored = records.store(sitting.dataset).get(sitting.skipped_under)
    is_current = stored and stored["of"] == _suggested(sitting)
    return list(stored["ids"]) if is_current else []


def skip(sitting: Sitting, sample_id: str) -> None:
    """Remembers a skipped sample."""
    stored = dict(of=_suggested(sitting), ids=[*skipped(sitting), sample_id], decided=time.time())
    records.store(sitting.dataset).set(sitting.skipped_under, stored, ttl=KEPT_SECONDS)


def forget_skipped(sitting: Sitting) -> None:
    """Puts skipped samples back into their places."""
    records.store(sitting.dataset).delete(sitting.skipped_under)


def _suggested(sitting: Sitting) -> float:
    """When the run of the current suggestions started."""
    return writer_of(sitting.dataset, sitting.field, "auto_label", "find_mistakes").started


def end_idle(dataset: Any, person: str) -> None:
    """Ends the sittings of a person who decided nothing for IDLE_SECONDS."""
    store = records.store(dataset)
    for name in store.list_keys():
        is_own = name.startswith((f"{PREFIX}{person}:", f"{SKIPPED}{person}:"))
        if is_own and time.time() - (store.get(name) or {}).get("decided", 0.0) > IDLE_SECONDS:
            store.delete(name)


def decide(
    sitting: Sitting, samples: Any, shown: dict[str, tuple[str | None, str | None]], **settings: Any
) -> Written | None:
    """Writes decisions as one of the sitting; None where others decided all of the samples in between.

    Args:
        samples: those decided; the caller holds the lock of the queue
        shown: suggestion and label of each sample as they were on the screen
        settings: of a review: action, label, status, force

    Raises:
        ValueError: the review is refused; nothing was written
    """
    dataset = sitting.dataset
    into = _joinable(sitting, set(shown))
    before = len(_decided(dataset, into)) if into else 0
    try:
        results = review_shown(samples, sitting.field, sitting.label_field, shown, into=into, **settings)
    except NothingToReview:
        return None
    if results.changed == before:  # somebody changed all of them at this moment
        if not into:
            delete_run(dataset, results.run_key)
        return None
    key, store, changed = results.run_key, records.store(dataset), results.changed - before
    together = [*(store.get(sitting.stored_under).get("together") or [1] * before), changed] if into else [changed]
    began = records.read_record(dataset, key).started
    stored = dict(run=key, began=began, decided=time.time(), together=together)
    store.set(sitting.stored_under, stored, ttl=KEPT_SECONDS)
    return Written(key, changed)


def _joinable(sitting: Sitting, ids: set[str]) -> str | None:
    """Key of the run that decisions on these samples join; None where they start one.

    One run changes a sample once, so that undoing it restores the label from before.
    """
    dataset, store = sitting.dataset, records.store(sitting.dataset)
    key = run_of(sitting)
    if key is None or time.time() - store.get(sitting.stored_under)["decided"] > IDLE_SECONDS:
        return None
    keys = records.keys(dataset)
    later = set(keys[keys.index(key) + 1 :])
    if later:  # sittings of other people, or on other suggestions, may go on at the same time
        later -= {store.get(name)["run"] for name in store.list_keys() if name.startswith(PREFIX)}
    return None if later or ids.intersection(_decided(dataset, key)) else key


def undo(sitting: Sitting, done: int | None = None) -> list[str] | None:
    """Undoes the last decision of this sitting, or the last ones that were made at once; returns the samples' ids.

    Args:
        done: number of decisions on the screen; with another number nothing is undone (None)

    Raises:
        ValueError: there is no decision, or a label was edited since: it stays, and the earlier ones are next
    """
    dataset, label_field = sitting.dataset, sitting.label_field
    with locks.lock_field(dataset, f"queue of {sitting.field}", locks.WAIT_SECONDS):
        reload_dataset(dataset)
        key = run_of(sitting)
        ids = _decided(dataset, key) if key else []
        if done not in (None, len(ids)):
            return None
        if not key or not ids:
            raise InvalidInput("there is nothing to undo")
        store = records.store(dataset)
        stored = store.get(sitting.stored_under)
        *together, count = stored.get("together") or [1]  # none in a sitting of an earlier version
        last = ids[-count:]
        lines = label_edits.read(folders.run_folder(dataset, key))
        mine = [line for line in lines if {line["id"], line.get("settles")}.intersection(last)]
        with locks.lock_field(dataset, label_field, locks.WAIT_SECONDS):
            review_undo.check_fields(dataset, key, label_field, mine)
            edited = review_undo.restore(dataset, mine, label_field).edited
            _shorten(dataset, key, [line for line in lines if line not in mine])
        store.set(sitting.stored_under, {**stored, "together": together}, ttl=KEPT_SECONDS)
        if len(ids) == len(last):
            delete_run(dataset, key)
        if edited[1:]:
            raise InvalidInput(f"the labels of {len(edited):,} samples were edited since, and stay")
        if edited:
            raise InvalidInput(f"the label of {edited[0]} was edited since, and stays")
        return last


def _shorten(dataset: Any, key: str, lines: list[label_edits.Line]) -> None:
    """Leaves these changes of a review, and counts again."""
    label_edits.save(folders.run_folder(dataset, key), lines)
    if lines:
        results = load_results(dataset, key)
        assert isinstance(results, ReviewResults)
        results.changed = len(reviewed_ids(lines))
        Run(dataset, records.read_record(dataset, key), None, log=results.log).finish(results)
