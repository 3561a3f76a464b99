"""Predictions for every sample: split, train, combine."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...models import mapped
from ...models.classifiers import linear
from ...models.confidence.calibration import Calibrator
from ...models.confidence.threshold import labels_to_hold_out
from ...models.errors import InvalidInput
from ...models.settings import AutoLabelSettings
from ..data.labels import Labels
from ..runs.run import Run
from ..training.embedding_source import EmbeddingSource, read_joined, weigh_sources
from ..training.ensemble import Ensemble, self_train, spread_on_graph
from ..training.image_features import Features, extract_features
from ..training.image_survey import groups_of_all, without_images
from ..training.joined_sources import join
from ..training.partition import Draw, Split, SplitRule, keep_aside, set_aside
from ..training.resnet import fit
from ..training.training_set import TrainingSet, prepare
from ..training.zero_shot import ZeroShot
from .config import AutoLabelConfig
from .first_queue import first_ranks
from .warm_start import WarmStart

MAX_REFERENCE = 20_000  # samples that others are compared with, to tell which are unlike all of them
UNCALIBRATED = Calibrator(1.0, 0.0)  # the model's own probability


@dataclass
class Predictions:
    """Predictions for every sample, and the split of each."""

    logits: np.ndarray  # NaN where a sample could not be scored [N, K]
    embeddings: np.ndarray  # [N, D]
    log_prior: np.ndarray  # class prior of the training split, to add to the logits [K]
    split_ids: np.ndarray  # Split of each sample [N]
    reference: np.ndarray  # embeddings of the training split [M, D]
    errors: dict[int, str]  # index of the sample: why it could not be scored
    resnet: bool = True  # False: no ResNet takes part
    curves: list[dict[str, Any]] = field(default_factory=list)
    earlier_calibrator: Calibrator = UNCALIBRATED
    earlier_min_scores: np.ndarray | None = None  # lowest accepted score of each predicted class [K]
    earlier_max_distance: float = np.inf
    members: dict[str, np.ndarray] = field(default_factory=dict)  # log-probabilities of each member [N, K]
    weights: dict[str, float] = field(default_factory=dict)  # of each member
    accuracies: dict[str, float] = field(default_factory=dict)  # out-of-fold accuracy of each member
    neighbour_agreement: np.ndarray | None = None  # mean probability of the class among neighbours [N]
    out_of_fold: np.ndarray | None = None  # log-probabilities of training samples without their label [m, K]
    trained: np.ndarray | None = None  # indices of these samples [m]
    refitted: np.ndarray | None = None  # log-probabilities by members that learned from held-out labels too [N, K]
    checkpoint_logits: np.ndarray | None = None  # of the checkpoint without the other members [N, K]
    review_ranks: np.ndarray | None = None  # order of a review before there is any label: see first_ranks [N]


def from_images(
    run: Run,
    labels: Labels,
    named: dict[Split, set[str]],
    config: AutoLabelConfig,
    start: WarmStart | None = None,
    source: EmbeddingSource | None = None,
) -> Predictions:
    """Predicts by the graph of nearest samples, a ResNet, or both.

    Args:
        source: of the vectors that the graph is built on; None: label-free features of the images
    """
    data, features = _prepare(run, labels, named, config, start, source)
    first = start.checkpoint if start else None
    if features is None:
        fitted = fit(run, data, config.resnet, first=first)
        return Predictions(
            logits=fitted.logits,
            embeddings=fitted.embeddings,
            log_prior=fitted.log_prior,
            split_ids=data.split_ids,
            reference=_training_embeddings(fitted.embeddings, data.split_ids, labels),
            errors=fitted.errors,
            curves=fitted.curves,
        )
    groups = groups_of_all(labels, data.stats.groups)
    graph = spread_on_graph(run, labels, data.split_ids, features, config.graph, config.labeling.seed, groups)
    if config.labeling.members == "graph":
        return _of_ensemble(graph, labels, features.vectors, data.split_ids, features.errors)
    rounds = config.labeling.self_training_rounds
    members, fitted, _ = self_train(run, data, graph, config.resnet, rounds, first)
    errors = features.errors if source else {**features.errors, **fitted.errors}
    predictions = _of_ensemble(members, labels, fitted.embeddings, data.split_ids, errors)
    logits = members.log_probabilities["resnet"]
    return replace(predictions, resnet=True, curves=fitted.curves, checkpoint_logits=logits)


def _prepare(
    run: Run,
    labels: Labels,
    named: dict[Split, set[str]],
    config: AutoLabelConfig,
    start: WarmStart | None,
    source: EmbeddingSource | None,
) -> tuple[TrainingSet, Features | None]:
    """Images, split, and the features of the graph, which a ResNet alone does without."""
    settings = config.labeling
    has_epochs = settings.members != "graph"
    rule = SplitRule(
        validation_fraction=config.resnet.validation_fraction if has_epochs else 0.0,
        seed=config.resnet.seed,
        held_out_fraction=_held_out_fraction(labels, settings),
        stratify_held_out=not settings.random_labels,
        earlier=start.kept if start else {},
    )
    data = prepare(run, labels, config.images, named, rule)
    if settings.members == "resnet":
        return data, None
    if source is not None:
        joined, groups = read_joined(run, labels, source), groups_of_all(labels, data.stats.groups)
        weights = weigh_sources(run, source, joined, _training_labels(labels, data.split_ids), groups)
        return data, Features(joined.scaled(weights), None, joined.errors)
    computed = start.features(labels, data.stats, config) if start else None
    return data, extract_features(run, labels, data.stats, config.images, config.resnet, computed)


def _training_labels(labels: Labels, split_ids: np.ndarray) -> np.ndarray:
    """Classes of the training split, -1 elsewhere [N]."""
    return np.where(split_ids == Split.TRAIN, labels.class_ids, -1)


def _held_out_fraction(labels: Labels, settings: AutoLabelSettings) -> float:
    """Fraction of the trusted labels to hold out: the user's, or as the target needs."""
    if settings.calibration_fraction is not None:
        return settings.calibration_fraction
    trusted = int((labels.is_labelled & labels.trusted).sum())
    return labels_to_hold_out(trusted, settings.target_precision, settings.alpha) / max(trusted, 1)


