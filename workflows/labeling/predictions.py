"""Where auto_label's scores come from: a ResNet trained now, logistic regression on vectors, or an earlier run."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...models.classifiers import linear
from ...models.confidence.calibration import Calibrator
from ...models.errors import InvalidInput
from ...models.regular_files import is_file, is_folder, is_list_of_names, regular
from ...models.settings import AutoLabelSettings, GraphSettings, ImageSettings, ResNetSettings, shown
from ..data import folders
from ..data.labels import Labels
from ..runs.run import Run
from ..training import ensemble as members
from ..training.embedding_source import Source, read_or_compute
from ..training.embeddings import label_free
from ..training.image_survey import survey_images
from ..training.partition import Split, keep_aside, set_aside, split_parts
from ..training.resnet import Fitted, fit, predict
from .warm_start import Earlier, learned_from

NO_CALIBRATOR = Calibrator(1.0, 0.0)  # the model's own probability


@dataclass
class Scores:
    """What a model says of every sample, and which samples it has learned from."""

    logits: np.ndarray  # NaN where a sample could not be scored [N, K]
    embeddings: np.ndarray  # [N, D]
    prior: np.ndarray  # added to the logits, it gives the training part's frequencies back [K]
    split_ids: np.ndarray  # Split.TRAIN, Split.VALIDATION, Split.HELD_OUT, or 0 [N]
    reference: np.ndarray  # embeddings that were trained on [M, D]
    errors: dict[int, str]  # index of the sample: why it could not be scored
    resnet: bool = True  # False: no ResNet has a part in it
    curves: list[dict[str, Any]] = field(default_factory=list)
    earlier_calibrator: Calibrator = NO_CALIBRATOR
    earlier_cuts: np.ndarray | None = None  # lowest rank that is accepted, of each predicted class [K]
    earlier_limit: float = np.inf
    members: dict[str, np.ndarray] = field(default_factory=dict)  # log-probabilities of each of the ensemble [N, K]
    weights: dict[str, float] = field(default_factory=dict)  # of each member
    neighbours_agree: np.ndarray | None = None  # how likely the nearest samples are of the same class [N]
    rounds: int = 0  # in which the ResNet was trained again, and gained
    alone: np.ndarray | None = None  # log-probabilities of the checkpoint by itself [N, K]


@dataclass
class Origin:
    """An earlier run, whose checkpoint is used."""

    key: str
    folder: Path
    names: list[str]
    vectors: str | None  # where its vectors came from; None: it is a ResNet
    seen: set[str]  # ids and files that it learned from or chose by


def find_run(dataset: Any, run: str) -> Origin:
    """Finds a run by key, "dataset/key", or folder; the dataset's own comes first.

    Raises:
        ValueError: there is none, there are several, or it has no checkpoint
    """
    import fiftyone as fo
    import fiftyone.core.odm as foo

    name, _, key = run.rpartition("/")
    if is_folder(run):
        return _origin(Path(run))
    if not re.fullmatch(r"evenset_\w+", key):
        raise InvalidInput(f"run {run!r}: it is neither a folder nor the key of a run of Evenset")
    if name:
        if not fo.dataset_exists(name):
            raise InvalidInput(f"run {run!r}: there is no dataset {name!r}")
        found = [folders.run_folder(fo.load_dataset(name), key)]
    else:
        own = folders.run_folder(dataset, run)
        names = {str(item["_id"]): item["name"] for item in foo.get_db_conn().datasets.find({}, ["name"])}
        others = folders.dataset_folder(dataset).parent.glob(f"*/{key}")
        found = [own] if own.is_dir() else [path for path in others if path.parent.name in names]
        if len(found) > 1:
            which = sorted(f"{names[path.parent.name]}/{key}" for path in found)
            raise InvalidInput(f"run {run!r}: {len(found)} datasets have one, say which: {', '.join(which[:5])}")
    if not found or not found[0].is_dir():
        raise InvalidInput(f"run {run!r}: there is none")
    return _origin(found[0])


def _origin(folder: Path) -> Origin:
    from ...models.checkpoints import load_tensors

    path = folder / "checkpoint.safetensors"
    if not is_file(path) or not is_file(folder / "parts.npz"):
        raise InvalidInput(
            f"{folder.name} has no checkpoint: give a run of train_resnet or auto_label that trained a model"
        )
    notes = load_tensors(path)[1]
    try:
        names, _ = notes["names"], ImageSettings(**notes.get("images", {}))
        if not is_list_of_names(names):
            raise InvalidInput(f"names of classes are {shown(names)}")
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"the notes in {path} are damaged ({error}): train again") from error
    return Origin(folder.name, folder, names, notes.get("vectors"), learned_from(folder))


def check_classes(origin: Origin | None, classes: Any) -> Any:
    """The classes to read labels by: those given, or those that the earlier run knows.

    Raises:
        ValueError: both are there, and differ in more than synonyms
    """
    if origin is None or classes is None:
        return origin.names if origin else classes
    if list(classes) != origin.names:
        raise InvalidInput(
            f"{origin.key} knows the classes {', '.join(map(repr, origin.names))}: "
            "classes may give them synonyms, but no other names or order"
        )
    return classes


def check_source(source: Source | None, origin: Origin | None) -> None:
    """Refuses vectors that an earlier run's model cannot predict by.

    Raises:
        ValueError: it is a ResNet, or it learned from vectors of another length
    """
    if source is None or origin is None:
        return
    if origin.vectors is None:
        raise InvalidInput(f"{origin.key} trained a ResNet on images: leave embeddings out")
    if source.vectors is not None:
        length, own = linear.load(origin.folder / "checkpoint.safetensors")[0].weights.shape[1], source.vectors.shape[1]
        if own != length:
            raise InvalidInput(
                f"{origin.key} learned from vectors of {length} numbers, and those of {source.name!r} have {own}: "
                f"give embeddings= the vectors that it knows, as {origin.vectors!r} was"
            )


def from_images(
    run: Run,
    labels: Labels,
    given: dict[Split, set[str]],
    settings: tuple[ImageSettings, ResNetSettings, GraphSettings, AutoLabelSettings],
    earlier: Earlier | None = None,
) -> Scores:
    """Learns from a part of the labels, by the graph of nearest samples, a ResNet, or both; the rest is held out."""
    first = earlier.checkpoint if earlier else None
    image_settings, resnet_settings, graph_settings, choices = settings
    stats = survey_images(run, labels, image_settings)
    split_ids = split_parts(
        run,
        labels,
        stats,
        resnet_settings,
        given,
        held_out=choices.calibration_fraction,
        random=choices.random_labels,
        validate=choices.members != "graph",  # a graph has no epoch to choose
        kept=earlier.kept if earlier else None,
    )
    if choices.members == "resnet":
        fitted = fit(run, labels, stats, split_ids, image_settings, resnet_settings, first=first)
        return _of_resnet(fitted, split_ids, labels.synthetic_mask)
    computed = earlier.features(labels, stats, image_settings, resnet_settings) if earlier else None
    vectors, details, errors = label_free(run, labels, stats, image_settings, resnet_settings, computed)
    found = members.on_graph(run, labels, vectors, split_ids, graph_settings, choices.seed, details)
    if choices.members == "graph":
        return _of_members(found, vectors, split_ids, labels.synthetic_mask, errors)
    found, fitted, rounds = members.in_rounds(
        run, labels, stats, split_ids, found, (image_settings, resnet_settings, choices), first
    )
    scores = _of_members(found, fitted.embeddings, split_ids, labels.synthetic_mask, {**errors, **fitted.errors})
    alone = found.log_probabilities["resnet"]
    return replace(scores, resnet=True, curves=fitted.curves, rounds=rounds, alone=alone)


def _of_resnet(fitted: Fitted, split_ids: np.ndarray, made: np.ndarray) -> Scores:
    reference = _trained_on(fitted.embeddings, split_ids, made)
    return Scores(
        fitted.logits, fitted.embeddings, fitted.prior, split_ids, reference, fitted.errors, curves=fitted.curves
    )


def _trained_on(embeddings: np.ndarray, split_ids: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Embeddings of the real samples that trained [M, D]."""
    return np.asarray(embeddings[(split_ids == Split.TRAIN) & ~made & ~np.isnan(embeddings).any(1)])


