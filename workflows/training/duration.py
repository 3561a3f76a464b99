"""Estimate of a workflow's duration before it starts, from the amount of work and rough speeds.

The speeds are those of two processor cores without bf16 instructions, which would make a ResNet three times as fast.
Finished runs of the same workflow on the same dataset correct the estimate.
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
from ..embeddings import store
from ..runs import records
from .auto_embeddings import AUTO, MIN_FINE_TUNING_LABELS, likely_choice
from .resnet import WARM_START_FRACTION

# seconds for an image of 32 px, or a sample
PASS = 8.0e-3  # forward and backward pass of resnet18, with the stem of small images
READ = 2.5e-3  # reading and scoring
GRAPH = 4.0e-3  # features, nearest neighbours, and label spreading
CHECK = 2.0e-3  # comparing an image with others
MEASURE = 8.0e-5  # decoding and measuring
ENCODE = 0.2  # a text-image encoder of base size, at its own size
DRAW = 8.0e-3  # sampling and filtering
AUGMENT = 3.0e-3  # reading, augmenting and writing
GENERATOR_UPDATE = 0.16  # by a batch of 32 images
CNN_UPDATE = 0.03  # of the small CNN that measures the benefit

START = 8.0  # of a worker, seconds
HELD_OUT = 0.4  # of the labels, where the target says how many
DEPTH = {"resnet18": 1.0, "resnet34": 2.0, "resnet50": 2.4}  # cost relative to resnet18
METHODS = ("hog + svm", "k-nn", "resnet", "image gcn", "gcn", "laplace", "ensemble")  # defaults of a comparison
NETWORKS = {"resnet": "resnet", "ensemble": "resnet", "image gcn": "image gcn"}  # the network that a method trains
ON_GRAPH = ("gcn", "laplace", "ensemble")
LARGE_STEM_PX, LARGE_STEM_FACTOR = 65, 16  # larger images get torchvision's stem, which makes a pass cheaper
MAX_SIDE_PX = 224  # of images whose size is not set
# minutes that are shown
STEPS = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 480, 720, 1440)


def sentence(samples: Any, workflow: str, label_field: str | None, overrides: Mapping[str, Any]) -> str:
    """The estimate in words; "" for an unknown workflow.

    Args:
        samples: a dataset or a view
        overrides: settings that differ from their defaults
    """
    labelled = count_labels(samples, label_field) if label_field else 0
    overrides = {**overrides, "label_field": label_field}
    return _in_words(samples, samples.count("id"), workflow, labelled, overrides)


def sentence_of_rest(dataset: Any, run_key: str) -> str:
    """The estimate for the whole of a run that is resumed; "" for an unknown workflow."""
    record = records.read_record(dataset, run_key)
    overrides = {**record.inputs, **record.settings}
    label_field = overrides.get("label_field")
    labelled = count_labels(dataset, label_field) if label_field and dataset.has_field(label_field) else 0
    text = _in_words(dataset, record.samples, record.method, min(labelled, record.samples), overrides)
    return f"The whole run {text[0].lower()}{text[1:]}. Finished work is kept" if text else ""


def _in_words(samples: Any, count: int, workflow: str, labelled: int, overrides: Mapping[str, Any]) -> str:
    size_px = overrides.get("size_px") or side(samples.limit(1).values("filepath"))
    overrides, encoding_seconds = _with_choice(samples, count, workflow, labelled, overrides)
    estimate = seconds(workflow, count, labelled, size_px, overrides)
    if estimate is None:
        return ""
    factor = _correction(root_dataset(samples), workflow, labelled, size_px)
    if factor is None:
        return f"Takes {words(estimate + encoding_seconds)} on two processor cores; less on a GPU or more cores"
    return f"Takes {words(estimate * factor + encoding_seconds)}, going by an earlier run on this dataset"


def _with_choice(
    samples: Any, count: int, workflow: str, labelled: int, overrides: Mapping[str, Any]
) -> tuple[Mapping[str, Any], float]:
    """The arguments with the embeddings that "auto" is likely to choose, and the seconds that an encoder takes.

    "fine_tunes" among them says that a ResNet takes part as well.
    """
    is_default = workflow in ("auto_label", "find_mistakes") and overrides.get("embeddings", AUTO) == AUTO
    if not is_default:
        return overrides, 0.0
    if overrides.get("members") == "resnet" or any(overrides.get(name) for name in ("run", "validation", "after")):
        return {**overrides, "embeddings": None}, 0.0
    choice = likely_choice(samples)
    seconds = 0.0
    if choice.candidate:
        left = count - store.counts(root_dataset(samples)).get(choice.candidate.name, 0)
        seconds = max(0, left) * choice.candidate.milliseconds / 1000
    fine_tunes = labelled >= 2 * MIN_FINE_TUNING_LABELS
    if fine_tunes:
        classes = len(samples.distinct(f"{overrides['label_field']}.label"))
        fine_tunes = labelled >= MIN_FINE_TUNING_LABELS * classes
    return {**overrides, "embeddings": choice.name, "fine_tunes": fine_tunes}, seconds


def seconds(workflow: str, samples: int, labelled: int, size_px: int, overrides: Mapping[str, Any]) -> float | None:
    """Seconds on two cores; None for an unknown workflow.

    Args:
        samples, labelled: counts
        size_px: side of the training images
        overrides: settings that differ from their defaults
    """
    images = (CopySettings, ImageSettings, GeneratorSettings, ResNetSettings)  # of equal names, the last counts
    values = {**_defaults(*images, AutoLabelSettings, BalanceSettings, CompareSettings, MistakeSettings), **overrides}
    work = _WORK.get(workflow)
    return None if work is None else START + work(samples, labelled, (size_px / 32) ** 2, values)


def words(seconds: float) -> str:
    """A rounded duration: "less than a minute", "about 3 minutes", "about 2 hours"."""
    if seconds < 45:
        return "less than a minute"
    minutes = min(STEPS, key=lambda step: abs(step - seconds / 60) / step)
    if minutes >= 90:
        return f"about {minutes / 60:g} hours" if seconds < 36 * 3600 else "more than a day"
    return "about a minute" if minutes == 1 else f"about {minutes} minutes"


def _defaults(*kinds: type[Settings]) -> dict[str, Any]:
    return {name: value for kind in kinds for name, value in vars(kind()).items()}


def side(paths: Sequence[str]) -> int:
    """Shorter side of the first image, as the models see it, px."""
    from PIL import Image

    with contextlib.suppress(OSError, ValueError, IndexError), Image.open(regular(Path(paths[0]))) as image:
        return min(*image.size, MAX_SIDE_PX)
    return 32


def _correction(dataset: Any, workflow: str, labelled: int, size_px: int) -> float | None:
    """Median ratio of actual to estimated seconds over the last three finished runs; None without one."""
    ratios = []
    for key in [key for key in dataset.list_runs() if key.startswith(f"evenset_{workflow}_")][-3:]:
        record = records.read_record(dataset, key)
        overrides = {**record.inputs, **record.settings}
        estimate = seconds(workflow, record.samples, labelled, size_px, overrides)
        name = record.inputs.get("embeddings")
        is_encoded = bool(name) and not dataset.has_field(name)  # an encoder took an unknown part of the time
        if record.state == "done" and record.seconds and estimate and not is_encoded:
            ratios.append(record.seconds / estimate)
    return median(ratios) if ratios else None


def _resnet(labelled: float, scored: float, area: float, values: Mapping[str, Any]) -> float:
    """Training a ResNet on some images, and scoring others."""
    stem = 1.0 if area < (LARGE_STEM_PX / 32) ** 2 else 1 / LARGE_STEM_FACTOR
    passes = max(values["epochs"] * labelled, values["min_updates"] * values["batch_size"])
    attacks = values["adversarial_steps"] if values["adversarial"] else 0
    image_factor = DEPTH.get(values["architecture"], 1.0) * area * stem
    return float(image_factor * (PASS * passes * (1 + attacks) + READ * scored))


def _copies(samples: int, labelled: int, area: float, values: Mapping[str, Any]) -> float:
    slow = {"none": 1.0, "median": 1.5, "bilateral": 2.0, "non-local means": 10.0}[values["denoise"]]
    return samples * READ * slow * max(area, 1.0)


def _check(samples: int, labelled: int, area: float, values: Mapping[str, Any]) -> float:
    return samples * (CHECK + MEASURE * area)


def _auto_label(samples: int, labelled: int, area: float, values: Mapping[str, Any]) -> float:
    fraction = values["calibration_fraction"]
    train = labelled * (1 - (HELD_OUT if fraction is None else fraction))
    graph = 0.0 if values["members"] == "resnet" or values.get("run") else samples * GRAPH
    if values["text_encoder"]:
        return graph + samples * ENCODE
    if values["members"] == "graph" or (values.get("embeddings") and not values.get("fine_tunes")):
        return graph
    training = 0.0 if values.get("run") else WARM_START_FRACTION if values.get("after") else 1.0
    values = {**values, **{name: training * values[name] for name in ("epochs", "min_updates")}}
    return graph + (1 + int(values["self_training_rounds"])) * _resnet(train, samples, area, values)


def _mistakes(samples: int, labelled: int, area: float, values: Mapping[str, Any]) -> float:
    if values.get("embeddings") or not values.get("fine_tunes", True):
        return labelled * GRAPH
    folds = int(values["folds"])
    return labelled * GRAPH + folds * _resnet(labelled * (folds - 1) / folds, labelled / folds, area, values)


def _gcn(samples: int, labelled: int, area: float, values: Mapping[str, Any]) -> float:
    if values.get("graph") == "image":
        return _resnet(labelled, 2 * samples, area, values)
    return samples * GRAPH


def _generator(samples: int, labelled: int, area: float, values: Mapping[str, Any]) -> float:
    minutes, updates = values["minutes"], values["max_updates"]
    by_time = math.inf if minutes is None else 60.0 * minutes
    return min(by_time, math.inf if updates is None else updates * GENERATOR_UPDATE * area)


def _balance(samples: int, labelled: int, area: float, values: Mapping[str, Any]) -> float:
    draws, measured = values["source"] == "generate", values["measure_benefit"]
    if measured is None:
        measured = draws or values["add"] == "if it gains"
    images = int(values.get("made", labelled)) * (DRAW if draws else AUGMENT) * max(area, 0.25)
    if not (draws or measured or values["filter_augmented"]):
        return images
    generator = _generator(samples, labelled, area, values) if draws and not values.get("generator") else 0.0
    networks = 6 * int(values["verdict_seeds"]) * min(max(area, 0.25), 1.0) if measured else 0  # six ways to train
    judge = max(area, 0.25)
    return generator + images + (networks + judge) * int(values["verdict_updates"]) * CNN_UPDATE


def _compare(samples: int, labelled: int, area: float, values: Mapping[str, Any]) -> float:
    if values.get("task") == "generation":
        return _balance(
            samples, labelled, area, {**values, "source": "generate", "measure_benefit": True, "filter_augmented": True}
        )
    rows = values.get("settings_of") or [{"method": name} for name in values.get("methods", METHODS)]
    on_images = [row for row in rows if not (values.get("embeddings") and row["method"] in ON_GRAPH)]
    networks = {NETWORKS[row["method"]]: row for row in on_images if row["method"] in NETWORKS}
    train = labelled * (1 - values["test_fraction"])
    once = sum(_resnet(train, labelled, area, {**values, **row}) for row in networks.values())
    once += labelled * (GRAPH if any(row["method"] in ON_GRAPH for row in rows) else READ)
    return float(values["seeds"] * once)


_WORK: dict[str, Callable[[int, int, float, Mapping[str, Any]], float]] = {
    "check_dataset": _check,
    "preprocess_images": _copies,
    "train_resnet": lambda samples, labelled, area, values: _resnet(labelled, samples, area, values),
    "train_gcn": _gcn,
    "auto_label": _auto_label,
    "find_mistakes": _mistakes,
    "train_generator": _generator,
    "balance_classes": _balance,
    "compare_methods": _compare,
}