def from_names(run: Run, labels: Labels, zero_shot: ZeroShot) -> Predictions:
    """Predicts by the names of the classes alone: no label trains, and none is held out."""
    no_split = np.full(len(labels.ids), Split.NONE, dtype=np.int64)
    arrays = dict(parts=no_split, paths=labels.paths)  # which a next round looks for
    split_ids = run.cached_arrays("parts", lambda: arrays, labels.ids, ("parts", "paths"))["parts"]
    unlabelled = np.flatnonzero((labels.class_ids < 0) & ~np.isnan(zero_shot.scores).any(axis=1))
    return Predictions(
        logits=zero_shot.scores,
        embeddings=zero_shot.vectors,
        log_prior=np.zeros(len(labels.names)),
        split_ids=split_ids,
        reference=np.zeros((0, zero_shot.vectors.shape[1])),
        errors=zero_shot.errors,
        resnet=False,
        members={"zero-shot": zero_shot.scores},
        weights={"zero-shot": 1.0},
        review_ranks=first_ranks(zero_shot.vectors, zero_shot.scores, unlabelled),
    )


def from_vectors(
    run: Run,
    labels: Labels,
    source: EmbeddingSource | None,
    config: AutoLabelConfig,
    start: WarmStart | None = None,
    zero_shot: ZeroShot | None = None,
) -> Predictions:
    """Predicts by the graph of the user's vectors; a linear checkpoint serves other datasets.

    Args:
        source: of the vectors; None: they are the text-image encoder's
        zero_shot: predictions of a text-image encoder, for a member
    """
    if source is None:
        assert zero_shot is not None
        joined = join([zero_shot.vectors], zero_shot.errors)
        origin = {"vectors": zero_shot.encoder, "text_encoder": zero_shot.encoder}
    else:
        joined, origin = read_joined(run, labels, source), {"vectors": source.name}
    errors = joined.errors
    groups = groups_of_all(labels, without_images(labels, errors).groups)
    split_ids = _split_vectors(run, labels, errors, groups, config, start)
    train, seed = split_ids == Split.TRAIN, config.labeling.seed
    if len(np.unique(labels.class_ids[train])) < 2:
        raise InvalidInput("holding out labels leaves fewer than two classes to train: label more samples")
    run.report("training the classifier", 0, 1)
    weights = [1.0]
    if source:
        weights = weigh_sources(run, source, joined, _training_labels(labels, split_ids), groups)
    vectors = joined.scaled(weights)
    model = linear.train(vectors[train], labels.class_ids[train], len(labels.names), seed)
    notes = dict(names=labels.names, weights=weights, **origin)
    linear.save(model, run.folder / "checkpoint.safetensors", notes)
    run.report("training the classifier", 1, 1)
    features, scores = Features(vectors, None, errors), zero_shot.scores if zero_shot else None
    graph = spread_on_graph(run, labels, split_ids, features, config.graph, seed, groups, scores)
    predictions = _of_ensemble(graph, labels, vectors, split_ids, errors)
    shape = len(vectors), len(labels.names)
    out = mapped.empty(shape, run.folder / "checkpoint.npy") if mapped.is_large(*shape) else None
    return replace(predictions, checkpoint_logits=linear.predict(model, vectors, out))


