"""What auto_label returns: coverage, the precision that was promised, and what to do next."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...models.confidence.calibration import reliability
from ...models.confidence.threshold import Threshold, clopper_pearson, curve, first_test, labels_needed
from ...models.settings import AutoLabelSettings
from ..data.labels import Labels, label_notes
from ..display.tables import counted, left_out, percent, table
from ..runs.run import Run
from .acceptance import Decision
from .predictions import Scores


@dataclass
class AutoLabelResults:
    """What `auto_label` returns. `str` prints it as a table."""

    run_key: str
    output_field: str
    names: list[str]
    samples: int
    labelled: int
    accepted: int
    review: int
    unlike: int  # in review because they look like no labelled class
    held_out: int  # labels that calibrated, and had no part in training
    coverage: float  # accepted of the unlabelled
    target_precision: float
    alpha: float
    promise: str  # "promise", "estimate", or "none"
    per_class: bool  # each class has its threshold, and the bounds are those of the worst one
    precision: float | None  # of held-out samples above the threshold; None where nothing is accepted
    low: float  # bounds of the precision of the accepted samples, each at alpha
    high: float
    rows: list[dict[str, Any]]  # a class
    members: list[dict[str, Any]]  # a member: its weight, and how many held-out labels it predicts right by itself
    curve: list[dict[str, float]]  # a threshold: coverage, score, held_out, precision, low, high
    reliability: list[dict[str, float]]  # a bin of cross-fitted confidence: count, confidence, right, low, high
    curves: list[dict[str, Any]]  # an epoch of training
    notes: list[str]  # sentences: what was declined and why, what to do next
    skipped: dict[str, str]  # sample id: why its image could not be used
    synthetic: int  # samples left out because Evenset generated them
    views: dict[str, str]  # "accepted", "review", "labelled": name of the saved view

    def __str__(self) -> str:
        sure = f"{100 * (1 - self.alpha):.0f} %"
        rows = [
            ("samples", f"{self.samples:,}, {self.labelled:,} labelled"),
            ("accepted", f"{self.accepted:,} of {self.samples - self.labelled:,} ({percent(self.coverage)})"),
            (
                "review",
                f"{self.review:,}" + (f", {self.unlike:,} of them like no labelled class" if self.unlike else ""),
            ),
        ]
        if self.precision is not None:
            word = "promised" if self.promise == "promise" else "estimated"
            whose = ", of each class by itself" if self.per_class else ""
            rows.append((f"{word} precision", f"at least {percent(self.low)}, with {sure} confidence{whose}"))
            rows.append(
                ("on held-out labels", f"{percent(self.precision)} ({percent(self.low)} to {percent(self.high)})")
            )
        head = "\n".join(f"{name:<20} {text}" for name, text in rows)
        title = f"{self.output_field} ({self.run_key})"
        return "\n".join([title, head, "", table(self.rows), *self._who(), *self._sure(), *self.notes])

    def _who(self) -> list[str]:
        """What each member counts, and is worth by itself, in lines."""
        return ["", "members of the ensemble", table(self.members)] if self.members else []

    def _sure(self) -> list[str]:
        """How far confidences are to be believed, in lines."""
        if not self.reliability:
            return []
        rows = [
            {
                "confidence": f"{percent(row['from'])} to {percent(row['to'])}",
                "held-out": row["count"],
                "mean": percent(row["confidence"]),
                "right": percent(row["right"]),
                "interval": f"{percent(row['low'])} to {percent(row['high'])}",
            }
            for row in self.reliability
        ]
        return ["", "confidences, by calibrators that had not seen the answers (an estimate)", table(rows), ""]


def summarise(
    run: Run,
    labels: Labels,
    found: Scores,
    decision: Decision,
    choices: AutoLabelSettings,
    output_field: str,
    views: dict[str, str],
) -> AutoLabelResults:
    """Counts, and says in sentences what the counts mean."""
    pool = (labels.class_ids < 0) & decision.usable
    accepted = int(decision.accepted.sum())
    chosen = decision.threshold
    certain = accepted > 0 and chosen.held_out > 0
    return AutoLabelResults(
        run_key=run.key,
        output_field=output_field,
        names=labels.names,
        samples=int((~labels.synthetic_mask).sum()),
        labelled=int(labels.is_labelled.sum()),
        accepted=accepted,
        review=int(pool.sum()) - accepted,
        unlike=int((decision.unlike & pool).sum()),
        held_out=len(decision.held),
        coverage=accepted / max(int((labels.class_ids < 0).sum()), 1),
        target_precision=choices.target_precision,
        alpha=choices.alpha,
        promise=decision.promise if certain else "none",
        per_class=choices.per_class,
        precision=chosen.precision if certain else None,
        low=chosen.low if certain else 0.0,
        high=chosen.high if certain else 1.0,
        rows=_rows(labels, decision, choices.alpha),
        members=_members(labels, found, decision.held),
        curve=_curve(decision, choices.alpha),
        reliability=reliability(decision.held_confidence, decision.right, choices.alpha),
        curves=found.curves,
        notes=_next_round(run) + _notes(labels, found, decision, choices, run.record.inputs, accepted),
        skipped={str(labels.ids[i]): reason for i, reason in found.errors.items()},
        synthetic=labels.synthetic_left_out,
        views=views,
    )


def _curve(decision: Decision, alpha: float) -> list[dict[str, float]]:
    """Precision over coverage, as one threshold for all classes would have it."""
    ranks, held = decision.ranks, decision.held
    return curve(ranks[decision.pool], ranks[held], decision.right, alpha, decision.weights) if len(held) else []


def _rows(labels: Labels, decision: Decision, alpha: float) -> list[dict[str, Any]]:
    """A row a class: how many are labelled, accepted, in review, and how held-out samples of that prediction fare."""
    pool = (labels.class_ids < 0) & decision.usable
    rows = []
    for i, name in enumerate(labels.names):
        mine = pool & (decision.classes == i)
        taken = decision.held_accepted & (decision.classes[decision.held] == i)
        labelled, accepted = (
            int((labels.is_labelled & (labels.class_ids == i)).sum()),
            int((mine & decision.accepted).sum()),
        )
        shown = precision_of(decision.right[taken], alpha)
        rows.append(
            {"class": name, "labelled": labelled, "accepted": accepted, "review": int(mine.sum()) - accepted, **shown}
        )
    return rows


def precision_of(answers: np.ndarray, alpha: float) -> dict[str, str | None]:
    """Columns of a class's row: how many of its accepted held-out answers [n] are right, and what that bounds."""
    right, total = int(answers.sum()), len(answers)
    low, high = clopper_pearson(right, total, alpha)
    bounds = f"{percent(low)} to {percent(high)}" if total else None
    return {"held-out right": f"{right} of {total}" if total else None, "precision": bounds}


