"""The methods of a comparison: each trains on the labels of a trial, and predicts its test samples."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np

from ...models.probabilities import softmax
from ...models.settings import (
    GCNSettings,
    GraphSettings,
    ImageGraphSettings,
    LabelSpreadingSettings,
    ResNetSettings,
    Settings,
    TraditionalSettings,
)
from ..training.ensemble import add_resnet, spread_on_graph
from ..training.graph_views import GraphViews, build_views
from ..training.image_features import Features
from ..training.image_survey import groups_of_all
from ..training.joined_sources import Joined
from ..training.partition import Split, SplitRule
from ..training.resnet import fit
from ..training.training_set import prepare
from .trials import Comparison, Trial, TrialSplit

BATCH = 256  # images
EPS = 1e-12  # floor of probabilities before their logarithm
Method = Callable[[Trial], np.ndarray]  # -> probabilities of the test samples [n, K], NaN where it abstains


def hog_svm(trial: Trial) -> np.ndarray:
    from ...models.classifiers import traditional

    return _traditional(trial, traditional.gradients, traditional.svm)


def nearest_neighbours(trial: Trial) -> np.ndarray:
    from ...models.classifiers import traditional

    return _traditional(trial, traditional.pixels, traditional.nearest)


def _traditional(trial: Trial, describe: Callable[[np.ndarray], np.ndarray], predict: Any) -> np.ndarray:
    vectors = trial.shared(describe.__name__, lambda: _describe(trial, describe))
    train, test = trial.split.train, trial.split.test
    (settings,) = trial.settings(TraditionalSettings)
    trial.run.report("training on image features", 0, 1)
    return np.asarray(predict(vectors[train], trial.labels[train], vectors[test], len(trial.names), settings))


def _describe(trial: Trial, describe: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Features of the labelled images [N, D], NaN elsewhere; kept in the run's folder."""
    from ...models.images.reader import Images

    stats, labels = trial.comparison.stats, trial.comparison.labels
    assert stats is not None  # since this method reads images

    def compute() -> dict[str, np.ndarray]:
        images = Images(labels.paths.tolist(), trial.comparison.config.images, stats.size_px, stats.channels)
        rows = np.array([i for i in labels.labelled_indices if i not in stats.errors], dtype=np.int64)
        vectors = np.zeros((0, 0), dtype=np.float32)
        for indices, block in images.batches(BATCH, rows):
            features = describe(block)
            if not len(vectors):
                vectors = np.full((len(labels.ids), features.shape[1]), np.nan, dtype=np.float32)
            vectors[indices] = features
            trial.run.report("computing image features", int(np.searchsorted(rows, indices[-1])) + 1, len(rows))
        return {"vectors": vectors}

    return trial.comparison.run.cached_arrays(describe.__name__, compute, labels.ids, ("vectors",))["vectors"]


def by_rules(trial: Trial) -> np.ndarray:
    predicted = trial.comparison.rules[trial.split.test]
    return np.where(predicted[:, None] >= 0, np.eye(len(trial.names))[predicted], np.nan)


def resnet(trial: Trial) -> np.ndarray:
    labels, image_settings = trial.train_then_test(), trial.comparison.config.images
    (settings,) = trial.settings(ResNetSettings)
    data = prepare(trial.run, labels, image_settings, {}, SplitRule(settings.validation_fraction, settings.seed))
    fitted = fit(trial.run, data, settings)
    scores = fitted.logits + fitted.log_prior
    trial.extras.update(parts=data.split_ids, scores=scores)  # for the ensemble
    return softmax(scores)[len(trial.split.train) :]


def gcn_on_images(trial: Trial) -> np.ndarray:
    from ..training import image_gcn

    graph, resnet_settings = trial.settings(ImageGraphSettings, ResNetSettings)
    shared = trial.comparison.config
    config = image_gcn.ImageGraphConfig(shared.images, shared.boxes, graph, resnet_settings)
    scores = image_gcn.score(trial.run, trial.train_then_test(), {}, config)
    return softmax(scores.logits + graph.logit_adjustment * trial.log_prior)[len(trial.split.train) :]


