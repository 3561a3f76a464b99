"""Checkpoint of an earlier run, used in place of training."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...models.classifiers import linear
from ...models.errors import InvalidInput
from ...models.images.region import file_of
from ...models.regular_files import is_file, is_folder, is_list_of_names
from ...models.settings import ImageSettings, ResNetSettings, shown
from ..data import folders
from ..data.labels import Labels
from ..runs.run import Run
from ..training.embedding_source import EmbeddingSource
from ..training.joined_sources import Joined
from ..training.partition import Split
from ..training.resnet import predict
from . import saved_decision
from .predictions import Predictions
from .warm_start import seen_samples

FILE = "checkpoint.safetensors"


@dataclass
class Checkpoint:
    """The trained model of an earlier run."""

    key: str
    folder: Path
    names: list[str]
    vectors: str | None  # field or zoo model that gave its vectors; None: it is a ResNet
    text_encoder: str | None  # that gave its vectors
    seen: set[str]  # ids and files of the samples that trained or validated it


def find_checkpoint(dataset: Any, run: str) -> Checkpoint:
    """Finds a run by key, "dataset/key", or folder; the dataset's own comes first.

    Raises:
        ValueError: no run or several match, or the run has no checkpoint
    """
    import fiftyone as fo
    import fiftyone.core.odm as foo

    name, _, key = run.rpartition("/")
    if is_folder(run):
        return _read(Path(run))
    if not re.fullmatch(r"evenset_\w+", key):
        raise InvalidInput(f"run {run!r}: it is neither a folder nor the key of a run of Evenset")
    if name:
        if not fo.dataset_exists(name):
            raise InvalidInput(f"run {run!r}: there is no dataset {name!r}")
        matches = [folders.run_folder(fo.load_dataset(name), key)]
    else:
        own = folders.run_folder(dataset, run)
        names = {str(item["_id"]): item["name"] for item in foo.get_db_conn().datasets.find({}, ["name"])}
        others = folders.dataset_folder(dataset).parent.glob(f"*/{key}")
        matches = [own] if own.is_dir() else [path for path in others if path.parent.name in names]
        if len(matches) > 1:
            listed = sorted(f"{names[path.parent.name]}/{key}" for path in matches)
            raise InvalidInput(
                f"run {run!r}: {len(matches)} datasets have one: name it as dataset/key: {', '.join(listed[:5])}"
            )
    if not matches or not matches[0].is_dir():
        raise InvalidInput(f"run {run!r} does not exist")
    return _read(matches[0])


def _read(folder: Path) -> Checkpoint:
    from ...models.checkpoints import load_tensors

    path = folder / FILE
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
    return Checkpoint(folder.name, folder, names, notes.get("vectors"), notes.get("text_encoder"), seen_samples(folder))


def check_classes(checkpoint: Checkpoint | None, classes: Any) -> Any:
    """The classes to read labels by: the user's, or the checkpoint's.

    Raises:
        ValueError: they differ in more than synonyms
    """
    if checkpoint is None or classes is None:
        return checkpoint.names if checkpoint else classes
    if list(classes) != checkpoint.names:
        raise InvalidInput(
            f"{checkpoint.key} knows the classes {', '.join(map(repr, checkpoint.names))}: "
            "classes may give them synonyms, but no other names or order"
        )
    return classes


def check_source(source: EmbeddingSource | None, checkpoint: Checkpoint | None) -> None:
    """Rejects vectors that the checkpoint cannot predict by.

    Raises:
        ValueError: it is a ResNet, or was trained on vectors of another length
    """
    if source is None or checkpoint is None:
        return
    if checkpoint.vectors is None:
        raise InvalidInput(f"{checkpoint.key} trained a ResNet on images: leave embeddings out")
    if source.vectors is not None:
        expected, length = linear.load(checkpoint.folder / FILE)[0].weights.shape[1], source.vectors.shape[1]
        if length != expected:
            raise InvalidInput(
                f"{checkpoint.key} learned from vectors of {expected} numbers, and those of {source.name!r} have "
                f"{length}: give embeddings= the vectors that it knows, as {checkpoint.vectors!r} was"
            )


def from_checkpoint(
    run: Run,
    labels: Labels,
    checkpoint: Checkpoint,
    settings: ResNetSettings,
    vectors: Joined | None,
) -> Predictions:
    """Predicts by the checkpoint; trusted labels that it has not seen calibrate.

    Args:
        vectors: None: a ResNet looks at the images
    """
    seen = list(checkpoint.seen)
    is_new = ~(np.isin(labels.ids, seen) | np.isin(list(map(file_of, labels.paths.tolist())), seen))
    split_ids = np.where((labels.class_ids >= 0) & labels.trusted & is_new, Split.HELD_OUT, Split.NONE)
    if vectors is None:
        predictions = _by_resnet(run, labels, checkpoint.folder / FILE, settings, split_ids)
    else:
        model, notes = linear.load(checkpoint.folder / FILE)
        rows = vectors.scaled(notes.get("weights", [1.0]))
        logits = linear.predict(model, rows)
        no_reference, uniform = np.zeros((0, rows.shape[1])), np.zeros(logits.shape[1])
        predictions = Predictions(logits, rows, uniform, split_ids, no_reference, vectors.errors, resnet=False)
    split_ids[list(predictions.errors)] = Split.NONE
    rule = saved_decision.load_rule(checkpoint.folder)
    if rule is None:
        return predictions
    return replace(
        predictions,
        reference=rule.reference,
        earlier_calibrator=rule.calibrator,
        earlier_min_scores=rule.min_scores,
        earlier_max_distance=rule.max_distance,
    )


def _by_resnet(run: Run, labels: Labels, path: Path, settings: ResNetSettings, split_ids: np.ndarray) -> Predictions:
    from ...models.classifiers import resnet, resnet_prediction
    from ...models.images.reader import Images

    model, notes = resnet.load(path)
    images = Images(labels.paths.tolist(), ImageSettings(**notes["images"]), notes["size_px"], notes["channels"])
    precision = run.remember("precision", lambda: resnet_prediction.choose_precision(model, settings))
    logits, embeddings, errors = predict(run, labels, model, images, replace(settings, precision=precision))
    no_reference = np.zeros((0, embeddings.shape[1]))
    return Predictions(logits, embeddings, model.prior.cpu().numpy(), split_ids, no_reference, errors)
