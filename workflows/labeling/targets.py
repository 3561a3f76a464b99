"""Other target precisions of a run: how much each accepts, and how many labels it is likely to take."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from ...models.confidence.power import likely_factor
from ...models.settings import AutoLabelSettings
from .acceptance import Candidates, accept

TARGETS = (0.8, 0.85, 0.9, 0.95, 0.98, 0.99)


def target_rows(
    labelled: int, classes: int, candidates: Candidates, settings: AutoLabelSettings
) -> list[dict[str, Any]]:
    """A row a target: accepted samples, their bound, and the labels that it is likely to take where none is accepted.

    The bounds of each row hold for that row alone: choosing among targets weakens the guarantee.

    Args:
        labelled: number of labels that the run began with
    """
    if not len(candidates.calibration) or not len(candidates.unlabelled):
        return []
    rows = []
    for target in sorted({*TARGETS, settings.target_precision}):
        acceptance = accept(candidates, classes, replace(settings, target_precision=target))
        count = int(acceptance.accepted.sum())
        needed = None if count else likely_labels(labelled, candidates, target, settings.alpha)
        rows.append(row_of(target, count, len(candidates.unlabelled), acceptance.threshold.low, needed))
    return rows


def row_of(target: float, accepted: int, pool: int, low: float, needed: int | None) -> dict[str, Any]:
    """A row of one target.

    Args:
        pool: number of items that it might accept
        low: bound of the precision of the accepted ones
        needed: labels that it is likely to take where none is accepted
    """
    at_least, labels_needed = (low, None) if accepted else (None, needed)
    return dict(
        target=target, accepted=accepted, coverage=accepted / pool, at_least=at_least, labels_needed=labels_needed
    )


def likely_labels(labelled: int, candidates: Candidates, target: float, alpha: float) -> int | None:
    """Labels in all with which the target is likely to accept something; None where 16 times as many are not.

    As if further labels only held out more: they also make predictions better, so that it may take fewer.
    """
    expected = np.sort(candidates.expected)[::-1].astype(np.float64)
    factor = _factor(expected.tobytes(), target, alpha)
    return None if factor is None else math.ceil(factor * labelled / 10) * 10


@lru_cache(64)  # each takes up to half a second, and the slider of a run asks again and again
def _factor(expected: bytes, target: float, alpha: float) -> float | None:
    return likely_factor(np.frombuffer(expected), target, alpha)
