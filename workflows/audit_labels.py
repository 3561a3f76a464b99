"""An audit: accepted samples drawn at random for a person to check, and the bound on precision that follows."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..models.confidence.threshold import clopper_pearson
from ..models.errors import InvalidInput
from ..models.settings import AuditSettings, split
from .data import saved_views as views
from .data.checks import check_images, check_label_field, require_fields
from .data.field_access import require_visible
from .data.internals import root_dataset
from .data.label_text import or_none
from .display.tables import percent
from .runs import lifecycle, records
from .runs.arguments import Progress, Samples, public
from .runs.lookup import audits_of, writer_of
from .runs.run import Run


@dataclass
class AuditResults:
    """What `audit_labels` returns."""

    run_key: str
    field: str
    drawn: int
    checked: int
    right: int
    alpha: float
    precision: float | None  # None while samples are unchecked
    low: float  # its bounds, each at alpha
    high: float
    views: dict[str, str] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        if self.precision is None:
            return (
                f"{self.checked} of {self.drawn} drawn samples are checked. Open the view {self.views['audit']!r}, "
                "accept the right suggestions as seen (seen=True), correct the wrong ones, and call audit_labels again"
            )
        return (
            f"{self.right} of {self.drawn} accepted samples drawn at random are right ({percent(self.precision)}): "
            f"the precision is at least {percent(self.low)}, with {100 * (1 - self.alpha):.0f} % confidence, "
            "whatever the labels were"
        )


@public
def audit_labels(
    samples: Samples,
    field: str,
    *,
    label_field: str | None = None,
    progress: Progress = None,
    **settings: Any,
) -> AuditResults:
    """Draws accepted samples to check, or reads what the check of the last draw says.

    The first call saves the view `FIELD: audit`. Check its samples with `review_labels`: accept with seen=True,
    correct, or reject. Once all are checked, the next call returns the bound (Clopper & Pearson, 1934).
    `delete_run` of the audit makes room for a new draw.

    Args:
        samples: the dataset; a view narrows the draw, and so what the bound speaks of
        field: output field of `auto_label`
        label_field: where checked labels are; None: the field that `field` was learned from
        settings: fields of AuditSettings: size, alpha, seed

    Raises:
        ValueError: no run wrote the field, or nothing is accepted
    """
    (choices,) = split(settings, AuditSettings)
    check_images(samples)
    dataset = root_dataset(samples)
    owner = writer_of(dataset, field, "auto_label")
    require_fields(dataset, field)
    require_visible(samples, field)
    if drawn := audits_of(dataset, field):
        run = Run(dataset, records.read_record(dataset, drawn[0]), None)
        require_fields(dataset, run.record.inputs["label_field"])
        return run.finish(_read(run, field, choices.alpha))
    label_field = label_field or owner.label_field
    if label_field is None:
        raise InvalidInput(f"{field!r} was made by an earlier run's model: say the label_field that labels go to")
    check_label_field(samples, label_field)
    return _draw(samples, field, label_field, choices, progress)


def _draw(samples: Any, field: str, label_field: str, choices: AuditSettings, progress: Any) -> AuditResults:
    ids, labels, statuses = samples.values(["id", f"{field}.label", f"{field}.status"])
    accepted = np.array([i for i, status in enumerate(statuses) if status == "accepted"], dtype=np.int64)
    if not len(accepted):
        raise InvalidInput(f"no sample of the view is accepted in {field!r}: there is nothing to audit")
    size = min(choices.size, len(accepted))
    rows = np.random.default_rng(choices.seed).choice(accepted, size, replace=False)
    inputs = dict(field=field, label_field=label_field)
    with lifecycle.start(samples, "audit_labels", settings=(choices,), inputs=inputs, progress=progress) as run:
        drawn = dict(ids=np.array(ids)[rows], labels=np.array(labels, dtype=object)[rows].astype(str))
        run.cached_arrays("drawn", lambda: drawn)
        name = views.save(run, f"{field}: audit", run.dataset.select(drawn["ids"].tolist(), ordered=True))
        run.remember("view", lambda: name)
        return run.finish(_read(run, field, choices.alpha))


def _read(run: Run, field: str, alpha: float) -> AuditResults:
    """Counts the drawn samples that a person looked at, and the right ones among them."""
    drawn = run.cached_arrays("drawn", dict)
    suggested = dict(zip(drawn["ids"].tolist(), drawn["labels"].tolist(), strict=True))
    label_field = run.record.inputs["label_field"]
    review = f"{label_field}.evenset_review"
    view = run.dataset.select(list(suggested))
    columns = view.values(["id", f"{label_field}.label", review, f"{field}.label"])
    right = checked = 0
    for i, text, how, suggestion in zip(*columns, strict=True):
        label = or_none(text)
        if (label is not None and how != "bulk") or (label is None and suggestion is None):
            checked += 1
            right += label == suggested[i]
    complete = checked == len(suggested)
    low, high = clopper_pearson(right, checked, alpha) if complete else (0.0, 1.0)
    share = right / checked if complete else None
    names = {"audit": run.record.notes["view"]}
    return AuditResults(run.key, field, len(suggested), checked, right, alpha, share, low, high, names)
