"""Decision of a run, saved in its folder for other datasets and for another target precision."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...models.confidence.calibration import Calibrator
from ...models.files import save_arrays
from ...models.regular_files import regular
from ..data.status import Status
from .acceptance import Candidates
from .decision import Decision, Suggestions

FILE = "decision.npz"
CANDIDATES = {  # fields of Candidates by their names in the file
    "ranks": "scores",
    "classes": "class_ids",
    "review_classes": "review_class_ids",
    "pool": "unlabelled",
    "held": "calibration",
    "right": "correct",
    "expected": "expected",
    "weights": "weights",
}


class CheckpointRule(NamedTuple):
    """Calibration and acceptance of a checkpoint, for samples of another dataset."""

    calibrator: Calibrator
    min_scores: np.ndarray  # [K]
    max_distance: float
    reference: np.ndarray  # [M, D]


def save(folder: Path, decision: Decision, by_checkpoint: Decision) -> None:
    """Saves the candidates of `decision`, and the rule of the decision `by_checkpoint`."""
    calibrator = by_checkpoint.calibrator
    rule = dict(
        numbers=np.array([calibrator.slope, calibrator.offset, by_checkpoint.max_distance]),
        knots=calibrator.knots,
        cuts=by_checkpoint.acceptance.min_scores,
        reference=by_checkpoint.reference,
    )
    candidates = {column: getattr(decision.candidates, name) for column, name in CANDIDATES.items()}
    if candidates["weights"] is None:
        candidates["weights"] = np.zeros(0)
    suggestions = {
        f"{kind}_{name}": getattr(getattr(decision, kind), name)
        for kind in ("bounded", "review")
        for name in ("confidence", "margin")
    }
    save_arrays(folder / FILE, **rule, **candidates, **suggestions)


def load_candidates(folder: Path) -> Candidates | None:
    """The candidates of a run; None where it has not kept them."""
    if not (folder / FILE).exists():
        return None
    with np.load(regular(folder / FILE), allow_pickle=False) as kept:
        if not set(CANDIDATES) <= set(kept.files):
            return None
        arrays = {name: kept[column] for column, name in CANDIDATES.items()}
    weights = arrays.pop("weights")
    return Candidates(**arrays, weights=weights if len(weights) else None)


def load_suggestions(folder: Path) -> dict[Status, Suggestions]:
    """What a run suggests for a sample that it accepts, and for one in review."""
    with np.load(regular(folder / FILE), allow_pickle=False) as kept:
        return {
            Status.ACCEPTED: Suggestions(kept["classes"], kept["bounded_confidence"], kept["bounded_margin"]),
            Status.REVIEW: Suggestions(kept["review_classes"], kept["review_confidence"], kept["review_margin"]),
        }


def load_rule(folder: Path) -> CheckpointRule | None:
    """The rule of a run's checkpoint; None where it has none."""
    if not (folder / FILE).exists():
        return None
    with np.load(regular(folder / FILE), allow_pickle=False) as kept:
        slope, offset, max_distance = kept["numbers"].tolist()
        return CheckpointRule(Calibrator(slope, offset, kept["knots"]), kept["cuts"], max_distance, kept["reference"])
