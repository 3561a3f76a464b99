"""Ensemble of auto_label: label spreading over the graph of nearest samples, and a ResNet on the images.

Held-out labels count as unlabelled for every member, weight and round.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ...models import mapped
from ...models.confidence import ensemble
from ...models.files import aside, clear
from ...models.probabilities import blocks
from ...models.regular_files import regular
from ...models.settings import GCNSettings, GraphSettings, LabelSpreadingSettings, ResNetSettings
from ..data.labels import Labels
from ..runs.run import Run
from .graph_views import kept_views
from .image_features import Features
from .partition import Split
from .resnet import Fitted, fit
from .training_set import TrainingSet

# labels a class at which a ResNet weighs half as much as the members on the graph
HALF_WEIGHT_LABELS, HALF_WEIGHT_LABELS_PRETRAINED = 100, 20
HIDDEN_CHANNELS = 128  # of the GCN: twice as many take 1.6 times as long, and predict no better (three data sets)
# files that are read as far as they are needed: scores of the members, of all combined, and of all after the refit
SCORES, COMBINED, REFITTED = "members.npy", "combined.npy", "refitted.npy"
MIN_CERTAINTY = 0.8  # 1 minus the normalised entropy; less certain pseudo-labels do not train


@dataclass
class Ensemble:
    """Scores of each member for every sample, and of all members combined."""

    log_probabilities: dict[str, np.ndarray]  # of each member, NaN where it abstains [N, K]
    weights: dict[str, float]  # of sum 1
    combined: np.ndarray  # log-probabilities, NaN where all abstain [N, K]
    neighbour_agreement: np.ndarray | None = None  # see neighbour_agreement() [N]
    out_of_fold: np.ndarray | None = None  # combined, of training samples by members without their label [m, K]
    trained: np.ndarray | None = None  # indices of these samples [m]
    accuracies: dict[str, float] = field(default_factory=dict)  # out-of-fold accuracy of each member
    refitted: np.ndarray | None = None  # combined, by members that learned from held-out labels too [N, K]


def spread_on_graph(
    run: Run,
    labels: Labels,
    split_ids: np.ndarray,
    features: Features,
    settings: GraphSettings,
    seed: int,
    groups: np.ndarray | None = None,
    zero_shot: np.ndarray | None = None,
) -> Ensemble:
    """Spreads the labels of the training split over the graph of all samples; computed once a run.

    Args:
        groups: samples of one group are in one fold of the cross-fitting [N]; None: each is its own
        zero_shot: log-probabilities by the names of the classes, for a member [N, K]
    """
    shape = len(labels.ids), len(labels.names)
    training_labels = np.where(split_ids == Split.TRAIN, labels.class_ids, -1)
    refits = bool((training_labels < labels.class_ids).any())
    files = [run.folder / SCORES, *([run.folder / REFITTED] if refits else [])]

    def compute() -> dict[str, np.ndarray]:
        from .label_spreading import refit, spread_labels

        options = LabelSpreadingSettings(seed=seed), GCNSettings(seed=seed, hidden_channels=HIDDEN_CHANNELS)
        with kept_views(run, features.vectors, options[0], settings, features.details) as views:
            views = views if zero_shot is None else replace(views, zero_shot=zero_shot[views.usable])
            run.report("spreading labels", 0, 1)
            with aside(files[0]) as part:
                members = spread_labels(views, training_labels, shape[1], *options, groups, part)
            run.report("spreading all labels", 0, 1)
            if refits:
                with aside(files[1]) as part, aside(run.folder / "scratch.npy", flush=False) as scratch:
                    refit(views, labels.class_ids, members, scratch, mapped.empty(shape, part))
            run.report("spreading all labels", 1, 1)
            return dict(
                weights=members.weights,
                names=np.array(members.names),
                neighbours=views.neighbours(),
                trained=members.labelled,
                out_of_fold=members.combined_out_of_fold(),
                accuracies=members.accuracies(labels.class_ids),
            )

    if not all(file.exists() for file in files):  # somebody removed one
        clear(run.folder / "spread.npz")
    kept = run.cached_arrays("spread", compute, labels.ids)
    names, (scores, *refitted) = kept["names"].tolist(), [np.load(regular(file), mmap_mode="r") for file in files]
    combined = mapped.empty(shape, run.folder / COMBINED) if mapped.is_large(*shape) else None
    by_name = dict(zip(names, scores, strict=True))
    members = _combine(by_name, dict(zip(names, kept["weights"].tolist(), strict=True)), combined)
    return replace(
        members,
        neighbour_agreement=neighbour_agreement(members.combined, kept["neighbours"]),
        trained=kept["trained"],
        out_of_fold=kept["out_of_fold"],
        accuracies=dict(zip(names, kept["accuracies"].tolist(), strict=True)),
        refitted=refitted[0] if refitted else None,
    )


def _combine(scores: dict[str, np.ndarray], weights: dict[str, float], out: np.ndarray | None = None) -> Ensemble:
    combined = ensemble.combine(list(scores.values()), np.array(list(weights.values())), out)
    return Ensemble(scores, weights, combined)


def neighbour_agreement(scores: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """Mean probability of each sample's class among its neighbours, 0..1 [N]; NaN where it has none.

    Args:
        scores: log-probabilities, NaN where all members abstain [N, K]
        neighbours: -1 where a sample has none [N, k]
    """
    agreement = np.full(len(scores), np.nan)
    for rows in blocks(len(scores), scores.shape[1] + neighbours.shape[1]):
        classes, near = np.nan_to_num(scores[rows], nan=-np.inf).argmax(axis=1), neighbours[rows]
        probabilities = np.where(near >= 0, np.exp(scores[near, classes[:, None]]), np.nan)
        count = (~np.isnan(probabilities)).sum(axis=1)
        is_scored = (count > 0) & ~np.isnan(scores[rows]).any(axis=1)
        agreement[rows] = np.where(is_scored, np.nansum(probabilities, axis=1) / np.maximum(count, 1), np.nan)
    return agreement


def add_resnet(
    graph: Ensemble, scores: np.ndarray, labels: Labels, split_ids: np.ndarray, pretrained: bool
) -> Ensemble:
    """Adds a ResNet to the members on the graph, weighted on the validation split.

    Args:
        scores: logits of the ResNet, under the class prior of the training split [N, K]
    """
    resnet_scores = ensemble.normalise(scores)
    tuning = np.flatnonzero(split_ids == Split.VALIDATION)
    train = labels.class_ids[split_ids == Split.TRAIN]
    labels_per_class = len(train) / len(np.unique(train))
    half = HALF_WEIGHT_LABELS_PRETRAINED if pretrained else HALF_WEIGHT_LABELS
    defaults = np.array([1.0, labels_per_class / (labels_per_class + half)])
    both = np.stack([graph.combined, resnet_scores])
    graph_weight, resnet_weight = ensemble.weigh(both[:, tuning], labels.class_ids[tuning], defaults).tolist()
    weights = {**{name: graph_weight * weight for name, weight in graph.weights.items()}, "resnet": resnet_weight}
    members = _combine({**graph.log_probabilities, "resnet": resnet_scores}, weights)
    refitted = graph.refitted
    if refitted is not None:
        refitted = ensemble.combine([refitted, resnet_scores], np.array([graph_weight, resnet_weight]))
    return replace(
        members, neighbour_agreement=graph.neighbour_agreement, accuracies=graph.accuracies, refitted=refitted
    )


def self_train(
    run: Run, data: TrainingSet, graph: Ensemble, settings: ResNetSettings, rounds: int, first: Path | None = None
) -> tuple[Ensemble, Fitted, int]:
    """Trains the ResNet, and again with pseudo-labels while validation accuracy rises -> last round that gained.

    Each round starts from the first weights, or from `first`, an earlier run's checkpoint.

    Source: Iscen et al., 2019, arXiv 1904.04717: weights by certainty and by inverse class size.
    """
    from ...models.classifiers.resnet import is_pretrained

    pretrained = is_pretrained(settings, data.stats.size_px)
    tuning = np.flatnonzero(data.split_ids == Split.VALIDATION)
    best: tuple[Ensemble, Fitted] | None = None
    best_accuracy, best_round = -1.0, 0
    for number in range(1 + (rounds if len(tuning) else 0)):
        inner = run.subrun(f"round {number}" if number else "ResNet")
        round_data, weights = data, None
        if best is not None:
            round_data, weights = _with_pseudo_labels(data, best[0].combined)
        fitted = fit(inner, round_data, settings, weights=weights, first=first)
        members = add_resnet(graph, fitted.logits + fitted.log_prior, data.labels, data.split_ids, pretrained)
        correct = members.combined[tuning].argmax(axis=1) == data.labels.class_ids[tuning]
        accuracy = float(correct.mean()) if len(tuning) else 0.0
        if accuracy <= best_accuracy:
            break
        best, best_accuracy, best_round = (members, fitted), accuracy, number
        shutil.copyfile(inner.folder / "checkpoint.safetensors", run.folder / "checkpoint.safetensors")
    assert best is not None
    return *best, best_round


def _with_pseudo_labels(data: TrainingSet, scores: np.ndarray) -> tuple[TrainingSet, np.ndarray]:
    """Adds certain pseudo-labels to the training split -> training set, weight of each sample [N].

    Held-out samples get them too, so that they stay like the unlabelled ones.
    """
    usable = ~np.isnan(scores).any(axis=1)
    log_probabilities = np.where(usable[:, None], scores, 0.0)
    certainty = 1 + (np.exp(log_probabilities) * log_probabilities).sum(axis=1) / np.log(scores.shape[1])
    unlabelled = (data.split_ids == Split.HELD_OUT) | (data.labels.class_ids < 0)
    is_new = usable & unlabelled & (certainty >= MIN_CERTAINTY)
    class_ids = np.where(is_new, np.nan_to_num(scores).argmax(axis=1), data.labels.class_ids)
    split_ids = np.where(is_new, Split.TRAIN, data.split_ids)
    train = split_ids == Split.TRAIN
    counts = np.bincount(class_ids[train], minlength=scores.shape[1])
    weights = np.where(is_new, certainty, 1.0) / np.maximum(counts, 1)[np.maximum(class_ids, 0)]
    labels = replace(data.labels, class_ids=class_ids)
    return replace(data, labels=labels, split_ids=split_ids), weights / weights[train].mean()
