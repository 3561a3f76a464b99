"""Another target precision for suggestions that are there: the threshold is chosen anew, and nothing is trained."""

from __future__ import annotations

import dataclasses
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from bson import ObjectId

from ...models.confidence.threshold import Threshold
from ...models.errors import InvalidInput
from ...models.regular_files import regular
from ...models.settings import AutoLabelSettings
from ..data import folders, locks, marks
from ..data.durable_writes import refresh, write_durably
from ..data.field_access import require_writable
from ..data.fields import DB_BATCH
from ..data.internals import aggregate, root_dataset
from ..data.label_text import has_label, or_none
from ..display.tables import counted, percent
from ..labeling.acceptance import each_threshold, together
from ..labeling.results import AutoLabelResults, precision_of, target_notes
from ..runs import lookup, records
from ..runs.lookup import audited_ids
from ..runs.records import RunRecord
from ..runs.run import Run

LOOKED = "This target was chosen after looking."  # notes that are no news twice begin so
DRAWN = "The audit drew from what was accepted"
MOST_IDS = 200_000  # in one question to the database, which takes 16 MB
KEPT = ("ranks", "classes", "pool", "held", "right", "weights")  # of decision.npz


@dataclass
class RetargetResults:
    """What `retarget` returns: what the target comes to, and what was written."""

    run_key: str
    field: str
    target_precision: float
    accepted: int  # of the samples that had no label when the run began
    review: int
    coverage: float  # accepted of the unlabelled
    promise: str  # "promise", "estimate", or "none"
    precision: float | None  # of held-out samples above the threshold; None where nothing is accepted
    low: float  # bounds of the precision of the accepted samples, each at alpha
    high: float
    changed: int  # samples whose status is (or, in a dry run, would be) another
    decided: int  # samples that have a label or were rejected since: they stay as they are
    dry_run: bool
    notes: list[str]

    def __str__(self) -> str:
        total, word = self.accepted + self.review, "would be" if self.dry_run else "are"
        text = f"{self.accepted:,} of {total:,} {word} accepted ({percent(self.coverage)} of the unlabelled)"
        if self.precision is not None:
            text += f", {100 * self.low:.1f} % of them right at the least"
        changed = counted(self.changed, "sample", "changes", "change")
        return "\n".join([f"{text} ({self.run_key}); {changed}", *self.notes])


@dataclass
class Kept:
    """What a run keeps of its decision."""

    ids: np.ndarray  # of all samples of the run [N]
    names: list[str]  # [K]
    ranks: np.ndarray  # -infinity where a sample must not be accepted [N]
    classes: np.ndarray  # predicted class [N]
    pool: np.ndarray  # indices of the samples without a label [M]
    held: np.ndarray  # indices of the held-out samples [n]
    right: np.ndarray  # their predictions are right [n]
    weights: np.ndarray | None  # of each of them [n]


@dataclass
class Choice:
    """What a target comes to."""

    accepted: np.ndarray  # [N]
    held_accepted: np.ndarray  # [n]
    threshold: Threshold  # of all classes together
    thresholds: list[Threshold]  # of each predicted class [K]


def retarget(dataset: Any, run_key: str, target_precision: float, dry_run: bool = False) -> RetargetResults:
    """Accepts by another target precision what a run of `auto_label` suggests; the old target undoes it.

    The threshold is chosen by the run's own rule, from the same held-out labels. Only `status` changes, and only of
    samples that have no label yet and were not rejected. The run's results and settings follow. A call that was
    killed is finished by the next. What another dataset takes over from the run stays as the run learned it.

    Args:
        dry_run: nothing is written

    Raises:
        ValueError: no such target; or the run is not done, is not of auto_label, had no held-out label, or does not
            keep what it takes; nothing was written
    """
    dataset = root_dataset(dataset)
    refresh(dataset)
    if dry_run:
        return preview(dataset, run_key, target_precision)
    results = _results(dataset, run_key)
    after, record, kept, choice = _chosen(dataset, results, target_precision)
    field, label_field = after.output_field, record.label_field
    require_writable(dataset, field)
    with locks.lock_field(dataset, field), locks.lock_field(dataset, run_key):
        news, decided = _news(dataset, field, label_field, kept, choice)
        _write(dataset, field, news)
        Run(dataset, record, None, log=results["log"]).finish(after)
        records.save_record(dataset, record)
    return _summary(after, len(news), decided, dry_run)


def preview(dataset: Any, run_key: str, target_precision: float) -> RetargetResults:
    """The dry run of `retarget`, on a dataset as this process knows it.

    Raises:
        ValueError: as `retarget`
    """
    after, record, kept, choice = _chosen(dataset, _results(dataset, run_key), target_precision)
    label_field = record.label_field
    return _summary(after, *_count(dataset, after.output_field, label_field, kept, choice), dry_run=True)