def _members(labels: Labels, found: Scores, held: np.ndarray) -> list[dict[str, Any]]:
    """A row a member, the weightiest first; where it abstains, it is not right."""
    rows = []
    for name in sorted(found.weights, key=lambda one: -found.weights[one]):
        own = np.nan_to_num(found.members[name][held], nan=-np.inf)
        right = int(((own.argmax(axis=1) == labels.class_ids[held]) & np.isfinite(own).any(axis=1)).sum())
        held_out = f"{right} of {len(held)}" if len(held) else None
        rows.append({"member": name, "weight": percent(found.weights[name]), "held-out right": held_out})
    return rows


def _next_round(run: Run) -> list[str]:
    after = run.record.inputs.get("after")
    if not after:
        return []
    return [
        f"A next round after {after}: what that run held out is held out again, and no other label calibrates. "
        "Random labels that you add calibrate in a new run, without after."
    ]


def _notes(
    labels: Labels,
    found: Scores,
    decision: Decision,
    choices: AutoLabelSettings,
    inputs: dict[str, Any],
    accepted: int,
) -> list[str]:
    notes = []
    held = decision.classes[decision.held]
    if not (labels.class_ids < 0).any():
        notes.append("Every sample has a label already: there is nothing to suggest.")
    if not len(held):
        notes.append(_none_held_out(labels, inputs, choices, accepted))
    elif (labels.class_ids < 0).any():
        given, thresholds = int(labels.is_labelled.sum()), decision.thresholds
        notes += target_notes(labels.names, given, held, decision.right, thresholds, choices, accepted)
    notes += label_notes(labels)
    notes += [f"{note}." for note in left_out(len(found.errors), labels.synthetic_left_out)]
    if labels.synthetic_mask.any():
        notes.append(f"{counted(int(labels.synthetic_mask.sum()), 'synthetic sample')} trained, and did not calibrate.")
    untrusted = int((labels.is_labelled & ~labels.trusted).sum())
    if untrusted:
        notes.append(f"{counted(untrusted, 'label')} came from Evenset or a queue, and trained without calibrating.")
    return notes


