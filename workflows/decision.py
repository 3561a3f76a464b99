"""How auto_label decides: what each sample is, how sure that is, and whether it is accepted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..models import calibration, novelty
from ..models.calibration import Calibrator, Threshold
from ..models.settings import AutoLabelSettings
from .learning import HELD_OUT, VALIDATION, softmax, top_two
from .runs import Run
from .samples import Labels
from .scores import Scores


@dataclass
class Decision:
    """What is written for every sample, and how it was decided."""

    classes: np.ndarray  # predicted class [N]
    confidence: np.ndarray  # calibrated probability that it is right [N]
    probability: np.ndarray  # the model's own [N]
    margin: np.ndarray  # lead over the second class [N]
    usable: np.ndarray  # the sample could be scored [N]
    accepted: np.ndarray  # [N]
    unlike: np.ndarray  # looks like no labelled class [N]
    held: np.ndarray  # indices of the held-out samples [n]
    right: np.ndarray  # their predictions are right [n]
    held_accepted: np.ndarray  # they would be accepted [n]
    calibrator: Calibrator
    threshold: Threshold
    limit: float  # distance beyond which a sample looks like no labelled class
    reference: np.ndarray  # embeddings that were trained on [M, D]
    promise: str  # "promise", "estimate", or "none"


def decide(known: Labels, found: Scores, choices: AutoLabelSettings) -> Decision:
    """Calibrates on the held-out labels, and chooses the threshold; no other label has a part in either."""
    usable = ~np.isnan(found.logits).any(1)
    probabilities = softmax(np.where(usable[:, None], found.logits + found.prior, 0.0))
    classes, best, margin = top_two(probabilities)
    ranks = np.log(np.maximum(best, 1e-12)) - np.log(np.maximum(1 - best, 1e-12))  # log-odds of the prediction
    held = np.flatnonzero((found.parts == HELD_OUT) & usable)
    pool = np.flatnonzero((known.classes < 0) & usable)

    far = np.zeros(len(known.ids), dtype=bool)
    limit = np.inf
    if choices.review_unlike and len(found.reference):
        distance = novelty.distances(np.nan_to_num(found.embeddings), found.reference)
        usual = np.flatnonzero(np.isin(found.parts, (VALIDATION, HELD_OUT)) & usable)
        limit = novelty.fence(distance[usual]) if len(usual) else found.earlier_limit
        far = (distance > limit) & usable
    allowed = np.where(far, -np.inf, ranks)

    right = classes[held] == known.classes[held]
    weights = None
    if not choices.random_labels and len(held) and len(pool):
        weights = calibration.class_weights(classes[held], classes[pool], len(known.names))
    if len(held):
        calibrator = calibration.fit(ranks[held], right, weights)
        target = choices.target_precision
        threshold = calibration.choose_threshold(allowed[pool], allowed[held], right, target, choices.alpha, weights)
        promise = "promise" if choices.random_labels else "estimate"
    else:
        calibrator, threshold = found.earlier_calibrator, found.earlier_threshold
        promise = "none"
    accepted = (allowed >= threshold.score) & (known.classes < 0) & usable
    return Decision(
        classes=classes,
        confidence=calibrator(ranks),
        probability=best,
        margin=margin,
        usable=usable,
        accepted=accepted,
        unlike=far & (known.classes < 0),
        held=held,
        right=right,
        held_accepted=allowed[held] >= threshold.score,
        calibrator=calibrator,
        threshold=threshold,
        limit=limit,
        reference=found.reference,
        promise=promise,
    )


def keep(run: Run, decision: Decision) -> None:
    """Keeps what another dataset needs to be labelled by this run: calibrator, threshold, and what is usual."""
    found = decision.calibrator
    numbers = np.array([found.slope, found.offset, decision.threshold.score, decision.limit])
    np.savez(run.folder / "decision.npz", numbers=numbers, reference=decision.reference)
