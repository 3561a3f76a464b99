"""How long a workflow takes, about, before it is started: what has to be done, at rough speeds.

They are those of two processor cores without bf16 instructions; with them, a ResNet takes a third of it. A run of the
same workflow that has ended on the same dataset corrects them: for this machine, and for these images.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from ...models.regular_files import regular
from ...models.settings import (
    AutoLabelSettings,
    BalanceSettings,
    CompareSettings,
    CopySettings,
    GeneratorSettings,
    ImageSettings,
    MistakeSettings,
    ResNetSettings,
    Settings,
)
from ..data.internals import root_dataset
from ..data.label_text import count_labels
from ..runs import records
from .resnet import WARM_START_FRACTION

PASS = 8.0e-3  # forward and backward of an image of 32 px by resnet18, the stem of small images
LOOK = 2.5e-3  # an image that is read and scored, of 32 px
JOIN = 4.0e-3  # a sample that is described, joined to its nearest ones and scored by the graph's members
START = 8.0  # of a worker
DRAW = 8.0e-3  # an image of 32 px that is drawn and judged
UPDATE = 0.16  # of a generator, by 32 images of 32 px
PROBE = 0.03  # update of a small network that measures, images of 32 px
DEPTH = {"resnet18": 1.0, "resnet34": 2.0, "resnet50": 2.4}
METHODS = ("hog + svm", "k-nn", "resnet", "image gcn", "gcn", "laplace", "ensemble")  # that a comparison has by itself
NETWORKS = {"resnet": "resnet", "ensemble": "resnet", "image gcn": "image gcn"}  # two methods share one
ON_GRAPH = ("gcn", "laplace", "ensemble")
WIDE_PX, WIDE = 65, 16  # from so many pixels on, torchvision's stem costs a 16th
MOST_PX = 224  # of a side that nobody set
STEPS = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 480, 720, 1440)  # minutes, as they are said


def sentence(samples: Any, workflow: str, label_field: str | None, given: Mapping[str, Any]) -> str:
    """About how long it takes, in words; "" where nothing can be said.

    Args:
        samples: a dataset or a view
        given: settings that differ from their defaults
    """
    labelled = count_labels(samples, label_field) if label_field else 0
    return _said(samples, samples.count("id"), workflow, labelled, given)


def sentence_of_rest(dataset: Any, run_key: str) -> str:
    """The same of a run that is resumed: what the whole takes, as some of it is done."""
    record = records.read_record(dataset, run_key)
    given = {**record.inputs, **record.settings}
    label_field = given.get("label_field")
    labelled = count_labels(dataset, label_field) if label_field and dataset.has_field(label_field) else 0
    said = _said(dataset, record.samples, record.method, min(labelled, record.samples), given)
    return f"The whole run {said[0].lower()}{said[1:]}. What was done is kept" if said else ""


def _said(samples: Any, count: int, workflow: str, labelled: int, given: Mapping[str, Any]) -> str:
    size_px = given.get("size_px") or side(samples.limit(1).values("filepath"))
    found = seconds(workflow, count, labelled, size_px, given)
    if found is None:
        return ""
    factor = _correction(root_dataset(samples), workflow, labelled, size_px)
    if factor is None:
        return f"Takes {words(found)} on two processor cores; on a GPU, or on more cores, less"
    return f"Takes {words(found * factor)}, going by an earlier run on this dataset"


def seconds(workflow: str, samples: int, labelled: int, size_px: int, given: Mapping[str, Any]) -> float | None:
    """Seconds on two cores; None for a workflow of which nothing is known.

    Args:
        samples, labelled: how many there are
        size_px: side of the images that are learned from
        given: settings that differ from their defaults
    """
    images = (CopySettings, ImageSettings, GeneratorSettings, ResNetSettings)  # of equal names, the last one's counts
    values = {**_defaults(*images, AutoLabelSettings, BalanceSettings, CompareSettings, MistakeSettings), **given}
    work = _WORK.get(workflow)
    return None if work is None else START + work(samples, labelled, (size_px / 32) ** 2, values)


def words(seconds: float) -> str:
    """As one says it: "less than a minute", "about 3 minutes", "about 2 hours"."""
    if seconds < 45:
        return "less than a minute"
    minutes = min(STEPS, key=lambda step: abs(step - seconds / 60) / step)
    if minutes >= 90:
        return f"about {minutes / 60:g} hours" if seconds < 36 * 3600 else "more than a day"
    return "about a minute" if minutes == 1 else f"about {minutes} minutes"


def _defaults(*kinds: type[Settings]) -> dict[str, Any]:
    return {name: value for kind in kinds for name, value in vars(kind()).items()}


def side(paths: Sequence[str]) -> int:
    """Side of the first image, as the models would see it, px."""
    from PIL import Image

    with contextlib.suppress(OSError, ValueError, IndexError), Image.open(regular(Path(paths[0]))) as image:
        return min(*image.size, MOST_PX)
    return 32


def _correction(dataset: Any, workflow: str, labelled: int, size_px: int) -> float | None:
    """How much longer than thought the workflow's runs took, of the last three that are done; None without one."""
    ratios = []
    for key in [key for key in dataset.list_runs() if key.startswith(f"evenset_{workflow}_")][-3:]:
        record = records.read_record(dataset, key)
        given = {**record.inputs, **record.settings}
        thought = seconds(workflow, record.samples, labelled, size_px, given)
        if record.state == "done" and record.seconds and thought:
            ratios.append(record.seconds / thought)
    return median(ratios) if ratios else None