def _chosen(
    dataset: Any, results: dict[str, Any], target_precision: float
) -> tuple[AutoLabelResults, RunRecord, Kept, Choice]:
    """Results and record of the run as they are with that target, what it keeps, and whom the target accepts."""
    record = records.read_record(dataset, results["run_key"])
    usual = {item.name for item in dataclasses.fields(AutoLabelSettings)}
    before = AutoLabelSettings(**{name: value for name, value in record.settings.items() if name in usual})
    choices = dataclasses.replace(before, target_precision=target_precision)
    kept = _read(dataset, results["run_key"])
    choice = choose(kept, choices)
    tried = sorted({*record.notes.get("targets", [before.target_precision]), choices.target_precision})
    first = choice if before == choices else choose(kept, before)
    lasting, drawn = _lasting(results, kept, before, first), _audited(dataset, results["output_field"])
    notes = [*lasting, *_weaker(tried, choices), *drawn]
    after = _updated(results, kept, choice, choices, notes)
    record.settings["target_precision"] = choices.target_precision
    record.notes["targets"] = tried
    return after, record, kept, choice


def _results(dataset: Any, run_key: str) -> dict[str, Any]:
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


def _summary(after: AutoLabelResults, changed: int, decided: int, dry_run: bool) -> RetargetResults:
    same = {item.name for item in dataclasses.fields(RetargetResults)} & set(vars(after))
    found = {name: getattr(after, name) for name in same}
    return RetargetResults(**found, field=after.output_field, changed=changed, decided=decided, dry_run=dry_run)


def _read(dataset: Any, run_key: str) -> Kept:
    folder = folders.run_folder(dataset, run_key)
    missing = f"{run_key} does not keep what another target takes: run auto_label again with that target_precision"
    if not (folder / "decision.npz").exists() or not (folder / "labels.npz").exists():
        raise InvalidInput(missing)
    with (
        np.load(regular(folder / "decision.npz"), allow_pickle=False) as decision,
        np.load(regular(folder / "labels.npz"), allow_pickle=False) as labels,
    ):
        if not set(KEPT) <= set(decision.files):
            raise InvalidInput(missing)  # it is older than retarget
        found = {name: decision[name] for name in KEPT}
        ids, names = labels["ids"], labels["names"].tolist()
    if not len(found["held"]):
        raise InvalidInput(f"{run_key} held no label out, so it can show no precision: audit_labels bounds it")
    weights = found.pop("weights")
    return Kept(ids=ids, names=names, weights=weights if len(weights) else None, **found)


def choose(kept: Kept, choices: AutoLabelSettings) -> Choice:
    """The threshold by the rule of `auto_label`, and whom it accepts."""
    count = len(kept.names)
    each = each_threshold(kept.classes, kept.ranks, kept.pool, kept.held, kept.right, count, choices, kept.weights)
    passed = kept.ranks >= np.array([one.score for one in each])[kept.classes]
    accepted = np.zeros(len(kept.ids), dtype=bool)
    accepted[kept.pool] = passed[kept.pool]
    return Choice(accepted, passed[kept.held], together(each) if choices.per_class else each[0], each)


def _updated(
    results: dict[str, Any], kept: Kept, choice: Choice, choices: AutoLabelSettings, notes: list[str]
) -> AutoLabelResults:
    """The results of the run as they are with this choice."""
    accepted, threshold = int(choice.accepted.sum()), choice.threshold
    certain = accepted > 0 and threshold.held_out > 0
    rows = []
    for i, row in enumerate(results["rows"]):
        mine = kept.pool[kept.classes[kept.pool] == i]
        answers = kept.right[choice.held_accepted & (kept.classes[kept.held] == i)]
        taken = int(choice.accepted[mine].sum())
        counts = {"accepted": taken, "review": len(mine) - taken}
        rows.append({**row, **counts, **precision_of(answers, choices.alpha)})
    held = kept.classes[kept.held]
    said = target_notes(kept.names, results["labelled"], held, kept.right, choice.thresholds, choices, accepted)
    new = dict(
        accepted=accepted,
        review=len(kept.pool) - accepted,
        coverage=accepted / max(results["samples"] - results["labelled"], 1),
        target_precision=choices.target_precision,
        promise=("promise" if choices.random_labels else "estimate") if certain else "none",
        precision=threshold.precision if certain else None,
        low=threshold.low if certain else 0.0,
        high=threshold.high if certain else 1.0,
        rows=rows,
        notes=[*said, *notes],
    )
    names = {item.name for item in dataclasses.fields(AutoLabelResults)}
    return AutoLabelResults(**{name: value for name, value in {**results, **new}.items() if name in names})


