"""Warm start: a next round of auto_label, from an earlier run's checkpoint on more labels.

The held-out and validation splits of that run stay, since its checkpoint has seen all other labels. New labels train.
Arguments and settings that the call leaves out are that run's: see INHERITED and INHERITED_SETTINGS.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...models.errors import InvalidInput
from ...models.images.region import file_of
from ...models.regular_files import regular
from ...models.settings import ImageSettings
from ..data import folders
from ..data.internals import reload_dataset, root_dataset
from ..data.labels import Labels
from ..runs import records, run_files
from ..training.auto_embeddings import AUTO
from ..training.given_vectors import is_description
from ..training.image_survey import ImageStats
from ..training.partition import Split
from .config import AutoLabelConfig

INHERITED = ("embeddings", "classes", "group_field", "unlabelled", "boxes")  # arguments that have their default
INHERITED_SETTINGS = ("random_labels", "target_precision", "text_encoder", "prompts", "box_margin", "box_shape")


@dataclass(frozen=True)
class WarmStart:
    """A finished run of auto_label that was trained on this dataset."""

    key: str
    folder: Path
    kept: dict[Split, set[str]]  # ids of the samples that did not train, by split
    checkpoint: Path | None  # of its ResNet, where it had one
    seen: np.ndarray  # ids and files of the samples that trained or validated it, or a run before it [m]
    settings: dict[str, Any]
    embeddings: str | None  # that it learned from

    def features(self, labels: Labels, stats: ImageStats, config: AutoLabelConfig) -> Path | None:
        """Its file of label-free features; None where images or settings have changed."""
        path = self.folder / "features.npz"
        if not path.exists():
            return None
        now = {**asdict(config.images), **asdict(config.resnet)}
        names = [*asdict(ImageSettings()), "weights", "architecture"]
        with (
            np.load(regular(self.folder / "labels.npz")) as old_labels,
            np.load(regular(self.folder / "survey.npz")) as survey,
        ):
            same = old_labels["paths"].tolist() == labels.paths.tolist()
            same &= int(survey["size_px"]) == stats.size_px and bool(survey["gray"]) == (stats.channels == 1)
        same &= all(now[name] == self.settings[name] for name in names)
        return path if same and _all_older(labels.paths.tolist(), path) else None


def inherit(
    dataset: Any, after: str | None, inputs: dict[str, Any], settings: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments and settings of a next round: those given, and of the others those of the run that it follows.

    `members="resnet"` looks at images alone, and takes over neither embeddings nor a text encoder.

    Raises:
        ValueError: there is no such run
    """
    if after is None:
        return inputs, settings
    reload_dataset(dataset)
    record = records.read_record(dataset, after)
    if record.method != "auto_label":
        return inputs, settings  # refused by find_start
    on_images = {"embeddings", "text_encoder", "prompts"} if settings.get("members") == "resnet" else set()
    names = [name for name in INHERITED if name in inputs.keys() - on_images and _is_left_out(inputs[name])]
    arguments = {name: record.inputs.get(name) for name in names}
    if is_description(arguments.get("embeddings") or ""):
        arguments.pop("embeddings")
    others = {name: record.settings[name] for name in INHERITED_SETTINGS if name in record.settings.keys() - on_images}
    return {**inputs, **arguments}, {**others, **settings}


def _is_left_out(value: Any) -> bool:
    """Whether an argument has its default."""
    return value is None or (isinstance(value, str) and value == AUTO)


def find_start(dataset: Any, after: str, label_field: str | None, config: AutoLabelConfig) -> WarmStart:
    """The run to start from.

    Raises:
        ValueError: there is no such run; it is not done, lost its files, trained nothing, or was trained on another
            field or network; or random_labels is set, and its held-out labels are not a random draw
    """
    dataset = root_dataset(dataset)
    record = records.read_record(dataset, after)
    inputs, earlier, members = record.inputs, record.settings, config.labeling.members
    if record.method != "auto_label" or record.state != "done":
        reason = f"is {record.state}" if record.method == "auto_label" else f"is a run of {record.method}"
        raise InvalidInput(f"after: {after} {reason}, and only a finished run of auto_label has a next round")
    run_files.ids_of_run(dataset, after)  # raises where its files are gone
    folder = folders.run_folder(dataset, after)
    if not (folder / "parts.npz").exists():
        raise InvalidInput(f"after: {after} trained nothing, as it predicted by {inputs['run']}: leave after out")
    if inputs["label_field"] != label_field:
        raise InvalidInput(f"after: {after} learned from {inputs['label_field']!r}, and this is about {label_field!r}")
    seen = np.array(sorted(seen_samples(folder)), dtype=str)
    if not len(seen):  # it had no label: the next round splits as a first one
        return WarmStart(after, folder, {}, None, seen, earlier, inputs["embeddings"])
    if config.labeling.random_labels and not earlier["random_labels"]:
        raise InvalidInput(
            f"random_labels: the held-out labels of {after} are not a random draw, and stay held out: leave after out"
        )
    checkpoint = folder / "checkpoint.safetensors"
    on_images = inputs["embeddings"] is None or record.notes.get("fine_tunes", False)
    trained = checkpoint.exists() and on_images and not earlier.get("text_encoder")
    if trained and members != "graph" and earlier["architecture"] != config.resnet.architecture:
        raise InvalidInput(f"after: {after} trained a {earlier['architecture']}, not a {config.resnet.architecture}")
    kept = _ids_by_split(folder)
    if members == "graph" or not (kept[Split.VALIDATION] or trained):
        del kept[Split.VALIDATION]  # it may be drawn: no checkpoint has seen the labels
    return WarmStart(after, folder, kept, checkpoint if trained else None, seen, earlier, inputs["embeddings"])


def _ids_by_split(folder: Path) -> dict[Split, set[str]]:
    with np.load(regular(folder / "parts.npz")) as kept:
        ids, split_ids = kept["ids"], kept["parts"]
    return {part: set(ids[split_ids == part].tolist()) for part in (Split.HELD_OUT, Split.VALIDATION)}


def seen_samples(folder: Path) -> set[str]:
    """Ids and files of the samples that trained or validated the model in a run's folder, in any round."""
    with np.load(regular(folder / "parts.npz"), allow_pickle=False) as kept:
        rows = np.isin(kept["parts"], (Split.TRAIN, Split.VALIDATION))
        paths = kept["paths"][rows].tolist()
        seen = {*kept["ids"][rows].tolist(), *paths, *map(file_of, paths)}  # the other boxes of an image count too
    if (folder / "seen.npz").exists():
        with np.load(regular(folder / "seen.npz"), allow_pickle=False) as before:
            seen.update(before["seen"].tolist())
    return seen


def _all_older(files: list[str], than: Path) -> bool:
    """Whether all files exist and were written before another one."""
    written = than.stat().st_mtime
    distinct = dict.fromkeys(map(file_of, files))
    return all(os.path.exists(file) and os.stat(file).st_mtime < written for file in distinct)
