"""Another target precision for a run of auto_label on tags: new thresholds from the same held-out samples."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...models.errors import InvalidInput
from ...models.settings import AutoLabelSettings
from ..data import folders, items, locks
from ..data.durable_writes import refresh, write_durably
from ..data.field_access import require_writable
from ..data.fields import DB_BATCH
from ..data.internals import root_dataset
from ..data.label_fields import set_attributes
from ..data.label_text import or_none
from ..data.status import Status
from ..data.tag_ids import tag_id
from ..data.tags import Tags
from ..labeling.retarget import CHOSEN_AFTER, TargetResults, choice_note, read_results
from ..labeling.status_changes import SUGGESTED
from ..runs import records
from ..runs.cached_arrays import read
from ..runs.records import RunRecord
from ..runs.run import Run
from .decision import TagDecision, accept, decide
from .results import TagResults, summarise
from .scores import TagScores

ARRAYS = ("tags", "tag_scores", "tag_parts")  # files of a run, without which it cannot decide again


class SavedTags(NamedTuple):
    """What a run decided from."""

    tags: Tags
    scores: TagScores
    held_out: np.ndarray  # whether each sample is [N]

    def summarise(self, run: Run, decision: TagDecision, settings: AutoLabelSettings) -> TagResults:
        return summarise(run, self.tags, self.scores, decision, self.held_out, settings)

    def candidates(self, decision: TagDecision) -> dict[str, bool]:
        """Whether each suggestion to add a tag to a sample without any is accepted, by its item."""
        rows, class_ids = np.nonzero(decision.adds & ~self.tags.is_known[:, None])
        ids, accepted = self.tags.ids[rows].tolist(), decision.accepted[rows, class_ids].tolist()
        names = [tag_id(i, self.tags.names[k]) for i, k in zip(ids, class_ids.tolist(), strict=True)]
        return dict(zip(names, accepted, strict=True))


def retarget_tags(dataset: Any, run_key: str, target_precision: float, dry_run: bool = False) -> TargetResults:
    """Applies another target precision to a run of `auto_label` on tags; the old target undoes it.

    Only suggestions change that nobody has decided yet: their status. The run's results and settings follow. A call
    that was killed is finished by the next.

    Raises:
        ValueError: as `labeling.retarget.retarget`; nothing was written
    """
    dataset = root_dataset(dataset)
    refresh(dataset)
    return (preview_tags if dry_run else _write)(dataset, run_key, target_precision)


def preview_tags(dataset: Any, run_key: str, target_precision: float) -> TargetResults:
    """The dry run of `retarget_tags`, on a dataset as this process knows it."""
    after, _, accepted = _apply(dataset, read_results(dataset, run_key), target_precision)
    changes, decided = _find_changes(dataset, after, accepted)
    return _summary(after, len(changes), decided, dry_run=True)


def _write(dataset: Any, run_key: str, target_precision: float) -> TargetResults:
    results = read_results(dataset, run_key)
    after, record, accepted = _apply(dataset, results, target_precision)
    field = after.output_field
    require_writable(dataset, field)
    with locks.lock_field(dataset, field), locks.lock_field(dataset, run_key):
        changes, decided = _find_changes(dataset, after, accepted)
        ids = list(changes)
        for first in range(0, len(ids), DB_BATCH):
            batch = ids[first : first + DB_BATCH]
            samples = {i: i.partition("/")[0] for i in batch}
            status = {"status": {i: changes[i].value for i in batch}}
            write_durably(dataset, partial(set_attributes, dataset, field, samples, status))
        Run(dataset, record, None, log=results["log"]).finish(after)
        records.save_record(dataset, record)
    return _summary(after, len(changes), decided, dry_run=False)


def _apply(
    dataset: Any, results: dict[str, Any], target_precision: float
) -> tuple[TagResults, RunRecord, dict[str, bool]]:
    """Results and record of the run under the new target, and whether each candidate is accepted."""
    record = records.read_record(dataset, results["run_key"])
    names = {item.name for item in dataclasses.fields(AutoLabelSettings)}
    before = AutoLabelSettings(**{name: value for name, value in record.settings.items() if name in names})
    settings = dataclasses.replace(before, target_precision=target_precision)
    saved = _load(folders.run_folder(dataset, record.key), record)
    run = Run(dataset, record, None)
    decision = decide(saved.tags, saved.scores, saved.held_out, before)
    former = saved.summarise(run, decision, before)
    decision = accept(decision, settings)
    after = saved.summarise(run, decision, settings)
    tried = sorted({*record.notes.get("targets", [before.target_precision]), settings.target_precision})
    kept = {*former.notes, *(note for name in ("embeddings", "images") for note in record.notes.get(name, []))}
    others = [note for note in results["notes"] if note not in kept and not note.startswith(CHOSEN_AFTER)]
    after.notes = [*after.notes, *others, *choice_note(tried, settings)]
    after.skipped, after.views = results["skipped"], results["views"]
    record.settings["target_precision"] = settings.target_precision
    record.notes["targets"] = tried
    return after, record, saved.candidates(decision)


def _load(folder: Path, record: RunRecord) -> SavedTags:
    found = [read(folder / f"{name}.npz") for name in ARRAYS]
    if any(arrays is None for arrays in found):
        raise InvalidInput(
            f"{record.key} lacks the data for another target: run auto_label again with that target_precision"
        )
    kept, scores, parts = (arrays or {} for arrays in found)
    if not parts["held_out"].any():
        raise InvalidInput(
            f"{record.key} held no sample out, so it can show no precision: tag more samples, and run auto_label again"
        )
    rows = {name: kept[name] for name in ("ids", "paths", "values", "trusted", "groups")}
    tags = Tags(
        **rows,
        names=kept["names"].tolist(),
        notes=kept["notes"].tolist(),
        synthetic_left_out=int(kept["synthetic_left_out"]),
    )
    complete = bool(record.settings["complete"])
    found_scores = TagScores(scores["tagged"], scores["present"], scores["frequencies"], complete)
    return SavedTags(tags, found_scores, parts["held_out"])


def _find_changes(dataset: Any, after: TagResults, accepted: dict[str, bool]) -> tuple[dict[str, Status], int]:
    """The new status of items that change, and the number of candidates decided since the run."""
    field, label_field = after.output_field, _label_field(dataset, after.run_key)
    columns = ["id", f"{field}.label", f"{field}.status", *([f"{label_field}.label"] if label_field else [])]
    ids, labels, statuses, *own = items.values(dataset, columns)
    changes: dict[str, Status] = {}
    decided = 0
    for row, (i, label, status) in enumerate(zip(ids, labels, statuses, strict=True)):
        if i not in accepted or status is None:  # somebody emptied it
            continue
        if or_none(label) is None or status not in SUGGESTED or (own and or_none(own[0][row])):
            decided += 1
        elif (status == Status.ACCEPTED) != accepted[i]:
            changes[i] = Status.ACCEPTED if accepted[i] else Status.REVIEW
    return changes, decided


def _label_field(dataset: Any, run_key: str) -> str | None:
    """The label field of a run, if the dataset has it."""
    field = records.read_record(dataset, run_key).label_field
    return field if field is not None and dataset.has_field(field) else None


def _summary(after: TagResults, changed: int, decided: int, dry_run: bool) -> TargetResults:
    shared = {item.name for item in dataclasses.fields(TargetResults)} & set(vars(after))
    values = {name: getattr(after, name) for name in shared}
    more = dict(field=after.output_field, changed=changed, decided=decided, dry_run=dry_run, noun=items.TAG)
    return TargetResults(**{**values, **more})