def _lasting(results: dict[str, Any], kept: Kept, before: AutoLabelSettings, choice: Choice) -> list[str]:
    """The run's notes but for those that speak of the target that it has had."""
    accepted, held = int(choice.accepted.sum()), kept.classes[kept.held]
    old = target_notes(kept.names, results["labelled"], held, kept.right, choice.thresholds, before, accepted)
    return [note for note in results["notes"] if note not in old and not note.startswith((LOOKED, DRAWN))]


def _weaker(tried: list[float], choices: AutoLabelSettings) -> list[str]:
    """What is left of a promise when there are several to choose from."""
    if len(tried) < 2:
        return []
    if not choices.random_labels:
        return [f"{LOOKED} What is estimated of the target that was kept of several is too hopeful."]
    alpha, together_ = f"{100 * choices.alpha:g} %", f"{100 * min(choices.alpha * len(tried), 1):g} %"
    return [
        f"{LOOKED} Each target by itself is missed with a chance of {alpha} at the most, but whoever keeps one of "
        f"several is promised less: that one of {len(tried)} targets is missed has a chance of up to {together_}, "
        "and those that were only looked at count too. An audit bounds the precision in any case."
    ]


def _audited(dataset: Any, field: str) -> list[str]:
    drawn = audited_ids(dataset, field)
    return [f"{DRAWN} before: it says nothing of another target. Delete it, and draw anew."] if drawn else []


def _news(dataset: Any, field: str, label_field: str | None, kept: Kept, choice: Choice) -> tuple[dict[str, str], int]:
    """The new status of samples that get another, and how many of the pool a person has decided since."""
    wanted = dict(zip(kept.ids[kept.pool].tolist(), choice.accepted[kept.pool].tolist(), strict=True))
    has_labels = label_field is not None and dataset.has_field(label_field)
    columns = ["id", f"{field}.label", f"{field}.status", *([f"{label_field}.label"] if has_labels else [])]
    ids, suggestions, statuses, *labels = dataset.values(columns)
    news, decided = {}, 0
    for place, (i, suggestion, status) in enumerate(zip(ids, suggestions, statuses, strict=True)):
        if i not in wanted or status is None:  # somebody emptied it
            continue
        if suggestion is None or status not in ("accepted", "review") or (labels and or_none(labels[0][place])):
            decided += 1
        elif (status == "accepted") != wanted[i]:
            news[i] = "accepted" if wanted[i] else "review"
    return news, decided


def _count(dataset: Any, field: str, label_field: str | None, kept: Kept, choice: Choice) -> tuple[int, int]:
    """How many samples `_news` finds, and how many are decided: the database counts, and no sample is read."""
    status = f"{field}.status"
    open_ = [{"$gt": [f"${field}.label", None]}, {"$in": [f"${status}", ["accepted", "review"]]}]
    if label_field is not None and dataset.has_field(label_field):
        open_.append({"$not": [has_label(label_field).to_mongo()]})

    def count(match: dict[str, Any]) -> Counter[tuple[str, bool]]:
        """Of each status, the open ones and the others."""
        group = {"_id": {"status": f"${status}", "open": {"$and": open_}}, "count": {"$sum": 1}}
        rows = aggregate(dataset, [{"$match": {status: {"$ne": None}, **match}}, {"$group": group}])
        return Counter({(row["_id"]["status"], row["_id"]["open"]): row["count"] for row in rows})

    def count_of(ids: np.ndarray) -> Counter[tuple[str, bool]]:
        parts = [ids[first : first + MOST_IDS].tolist() for first in range(0, len(ids), MOST_IDS)]
        return sum((count({"_id": {"$in": [ObjectId(i) for i in part]}}) for part in parts), Counter())

    wanted = choice.accepted[kept.pool]
    fewer = bool(2 * wanted.sum() <= len(wanted))  # the accepted, or the others: their ids are sent
    state, other = ("accepted", "review") if fewer else ("review", "accepted")
    with ThreadPoolExecutor() as threads:
        every_ = threads.submit(count, {})
        mine_ = threads.submit(count_of, kept.ids[kept.pool][wanted == fewer])
        labelled = count_of(np.delete(kept.ids, kept.pool))
        every, mine = every_.result(), mine_.result()
    changed = mine[other, True] + every[state, True] - mine[state, True]
    return changed, sum(number for (_, is_open), number in (every - labelled).items() if not is_open)


def _write(dataset: Any, field: str, news: dict[str, str]) -> None:
    ids = list(news)
    for first in range(0, len(ids), DB_BATCH):
        part = {i: news[i] for i in ids[first : first + DB_BATCH]}
        write_durably(dataset, partial(dataset.set_values, f"{field}.status", part, key_field="id", progress=False))