def _none_held_out(labels: Labels, inputs: dict[str, Any], choices: AutoLabelSettings, accepted: int) -> str:
    """Says why no label calibrates, and what to do.

    Args:
        inputs: the call's own arguments
    """
    if inputs.get("run"):
        source = "the threshold of that run was used" if accepted else "there is no threshold, so nothing is accepted"
        return f"No label here is new to the model, so nothing is promised: {source}. An audit bounds the precision."
    nothing, field = "so there is no threshold, and nothing is accepted", inputs.get("group_field")
    if not choices.calibration_fraction and not inputs.get("after"):
        return f"No label is held out, {nothing}: calibration_fraction=0 asks for that."
    if not (labels.is_labelled & labels.trusted).any():
        return f"All labels came from Evenset or a queue, and none may calibrate, {nothing}. Label random samples."
    if field and (labels.groups[labels.is_labelled] != "").any():
        groups = counted(len(np.unique(labels.groups[labels.is_labelled])), "group")
        return (
            f"The labels are of {groups} of {field!r}, too large to hold one out, {nothing}. "
            "Label samples of more groups, or take a group_field whose groups are smaller."
        )
    return f"Too few labels to hold one out, {nothing}. Label more samples of each class."


def target_notes(
    names: list[str],
    labelled: int,
    classes: np.ndarray,
    right: np.ndarray,
    thresholds: list[Threshold],
    choices: AutoLabelSettings,
    accepted: int,
) -> list[str]:
    """What the target precision comes to, in sentences.

    Args:
        classes, right: prediction of each held-out sample, and whether it is right [n], [n]
        thresholds: of each predicted class [K]
    """
    notes = []
    if not accepted:
        notes.append(_too_few(labelled, right, choices))
    elif choices.per_class:
        notes += _declined(names, classes, thresholds, choices)
    if accepted and not choices.random_labels:
        notes.append(
            "An estimate, not a promise: the labels are not known to be a random draw (random_labels=True says so). "
            "evenset.audit_labels draws accepted samples for you to check, and bounds the precision in any case."
        )
    return notes


ONE_TESTED = "Testing ends with the first that fails, so no lower one was tested, whatever the curve shows there."


def _declined(
    names: list[str], classes: np.ndarray, thresholds: list[Threshold], choices: AutoLabelSettings
) -> list[str]:
    """Names the classes that accept nothing, those first that have too few held-out labels to show anything."""
    needed = labels_needed(choices.target_precision, choices.alpha)
    have = np.bincount(classes, minlength=len(names))
    shut = [i for i, one in enumerate(thresholds) if not one.held_out]
    few = ", ".join(f"{names[i]!r} ({have[i]})" for i in shut if have[i] < needed)
    other = ", ".join(repr(names[i]) for i in shut if have[i] >= needed)
    return [
        *([f"Too few held-out labels to accept anything as {few}: it takes {needed} of each class."] if few else []),
        *([f"The strictest threshold of {other} does not show the target precision. {ONE_TESTED}"] if other else []),
    ]


def _too_few(labelled: int, right: np.ndarray, choices: AutoLabelSettings) -> str:
    """Says how many labels it would take to accept something."""
    target, sure = f"{100 * choices.target_precision:g} %", f"{100 * (1 - choices.alpha):.0f} %"
    needed, have = labels_needed(choices.target_precision, choices.alpha), len(right)
    if have < needed:
        total = math.ceil(needed * labelled / have)
        return (
            f"Nothing is accepted: a precision of {target} with {sure} confidence takes {needed} held-out labels, all "
            f"predicted right, and there are {have}. Label about {total:,} samples in all, drawn at random."
        )
    first = first_test(have, choices.target_precision, choices.alpha)
    which = "of each class" if choices.per_class else f"above which about {first} of them lie,"
    return (
        f"Nothing is accepted: of {have} held-out labels {percent(float(right.mean()))} are predicted right. "
        f"The strictest threshold, {which} does not show {target} with {sure} confidence. {ONE_TESTED} "
        "Label more samples, or lower target_precision."
    )
