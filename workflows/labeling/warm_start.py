"""A next round of auto_label: it goes on from what an earlier one learned, on more labels.

What that run held out stays held out, and what chose its epoch goes on choosing: its checkpoint has learned from the
other labels, so that a new split would hold out labels that it has seen. All that is new trains.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...models.errors import InvalidInput
from ...models.regular_files import regular
from ...models.settings import AutoLabelSettings, ImageSettings, ResNetSettings
from ..data import folders
from ..data.internals import root_dataset
from ..data.labels import Labels
from ..runs import records, run_files
from ..training.image_survey import ImageStats
from ..training.partition import Split


@dataclass(frozen=True)
class Earlier:
    """A finished run of auto_label that learned from labels of this dataset."""

    key: str
    folder: Path
    kept: dict[Split, set[str]]  # ids of the samples that its models have not learned from, by part
    checkpoint: Path | None  # its ResNet, where it had one
    seen: np.ndarray  # ids and files that it, or a run before it, learned from or chose by [m]
    settings: dict[str, Any]

    def features(
        self, known: Labels, stats: ImageStats, *settings: ImageSettings | ResNetSettings | None
    ) -> Path | None:
        """Its file of label-free features, None where others would come out now."""
        path = self.folder / "features.npz"
        if not path.exists():
            return None
        now = {name: value for part in settings if part for name, value in asdict(part).items()}
        names = [*asdict(ImageSettings()), "weights", "architecture"]
        with (
            np.load(regular(self.folder / "labels.npz")) as labels,
            np.load(regular(self.folder / "survey.npz")) as survey,
        ):
            same = labels["paths"].tolist() == known.paths.tolist()
            same &= int(survey["size_px"]) == stats.size_px and bool(survey["gray"]) == (stats.channels == 1)
        same &= all(now.get(name) == self.settings[name] for name in names)
        return path if same and not _newer(known.paths.tolist(), path) else None


def find(
    dataset: Any, after: str, label_field: str | None, settings: ResNetSettings, choices: AutoLabelSettings
) -> Earlier:
    """The run to go on from.

    Raises:
        ValueError: there is no such run; it is not done, lost its files, trained nothing, learned from another field or
            another network; or its held-out labels are no random draw, as is said of them now
    """
    dataset = root_dataset(dataset)
    record = records.read_record(dataset, after)
    inputs, earlier = record.inputs, record.settings
    if record.method != "auto_label" or record.state != "done":
        what = f"is {record.state}" if record.method == "auto_label" else f"is a run of {record.method}"
        raise InvalidInput(f"after: {after} {what}, and only a finished run of auto_label has a next round")
    run_files.ids_of_run(dataset, after)  # raises where its files are gone
    folder = folders.run_folder(dataset, after)
    if not (folder / "parts.npz").exists():
        raise InvalidInput(f"after: {after} trained nothing, as it predicted by {inputs['run']}: leave after out")
    if inputs["label_field"] != label_field:
        raise InvalidInput(f"after: {after} learned from {inputs['label_field']!r}, and this is about {label_field!r}")
    if choices.random_labels and not earlier["random_labels"]:
        raise InvalidInput(
            f"random_labels: what {after} held out is no random draw, and stays held out: leave after out"
        )
    checkpoint = folder / "checkpoint.safetensors"
    trained = checkpoint.exists() and inputs["embeddings"] is None
    if trained and choices.members != "graph" and earlier["architecture"] != settings.architecture:
        raise InvalidInput(f"after: {after} trained a {earlier['architecture']}, no {settings.architecture}")
    with np.load(regular(folder / "parts.npz")) as kept:
        held, tuning = (set(kept["ids"][kept["parts"] == part].tolist()) for part in (Split.HELD_OUT, Split.VALIDATION))
    split_ids = {Split.HELD_OUT: held}
    if choices.members != "graph" and (tuning or trained):  # a checkpoint has seen all that could be drawn anew
        split_ids[Split.VALIDATION] = tuning
    seen = np.array(sorted(learned_from(folder)), dtype=str)
    return Earlier(after, folder, split_ids, checkpoint if trained else None, seen, earlier)


def learned_from(folder: Path) -> set[str]:
    """Ids and files of the samples that the model in a run's folder learned from or was chosen by, in any round."""
    with np.load(regular(folder / "parts.npz"), allow_pickle=False) as kept:
        rows = np.isin(kept["parts"], (Split.TRAIN, Split.VALIDATION))
        found = {*kept["ids"][rows].tolist(), *kept["paths"][rows].tolist()}
    if (folder / "seen.npz").exists():
        with np.load(regular(folder / "seen.npz"), allow_pickle=False) as before:
            found.update(before["seen"].tolist())
    return found


def _newer(files: list[str], than: Path) -> bool:
    """Whether a file was written after another one; one that is gone was."""
    written = than.stat().st_mtime
    return not all(os.path.exists(file) and os.stat(file).st_mtime < written for file in files)
