"""Results of auto_label: counts, coverage, and the precision of the accepted samples."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from ...models.confidence.calibration import reliability
from ...models.confidence.threshold import clopper_pearson, curve
from ...models.settings import AutoLabelSettings
from ..data.labels import Labels
from ..display.charts import Chart, Series, bars, column, training
from ..display.results import Part, RunResults
from ..display.tables import percent
from ..runs.run import Run
from ..training.graph_members import MEMBERS
from ..training.image_survey import errors_by_id
from .acceptance import Acceptance, Candidates
from .decision import Decision
from .notes import notes_on
from .predictions import Predictions
from .targets import target_rows


class Promise(StrEnum):
    """Strength of the precision's lower bound."""

    PROMISE = "promise"  # finite-sample guarantee: the held-out labels are a random draw
    ESTIMATE = "estimate"
    NONE = "none"


@dataclass(repr=False)
class AutoLabelResults(RunResults):
    """What `auto_label` returns. `str` prints it as a table."""

    run_key: str
    output_field: str
    names: list[str]
    samples: int
    labelled: int
    accepted: int
    review: int
    unlike: int  # out of distribution, and so in review
    held_out: int  # labels that calibrated, and did not train
    coverage: float  # accepted of the unlabelled
    target_precision: float
    alpha: float
    promise: str  # see Promise
    per_class: bool  # each class has its own threshold; the bounds are the widest of all classes
    precision: float | None  # of held-out samples above the threshold; None where nothing is accepted
    low: float  # bounds of the precision of the accepted samples, each at alpha
    high: float
    rows: list[dict[str, Any]]  # a class
    members: list[dict[str, Any]]  # a member: its weight, and its own correct predictions of held-out labels
    targets: list[dict[str, Any]]  # a target precision: accepted, coverage, its bound, and labels needed
    curve: list[dict[str, float]]  # a threshold: coverage, score, held_out, precision, low, high
    reliability: list[dict[str, float]]  # a bin of cross-fitted confidence: count, confidence, right, low, high
    curves: list[dict[str, Any]]  # an epoch of training
    notes: list[str]  # sentences on declined classes and next steps
    skipped: dict[str, str]  # sample id: why its image could not be used
    synthetic: int  # samples left out because Evenset generated them
    views: dict[str, str]  # "accepted", "review": name of the saved view

    def parts(self) -> list[Part]:
        out_of_distribution = f", {self.unlike:,} of them like no labelled class" if self.unlike else ""
        rows = [
            ("samples", f"{self.samples:,}, {self.labelled:,} labelled"),
            ("accepted", f"{self.accepted:,} of {self.samples - self.labelled:,} ({percent(self.coverage)})"),
            ("review", f"{self.review:,}{out_of_distribution}"),
        ]
        if self.precision is not None:
            word = "promised" if self.promise == Promise.PROMISE else "estimated"
            confidence, scope = f"{100 * (1 - self.alpha):.0f} %", ", of each class by itself" if self.per_class else ""
            low, high = percent(self.low), percent(self.high)
            rows.append((f"{word} precision", f"at least {low}, with {confidence} confidence{scope}"))
            rows.append(("on held-out labels", f"{percent(self.precision)} ({low} to {high})"))
        head = "\n".join(f"{name:<20} {text}" for name, text in rows)
        title = f"{self.output_field} ({self.run_key})"
        return [title, head, "", self.rows, *self._members(), *self._reliability(), *self.notes]

    def charts(self) -> dict[str, Chart]:
        counts = bars(self.rows, "Samples", "class", "labelled", "accepted", "review", kind="stacked")
        return {**self._precision(), "classes": counts, **self._targets(), **training(self.curves)}

    def _precision(self) -> dict[str, Chart]:
        """Precision over coverage, and the target."""
        if not self.curve:
            return {}
        ends = (column(self.curve, "low"), column(self.curve, "high"))
        lines = [
            Series("precision", column(self.curve, "precision"), *ends),
            Series("target", [self.target_precision] * len(self.curve)),
        ]
        title, places = "Precision over coverage", column(self.curve, "coverage")
        return {"precision": Chart("lines", title, places, lines, "coverage", is_fraction=True)}

    def _targets(self) -> dict[str, Chart]:
        if not self.targets:
            return {}
        title = "Coverage and lower bound by target precision"
        return {"targets": bars(self.targets, title, "target", "coverage", "at_least", is_fraction=True)}

    def _members(self) -> list[Part]:
        """The members of the ensemble."""
        return ["", "members of the ensemble", self.members] if self.members else []

    def _reliability(self) -> list[Part]:
        """The reliability of confidences."""
        if not self.reliability:
            return []
        rows = [
            {
                "confidence": f"{percent(row['from'])} to {percent(row['to'])}",
                "held-out": row["count"],
                "mean": percent(row["confidence"]),
                "correct": percent(row["right"]),
                "interval": f"{percent(row['low'])} to {percent(row['high'])}",
            }
            for row in self.reliability
        ]
        return ["", "reliability of the confidences, cross-validated (an estimate)", rows, ""]


