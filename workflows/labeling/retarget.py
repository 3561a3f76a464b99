"""Another target precision for a run of auto_label: new thresholds from the same held-out labels."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...models.errors import InvalidInput
from ...models.regular_files import regular
from ...models.settings import AutoLabelSettings
from ..data import folders, items, locks, marks, saved_views
from ..data.durable_writes import refresh
from ..data.field_access import require_writable
from ..data.internals import root_dataset
from ..data.status import Status
from ..display.results import Part, Summary
from ..display.tables import counted, percent
from ..runs import lookup, records
from ..runs.lookup import audited_ids
from ..runs.records import RunRecord
from ..runs.run import Run
from . import saved_decision
from .acceptance import Acceptance, Candidates, accept
from .decision import Suggestions
from .notes import target_notes
from .results import AutoLabelResults, class_rows, outcome
from .status_changes import Target, count_changes, count_statuses, find_changes, write_changes
from .targets import target_rows

CHOSEN_AFTER = "This target was chosen after looking."  # the notes of this file begin so, and are replaced each time
AUDIT_DRAWN = "The audit drew from what was accepted"


@dataclass(repr=False)
class TargetResults(Summary):
    """What `set_target` returns: the outcome of the target, and the changes."""

    run_key: str
    field: str
    target_precision: float
    accepted: int  # of the samples that had no label when the run began
    review: int
    coverage: float  # accepted of the unlabelled
    promise: str  # see Promise
    precision: float | None  # of held-out samples above the threshold; None where nothing is accepted
    low: float  # bounds of the precision of the accepted samples, each at alpha
    high: float
    changed: int  # samples, boxes or tags whose status changes
    decided: int  # those that have a label or were rejected since: they stay as they are
    dry_run: bool
    notes: list[str]
    noun: str = items.SAMPLE  # of what changes

    def parts(self) -> list[Part]:
        total, word = self.accepted + self.review, "would be" if self.dry_run else "are"
        text = f"{self.accepted:,} of {total:,} {word} accepted ({percent(self.coverage)} of the unlabelled)"
        if self.noun == items.TAG:
            text = f"{self.accepted:,} of {total:,} suggested tags {word} accepted"
        if self.precision is not None:
            text += f", at least {100 * self.low:.1f} % of them correct"
        changed = counted(self.changed, self.noun, "changes", "change")
        return [f"{text} ({self.run_key}); {changed}", *self.notes]


class SavedRun(NamedTuple):
    """What a run saved for another target."""

    ids: np.ndarray  # of all its samples [N]
    names: list[str]  # [K]
    candidates: Candidates
    suggestions: dict[Status, Suggestions]
    results: dict[str, Any]


class Retargeted(NamedTuple):
    """A run under another target."""

    results: AutoLabelResults
    record: RunRecord
    target: Target


def retarget(dataset: Any, run_key: str, target_precision: float, dry_run: bool = False) -> TargetResults:
    """Applies another target precision to a run of `auto_label`; the old target undoes it.

    The thresholds are chosen by the run's own rule, from the same held-out labels. Only samples change that have no
    label yet and were not rejected: their status, and the suggestion that goes with it. The run's results and settings
    follow. A call that was killed is finished by the next. Other datasets that use the run's checkpoint keep its own
    target.

    Args:
        dry_run: nothing is written

    Raises:
        ValueError: a target out of range; or the run is not done, is not of auto_label, held out no label, or lacks the
            data for another target; nothing was written
    """
    dataset = root_dataset(dataset)
    refresh(dataset)
    if dry_run:
        return preview(dataset, run_key, target_precision)
    results = read_results(dataset, run_key)
    after, record, target = _apply(dataset, results, target_precision)
    require_writable(dataset, target.field)
    with locks.lock_field(dataset, target.field), locks.lock_field(dataset, run_key):
        changes, decided = find_changes(dataset, target)
        write_changes(dataset, target, changes)
        saved_views.renew(dataset, record.writes.get("views", []))
        Run(dataset, record, None, log=results["log"]).finish(after)
        records.save_record(dataset, record)
    return _summary(after, len(changes), decided, dry_run)


def preview(dataset: Any, run_key: str, target_precision: float) -> TargetResults:
    """The dry run of `retarget`, on a dataset as this process knows it.

    Raises:
        ValueError: as `retarget`
    """
    results = read_results(dataset, run_key)
    field, label_field = results["output_field"], records.read_record(dataset, run_key).label_field
    with ThreadPoolExecutor() as threads:  # the database counts meanwhile
        everything = None
        if not items.has_boxes(dataset, field):
            everything = threads.submit(count_statuses, dataset, field, label_field, {})
        after, _, target = _apply(dataset, results, target_precision)
        changes = count_changes(dataset, target, everything)
    return _summary(after, *changes, dry_run=True)


def read_results(dataset: Any, run_key: str) -> dict[str, Any]:
    """Results of a run of auto_label whose field is there.

    Raises:
        ValueError: it is not of auto_label, or its field was removed
    """
    results = lookup.read_results(dataset, run_key)
    if "target_precision" not in results or "output_field" not in results:
        raise InvalidInput(f"{run_key} is not a run of auto_label: it has no target precision")
    if marks.marked_by(dataset, results["output_field"]) not in (None, run_key):
        raise InvalidInput(f"the field {results['output_field']!r} is another run's now: that of {run_key} was removed")
    if not dataset.has_sample_field(results["output_field"]):
        raise InvalidInput(
            f"the field {results['output_field']!r} of {run_key} was removed: there is no status to change"
        )
    return {**results, "run_key": run_key}


def _load(dataset: Any, results: dict[str, Any]) -> SavedRun:
    run_key = results["run_key"]
    folder = folders.run_folder(dataset, run_key)
    candidates = saved_decision.load_candidates(folder)
    if candidates is None or not (folder / "labels.npz").exists():
        raise InvalidInput(
            f"{run_key} lacks the data for another target: run auto_label again with that target_precision"
        )
    if not len(candidates.calibration):
        raise InvalidInput(f"{run_key} held no label out, so it can show no precision: audit_labels bounds it")
    with np.load(regular(folder / "labels.npz"), allow_pickle=False) as labels:
        suggestions = saved_decision.load_suggestions(folder)
        return SavedRun(labels["ids"], labels["names"].tolist(), candidates, suggestions, results)


def _apply(dataset: Any, results: dict[str, Any], target_precision: float) -> Retargeted:
    """The run as it is under the new target."""
    record = records.read_record(dataset, results["run_key"])
    names = {item.name for item in dataclasses.fields(AutoLabelSettings)}
    before = AutoLabelSettings(**{name: value for name, value in record.settings.items() if name in names})
    settings = dataclasses.replace(before, target_precision=target_precision)
    saved = _load(dataset, results)
    acceptance = accept(saved.candidates, len(saved.names), settings)
    tried = sorted({*record.notes.get("targets", [before.target_precision]), settings.target_precision})
    notes = [
        *_target_notes(saved, acceptance, settings),
        *_other_notes(saved, before),
        *choice_note(tried, settings),
        *_audit_note(dataset, results["output_field"]),
    ]
    record.settings["target_precision"] = settings.target_precision
    record.notes["targets"] = tried
    target = Target(
        field=results["output_field"],
        label_field=record.label_field,
        ids=saved.ids,
        unlabelled=saved.candidates.unlabelled,
        accepted=acceptance.accepted,
        names=saved.names,
        suggestions=saved.suggestions,
        unlabelled_name=record.inputs.get("unlabelled"),
    )
    return Retargeted(_updated(saved, acceptance, settings, notes), record, target)


def _updated(
    saved: SavedRun, acceptance: Acceptance, settings: AutoLabelSettings, notes: list[str]
) -> AutoLabelResults:
    """The results of the run under the new acceptance."""
    results = saved.results
    labelled = [row["labelled"] for row in results["rows"]]
    rows = class_rows(saved.names, labelled, saved.candidates, acceptance, settings.alpha)
    unlabelled = results["samples"] - results["labelled"]
    targets = target_rows(results["labelled"], len(saved.names), saved.candidates, settings)
    new = {**results, **outcome(saved.candidates, acceptance, settings, unlabelled)}
    new |= {"rows": rows, "notes": notes, "targets": targets}
    names = {item.name for item in dataclasses.fields(AutoLabelResults)}
    return AutoLabelResults(**{name: value for name, value in new.items() if name in names})


def _summary(after: AutoLabelResults, changed: int, decided: int, dry_run: bool) -> TargetResults:
    shared = {item.name for item in dataclasses.fields(TargetResults)} & set(vars(after))
    values = {name: getattr(after, name) for name in shared}
    return TargetResults(**values, field=after.output_field, changed=changed, decided=decided, dry_run=dry_run)


def _target_notes(saved: SavedRun, acceptance: Acceptance, settings: AutoLabelSettings) -> list[str]:
    return target_notes(saved.names, saved.results["labelled"], saved.candidates, acceptance, settings)


def _other_notes(saved: SavedRun, before: AutoLabelSettings) -> list[str]:
    """The run's notes without those on its former target."""
    former = _target_notes(saved, accept(saved.candidates, len(saved.names), before), before)
    notes = saved.results["notes"]
    return [note for note in notes if note not in former and not note.startswith((CHOSEN_AFTER, AUDIT_DRAWN))]


def choice_note(tried: list[float], settings: AutoLabelSettings) -> list[str]:
    """The price of choosing among several targets (a union bound)."""
    if len(tried) < 2:
        return []
    if not settings.random_labels:
        return [f"{CHOSEN_AFTER} The estimate for a target chosen among several is too optimistic."]
    alpha, union = f"{100 * settings.alpha:g} %", f"{100 * min(settings.alpha * len(tried), 1):g} %"
    return [
        f"{CHOSEN_AFTER} Each target is missed with probability at most {alpha}; choosing among targets weakens the "
        f"guarantee: one of {len(tried)} targets, also of those that were only looked at, is missed with probability "
        f"at most {union}. An audit bounds the precision either way."
    ]


def _audit_note(dataset: Any, field: str) -> list[str]:
    if not audited_ids(dataset, field):
        return []
    return [f"{AUDIT_DRAWN} before, and is not valid for another target. Delete it, and draw again."]
