"""The methods that are compared: each learns from the labels that it is shown, and says the class of other samples."""

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
    AttackSettings,
    GCNSettings,
    GraphSettings,
    ImageGraphSettings,
    LabelSpreadingSettings,
    ResNetSettings,
    Settings,
    TraditionalSettings,
)
from ..training import ensemble as members
from ..training.image_features import Features
from ..training.label_spreading import GraphViews, build_views
from ..training.partition import Split, SplitRule
from ..training.resnet import fit
from ..training.training_set import prepare
from .trials import Cut, Material, Trial

BATCH = 256
Method = Callable[[Trial], np.ndarray]  # -> probabilities of the samples to predict [n, K], NaN where it abstains


def hog_svm(trial: Trial) -> np.ndarray:
    from ...models.classifiers import traditional

    return _traditional(trial, traditional.gradients, traditional.svm)


def nearest_pixels(trial: Trial) -> np.ndarray:
    from ...models.classifiers import traditional

    return _traditional(trial, traditional.pixels, traditional.nearest)


def _traditional(trial: Trial, describe: Callable[[np.ndarray], np.ndarray], predict: Any) -> np.ndarray:
    vectors = trial.shared(describe.__name__, lambda: _describe(trial, describe))
    train, test = trial.cut.train, trial.cut.test
    (settings,) = trial.settings(TraditionalSettings)
    return np.asarray(predict(vectors[train], trial.labels[train], vectors[test], len(trial.names), settings))


