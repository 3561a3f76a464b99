"""Seconds of each stage of a run on the reference machine, from counts and sizes.

The speeds were measured on a processor core without bf16 instructions. `machine` turns them into those of this machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

MATRIX, PHOTO, NETWORK = "matrix", "photo", "network"  # the measurement of a machine that scales a stage
NONE, LIMIT = "", "limit"  # no measurement does; or the user set the time
DEPTH = {"resnet18": 1.0, "resnet34": 2.0, "resnet50": 2.4}  # cost relative to resnet18
LARGE_STEM_PX, LARGE_STEM_FACTOR = 65, 16  # larger images get torchvision's stem, which makes a pass cheaper
MAX_MODEL_PX, MAX_DRAWN_PX, MAX_JUDGED_PX = 224, 64, 32  # sides that models, generators and small networks use
MIN_SIDE_PX = 8
PASS_SECONDS, ENCODER_SECONDS = 3.3, 5.0  # of Stable Diffusion 1.5 at 512 px: .7 and 1.1 TFLOP at 210 GFLOP/s
MAX_AUGMENTED = 10_000  # images whose augmented copies are compared


class Facts(NamedTuple):
    """What a run works on."""

    samples: int
    counts: tuple[int, ...]  # labels of each class
    side_px: int = 32  # median longer side of the files
    megapixels: float = 0.001  # of a file
    to_encode: int = 0  # images without a vector by the encoder
    encoder_seconds: float = 0.0  # of one
    to_judge: int = 0  # images without a vector by the encoder that judges new ones

    @property
    def labelled(self) -> int:
        return sum(self.counts)

    def size_px(self, values: Mapping[str, Any], limit: int) -> int:
        """Side of the images that a model sees."""
        return int(values.get("size_px") or min(max(self.side_px, MIN_SIDE_PX), limit))


class Work(NamedTuple):
    """A stage on the reference machine."""

    phase: str
    seconds: float
    scaled_by: str = NONE


Values = Mapping[str, Any]  # settings and arguments


def survey(count: float, facts: Facts, values: Values) -> Work:
    slow = {"none": 1.0, "median": 1.5, "bilateral": 2.0, "non-local means": 10.0}[values.get("denoise", "none")]
    pixels = (facts.size_px(values, MAX_MODEL_PX) / 1000) ** 2
    return Work("looking at images", count * slow * (4e-4 + 0.008 * facts.megapixels + 0.03 * pixels), PHOTO)


def features(facts: Facts, values: Values) -> list[Work]:
    """Evenset's own features of all images."""
    drawn, pixels = min(facts.samples, MAX_AUGMENTED), (facts.size_px(values, MAX_MODEL_PX) / 1000) ** 2
    read = 1e-4 + 0.008 * facts.megapixels + 0.02 * pixels
    fit = 1e-4 * drawn + 1.5e-9 * min(drawn, 600) ** 3
    return [
        Work("comparing augmented copies", drawn * (read + 5e-4 + 0.12 * pixels) + fit, MATRIX),
        Work("computing image features", facts.samples * (read + 5e-5), PHOTO),
    ]


def graph(count: int) -> Work:
    return Work("building the neighbour graph", 0.03 + 7e-5 * count + 1e-8 * count**2, MATRIX)


def spreading(facts: Facts, labelled: float) -> list[Work]:
    """Members of the ensemble, tuned on the labels, and fitted again with the held-out ones."""
    classes = max(len(facts.counts), 2)
    regressions, networks = 1.2e-3 * labelled * classes**0.5, 1.6e-3 * facts.samples
    return [
        graph(facts.samples),
        Work("spreading labels", 0.7 + regressions + networks, MATRIX),
        Work("spreading all labels", 0.2 + 0.45 * (regressions + networks), MATRIX),
    ]


def resnet(train: float, scored: float, size_px: int, values: Values, phase: str = "training") -> list[Work]:
    """Training a ResNet on some images, and scoring others."""
    area = (size_px / 32) ** 2
    stem = 1.0 if size_px < LARGE_STEM_PX else 1 / LARGE_STEM_FACTOR
    passes = max(values["epochs"] * train, values["min_updates"] * values["batch_size"])
    attacks = values["adversarial_steps"] if values["adversarial"] else 0
    depth = DEPTH.get(values["architecture"], 1.0)  # an update takes its time with the smallest images too
    return [
        Work(phase, depth * (3e-3 + 0.016 * area * stem) * passes * (1 + attacks), NETWORK),
        Work("predicting", depth * (5e-4 + 5e-3 * area * stem) * scored, NETWORK),
    ]


def written(count: float, phase: str = "writing labels") -> Work:
    return Work(phase, 0.05 + 5e-5 * count)


def drawing(count: float, facts: Facts, values: Values, phase: str = "drawing images") -> Work:
    area = (facts.size_px(values, MAX_DRAWN_PX) / 32) ** 2
    return Work(phase, count * 1.8e-3 * values["sampling_steps"] * max(area, 0.25), NETWORK)


def tuning(facts: Facts, values: Values) -> list[Work]:
    """Tuning a pretrained text-to-image model of the size of Stable Diffusion 1.5, by the operations of its passes."""
    minutes, updates = values["minutes"], values["max_updates"]
    area = _pretrained_area(facts, values)
    encoded = Work("encoding images", facts.labelled * ENCODER_SECONDS * area, NETWORK)
    by_updates = (updates or math.inf) * 3 * (values["batch_size"] or 4) * PASS_SECONDS * area
    trained = Work("tuning the pretrained model", by_updates, NETWORK)
    if minutes is not None and 60.0 * minutes < by_updates:
        trained = Work("tuning the pretrained model", 60.0 * minutes, LIMIT)
    return [survey(facts.labelled, facts, values), encoded, trained, tuned_drawing(8, facts, values, "drawing samples")]


def tuned_drawing(count: float, facts: Facts, values: Values, phase: str = "drawing images") -> Work:
    steps = values["pretrained_steps"] * (0.65 if values["start"] != "noise" else 1)  # the mean strength
    return Work(phase, count * 2 * steps * PASS_SECONDS * _pretrained_area(facts, values), NETWORK)


def _pretrained_area(facts: Facts, values: Values) -> float:
    """Area of the images of a pretrained model, in units of 512 x 512."""
    return (float(values.get("base_size_px") or min(max(facts.side_px, 256), 512)) / 512) ** 2


def small_cnn(facts: Facts, values: Values, phase: str, limit: int = MAX_DRAWN_PX) -> Work:
    """A small CNN: its first layer reduces images to about MAX_JUDGED_PX."""
    side = min(facts.size_px(values, MAX_DRAWN_PX), limit)
    area = max((min(side, MAX_JUDGED_PX) / 32) ** 2, 0.1)
    return Work(phase, values["verdict_updates"] * 0.06 * area, NETWORK)