def gcn(trial: Trial) -> np.ndarray:
    from ...models.graphs import gcn as network
    from ...models.graphs import label_propagation

    graph_settings, settings = trial.settings(GraphSettings, GCNSettings)
    graph_views = _graph_views(trial, graph_settings)
    labels, vectors = trial.labels[graph_views.usable], graph_views.views["own"]
    inputs = network.prepare(graph_views.graph, vectors, settings)
    model = network.build(inputs[0].shape[1], len(trial.names), settings)
    for _ in trial.run.watch(network.train(model, *inputs, labels, settings), "training the GCN"):
        pass
    logits = np.log(np.maximum(network.predict(model, *inputs), EPS)) + settings.logit_adjustment * trial.log_prior
    logits[~label_propagation.reached(graph_views.graph, labels)] = np.nan
    return softmax(_of_all(graph_views, logits)[trial.split.test])


def laplace(trial: Trial) -> np.ndarray:
    from ...models.graphs import label_propagation

    graph_views = _graph_views(trial, *trial.settings(GraphSettings))
    probabilities = label_propagation.laplace(graph_views.graph, trial.labels[graph_views.usable], len(trial.names))
    return np.asarray(_of_all(graph_views, probabilities)[trial.split.test])


def _graph_views(trial: Trial, settings: GraphSettings) -> GraphViews:
    """The graph of all samples, labelled or not, as the ensemble builds it."""
    return build_views(_vectors(trial)[0], LabelSpreadingSettings(seed=trial.split.seed), settings)


def _of_all(graph_views: GraphViews, scores: np.ndarray) -> np.ndarray:
    """Scores of the samples in the graph [n, K] -> of all samples, NaN outside it [N, K]."""
    of_all = np.full((graph_views.samples, scores.shape[1]), np.nan)
    of_all[graph_views.usable] = scores
    return of_all


def _vectors(trial: Trial, settings: ResNetSettings | None = None) -> tuple[np.ndarray, np.ndarray | None]:
    """Vectors of all samples [N, D]: the user's, or features of the images, and then details [N, p].

    Args:
        settings: of a ResNet; its features are used too if its weights are pretrained
    """
    from ...models.classifiers.resnet import is_pretrained
    from ..training.embedding_source import read_joined, weigh_sources
    from ..training.image_features import extract_features

    comparison, source, stats = trial.comparison, trial.comparison.source, trial.comparison.stats
    labels, image_settings = comparison.labels, comparison.config.images
    if source is not None:

        def read() -> dict[str, np.ndarray]:
            vectors, lengths, _ = read_joined(comparison.run, labels, source)
            return {"vectors": vectors, "lengths": lengths}

        def read_once() -> Joined:
            kept = comparison.run.cached_arrays("given_vectors", read, labels.ids, ("vectors",))
            return Joined(kept["vectors"], kept["lengths"], {})

        joined, name = trial.shared("vectors", read_once), f"embedding_weights of {trial.split.seed}"
        groups = np.unique(labels.groups, return_inverse=True)[1]
        groups = np.where(labels.groups == "", len(groups) + np.arange(len(groups)), groups)
        return joined.scaled(weigh_sources(comparison.run, source, joined, trial.labels, groups, name)), None

    assert stats is not None  # without the user's vectors, images are read
    pretrained = settings if settings and is_pretrained(settings, stats.size_px) else None
    name = f"vectors {_digest([pretrained.architecture, pretrained.weights])}" if pretrained else "vectors"
    run = comparison.run.subrun(name)
    return trial.shared(name, lambda: extract_features(run, labels, stats, image_settings, pretrained)[:2])