def _resnet(labelled: float, scored: float, area: float, values: Mapping[str, Any]) -> float:
    """A ResNet that trains on images, and scores others."""
    stem = 1.0 if area < (WIDE_PX / 32) ** 2 else 1 / WIDE
    passes = max(values["epochs"] * labelled, values["min_updates"] * values["batch_size"])
    one = DEPTH.get(values["architecture"], 1.0) * area * stem
    attacked = 1 + values["adversarial_steps"] if values["adversarial"] else 1
    return float(one * (PASS * passes * attacked + LOOK * scored))


def _copies(samples: int, labelled: int, area: float, values: Mapping[str, Any]) -> float:
    slow = {"none": 1.0, "median": 1.5, "bilateral": 2.0, "non-local means": 10.0}[values["denoise"]]
    return samples * LOOK * slow * max(area, 1.0)


def _auto_label(samples: int, labelled: int, area: float, values: Mapping[str, Any]) -> float:
    train = labelled * (1 - values["calibration_fraction"])
    graph = 0.0 if values["members"] == "resnet" or values.get("run") else samples * JOIN
    if values.get("embeddings") or values["members"] == "graph":
        return graph
    learns = 0.0 if values.get("run") else WARM_START_FRACTION if values.get("after") else 1.0
    values = {**values, **{name: learns * values[name] for name in ("epochs", "min_updates")}}
    return graph + (1 + int(values["self_training_rounds"])) * _resnet(train, samples, area, values)


def _mistakes(samples: int, labelled: int, area: float, values: Mapping[str, Any]) -> float:
    if values.get("embeddings"):
        return labelled * JOIN
    folds = int(values["folds"])
    return labelled * JOIN + folds * _resnet(labelled * (folds - 1) / folds, labelled / folds, area, values)


def _gcn(samples: int, labelled: int, area: float, values: Mapping[str, Any]) -> float:
    if values.get("graph") == "image":
        return _resnet(labelled, 2 * samples, area, values)
    return samples * JOIN


def _generator(samples: int, labelled: int, area: float, values: Mapping[str, Any]) -> float:
    minutes, updates = values["minutes"], values["max_updates"]
    by_time = math.inf if minutes is None else 60.0 * minutes
    return min(by_time, math.inf if updates is None else updates * UPDATE * area)


def _balance(samples: int, labelled: int, area: float, values: Mapping[str, Any]) -> float:
    draws = values["source"] == "generate"
    generator = _generator(samples, labelled, area, values) if draws and not values.get("generator") else 0.0
    measured = 6 * int(values["verdict_seeds"]) if values["measure_benefit"] else 0  # six ways to train
    images = int(values.get("made", labelled)) * (DRAW if draws else LOOK)
    return generator + (images + (measured + 1) * int(values["verdict_updates"]) * PROBE) * max(area, 0.25)


def _compare(samples: int, labelled: int, area: float, values: Mapping[str, Any]) -> float:
    if values.get("task") == "generation":
        return _balance(samples, labelled, area, {**values, "source": "generate", "measure_benefit": True})
    rows = values.get("settings_of") or [{"method": name} for name in values.get("methods", METHODS)]
    on_images = [row for row in rows if not (values.get("embeddings") and row["method"] in ON_GRAPH)]
    networks = {NETWORKS[row["method"]]: row for row in on_images if row["method"] in NETWORKS}
    train = labelled * (1 - values["test_fraction"])
    once = sum(_resnet(train, labelled, area, {**values, **row}) for row in networks.values())
    once += labelled * (JOIN if any(row["method"] in ON_GRAPH for row in rows) else LOOK)
    return float(values["seeds"] * once)


_WORK: dict[str, Callable[[int, int, float, Mapping[str, Any]], float]] = {
    "preprocess_images": _copies,
    "train_resnet": lambda samples, labelled, area, values: _resnet(labelled, samples, area, values),
    "train_gcn": _gcn,
    "auto_label": _auto_label,
    "find_mistakes": _mistakes,
    "train_generator": _generator,
    "balance_classes": _balance,
    "compare_methods": _compare,
}
