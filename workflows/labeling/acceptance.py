"""How auto_label decides: what each sample is, how sure that is, and whether it is accepted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...models.confidence import calibration, novelty, threshold
from ...models.confidence.calibration import Calibrator, log_odds
from ...models.confidence.threshold import NOTHING, Threshold
from ...models.files import save_arrays
from ...models.probabilities import softmax, top_two
from ...models.settings import AutoLabelSettings
from ..data.labels import Labels
from ..runs.run import Run
from ..training.partition import Split
from .predictions import Scores

# What orders the samples, each with the same weight while no tuning part says more: log-odds of the mean probability
# that the members give the class (of the confidence, where there is one model), and of its neighbours'.
ROOM = {"confidence": 1e-4, "members": 0.02, "neighbours": 0.02}  # added to a share, so that its log-odds are finite


@dataclass
class Decision:
    """What is written for every sample, and how it was decided."""

    classes: np.ndarray  # predicted class [N]
    confidence: np.ndarray  # calibrated probability that it is right [N]
    probability: np.ndarray  # the model's own [N]
    margin: np.ndarray  # lead over the second class [N]
    usable: np.ndarray  # the sample could be scored [N]
    ranks: np.ndarray  # what confidence follows, -infinity where a sample must not be accepted [N]
    accepted: np.ndarray  # [N]
    unlike: np.ndarray  # looks like no labelled class [N]
    pool: np.ndarray  # indices of the samples without a label [M]
    held: np.ndarray  # indices of the held-out samples [n]
    right: np.ndarray  # their predictions are right [n]
    weights: np.ndarray | None  # of each of them, where they are no random draw [n]
    held_accepted: np.ndarray  # they would be accepted [n]
    held_confidence: np.ndarray  # by a calibrator that has not seen their answers [n]
    calibrator: Calibrator
    threshold: Threshold  # of all classes together
    thresholds: list[Threshold]  # of each predicted class [K]
    cuts: np.ndarray  # lowest rank that is accepted, of each predicted class [K]
    limit: float  # distance beyond which a sample looks like no labelled class
    reference: np.ndarray  # embeddings that were trained on [M, D]
    promise: str  # "promise", "estimate", or "none"


def decide(labels: Labels, found: Scores, choices: AutoLabelSettings) -> Decision:
    """Calibrates on the held-out labels, and chooses the threshold; no other label has a part in either.

    What orders the samples is fitted on the Split.VALIDATION part: the held-out labels are new when they set the threshold.
    """
    usable = ~np.isnan(found.logits).any(1)
    classes, best, margin = top_two(_probabilities(labels, found, usable, choices))
    held = np.flatnonzero((found.split_ids == Split.HELD_OUT) & usable)
    pool = np.flatnonzero((labels.class_ids < 0) & usable)
    right = classes[held] == labels.class_ids[held]

    ranks = _ranks(labels, found, classes, best, usable)
    far, limit = _far(found, usable, choices)
    allowed = np.where(far, -np.inf, ranks)
    weights = None
    if not choices.random_labels and len(held) and len(pool):
        weights = threshold.class_weights(classes[held], classes[pool], len(labels.names))
    if len(held):
        calibrator = calibration.fit(ranks[held], right, weights)
        thresholds = each_threshold(classes, allowed, pool, held, right, len(labels.names), choices, weights)
        cuts = np.array([one.score for one in thresholds])
    else:
        calibrator, thresholds = found.earlier_calibrator, [NOTHING] * len(labels.names)
        cuts = np.array([one.score for one in thresholds]) if found.earlier_cuts is None else found.earlier_cuts
    passed = allowed >= cuts[classes]
    return Decision(
        classes=classes,
        confidence=calibrator(ranks),
        probability=best,
        margin=margin,
        usable=usable,
        ranks=allowed,
        accepted=passed & (labels.class_ids < 0) & usable,
        unlike=far & (labels.class_ids < 0),
        pool=pool,
        held=held,
        right=right,
        weights=weights,
        held_accepted=passed[held],
        held_confidence=calibration.cross_fitted(ranks[held], right, choices.seed, weights),
        calibrator=calibrator,
        threshold=together(thresholds) if choices.per_class else thresholds[0],
        thresholds=thresholds,
        cuts=cuts,
        limit=limit,
        reference=found.reference,
        promise=("promise" if choices.random_labels else "estimate") if len(held) else "none",
    )


def _probabilities(labels: Labels, found: Scores, usable: np.ndarray, choices: AutoLabelSettings) -> np.ndarray:
    """Probability of each class [N, K], with the class shares of the labels that trained put back, or of the pool."""
    probabilities = softmax(np.where(usable[:, None], found.logits + found.prior, 0.0))
    pool = (labels.class_ids < 0) & usable
    trained = (found.split_ids == Split.TRAIN) & (labels.class_ids >= 0)
    from_labels = choices.class_prior == "labels" or choices.random_labels
    if not trained.any() or (not labels.synthetic_mask.any() if from_labels else not pool.any()):
        return probabilities
    shares = _shares(labels, trained)
    if from_labels:  # synthetic samples say nothing of how frequent classes are
        wanted = _shares(labels, trained & ~labels.synthetic_mask, least=0.5)
    else:
        wanted = calibration.estimate_prior(probabilities[pool], shares)
    ratio = wanted / np.maximum(shares, 1e-12)
    moved = probabilities * np.maximum(ratio, 1e-6)  # no class becomes impossible
    return np.asarray(moved / moved.sum(axis=1, keepdims=True))


def _shares(labels: Labels, among: np.ndarray, least: float = 0.0) -> np.ndarray:
    """Of each class, which counts as `least` samples at the least [K]."""
    counts = np.maximum(np.bincount(labels.class_ids[among], minlength=len(labels.names)), least)
    return np.asarray(counts / counts.sum())


def _ranks(labels: Labels, found: Scores, classes: np.ndarray, best: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """One score of all the evidence for each prediction [N]; the held-out labels have no part in it."""
    shares = {"confidence": best}
    if found.members:
        each = np.array([member[np.arange(len(classes)), classes] for member in found.members.values()])
        weight = np.array([found.weights.get(name, 1.0) for name in found.members])[:, None]
        weight = np.where(np.isnan(each), 0.0, weight)  # a member may abstain
        total = (weight * np.exp(np.nan_to_num(each))).sum(axis=0)
        shares = {"members": np.where(weight.sum(axis=0) > 0, total / np.maximum(weight.sum(axis=0), 1e-12), best)}
    if found.neighbours_agree is not None:
        shares["neighbours"] = np.nan_to_num(found.neighbours_agree, nan=0.5)
    evidence = np.stack([log_odds(share, ROOM[name]) for name, share in shares.items()], axis=1)
    tuning = np.flatnonzero((found.split_ids == Split.VALIDATION) & usable)
    usual = np.ones(len(shares))
    weights = calibration.combine(evidence, usual, tuning, classes[tuning] == labels.class_ids[tuning])
    return np.asarray(evidence @ weights)


def _far(found: Scores, usable: np.ndarray, choices: AutoLabelSettings) -> tuple[np.ndarray, float]:
    """Which samples look like no labelled class [N], and the distance from which on they do."""
    if not choices.review_out_of_distribution or not len(found.reference):
        return np.zeros(len(usable), dtype=bool), np.inf
    distance = novelty.distances(np.nan_to_num(found.embeddings), found.reference)
    usual = np.flatnonzero(np.isin(found.split_ids, (Split.VALIDATION, Split.HELD_OUT)) & usable)
    limit = novelty.tukey_fence(distance[usual]) if len(usual) else found.earlier_limit
    return (distance > limit) & usable, limit


def each_threshold(
    classes: np.ndarray,
    ranks: np.ndarray,
    pool: np.ndarray,
    held: np.ndarray,
    right: np.ndarray,
    count: int,
    choices: AutoLabelSettings,
    weights: np.ndarray | None,
) -> list[Threshold]:
    """The threshold of each predicted class: one for all, or each by its own held-out samples [K]."""

    def choose(among: np.ndarray, mine: np.ndarray) -> Threshold:
        given = None if weights is None else weights[mine]
        target, alpha = choices.target_precision, choices.alpha
        return threshold.choose_threshold(ranks[among], ranks[held[mine]], right[mine], target, alpha, given)

    if not choices.per_class:
        return [choose(pool, np.ones(len(held), dtype=bool))] * count
    return [choose(pool[classes[pool] == i], classes[held] == i) for i in range(count)]


def together(thresholds: list[Threshold]) -> Threshold:
    """What the classes' thresholds say of all: each class by itself has a precision of `low` at least."""
    some = [one for one in thresholds if one.held_out]
    if not some:
        return NOTHING
    count, hits = sum(one.held_out for one in some), sum(one.correct for one in some)
    low, high = min(one.low for one in some), max(one.high for one in some)
    return Threshold(min(one.score for one in some), count, hits, hits / count, low, high)


def alone(labels: Labels, found: Scores, choices: AutoLabelSettings) -> Decision:
    """What would be decided by the checkpoint without the other members: it is all that another dataset has."""
    logits, none = found.logits if found.alone is None else found.alone, np.zeros_like(found.prior)
    return decide(labels, replace(found, logits=logits, prior=none, members={}, neighbours_agree=None), choices)


def keep(run: Run, decision: Decision, away: Decision) -> None:
    """Keeps what a later choice needs.

    Another dataset is labelled by the calibrator, the thresholds and what is usual of `away`. A new target for this
    one is chosen from the ranks and the held-out answers of `decision`; `labels.npz` has the ids.
    """
    found, none = away.calibrator, np.zeros(0)
    numbers = np.array([found.slope, found.offset, away.limit])
    kept = dict(numbers=numbers, knots=found.knots, cuts=away.cuts, reference=away.reference)
    here = {name: getattr(decision, name) for name in ("ranks", "classes", "pool", "held", "right")}
    here["weights"] = none if decision.weights is None else decision.weights
    save_arrays(run.folder / "decision.npz", **kept, **here)
