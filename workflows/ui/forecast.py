"""What the labels of a dataset can show before auto_label runs: whether a target precision can be reached at all."""

from __future__ import annotations

from typing import Any

from ...models.confidence.threshold import labels_needed, labels_to_hold_out
from ...models.settings import AutoLabelSettings
from ..data.provenance import RUN, RUN_KEY, Reviewed, Selection, provenance_paths
from ..data.status import Status
from ..display.tables import counted, percent
from ..labeling.targets import TARGETS
from . import overview


def forecast(samples: Any, label_field: str, settings: AutoLabelSettings) -> str | None:
    """Why no suggestion can be accepted, and what would change that; None where some may be.

    By counts alone. Even if all held-out labels are predicted correctly, fewer than `labels_needed` cannot show the
    target; the bound for few unlabelled samples may take more.
    """
    labels, target = count_calibrating(samples, label_field), settings.target_precision
    held_out, needed = _held_out(labels, target, settings), labels_needed(target, settings.alpha)
    if not labels or held_out >= needed:
        return None
    sentence = (
        f"A target of {percent(target)} takes {counted(needed, 'held-out label')}, all predicted correctly. Of your "
        f"{counted(labels, 'label')} {held_out:,} would be held out, so nothing can be accepted"
    )
    reachable = [lower for lower in TARGETS if lower < target and _can_show(lower, labels, settings)]
    if reachable:
        return f"{sentence}: {percent(reachable[-1])} takes {labels_needed(reachable[-1], settings.alpha)}."
    return f"{sentence}, and no lower target takes as few. The suggestions go to review: decisions there are labels."


def _held_out(labels: int, target: float, settings: AutoLabelSettings) -> int:
    """Labels that the run would hold out, as predictions.py does."""
    fraction = settings.calibration_fraction
    return labels_to_hold_out(labels, target, settings.alpha) if fraction is None else round(fraction * labels)


def _can_show(target: float, labels: int, settings: AutoLabelSettings) -> bool:
    return _held_out(labels, target, settings) >= labels_needed(target, settings.alpha)


def count_calibrating(samples: Any, label_field: str) -> int:
    """Labels that may be held out: see `provenance.trusted`."""
    labelled = overview.count(samples, label_field, None).total(Status.LABELLED)
    run, review, selection = provenance_paths(label_field)
    if not samples.has_field(f"{label_field}.{RUN}"):
        return labelled
    at_random = {review: {"$in": [Reviewed.SEEN, Reviewed.CORRECTED]}, selection: Selection.RANDOM}
    given = {run: {"$regex": f"^{RUN_KEY.pattern}$"}, f"{label_field}.label": {"$ne": None}, "$nor": [at_random]}
    return labelled - int(samples.match(given).count("id"))
