"""Results of find_mistakes: issues by class, the estimated label noise, and notes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..data.labels import Labels
from ..display.charts import Chart, bars
from ..display.results import Part, RunResults
from ..display.tables import counted, left_out, percent
from ..runs.run import Run
from ..training.image_survey import errors_by_id
from .box_flags import BoxFlags, count_rows
from .out_of_fold import OutOfFold
from .verdict import Verdict


@dataclass(repr=False)
class MistakeResults(RunResults):
    """What `find_mistakes` returns. `str` prints it as a table."""

    run_key: str
    output_field: str
    label_field: str
    names: list[str]
    judged: int  # labels
    issues: int  # flagged labels, of boxes by their class
    contradicted: int  # of them: near-duplicates with another label, listed first
    noise: float  # expected fraction of wrong labels
    folds: int
    rows: list[dict[str, Any]]  # a class: labels, issues, the most common suggestion and its count
    notes: list[str]  # sentences on unjudged labels and next steps
    skipped: dict[str, str]  # sample id: why its image could not be used
    synthetic: int  # samples left out because Evenset generated them
    views: dict[str, str]  # "mistakes": name of the saved view
    dismissed: int = 0  # flags that a person dismissed before
    method: str = "evenset"  # of the mistakenness
    expected: float = 0.0  # number of flagged labels that are expected to be wrong
    planted: list[dict[str, Any]] = field(default_factory=list)  # a score: average precision on planted errors
    kinds: list[dict[str, Any]] = field(default_factory=list)  # of flags of boxes: flags, and what accepting them does

    def parts(self) -> list[Part]:
        head = f"{self.output_field} ({self.run_key})\n"
        head += f"{'issues':<20} {self.issues:,} of {counted(self.judged, 'label')} of {self.label_field!r}\n"
        head += f"{'estimated noise':<20} {percent(self.noise)} of the labels are wrong"
        if self.issues:
            head += f"\n{'expected errors':<20} {self.expected:.0f} of the flagged labels"
        planted: list[Part] = ["", f"average precision on planted errors; {self.method!r} was taken", self.planted, ""]
        kinds: list[Part] = ["", "flagged boxes by kind, and what review_labels does with them", self.kinds, ""]
        more = [*(planted if self.planted else []), *(kinds if self.kinds else [])]
        return [head, "", self.rows, *more, *self.notes]

    def charts(self) -> dict[str, Chart]:
        issues = {"issues": bars(self.rows, "Flagged labels", "class", "issues")}
        if not self.planted:
            return issues
        kinds = [key for key in self.planted[0] if key != "score"]
        return {"planted": bars(self.planted, "Average precision on planted errors", "score", *kinds), **issues}


def summarise(
    run: Run,
    labels: Labels,
    predictions: OutOfFold,
    verdict: Verdict,
    flags: BoxFlags | None,
    views: dict[str, str],
) -> MistakeResults:
    """Counts, with notes on what could not be judged."""
    class_ids, inputs = labels.class_ids[predictions.rows], run.record.inputs
    return MistakeResults(
        run_key=run.key,
        output_field=inputs["output_field"],
        label_field=inputs["label_field"],
        names=labels.names,
        judged=len(class_ids),
        issues=int(verdict.is_issue.sum()),
        contradicted=int(verdict.contradicted.sum()),
        noise=verdict.noise,
        folds=predictions.folds,
        rows=_class_rows(verdict, class_ids, labels.names),
        notes=_notes(labels, predictions, verdict, flags, inputs["output_field"]),
        skipped=errors_by_id(labels, predictions.errors),
        synthetic=labels.synthetic_left_out,
        views=views,
        dismissed=verdict.dismissed + (flags.dismissed if flags else 0),
        method=verdict.method,
        expected=float(verdict.scores[verdict.is_issue].sum()),
        planted=verdict.planted,
        kinds=count_rows(int(verdict.is_issue.sum()), flags) if flags else [],
    )


def _class_rows(verdict: Verdict, labels: np.ndarray, names: list[str]) -> list[dict[str, Any]]:
    """A row a class: labels, issues, and the most common suggestion."""
    rows = []
    for index, name in enumerate(names):
        flagged = (labels == index) & verdict.is_issue
        top = Counter(names[other] for other in verdict.suggestions[flagged]).most_common(1)
        suggestion, count = top[0] if top else (None, 0)
        row = {"class": name, "labels": int((labels == index).sum()), "issues": int(flagged.sum())}
        rows.append({**row, "most_suggested": suggestion, "times_suggested": count})
    return rows


def _mostly_flagged(verdict: Verdict, class_ids: np.ndarray, names: list[str]) -> list[str]:
    """Classes of which more than half of the labels are flagged, with the counts, the most flagged first."""
    counts = np.bincount(class_ids, minlength=len(names))
    flagged = np.bincount(class_ids[verdict.is_issue], minlength=len(names))
    most = np.flatnonzero(2 * flagged > counts)
    return [f"{names[i]!r} ({flagged[i]} of {counts[i]})" for i in most[np.argsort(-flagged[most], kind="stable")]]


def _notes(labels: Labels, predictions: OutOfFold, verdict: Verdict, flags: BoxFlags | None, field: str) -> list[str]:
    notes, noun = list(labels.notes), "box" if labels.has_boxes else "sample"
    if verdict.contradicted.any():
        notes.append(
            f"{counted(int(verdict.contradicted.sum()), 'label', 'is', 'are')} contradicted by a near-duplicate, and "
            f"listed first: the reason names the {noun} whose label fits better, and stays."
        )
    if rare := _mostly_flagged(verdict, labels.class_ids[predictions.rows], labels.names):
        notes.append(
            f"More than half of the labels are flagged of {', '.join(rare[:5])}: such a class may be too rare to "
            "judge. Look at each of them, and label more."
        )
    dismissed = verdict.dismissed + (flags.dismissed if flags else 0)
    notes += flags.notes if flags else []
    if verdict.is_issue.any() or (flags and ((flags.kinds != "").any() or (flags.missing and flags.missing.ids))):
        notes.append(
            "Open the view, select the wrong labels, and accept the suggestions: Review labels in the App, or "
            f"review_labels(selection, {field!r}). Deleting that run undoes it."
        )
    if dismissed:
        notes.append(
            f"{counted(dismissed, 'label', 'is', 'are')} not flagged again, since somebody dismissed it: "
            "deleting that review brings the flag back."
        )
    if len(predictions.unjudged):
        classes = sorted({labels.names[labels.class_ids[i]] for i in predictions.unjudged})
        more = f" and {len(classes) - 5} more" if classes[5:] else ""
        notes.append(
            f"{counted(len(predictions.unjudged), 'label', 'was', 'were')} not judged, since no other fold has the "
            f"class: {', '.join(classes[:5])}{more}. Label more of them."
        )
    return [*notes, *left_out(len(predictions.errors), labels.synthetic_left_out)]
