"""Audits accepted suggestions: a random draw, a person's check, and a bound on precision."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..models.confidence.threshold import clopper_pearson
from ..models.errors import InvalidInput
from ..models.settings import AuditSettings, split
from .data import items, saved_views
from .data.checks import check_images, check_label_field, require_fields
from .data.field_access import require_visible
from .data.internals import root_dataset
from .data.label_text import or_none
from .data.provenance import NOBODY_LOOKED, REVIEWED
from .data.status import Status
from .display.charts import Chart, Series
from .display.results import Part, RunResults, Summary
from .display.tables import counted, percent
from .runs import lifecycle, records
from .runs.arguments import Progress, Samples, public
from .runs.lookup import audits_of, label_field_of, writer_of
from .runs.run import Run


@dataclass(repr=False)
class AuditResults(Summary, RunResults):
    """Counts of an audit, and the bounds on precision once it is complete."""

    run_key: str
    field: str
    drawn: int
    checked: int
    right: int
    alpha: float
    precision: float | None  # None while samples are unchecked
    low: float  # bounds on precision, each at alpha
    high: float
    views: dict[str, str] = dataclasses.field(default_factory=dict)
    noun: str = items.SAMPLE  # of the items

    def parts(self) -> list[Part]:
        if self.precision is None:
            drawn = counted(self.drawn, f"drawn {self.noun}", "is", "are")
            return [
                f"{self.checked} of {drawn} checked. Open the view {self.views['audit']!r}, "
                "accept the correct suggestions as seen (seen=True), correct the others, and call audit_labels again"
            ]
        return [
            f"{self.right} of {counted(self.drawn, f'accepted {self.noun}')} drawn at random are right "
            f"({percent(self.precision)}): "
            f"the precision is at least {percent(self.low)}, with {100 * (1 - self.alpha):.0f} % confidence, "
            "regardless of the labels"
        ]

    def charts(self) -> dict[str, Chart]:
        if self.precision is None:
            return super().charts()
        series = Series("precision", [self.precision], [self.low], [self.high])
        return {"precision": Chart("intervals", "Precision", [self.field], [series], is_fraction=True)}


@public
def audit_labels(
    samples: Samples,
    field: str,
    *,
    label_field: str | None = None,
    progress: Progress = None,
    group_slice: str | None = None,
    **settings: Any,
) -> AuditResults:
    """Draws accepted samples to check, or bounds the precision by the checked draw.

    The first call saves the view `FIELD: audit`. Check its samples with `review_labels`: accept with seen=True,
    correct, or reject. Once all are checked, the next call returns the bound (Clopper & Pearson, 1934).
    `delete_run` of the audit allows a new draw.

    Args:
        samples: the dataset, or a view: draw and bound are of its samples
        field: output field of `auto_label`
        label_field: where checked labels are; None: the field that `field` was learned from
        group_slice: of a grouped dataset, the slice whose images are meant; None: the view has one
        settings: fields of AuditSettings: size, alpha, seed

    Raises:
        ValueError: no run wrote the field, or nothing is accepted
    """
    (audit_settings,) = split(settings, AuditSettings)
    samples = items.source(samples, field, label_field)
    check_images(samples)
    dataset = root_dataset(samples)
    writer = writer_of(dataset, field, "auto_label")
    require_fields(dataset, field)
    require_visible(samples, field)
    if audits := audits_of(dataset, field):
        run = Run(dataset, records.read_record(dataset, audits[0]), None)
        require_fields(dataset, run.record.inputs["label_field"])
        return run.finish(_evaluate(run, field, audit_settings.alpha))
    label_field = label_field or label_field_of(writer, field)
    check_label_field(samples, label_field, boxes=True)
    return _draw(samples, field, label_field, audit_settings, progress)


def _draw(samples: Any, field: str, label_field: str, settings: AuditSettings, progress: Any) -> AuditResults:
    paths = ["id", f"{field}.label", f"{field}.status", f"{label_field}.label"]
    ids, labels, statuses, _ = items.values(samples, paths)
    accepted = np.array([i for i, status in enumerate(statuses) if status == Status.ACCEPTED], dtype=np.int64)
    if not len(accepted):
        raise InvalidInput(
            f"no {items.noun(samples, field)} of the view is accepted in {field!r}: there is nothing to audit"
        )
    size = min(settings.size, len(accepted))
    rows = np.random.default_rng(settings.seed).choice(accepted, size, replace=False)
    inputs = dict(field=field, label_field=label_field)
    with lifecycle.start(
        samples, lifecycle.RunRequest("audit_labels", settings=(settings,), inputs=inputs), progress=progress
    ) as run:
        drawn = dict(ids=np.array(ids)[rows], labels=np.array(labels, dtype=object)[rows].astype(str))
        run.cached_arrays("drawn", lambda: drawn)
        view = saved_views.save(run, f"{field}: audit", items.select(run.dataset, field, drawn["ids"].tolist()))
        run.remember("view", lambda: view)
        return run.finish(_evaluate(run, field, settings.alpha))


def _evaluate(run: Run, field: str, alpha: float) -> AuditResults:
    """Counts the drawn samples that a person checked and the correct ones, and bounds the precision."""
    drawn = run.cached_arrays("drawn", dict)
    suggested = dict(zip(drawn["ids"].tolist(), drawn["labels"].tolist(), strict=True))
    label_field = run.record.inputs["label_field"]
    paths = ["id", f"{label_field}.label", f"{label_field}.{REVIEWED}", f"{field}.label"]
    dataset = run.dataset
    view = dataset if items.has_boxes(dataset, field) else dataset.select(list(suggested))
    unlabelled = writer_of(dataset, field, "auto_label").inputs.get("unlabelled")
    correct = checked = 0
    for i, text, reviewed, suggestion in zip(*items.values(view, paths), strict=True):
        if i not in suggested:
            continue
        label = None if text == unlabelled else or_none(text)
        if (label is not None and reviewed not in NOBODY_LOOKED) or (label is None and or_none(suggestion) is None):
            checked += 1
            correct += label == suggested[i]
    complete = checked == len(suggested)
    low, high = clopper_pearson(correct, checked, alpha) if complete else (0.0, 1.0)
    precision = correct / checked if complete else None
    views = {"audit": run.record.notes["view"]}
    counts = (len(suggested), checked, correct)
    return AuditResults(run.key, field, *counts, alpha, precision, low, high, views, items.noun(dataset, field))
