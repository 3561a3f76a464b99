"""Results of auto_label on tags: counts by class, and the precision of the accepted additions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...models.confidence.threshold import labels_needed
from ...models.settings import AutoLabelSettings
from ..data.tags import TAGGED, Tags
from ..display.charts import Chart, bars
from ..display.results import Part
from ..display.tables import counted, left_out, percent
from ..labeling.results import AutoLabelResults, Promise
from ..labeling.targets import TARGETS, row_of
from ..runs.run import Run
from .checks import listed, too_few_notes
from .decision import TagDecision, accept
from .scores import TagScores


@dataclass(repr=False)
class TagResults(AutoLabelResults):
    """What `auto_label` returns for tags. Counts are of suggested tags, a row is a class."""

    removals: int = 0  # suggested, all in review
    complete: bool = False  # an untagged class was absent; False: unknown

    def parts(self) -> list[Part]:
        unseen = "absent" if self.complete else "unknown"
        rows = [
            ("samples", f"{self.samples:,}, {self.labelled:,} with tags, where an untagged class is {unseen}"),
            ("accepted", f"{counted(self.accepted, 'tag')} to add"),
            ("review", f"{counted(self.review - self.removals, 'tag')} to add, {self.removals:,} to remove"),
        ]
        if self.accepted:
            word = "promised" if self.promise == Promise.PROMISE else "estimated"
            bound = f"at least {percent(self.low)}, with {100 * (1 - self.alpha):.0f} % confidence, of each class"
            rows.append((f"{word} precision", bound))
        head = "\n".join(f"{name:<20} {text}" for name, text in rows)
        return [f"{self.output_field} ({self.run_key})", head, "", self.rows, *self.notes]

    def charts(self) -> dict[str, Chart]:
        columns = ("tagged", "accepted", "review", "to_remove")
        return {"classes": bars(self.rows, "Tags", "class", *columns, kind="stacked")}


def summarise(
    run: Run,
    tags: Tags,
    scores: TagScores,
    decision: TagDecision,
    held_out: np.ndarray,
    settings: AutoLabelSettings,
) -> TagResults:
    """Counts, with notes on their meaning."""
    accepted, used = int(decision.accepted.sum()), [row for row in decision.thresholds if row.held_out]
    suggested, removals = int(decision.adds.sum()), int(decision.removes.sum())
    promise = Promise.PROMISE if settings.random_labels else Promise.ESTIMATE
    correct, tested = sum(row.correct for row in used), sum(row.held_out for row in used)
    return TagResults(
        run_key=run.key,
        output_field=run.record.inputs["output_field"],
        names=tags.names,
        samples=len(tags.ids),
        labelled=int(tags.is_known.sum()),
        accepted=accepted,
        review=suggested - accepted + removals,
        unlike=0,
        held_out=int(held_out.sum()),
        coverage=accepted / max(suggested, 1),
        target_precision=settings.target_precision,
        alpha=settings.alpha,
        promise=(promise if used else Promise.NONE).value,
        per_class=True,
        precision=correct / tested if tested else None,
        low=min((row.low for row in used), default=0.0),
        high=max((row.high for row in used), default=1.0),
        rows=_rows(tags, decision),
        members=[],
        targets=target_rows(decision, settings),
        curve=[],
        reliability=[],
        curves=[],
        notes=_notes(tags, scores, decision, held_out, settings),
        skipped={},
        synthetic=tags.synthetic_left_out,
        views={},
        removals=removals,
        complete=scores.complete,
    )


def target_rows(decision: TagDecision, settings: AutoLabelSettings) -> list[dict[str, Any]]:
    """A row a target: additions that it accepts, and the least bound of a class."""
    pool = sum(len(own.rows) for own in decision.candidates.values())
    rows = []
    for target in sorted({*TARGETS, settings.target_precision}) if pool and decision.held_out.any() else ():
        own = accept(decision, replace(settings, target_precision=target))
        low = min((threshold.low for threshold in own.thresholds if threshold.held_out), default=0.0)
        rows.append(row_of(target, int(own.accepted.sum()), pool, low, None))
    return rows


def _rows(tags: Tags, decision: TagDecision) -> list[dict[str, Any]]:
    """A row a class: tags, suggestions, and the precision of accepted additions among held-out samples."""
    rows = []
    for k, name in enumerate(tags.names):
        threshold, accepted = decision.thresholds[k], int(decision.accepted[:, k].sum())
        is_bounded = threshold.held_out > 0
        row: dict[str, Any] = {"class": name, "tagged": int((tags.values[:, k] == TAGGED).sum()), "accepted": accepted}
        row |= {"review": int(decision.adds[:, k].sum()) - accepted, "to_remove": int(decision.removes[:, k].sum())}
        row |= {"held_out_accepted": threshold.held_out, "precision": threshold.precision if is_bounded else None}
        bounds = (threshold.low, threshold.high) if is_bounded else (None, None)
        rows.append({**row, **dict(zip(("precision_low", "precision_high"), bounds, strict=True))})
    return rows


def _notes(
    tags: Tags, scores: TagScores, decision: TagDecision, held_out: np.ndarray, settings: AutoLabelSettings
) -> list[str]:
    needed, judged = labels_needed(settings.target_precision, settings.alpha), set(scores.judged.tolist())
    declined = [k for k, threshold in enumerate(decision.thresholds) if not threshold.held_out and k in judged]
    few = [f"{tags.names[k]!r} ({decision.held_out[k]})" for k in declined if decision.held_out[k] < needed]
    failed = [repr(tags.names[k]) for k in declined if decision.held_out[k] >= needed]
    notes = [*tags.notes, *too_few_notes(tags, np.flatnonzero(tags.is_known & ~held_out))]
    if tags.is_known.all():
        notes.append("Every sample has a value in the field, so that nothing is accepted: leave it None where no tag "
                     "is known.")  # fmt: skip
    elif few:
        notes.append(
            f"Nothing is accepted of {listed(few)}: a precision of {percent(settings.target_precision)} takes {needed} "
            "held-out samples that are predicted to have the tag. Tag more samples."
        )
    if failed and not tags.is_known.all():
        notes.append(f"Nothing is accepted of {listed(failed)}: no threshold shows the target precision.")
    if decision.accepted.any() and not settings.random_labels:
        notes.append("An estimate, not a promise: the tagged samples are not known to be a random draw "
                     "(random_labels=True says so).")  # fmt: skip
    if not scores.complete:
        notes.append("A tag that a held-out sample lacks counts as an error, since it may only be unknown: if tags are "
                     "complete, complete=True accepts more.")  # fmt: skip
    return [*notes, *left_out(0, tags.synthetic_left_out)]
