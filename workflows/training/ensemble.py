"""auto_label's members: labels that spread over the graph of nearest samples, and a ResNet on the images.

No member, weight or round sees a held-out label: to them it is a sample of the pool like any other.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...models.confidence import ensemble
from ...models.settings import (
    AutoLabelSettings,
    GCNSettings,
    GraphSettings,
    ImageSettings,
    LabelSpreadingSettings,
    ResNetSettings,
)
from ..data.labels import Labels
from ..runs.run import Run
from .image_survey import ImageStats
from .partition import Split
from .resnet import Fitted, fit

FROM_SCRATCH, PRETRAINED = 100, 20  # labels a class at which a ResNet counts half as much as the graph's members
CERTAIN = 0.8  # from so much certainty on, a pseudo-label trains in the next round


@dataclass
class Members:
    """What each member says of every sample, and all of them together."""

    log_probabilities: dict[str, np.ndarray]  # of each, NaN where it abstains [N, K]
    weights: dict[str, float]  # of sum 1
    together: np.ndarray  # log-probabilities, NaN where all abstain [N, K]
    neighbours_agree: np.ndarray | None  # how likely the nearest samples are of the same class [N]


def on_graph(
    run: Run,
    labels: Labels,
    vectors: np.ndarray,
    split_ids: np.ndarray,
    settings: GraphSettings,
    seed: int,
    details: np.ndarray | None = None,
) -> Members:
    """What the labels of the Split.TRAIN part say of all samples, by the graph of `vectors` [N, D]. Computed once a run.

    Args:
        details: more of what is known of each sample, for a member that needs no graph [N, p]
    """

    def compute() -> dict[str, np.ndarray]:
        from .label_spreading import spread, surround

        run.report("joining the nearest samples", 0, 2)
        around = surround(vectors, LabelSpreadingSettings(seed=seed), settings, details)
        run.report("spreading labels", 1, 2)
        given = np.where(split_ids == Split.TRAIN, labels.class_ids, -1)
        found = spread(around, given, len(labels.names), LabelSpreadingSettings(seed=seed), GCNSettings(seed=seed))
        run.report("spreading labels", 2, 2)
        nearest = around.graph.neighbours
        neighbours = np.full((len(labels.ids), nearest.shape[1]), -1)
        neighbours[around.usable] = np.where(nearest >= 0, around.usable[nearest], -1)
        scores = found.log_probabilities.astype(np.float32)
        return dict(scores=scores, weights=found.weights, names=np.array(found.names), neighbours=neighbours)

    kept = run.cached_arrays("spread", compute, labels.ids)
    names = kept["names"].tolist()
    scores = dict(zip(names, kept["scores"].astype(np.float64), strict=True))
    return _together(scores, dict(zip(names, kept["weights"].tolist(), strict=True)), kept["neighbours"])


def _together(scores: dict[str, np.ndarray], weights: dict[str, float], neighbours: np.ndarray | None) -> Members:
    together = ensemble.combine(np.stack(list(scores.values())), np.array(list(weights.values())))
    agree = None if neighbours is None else neighbours_agree(together, neighbours)
    return Members(scores, weights, together, agree)


def neighbours_agree(together: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """How likely each sample's neighbours are of its class, on the average, 0..1 [N]; NaN where it has none.

    Args:
        together: log-probabilities, NaN where all members abstain [N, K]
        neighbours: -1 where a sample has none [N, k]
    """
    classes = np.nan_to_num(together, nan=-np.inf).argmax(axis=1)
    likely = np.where(neighbours >= 0, np.exp(together[neighbours, classes[:, None]]), np.nan)
    count = (~np.isnan(likely)).sum(axis=1)
    known = (count > 0) & ~np.isnan(together).any(axis=1)
    return np.where(known, np.nansum(likely, axis=1) / np.maximum(count, 1), np.nan)


def with_resnet(graph: Members, scores: np.ndarray, labels: Labels, split_ids: np.ndarray, pretrained: bool) -> Members:
    """Adds a ResNet to the graph's members; the Split.VALIDATION part says how much it counts.

    Args:
        scores: of the ResNet, where classes are as frequent as in its training part [N, K]
    """
    own = ensemble.normalise(scores)
    tuning = np.flatnonzero(split_ids == Split.VALIDATION)
    train = labels.class_ids[split_ids == Split.TRAIN]
    each = len(train) / len(np.unique(train))
    usual = np.array([1.0, each / (each + (PRETRAINED if pretrained else FROM_SCRATCH))])
    both = np.stack([graph.together, own])
    of_graph, of_resnet = ensemble.weigh(both[:, tuning], labels.class_ids[tuning], usual).tolist()
    weights = {**{name: of_graph * weight for name, weight in graph.weights.items()}, "resnet": of_resnet}
    found = _together({**graph.log_probabilities, "resnet": own}, weights, None)
    return replace(found, neighbours_agree=graph.neighbours_agree)


def in_rounds(
    run: Run,
    known: Labels,
    stats: ImageStats,
    split_ids: np.ndarray,
    graph: Members,
    settings: tuple[ImageSettings, ResNetSettings, AutoLabelSettings],
    first: Path | None = None,
) -> tuple[Members, Fitted, int]:
    """Trains the ResNet, then again with what is certain, until the Split.VALIDATION part stops gaining -> rounds that paid.

    Each begins with its first weights anew, or with those of `first`, an earlier run's checkpoint.

    Source: Iscen et al., 2019, arXiv 1904.04717: weights by certainty and by inverse class size.
    """
    from ...models.classifiers.resnet import is_pretrained

    image_settings, resnet_settings, choices = settings
    pretrained = is_pretrained(resnet_settings, stats.size_px)
    tuning = np.flatnonzero(split_ids == Split.VALIDATION)
    best: tuple[Members, Fitted] | None = None
    score, paid = -1.0, 0
    for number in range(1 + (choices.self_training_rounds if len(tuning) else 0)):
        inner = run.subrun(f"round {number}" if number else "ResNet")
        labels, cut, weights = known, split_ids, None
        if best is not None:
            labels, cut, weights = _certain(known, split_ids, best[0].together)
        fitted = fit(inner, labels, stats, cut, image_settings, resnet_settings, weights=weights, first=first)
        found = with_resnet(graph, fitted.logits + fitted.prior, known, split_ids, pretrained)
        right = found.together[tuning].argmax(axis=1) == known.class_ids[tuning]
        now = float(right.mean()) if len(tuning) else 0.0
        if now <= score:
            break
        best, score, paid = (found, fitted), now, number
        shutil.copyfile(inner.folder / "checkpoint.safetensors", run.folder / "checkpoint.safetensors")
    assert best is not None
    return *best, paid


def _certain(labels: Labels, split_ids: np.ndarray, together: np.ndarray) -> tuple[Labels, np.ndarray, np.ndarray]:
    """Labels and parts with the certain pseudo-labels in them, and how much each sample counts [N].

    Held-out samples are taken as if they had no label, so that they stay like those of the pool.
    """
    usable = ~np.isnan(together).any(axis=1)
    shares = np.exp(np.where(usable[:, None], together, 0.0))
    certainty = 1 + (shares * np.where(usable[:, None], together, 0.0)).sum(axis=1) / np.log(together.shape[1])
    new = usable & ((split_ids == Split.HELD_OUT) | (labels.class_ids < 0)) & (certainty >= CERTAIN)
    classes = np.where(new, np.nan_to_num(together).argmax(axis=1), labels.class_ids)
    cut = np.where(new, Split.TRAIN, split_ids)
    trained = cut == Split.TRAIN
    counts = np.bincount(classes[trained], minlength=together.shape[1])
    weights = np.where(new, certainty, 1.0) / np.maximum(counts, 1)[np.maximum(classes, 0)]
    return replace(labels, class_ids=classes), cut, weights / weights[trained].mean()