def summarise(
    run: Run,
    labels: Labels,
    predictions: Predictions,
    decision: Decision,
    settings: AutoLabelSettings,
    views: dict[str, str],
) -> AutoLabelResults:
    """Counts, with notes on their meaning."""
    candidates, acceptance = decision.candidates, decision.acceptance
    after = run.record.inputs["after"] if (run.folder / "seen.npz").exists() else None  # else it held nothing out
    inputs = {**run.record.inputs, "run_key": run.key, "after": after}
    is_unlabelled = (labels.class_ids < 0) & decision.usable
    labelled = np.bincount(labels.class_ids[labels.is_labelled], minlength=len(labels.names))
    return AutoLabelResults(
        run_key=run.key,
        output_field=run.record.inputs["output_field"],
        names=labels.names,
        samples=int((~labels.synthetic_mask).sum()),
        labelled=int(labels.is_labelled.sum()),
        unlike=int((decision.ood_mask & is_unlabelled).sum()),
        held_out=len(candidates.calibration),
        alpha=settings.alpha,
        per_class=settings.per_class,
        rows=class_rows(labels.names, labelled.tolist(), candidates, acceptance, settings.alpha),
        members=_member_rows(labels, predictions, candidates.calibration),
        targets=target_rows(int(labels.is_labelled.sum()), len(labels.names), candidates, settings),
        curve=_curve(candidates, settings.alpha),
        reliability=reliability(decision.calibration_confidence, candidates.correct, settings.alpha),
        curves=predictions.curves,
        notes=notes_on(labels, decision, settings, inputs, len(predictions.errors)),
        skipped=errors_by_id(labels, predictions.errors),
        synthetic=labels.synthetic_left_out,
        views=views,
        **outcome(candidates, acceptance, settings, int((labels.class_ids < 0).sum())),
    )


def outcome(
    candidates: Candidates, acceptance: Acceptance, settings: AutoLabelSettings, unlabelled: int
) -> dict[str, Any]:
    """The fields of the results that follow from the target precision.

    Args:
        unlabelled: number of samples without a label, also of those that could not be scored
    """
    accepted, threshold = int(acceptance.accepted.sum()), acceptance.threshold
    is_bounded = accepted > 0 and threshold.held_out > 0
    promise = Promise.PROMISE if settings.random_labels else Promise.ESTIMATE
    return dict(
        accepted=accepted,
        review=len(candidates.unlabelled) - accepted,
        coverage=accepted / max(unlabelled, 1),
        target_precision=settings.target_precision,
        promise=(promise if is_bounded else Promise.NONE).value,
        precision=threshold.precision if is_bounded else None,
        low=threshold.low if is_bounded else 0.0,
        high=threshold.high if is_bounded else 1.0,
    )


def class_rows(
    names: list[str], labelled: list[int], candidates: Candidates, acceptance: Acceptance, alpha: float
) -> list[dict[str, Any]]:
    """A row a class: labelled, accepted and review counts, and the precision of its accepted held-out samples.

    Args:
        labelled: number of labels of each class [K]
    """
    rows = []
    for i, name in enumerate(names):
        is_accepted, rest = acceptance.accepted[candidates.unlabelled], candidates.unlabelled
        accepted = int((candidates.class_ids[rest[is_accepted]] == i).sum())
        review = int((candidates.review_class_ids[rest[~is_accepted]] == i).sum())
        correct = candidates.correct[acceptance.calibration_accepted & (candidates.calibration_class_ids == i)]
        counts = {"labelled": labelled[i], "accepted": accepted, "review": review}
        rows.append({"class": name, **counts, **_precision(correct, alpha)})
    return rows


def _precision(correct: np.ndarray, alpha: float) -> dict[str, float | None]:
    """Columns of a class's row on its accepted held-out samples [n]."""
    count, total = int(correct.sum()), len(correct)
    low, high = clopper_pearson(count, total, alpha)
    values = (count / total, low, high) if total else (None, None, None)
    names = ("precision", "precision_low", "precision_high")
    return {"held_out_accepted": total, "held_out_accepted_correct": count, **dict(zip(names, values, strict=True))}


def _member_rows(labels: Labels, predictions: Predictions, calibration: np.ndarray) -> list[dict[str, Any]]:
    """A row a member, by descending weight; where it abstains, it is not correct."""
    rows = []
    for name, weight in sorted(predictions.weights.items(), key=lambda item: -item[1]):
        scores = np.nan_to_num(predictions.members[name][calibration], nan=-np.inf)
        is_correct = (scores.argmax(axis=1) == labels.class_ids[calibration]) & np.isfinite(scores).any(axis=1)
        rows.append(
            {
                "member": name,
                "weight": weight,
                "cross_fitted_accuracy": predictions.accuracies.get(name),
                "held_out": len(calibration),
                "held_out_correct": int(is_correct.sum()),
                "description": MEMBERS[name],
            }
        )
    return rows


def _curve(candidates: Candidates, alpha: float) -> list[dict[str, float]]:
    """Precision over coverage, by one threshold for all classes."""
    if not len(candidates.calibration):
        return []
    unlabelled, held_out = (candidates.scores[rows] for rows in (candidates.unlabelled, candidates.calibration))
    return curve(unlabelled, held_out, candidates.correct, alpha, candidates.weights)