def ensemble(trial: Trial) -> np.ndarray:
    """The ensemble of auto_label: label spreading over the graph and, without the user's vectors, a ResNet.

    A ResNet with a row of its own and the same settings is not trained again.
    """
    from ...models.classifiers.resnet import is_pretrained

    comparison, stats = trial.comparison, trial.comparison.stats
    seed, train, test = trial.split
    resnet_settings, graph_settings = trial.settings(ResNetSettings, GraphSettings)
    labels = replace(comparison.labels, class_ids=trial.labels)
    split_ids, (vectors, details) = np.where(labels.class_ids >= 0, Split.TRAIN, 0), _vectors(trial, resnet_settings)
    if comparison.source is not None:
        scores = spread_on_graph(trial.run, labels, split_ids, Features(vectors), graph_settings, seed)
        return np.asarray(np.exp(scores.combined[test]))

    assert stats is not None  # without the user's vectors, images are read
    started = time.monotonic()
    arrays = run_trial(comparison, "resnet", own_settings("resnet", trial.values), trial.split)
    trial.earlier_seconds += float(arrays["seconds"]) - (time.monotonic() - started)
    rows = np.concatenate([train, test])
    split_ids[rows], resnet_scores = arrays["parts"], np.full((len(split_ids), len(trial.names)), np.nan)
    resnet_scores[rows] = arrays["scores"]
    features, groups = Features(vectors, details), groups_of_all(comparison.labels, stats.groups)
    scores = spread_on_graph(trial.run, labels, split_ids, features, graph_settings, seed, groups)
    pretrained = is_pretrained(resnet_settings, stats.size_px)
    scores = add_resnet(scores, resnet_scores, labels, split_ids, pretrained)
    deployed = scores.combined if scores.refitted is None else scores.refitted
    return np.asarray(np.exp(deployed[test]))


TRADITIONAL: tuple[type[Settings], ...] = (TraditionalSettings,)
METHODS: dict[str, tuple[Method, tuple[type[Settings], ...]]] = {  # and the settings of each
    "hog + svm": (hog_svm, TRADITIONAL),
    "k-nn": (nearest_neighbours, TRADITIONAL),
    "rules": (by_rules, ()),
    "resnet": (resnet, (ResNetSettings,)),
    "image gcn": (gcn_on_images, (ImageGraphSettings, ResNetSettings)),
    "gcn": (gcn, (GraphSettings, GCNSettings)),
    "laplace": (laplace, (GraphSettings,)),
    "ensemble": (ensemble, (ResNetSettings, GraphSettings)),
}
ON_VECTORS = ("gcn", "laplace", "ensemble")  # with the user's vectors, they read no image


def own_settings(method: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that a method has, without the seed, which is the comparison's."""
    names = {item.name for kind in METHODS[method][1] for item in fields(kind)} - {"seed"}
    return {name: value for name, value in settings.items() if name in names}


def run_trial(
    comparison: Comparison, method: str, settings: dict[str, Any], split: TrialSplit
) -> dict[str, np.ndarray]:
    """Probabilities of the test samples [n, K], the seconds, and accuracy under attacks if asked for.

    They are kept in the run's folder under method, settings and seed: a resumed run, or an ensemble, reads them.
    """
    run = comparison.run
    place = place_of(method, settings, split.seed)
    title = f"{method}, seed {split.seed}"
    branch = run.subrun(place, title, is_separate=True)
    trial = Trial(comparison, branch, split, settings)

    def compute() -> dict[str, np.ndarray]:
        started = time.monotonic()
        probabilities = METHODS[method][0](trial)
        seconds = time.monotonic() - started + trial.earlier_seconds
        robustness = _attack(trial) if comparison.config.compare.robustness and method == "resnet" else {}
        return {"probabilities": probabilities, "seconds": np.array(seconds), **trial.extras, **robustness}

    arrays = run.cached_arrays(place, compute, comparison.labels.ids[np.concatenate([split.train, split.test])])
    shutil.rmtree(branch.folder, ignore_errors=True)  # its weights are not needed again
    return arrays


def place_of(method: str, settings: dict[str, Any], seed: int) -> str:
    """Name of a trial's files in the run's folder."""
    return f"{method.replace(' ', '_')}_{seed}_{_digest(settings)}"


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def _attack(trial: Trial) -> dict[str, np.ndarray]:
    """Accuracy of a ResNet on attacked test images."""
    from ...models.classifiers import attacks
    from ...models.classifiers import resnet as network
    from ...models.images.reader import Images

    model, notes = network.load(trial.run.folder / "checkpoint.safetensors")
    labels, config = trial.comparison.labels, trial.comparison.config
    rows = np.random.default_rng(trial.split.seed).permutation(trial.split.test)[: config.attack.max_attacked_images]
    images = Images(labels.paths[rows].tolist(), config.images, notes["size_px"], notes["channels"])
    trial.run.report("attacking", 0, 1)
    accuracy = attacks.accuracy(model, images[np.arange(len(rows))], labels.class_ids[rows], config.attack)
    return {name: np.array(value) for name, value in accuracy.items()}