def _describe(trial: Trial, describe: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Vectors of the labelled images [N, D], NaN elsewhere; kept in the run's folder."""
    from ...models.images.reader import Images

    stats, known = trial.material.look, trial.material.known
    assert stats is not None  # since this method looks at images

    def compute() -> dict[str, np.ndarray]:
        images = Images(known.paths.tolist(), trial.material.image_settings, stats.size_px, stats.channels)
        rows = np.array([i for i in known.labelled_indices if i not in stats.errors], dtype=np.int64)
        vectors = np.zeros((0, 0), dtype=np.float32)
        for indices, block in images.batches(BATCH, rows):
            found = describe(block)
            if not len(vectors):
                vectors = np.full((len(known.ids), found.shape[1]), np.nan, dtype=np.float32)
            vectors[indices] = found
            trial.run.report("describing images", int(np.searchsorted(rows, indices[-1])) + 1, len(rows))
        return {"vectors": vectors}

    return trial.material.run.cached_arrays(describe.__name__, compute, known.ids, ("vectors",))["vectors"]


def by_rules(trial: Trial) -> np.ndarray:
    said = trial.material.rules[trial.cut.test]
    return np.where(said[:, None] >= 0, np.eye(len(trial.names))[said], np.nan)


def resnet(trial: Trial) -> np.ndarray:
    seen, (settings,) = trial.seen(), trial.settings(ResNetSettings)
    rule = SplitRule(settings.validation_fraction, settings.seed)
    data = prepare(trial.run, seen, trial.material.image_settings, {}, rule)
    fitted = fit(trial.run, data, settings)
    scores = fitted.logits + fitted.log_prior
    trial.kept.update(parts=data.split_ids, scores=scores)  # of the samples in seen, for the ensemble
    return softmax(scores)[len(trial.cut.train) :]


def gcn_on_images(trial: Trial) -> np.ndarray:
    from ..training import image_gcn

    graph, resnet_settings = trial.settings(ImageGraphSettings, ResNetSettings)
    config = image_gcn.ImageGraphConfig(trial.material.image_settings, graph, resnet_settings)
    found = image_gcn.score(trial.run, trial.seen(), {}, config)
    return softmax(found.logits + graph.logit_adjustment * trial.log_prior)[len(trial.cut.train) :]


def gcn(trial: Trial) -> np.ndarray:
    from ...models.graphs import gcn as network
    from ...models.graphs import label_propagation

    graph_settings, settings = trial.settings(GraphSettings, GCNSettings)
    around = _surroundings(trial, graph_settings)
    labels, vectors = trial.labels[around.usable], around.views["own"]
    inputs = network.prepare(around.graph, vectors, settings)
    model = network.build(inputs[0].shape[1], len(trial.names), settings)
    for _ in trial.run.watch(network.train(model, *inputs, labels, settings), "training"):
        pass
    found = np.log(np.maximum(network.predict(model, *inputs), 1e-12)) + settings.logit_adjustment * trial.log_prior
    found[~label_propagation.reached(around.graph, labels)] = np.nan
    return softmax(_of_all(around, found)[trial.cut.test])


def laplace(trial: Trial) -> np.ndarray:
    from ...models.graphs import label_propagation

    around = _surroundings(trial, *trial.settings(GraphSettings))
    found = label_propagation.laplace(around.graph, trial.labels[around.usable], len(trial.names))
    return np.asarray(_of_all(around, found)[trial.cut.test])


def _surroundings(trial: Trial, settings: GraphSettings) -> GraphViews:
    """The graph of all samples, of the unlabelled ones too, as the ensemble has it; no label has a part in it."""
    return build_views(_vectors(trial)[0], LabelSpreadingSettings(seed=trial.cut.seed), settings)


def _of_all(around: GraphViews, found: np.ndarray) -> np.ndarray:
    """Scores of the samples in a graph [n, K] -> of all, NaN where one is in none [N, K]."""
    scores = np.full((around.samples, found.shape[1]), np.nan)
    scores[around.usable] = found
    return scores


def _vectors(trial: Trial, settings: ResNetSettings | None = None) -> tuple[np.ndarray, np.ndarray | None]:
    """Vectors of all samples [N, D]: those given, or made from the images without a label, and then details [N, p].

    Args:
        settings: where its first weights are pretrained, what that network sees counts too
    """
    from ...models.classifiers.resnet import is_pretrained
    from ..training.embedding_source import read_or_compute
    from ..training.image_features import extract_features

    material, source, stats = trial.material, trial.material.source, trial.material.look
    if source is not None:

        def read() -> dict[str, np.ndarray]:
            return {"vectors": read_or_compute(material.run, material.known, source)[0]}

        def once() -> np.ndarray:
            return material.run.cached_arrays("given_vectors", read, material.known.ids, ("vectors",))["vectors"]

        return trial.shared("vectors", once), None

    assert stats is not None  # where no vectors are given, images are looked at
    seen = settings if settings and is_pretrained(settings, stats.size_px) else None
    name = f"vectors {_digest([seen.architecture, seen.weights])}" if seen else "vectors"
    run = material.run.subrun(name)
    return trial.shared(name, lambda: extract_features(run, material.known, stats, material.image_settings, seen)[:2])


def ensemble(trial: Trial) -> np.ndarray:
    """What auto_label deploys: labels that spread over the graph and, where images are looked at, a ResNet.

    A ResNet that has the same row of its own is not trained again.
    """
    from ...models.classifiers.resnet import is_pretrained

    material, cut, stats = trial.material, trial.cut, trial.material.look
    resnet_settings, graph_settings = trial.settings(ResNetSettings, GraphSettings)
    known = replace(material.known, class_ids=trial.labels)
    split_ids, (vectors, details) = np.where(known.class_ids >= 0, Split.TRAIN, 0), _vectors(trial, resnet_settings)
    if material.source is not None:
        found = members.spread_on_graph(trial.run, known, split_ids, Features(vectors), graph_settings, cut.seed)
        return np.asarray(np.exp(found.combined[cut.test]))

    assert stats is not None  # where no vectors are given, images are looked at
    started = time.monotonic()
    kept = learn(material, "resnet", own_settings("resnet", trial.given), cut)
    trial.earlier_seconds += float(kept["seconds"]) - (time.monotonic() - started)
    seen = np.concatenate([cut.train, cut.test])
    split_ids[seen], scores = kept["parts"], np.full((len(split_ids), len(trial.names)), np.nan)
    scores[seen] = kept["scores"]
    found = members.spread_on_graph(trial.run, known, split_ids, Features(vectors, details), graph_settings, cut.seed)
    found = members.add_resnet(found, scores, known, split_ids, is_pretrained(resnet_settings, stats.size_px))
    return np.asarray(np.exp(found.combined[cut.test]))


TRADITIONAL: tuple[type[Settings], ...] = (TraditionalSettings,)
METHODS: dict[str, tuple[Method, tuple[type[Settings], ...]]] = {  # and the settings of each
    "hog + svm": (hog_svm, TRADITIONAL),
    "k-nn": (nearest_pixels, TRADITIONAL),
    "rules": (by_rules, ()),
    "resnet": (resnet, (ResNetSettings,)),
    "image gcn": (gcn_on_images, (ImageGraphSettings, ResNetSettings)),
    "gcn": (gcn, (GraphSettings, GCNSettings)),
    "laplace": (laplace, (GraphSettings,)),
    "ensemble": (ensemble, (ResNetSettings, GraphSettings)),
}
ON_VECTORS = ("gcn", "laplace", "ensemble")  # with embeddings given, they need no image


def own_settings(method: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Those of the settings that a method has; the seed is the comparison's."""
    names = {item.name for kind in METHODS[method][1] for item in fields(kind)} - {"seed"}
    return {name: value for name, value in settings.items() if name in names}


def learn(material: Material, method: str, settings: dict[str, Any], cut: Cut) -> dict[str, np.ndarray]:
    """Probabilities of the test samples [n, K], the seconds that they took, and accuracy under attacks if asked for.

    They are kept in the run's folder under method, settings and seed: a resumed run, or an ensemble, reads them.
    """
    run = material.run
    place = f"{method.replace(' ', '_')}_{cut.seed}_{_digest(settings)}"
    title = f"{method}, seed {cut.seed}"
    branch = run.subrun(place, title, is_separate=True)
    trial = Trial(material, branch, cut, settings)

    def compute() -> dict[str, np.ndarray]:
        started = time.monotonic()
        probabilities = METHODS[method][0](trial)
        seconds = time.monotonic() - started + trial.earlier_seconds
        attacked = _attack(trial, material.attack) if material.attack and method == "resnet" else {}
        return {"probabilities": probabilities, "seconds": np.array(seconds), **trial.kept, **attacked}

    kept = run.cached_arrays(place, compute, material.known.ids[np.concatenate([cut.train, cut.test])])
    shutil.rmtree(branch.folder, ignore_errors=True)  # weights, which nobody asks for
    return kept


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def _attack(trial: Trial, settings: AttackSettings) -> dict[str, np.ndarray]:
    """Accuracy of a ResNet on test images that are attacked."""
    from ...models.classifiers import attacks
    from ...models.classifiers import resnet as network
    from ...models.images.reader import Images

    model, notes = network.load(trial.run.folder / "checkpoint.safetensors")
    known = trial.material.known
    rows = np.random.default_rng(trial.cut.seed).permutation(trial.cut.test)[: settings.max_attacked_images]
    images = Images(known.paths[rows].tolist(), trial.material.image_settings, notes["size_px"], notes["channels"])
    trial.run.report("attacking", 0, 1)
    found = attacks.accuracy(model, images[np.arange(len(rows))], known.class_ids[rows], settings)
    return {name: np.array(share) for name, share in found.items()}
