"""Notes of auto_label: what was declined and why, and what to do next."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...models.confidence.threshold import HeldOut, Threshold, first_test, labels_needed
from ...models.settings import AutoLabelSettings
from ..data.labels import Labels, label_notes
from ..display.tables import counted, left_out, percent
from .acceptance import Acceptance, Candidates
from .decision import Decision
from .targets import target_rows

TESTED_UNTIL = "Testing ends with the first that fails, so no lower one was tested, whatever the curve shows there."


def notes_on(
    labels: Labels, decision: Decision, settings: AutoLabelSettings, inputs: dict[str, Any], unreadable: int
) -> list[str]:
    """All notes of a run.

    Args:
        inputs: the call's own arguments, and the key of its run; `after` only where that run held labels out
        unreadable: number of images that could not be read
    """
    notes = _next_round(inputs.get("after"))
    has_unlabelled = bool((labels.class_ids < 0).any())
    if not has_unlabelled:
        notes.append("Every sample has a label already: there is nothing to suggest.")
    if not len(decision.candidates.calibration):
        notes.append(_no_calibration(labels, inputs, settings, bool(decision.acceptance.accepted.any())))
    elif has_unlabelled:
        labelled = int(labels.is_labelled.sum())
        notes += target_notes(labels.names, labelled, decision.candidates, decision.acceptance, settings)
    notes += label_notes(labels)
    notes += left_out(unreadable, labels.synthetic_left_out)
    if labels.synthetic_mask.any():
        notes.append(f"{counted(int(labels.synthetic_mask.sum()), 'synthetic sample')} trained, and did not calibrate.")
    untrusted = int((labels.is_labelled & ~labels.trusted).sum())
    if untrusted:
        notes.append(f"{counted(untrusted, 'label')} came from Evenset or a queue, and trained without calibrating.")
    return notes


def _next_round(after: str | None) -> list[str]:
    if not after:
        return []
    return [
        f"A next round after {after}: what that run held out stays held out, and no other label calibrates. "
        "Random labels that you add calibrate in a new run, without after."
    ]


def _no_calibration(labels: Labels, inputs: dict[str, Any], settings: AutoLabelSettings, accepts: bool) -> str:
    """Why no label calibrates, and what to do."""
    if inputs.get("run"):
        source = "the threshold of that run was used" if accepts else "there is no threshold, so nothing is accepted"
        return f"No label here is new to the model, so nothing is promised: {source}. An audit bounds the precision."
    nothing, field = "so there is no threshold, and nothing is accepted", inputs.get("group_field")
    if settings.text_encoder and len(np.unique(labels.class_ids[labels.is_labelled])) < 2:
        return (
            f"No label was held out, as fewer than two classes have one, {nothing}: the names of the classes alone "
            "suggest, with the encoder's own confidence. Review the first 30 or so, in their order, then call "
            f"auto_label with after={inputs['run_key']!r}."
        )
    if settings.calibration_fraction == 0 and not inputs.get("after"):
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
    names: list[str], labelled: int, candidates: Candidates, acceptance: Acceptance, settings: AutoLabelSettings
) -> list[str]:
    """Notes on the target precision.

    Args:
        labelled: number of labels that the run began with
    """
    notes = []
    if not acceptance.accepted.any():
        notes.append(_nothing_accepted(labelled, candidates, settings, len(names)))
    elif settings.per_class:
        notes += _declined_classes(names, candidates.calibration_class_ids, acceptance.thresholds, settings)
    if acceptance.accepted.any() and not settings.random_labels:
        notes.append(
            "An estimate, not a promise: the labels are not known to be a random draw (random_labels=True says so). "
            "evenset.audit_labels draws accepted samples for you to check, and bounds the precision either way."
        )
    return notes


def _declined_classes(
    names: list[str], class_ids: np.ndarray, thresholds: list[Threshold], settings: AutoLabelSettings
) -> list[str]:
    """Classes that accept nothing, first those with too few held-out labels.

    Args:
        class_ids: predicted class of each held-out sample [n]
    """
    needed = labels_needed(settings.target_precision, settings.alpha)
    counts = np.bincount(class_ids, minlength=len(names))
    declined = [i for i, threshold in enumerate(thresholds) if not threshold.held_out]
    too_few = ", ".join(f"{names[i]!r} ({counts[i]})" for i in declined if counts[i] < needed)
    failed = ", ".join(repr(names[i]) for i in declined if counts[i] >= needed)
    notes = []
    if too_few:
        notes.append(f"Too few held-out labels to accept anything as {too_few}: it takes {needed} of each class.")
    if failed:
        notes.append(f"The strictest threshold of {failed} does not show the target precision. {TESTED_UNTIL}")
    return notes


def _nothing_accepted(labelled: int, candidates: Candidates, settings: AutoLabelSettings, classes: int) -> str:
    """What was tested, which target would accept something, and how many labels this one is likely to take."""
    target, confidence = percent(settings.target_precision), f"{100 * (1 - settings.alpha):.0f} %"
    needed, held_out = labels_needed(settings.target_precision, settings.alpha), len(candidates.calibration)
    if held_out < needed:
        reason = (
            f"a precision of {target} with {confidence} confidence takes {needed} held-out labels, all predicted "
            f"correctly, and there are {held_out}"
        )
    else:
        correct = percent(float(candidates.correct.mean()))
        reason = f"of {held_out} held-out labels {correct} are predicted correctly. {_first_test(candidates, settings)}"
    rows = target_rows(labelled, classes, candidates, settings)
    lower = [row for row in rows if row["target"] < settings.target_precision and row["accepted"]]
    other = " No target accepts anything yet: review the queue, and go on from this run with after=."
    if lower:
        best = lower[-1]
        other = f" A target of {percent(best['target'])} accepts {counted(best['accepted'], 'sample')}: see set_target."
    likely = next(row["labels_needed"] for row in rows if row["target"] == settings.target_precision)
    more = f"about {likely:,}" if likely else f"more than {16 * labelled:,}"
    return f"Nothing is accepted: {reason}.{other} {target} is likely to take {more} random labels in all."


def _first_test(candidates: Candidates, settings: AutoLabelSettings) -> str:
    """Where testing began, and how it failed."""
    if settings.per_class:
        return f"The first threshold of each class fails. {TESTED_UNTIL}"
    samples = HeldOut(candidates.scores[candidates.calibration], candidates.correct)
    unlabelled = candidates.scores[candidates.unlabelled]
    test = first_test(unlabelled, samples, candidates.expected, settings.target_precision, settings.alpha)
    if test is None:
        return "No threshold has enough of them to be tested"
    return (
        f"Of the {test.held_out} above the first threshold {test.errors} are wrong, where {test.allowed} may be. "
        f"{TESTED_UNTIL}".rstrip(".")
    )
