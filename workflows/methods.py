"""The methods that are compared: each learns from the labels that it is shown, and says the class of other samples."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np

from ..models.settings import (
    AttackSettings,
    GCNSettings,
    GraphSettings,
    ImageGraphSettings,
    ResNetSettings,
    Settings,
    TraditionalSettings,
)
from .learning import fit, look_at, softmax, split_parts
from .trials import Branch, Cut, Material, Trial

BATCH = 256
Method = Callable[[Trial], np.ndarray]  # -> probabilities of the samples to predict [n, K], NaN where it abstains


def hog_svm(trial: Trial) -> np.ndarray:
    from ..models import traditional

    return _traditional(trial, traditional.gradients, traditional.svm)


def nearest_pixels(trial: Trial) -> np.ndarray:
    from ..models import traditional

    return _traditional(trial, traditional.pixels, traditional.nearest)


def _traditional(trial: Trial, describe: Callable[[np.ndarray], np.ndarray], predict: Any) -> np.ndarray:
    vectors = trial.shared(describe.__name__, lambda: _describe(trial, describe))
    train, test = trial.cut.train, trial.cut.test
    (settings,) = trial.settings(TraditionalSettings)
    return np.asarray(predict(vectors[train], trial.labels[train], vectors[test], len(trial.names), settings))


def _describe(trial: Trial, describe: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Vectors of the labelled images [N, D], NaN elsewhere; kept in the run's folder."""
    from ..models.images import Images

    look, known = trial.material.look, trial.material.known
    assert look is not None  # since this method looks at images

    def compute() -> dict[str, np.ndarray]:
        images = Images(known.paths.tolist(), trial.material.image_settings, look.size_px, look.channels)
        rows = np.array([i for i in known.known if i not in look.errors], dtype=np.int64)
        vectors = np.zeros((0, 0), dtype=np.float32)
        for indices, block in images.batches(BATCH, rows):
            found = describe(block)
            if not len(vectors):
                vectors = np.full((len(known.ids), found.shape[1]), np.nan, dtype=np.float32)
            vectors[indices] = found
            trial.run.report("describing images", int(np.searchsorted(rows, indices[-1])) + 1, len(rows))
        return {"vectors": vectors}

    return trial.material.run.arrays(describe.__name__, compute)["vectors"]


def by_rules(trial: Trial) -> np.ndarray:
    said = trial.material.rules[trial.cut.test]
    return np.where(said[:, None] >= 0, np.eye(len(trial.names))[said], np.nan)


def resnet(trial: Trial) -> np.ndarray:
    seen, (settings,) = trial.seen(), trial.settings(ResNetSettings)
    look = look_at(trial.run, seen, trial.material.image_settings)
    parts = split_parts(trial.run, seen, look, settings, {})
    fitted = fit(trial.run, seen, look, parts, trial.material.image_settings, settings)
    return softmax(fitted.logits + fitted.prior)[len(trial.cut.train) :]


def gcn_on_images(trial: Trial) -> np.ndarray:
    from . import gcn_on_images

    graph, resnet_settings = trial.settings(ImageGraphSettings, ResNetSettings)
    found = gcn_on_images.score(trial.run, trial.seen(), {}, (trial.material.image_settings, graph, resnet_settings))
    return softmax(found.logits + graph.logit_adjustment * trial.log_prior)[len(trial.cut.train) :]


def gcn(trial: Trial) -> np.ndarray:
    from ..models import gcn as network
    from ..models import graph
    from .gcn_on_samples import reached

    graph_settings, settings = trial.settings(GraphSettings, GCNSettings)
    vectors = _vectors(trial)
    joined = graph.build(vectors, graph_settings)
    model = network.build(vectors.shape[1], len(trial.names), settings)
    inputs = network.prepare(joined, vectors)
    for _ in trial.run.watch(network.train(model, *inputs, trial.labels, settings), "training"):
        pass
    scores = np.log(np.maximum(network.predict(model, *inputs), 1e-12)) + settings.logit_adjustment * trial.log_prior
    scores[~reached(joined, trial.labels)] = np.nan
    return softmax(scores[trial.cut.test])


def laplace(trial: Trial) -> np.ndarray:
    from ..models import graph, harmonic

    joined = graph.build(_vectors(trial), *trial.settings(GraphSettings))
    return np.asarray(harmonic.laplace(joined, trial.labels, len(trial.names))[trial.cut.test])