def _of_members(
    found: members.Members, embeddings: np.ndarray, split_ids: np.ndarray, made: np.ndarray, errors: dict[int, str]
) -> Scores:
    reference = _trained_on(embeddings, split_ids, made)
    none = np.zeros(found.together.shape[1])
    return Scores(
        found.together,
        embeddings,
        none,
        split_ids,
        reference,
        errors,
        resnet=False,
        members=found.log_probabilities,
        weights=found.weights,
        neighbours_agree=found.neighbours_agree,
    )


def from_vectors(
    run: Run,
    labels: Labels,
    source: Source,
    graph_settings: GraphSettings,
    choices: AutoLabelSettings,
    earlier: Earlier | None = None,
) -> Scores:
    """Spreads labels over the graph of vectors that the user has, or that a model of the zoo makes."""
    from ...models.splits import join

    vectors, errors = read_or_compute(run, labels, source)

    def compute() -> dict[str, np.ndarray]:
        usable = np.array([i for i in labels.labelled_indices if i not in errors], dtype=np.int64)
        split_ids = np.zeros(len(labels.ids), dtype=np.int64)
        split_ids[usable] = Split.TRAIN
        same_file = np.unique(labels.paths, return_inverse=True)[1]
        groups, fraction = join(same_file, labels.groups), choices.calibration_fraction
        if earlier:
            keep_aside(split_ids, {Split.HELD_OUT: earlier.kept[Split.HELD_OUT]}, labels, groups)
        else:
            set_aside(
                split_ids, Split.HELD_OUT, labels, groups, fraction, choices.seed, stratify=not choices.random_labels
            )
        return {"parts": split_ids, "paths": labels.paths}

    split_ids = run.cached_arrays("parts", compute, labels.ids, ("parts", "paths"))["parts"]
    train = split_ids == Split.TRAIN
    if len(np.unique(labels.class_ids[train])) < 2:
        raise InvalidInput("fewer than two classes are left to train after a part is held out: label more samples")
    run.report("training", 0, 1)
    model = linear.train(vectors[train], labels.class_ids[train], len(labels.names), choices.seed)
    linear.save(model, run.folder / "checkpoint.safetensors", dict(names=labels.names, vectors=source.name))
    run.report("training", 1, 1)
    found = members.on_graph(run, labels, vectors, split_ids, graph_settings, choices.seed)
    scores = _of_members(found, vectors, split_ids, labels.synthetic_mask, errors)
    return replace(scores, alone=linear.predict(model, vectors))