def _split_vectors(
    run: Run,
    labels: Labels,
    errors: dict[int, str],
    groups: np.ndarray,
    config: AutoLabelConfig,
    start: WarmStart | None,
) -> np.ndarray:
    """Training and held-out splits, without validation [N].

    Args:
        groups: samples of one group, or of one file, stay together [N]
    """

    def compute() -> dict[str, np.ndarray]:
        settings = config.labeling
        usable = np.array([i for i in labels.labelled_indices if i not in errors], dtype=np.int64)
        split_ids = np.full(len(labels.ids), Split.NONE, dtype=np.int64)
        split_ids[usable] = Split.TRAIN
        if start and start.kept:
            keep_aside(split_ids, {Split.HELD_OUT: start.kept[Split.HELD_OUT]}, labels, groups)
        else:
            fraction = _held_out_fraction(labels, settings)
            draw = Draw(fraction, settings.seed, stratify=not settings.random_labels)
            set_aside(split_ids, Split.HELD_OUT, labels, groups, draw)
        return {"parts": split_ids, "paths": labels.paths}

    return run.cached_arrays("parts", compute, labels.ids, ("parts", "paths"))["parts"]


def _of_ensemble(
    members: Ensemble, labels: Labels, embeddings: np.ndarray, split_ids: np.ndarray, errors: dict[int, str]
) -> Predictions:
    return Predictions(
        logits=members.combined,
        embeddings=embeddings,
        log_prior=np.zeros(members.combined.shape[1]),
        split_ids=split_ids,
        reference=_training_embeddings(embeddings, split_ids, labels),
        errors=errors,
        resnet=False,
        members=members.log_probabilities,
        weights=members.weights,
        accuracies=members.accuracies,
        neighbour_agreement=members.neighbour_agreement,
        out_of_fold=members.out_of_fold,
        trained=members.trained,
        refitted=members.refitted,
    )


def _training_embeddings(embeddings: np.ndarray, split_ids: np.ndarray, labels: Labels) -> np.ndarray:
    """Embeddings of real samples of the training split, MAX_REFERENCE at most [M, D]."""
    real = np.flatnonzero((split_ids == Split.TRAIN) & ~labels.synthetic_mask & ~np.isnan(embeddings).any(1))
    if len(real) > MAX_REFERENCE:
        real = np.sort(np.random.default_rng(0).choice(real, MAX_REFERENCE, replace=False))
    return np.asarray(embeddings[real])