def _vectors(trial: Trial) -> np.ndarray:
    """Vectors of all samples, of the unlabelled ones too [N, D]; no label has a part in them."""
    from .embedding import label_free
    from .scores import read_or_compute

    material, field, look = trial.material, trial.material.embeddings, trial.material.look
    if field is None:
        assert look is not None  # where no vectors are given, images are looked at
        return trial.shared(
            "vectors", lambda: label_free(material.run, material.known, look, material.image_settings)[0]
        )

    def read() -> dict[str, np.ndarray]:
        return {"vectors": read_or_compute(material.run, material.known, material.samples, field)[0]}

    return trial.shared("vectors", lambda: material.run.arrays("given_vectors", read)["vectors"])


def ensemble(trial: Trial) -> np.ndarray:
    """The mean of its members' log-probabilities; a member that has the same row of its own is not trained again."""
    from ..models.ensemble import combine

    found, started = [], time.monotonic()
    for name in MEMBERS:
        kept = learn(trial.material, name, trial.given[name], trial.cut)
        found.append(np.log(np.maximum(kept["probabilities"], 1e-12)))
        trial.earlier_seconds += float(kept["seconds"])
    trial.earlier_seconds -= time.monotonic() - started
    return np.asarray(np.exp(combine(np.stack(found))))


TRADITIONAL: tuple[type[Settings], ...] = (TraditionalSettings,)
METHODS: dict[str, tuple[Method, tuple[type[Settings], ...]]] = {  # and the settings of each
    "hog + svm": (hog_svm, TRADITIONAL),
    "k-nn": (nearest_pixels, TRADITIONAL),
    "rules": (by_rules, ()),
    "resnet": (resnet, (ResNetSettings,)),
    "image gcn": (gcn_on_images, (ImageGraphSettings, ResNetSettings)),
    "gcn": (gcn, (GraphSettings, GCNSettings)),
    "laplace": (laplace, (GraphSettings,)),
    "ensemble": (ensemble, ()),
}
MEMBERS = ("resnet", "gcn", "laplace")  # of the ensemble, which has the settings of each: {"resnet": {...}, ...}
ON_VECTORS = ("gcn", "laplace")  # with embeddings given, they need no image


def own_settings(method: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Those of the settings that a method has; the seed is the comparison's."""
    names = {item.name for kind in METHODS[method][1] for item in fields(kind)} - {"seed"}
    return {name: value for name, value in settings.items() if name in names}


def learn(material: Material, method: str, settings: dict[str, Any], cut: Cut) -> dict[str, np.ndarray]:
    """Probabilities of the test samples [n, K], the seconds that they took, and accuracy under attacks if asked for.

    They are kept in the run's folder under method, settings and seed: a resumed run, or an ensemble, reads them.
    """
    run = material.run
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
    place = f"{method.replace(' ', '_')}_{cut.seed}_{digest}"
    title = f"{method}, seed {cut.seed}"
    branch = Branch(run.dataset, run.key, run.config, run.progress, run.resumed, place=place, title=title)
    trial = Trial(material, branch, cut, settings)

    def compute() -> dict[str, np.ndarray]:
        branch.folder.mkdir(exist_ok=True)
        started = time.monotonic()
        probabilities = METHODS[method][0](trial)
        seconds = time.monotonic() - started + trial.earlier_seconds
        attacked = _attack(trial, material.attack) if material.attack and method == "resnet" else {}
        return {"probabilities": probabilities, "seconds": np.array(seconds), **attacked}

    kept = run.arrays(place, compute)
    shutil.rmtree(branch.folder, ignore_errors=True)  # weights, which nobody asks for
    return kept


def _attack(trial: Trial, settings: AttackSettings) -> dict[str, np.ndarray]:
    """Accuracy of a ResNet on test images that are attacked."""
    from ..models import attacks
    from ..models import resnet as network
    from ..models.images import Images

    model, notes = network.load(trial.run.folder / "checkpoint.safetensors")
    known = trial.material.known
    rows = np.random.default_rng(trial.cut.seed).permutation(trial.cut.test)[: settings.attacked]
    images = Images(known.paths[rows].tolist(), trial.material.image_settings, notes["size_px"], notes["channels"])
    trial.run.report("attacking", 0, 1)
    found = attacks.accuracy(model, images[np.arange(len(rows))], known.classes[rows], settings)
    return {name: np.array(share) for name, share in found.items()}