def _from_linear(
    model: linear.Linear, vectors: np.ndarray, split_ids: np.ndarray, reference: np.ndarray, errors: dict[int, str]
) -> Scores:
    logits = linear.predict(model, vectors)
    return Scores(logits, vectors, np.zeros(logits.shape[1]), split_ids, reference, errors, resnet=False)


def from_run(run: Run, labels: Labels, origin: Origin, settings: ResNetSettings, source: Source | None) -> Scores:
    """Predicts by an earlier run's checkpoint. Trusted labels that it has not seen calibrate; it may have none."""
    new = ~(np.isin(labels.ids, list(origin.seen)) | np.isin(labels.paths, list(origin.seen)))
    split_ids = np.where((labels.class_ids >= 0) & labels.trusted & new, Split.HELD_OUT, 0)
    path = origin.folder / "checkpoint.safetensors"
    if source is None:
        scores = _predict_images(run, labels, path, settings, split_ids)
    else:
        vectors, errors = read_or_compute(run, labels, source)
        scores = _from_linear(linear.load(path)[0], vectors, split_ids, np.zeros((0, vectors.shape[1])), errors)
    scores.split_ids[list(scores.errors)] = 0
    decision = origin.folder / "decision.npz"
    if decision.exists():
        with np.load(regular(decision), allow_pickle=False) as kept:
            slope, offset, scores.earlier_limit = kept["numbers"].tolist()
            scores.reference, scores.earlier_cuts = kept["reference"], kept["cuts"]
            scores.earlier_calibrator = Calibrator(slope, offset, kept["knots"])
    return scores


def _predict_images(run: Run, labels: Labels, path: Path, settings: ResNetSettings, split_ids: np.ndarray) -> Scores:
    from ...models.classifiers import resnet, resnet_prediction
    from ...models.images.reader import Images

    model, notes = resnet.load(path)
    images = Images(labels.paths.tolist(), ImageSettings(**notes["images"]), notes["size_px"], notes["channels"])
    precision = run.remember("precision", lambda: resnet_prediction.choose_precision(model, settings))
    logits, embeddings, errors = predict(run, labels, model, images, replace(settings, precision=precision))
    return Scores(logits, embeddings, model.prior.cpu().numpy(), split_ids, np.zeros((0, embeddings.shape[1])), errors)
