"""The stages of each workflow, in their order, with the seconds that they take on the reference machine.

The speeds were measured on two processor cores without bf16 instructions. `machine` turns them into those of this one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ...models.quality.paired_gain import MIN_HELD_OUT
from ..runs.pace import STARTING
from .resnet import WARM_START_FRACTION

MATRIX, PHOTO, NETWORK = "matrix", "photo", "network"  # the measurement of a machine that scales a stage
NONE, LIMIT = "", "limit"  # no measurement does; or the user set the time
ENCODING = "computing embeddings"
HELD_OUT = 0.4  # of the labels, where the target says how many
DEPTH = {"resnet18": 1.0, "resnet34": 2.0, "resnet50": 2.4}  # cost relative to resnet18
METHODS = ("hog + svm", "k-nn", "resnet", "image gcn", "gcn", "laplace", "ensemble")  # defaults of a comparison
NETWORKS = {"resnet": "resnet", "ensemble": "resnet", "image gcn": "image gcn"}  # the network that a method trains
ON_GRAPH = ("gcn", "laplace", "ensemble")
LARGE_STEM_PX, LARGE_STEM_FACTOR = 65, 16  # larger images get torchvision's stem, which makes a pass cheaper
MAX_MODEL_PX, MAX_DRAWN_PX, MAX_JUDGED_PX = 224, 64, 32  # sides that models, generators and small networks use
MIN_SIDE_PX = 8
MAX_AUGMENTED = 10_000  # images whose augmented copies are compared
DRAWS = 1.4  # images drawn for each that is kept
ARMS = 6  # ways to train the small networks


class Facts(NamedTuple):
    """What a run works on."""

    samples: int
    counts: tuple[int, ...]  # labels of each class
    side_px: int = 32  # median longer side of the files
    megapixels: float = 0.001  # of a file
    to_encode: int = 0  # images without a vector by the encoder
    encoder_seconds: float = 0.0  # of one

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


def stages(workflow: str, facts: Facts, values: Values) -> list[Work]:
    """The stages of a run; none for an unknown workflow.

    Args:
        values: every setting, and the arguments; "trains_resnet" says whether one takes part beside vectors
    """
    if workflow not in WORK:
        return []
    encoding = Work(ENCODING, facts.to_encode * facts.encoder_seconds, NETWORK)
    return [Work(STARTING, 0.5), *([encoding] if facts.to_encode else []), *WORK[workflow](facts, values)]


def _survey(count: float, facts: Facts, values: Values) -> Work:
    slow = {"none": 1.0, "median": 1.5, "bilateral": 2.0, "non-local means": 10.0}[values.get("denoise", "none")]
    pixels = (facts.size_px(values, MAX_MODEL_PX) / 1000) ** 2
    return Work("looking at images", count * slow * (4e-4 + 0.008 * facts.megapixels + 0.03 * pixels), PHOTO)


def _features(facts: Facts, values: Values) -> list[Work]:
    """Evenset's own features of all images."""
    drawn, pixels = min(facts.samples, MAX_AUGMENTED), (facts.size_px(values, MAX_MODEL_PX) / 1000) ** 2
    read = 3e-4 + 0.008 * facts.megapixels + 0.02 * pixels
    fit = 2e-4 * drawn + 1.5e-9 * min(drawn, 600) ** 3
    return [
        Work("comparing augmented copies", drawn * (read + 1.5e-3 + 0.12 * pixels) + fit, MATRIX),
        Work("computing image features", facts.samples * (read + 5e-4), PHOTO),
    ]


def _graph(count: int) -> Work:
    return Work("building the neighbour graph", 0.3 + 5e-4 * count + 1e-8 * count**2, MATRIX)


def _spreading(facts: Facts, labelled: float) -> list[Work]:
    """Members of the ensemble, tuned on the labels, and fitted again with the held-out ones."""
    classes = max(len(facts.counts), 2)
    regressions, networks = 1.2e-3 * labelled * classes**0.5, 2.5e-3 * facts.samples
    return [
        _graph(facts.samples),
        Work("spreading labels", 1.0 + regressions + networks, MATRIX),
        Work("spreading all labels", 0.3 + 0.25 * (regressions + networks), MATRIX),
    ]


def _resnet(train: float, scored: float, size_px: int, values: Values, phase: str = "training") -> list[Work]:
    """Training a ResNet on some images, and scoring others."""
    area = max((size_px / 32) ** 2, 0.12)  # an update takes its time with the smallest images too
    stem = 1.0 if size_px < LARGE_STEM_PX else 1 / LARGE_STEM_FACTOR
    passes = max(values["epochs"] * train, values["min_updates"] * values["batch_size"])
    attacks = values["adversarial_steps"] if values["adversarial"] else 0
    cost = DEPTH.get(values["architecture"], 1.0) * area * stem
    return [
        Work(phase, cost * 8e-3 * passes * (1 + attacks), NETWORK),
        Work("predicting", cost * 2.5e-3 * scored, NETWORK),
    ]


def _written(count: float, phase: str = "writing labels") -> Work:
    return Work(phase, 0.2 + 1.5e-4 * count)


def _check(facts: Facts, values: Values) -> list[Work]:
    count = facts.samples
    return [
        Work("looking at images", count * (1e-3 + 0.02 * facts.megapixels), PHOTO),
        Work("searching for near duplicates", 0.2 + 2e-4 * count + 1e-8 * count**2, MATRIX),
        Work("comparing near duplicates", 5e-4 * count),
        _written(count),
    ]


def _split(facts: Facts, values: Values) -> list[Work]:
    count, by_vectors = facts.samples, bool(values.get("embeddings"))
    looks = values["near_duplicates"] and not by_vectors
    work = [_survey(count, facts, {})] if looks else []
    compared = [Work("comparing vectors" if by_vectors else "comparing images", 0.1 + 1e-4 * count, MATRIX)]
    return [*work, *(compared if looks or by_vectors else []), _written(count, "writing tags")]


def _export(facts: Facts, values: Values) -> list[Work]:
    decoding = 0.008 * facts.megapixels if values["decode_images"] else 0.0
    return [
        Work("copying images", facts.labelled * (4e-4 + decoding), PHOTO),
        Work("writing labels", 0.2 + 1e-4 * facts.labelled),
    ]


def _copies(facts: Facts, values: Values) -> list[Work]:
    slow = {"none": 1.0, "median": 1.5, "bilateral": 2.0, "non-local means": 10.0}[values["denoise"]]
    pixels = (values["size_px"] / 1000) ** 2 if values.get("size_px") else facts.megapixels
    return [Work("writing copies", facts.samples * (1e-3 + 0.008 * facts.megapixels + 0.05 * slow * pixels), PHOTO)]


def _train_resnet(facts: Facts, values: Values) -> list[Work]:
    size_px = facts.size_px(values, MAX_MODEL_PX)
    trained = _resnet(facts.labelled, facts.samples, size_px, values)
    return [_survey(facts.labelled, facts, values), *trained, _written(facts.samples)]


def _train_gcn(facts: Facts, values: Values) -> list[Work]:
    if values.get("graph") == "image":
        (survey, *trained, written) = _train_resnet(facts, values)
        seconds = 2.5e-3 * facts.samples + 1e-3 * facts.labelled * values["graph_epochs"]
        return [survey, *trained, Work("training the graph", seconds, NETWORK), written]
    features = [] if values.get("embeddings") else _features(facts, values)
    network = Work("training the GCN", 0.5 + 4e-5 * values["epochs"] * facts.samples, MATRIX)
    return [*features, _graph(facts.samples), network, _written(facts.samples)]


def _auto_label(facts: Facts, values: Values) -> list[Work]:
    fraction, size_px = values["calibration_fraction"], facts.size_px(values, MAX_MODEL_PX)
    train = facts.labelled * (1 - (HELD_OUT if fraction is None else fraction))
    on_graph = [] if values["members"] == "resnet" or values.get("run") else _spreading(facts, train)
    written = [Work("calibrating confidences", 0.3), _written(facts.samples)]
    if values["text_encoder"]:
        return [Work("encoding images", 0.2 * facts.samples, NETWORK), *on_graph, *written]
    if values.get("embeddings") and not values.get("trains_resnet"):
        return [Work("training the classifier", 0.3 + 2e-4 * train, MATRIX), *on_graph, *written]
    survey = _survey(facts.labelled, facts, values)
    features = _features(facts, values) if on_graph and not values.get("embeddings") else []
    if values["members"] == "graph":
        return [survey, *features, *on_graph, *written]
    part = 0.0 if values.get("run") else WARM_START_FRACTION if values.get("after") else 1.0
    values = {**values, **{name: part * values[name] for name in ("epochs", "min_updates")}}
    rounds = 1 + int(values["self_training_rounds"])
    return [survey, *features, *on_graph, *rounds * _resnet(train, facts.samples, size_px, values), *written]


def _mistakes(facts: Facts, values: Values) -> list[Work]:
    labelled, folds, size_px = facts.labelled, int(values["folds"]), facts.size_px(values, MAX_MODEL_PX)
    facts = facts._replace(samples=labelled)
    predicted = 0.5 + 1.2e-3 * labelled * max(len(facts.counts), 2) ** 0.5
    planted = [_graph(labelled), Work("predicting labels", predicted, MATRIX)]
    planted += [Work("planting", 0.3 * predicted, MATRIX)] * 2
    written = [Work("judging labels", 0.2 + 1e-4 * labelled), _written(labelled)]
    if values.get("embeddings"):
        return [*planted, *written]
    looked = [_survey(labelled, facts, values), *_features(facts, values)]
    trained: list[Work] = []
    if values.get("trains_resnet", True):
        trained = folds * _resnet(labelled * (folds - 1) / folds, 2 * labelled, size_px, values)
    return [*looked, *trained, *planted, *written]


def _generator(facts: Facts, values: Values) -> list[Work]:
    minutes, updates = values["minutes"], values["max_updates"]
    area = (facts.size_px(values, MAX_DRAWN_PX) / 32) ** 2
    by_time = math.inf if minutes is None else 60.0 * minutes
    by_updates = math.inf if updates is None else updates * 0.16 * area
    phase = "training the generator"
    trained = Work(phase, by_time, LIMIT) if by_time < by_updates else Work(phase, by_updates, NETWORK)
    return [_survey(facts.labelled, facts, values), trained, _drawing(40, facts, values, "drawing samples")]


def _drawing(count: float, facts: Facts, values: Values, phase: str = "drawing images") -> Work:
    area = (facts.size_px(values, MAX_DRAWN_PX) / 32) ** 2
    return Work(phase, count * 9e-4 * values["sampling_steps"] * max(area, 0.25), NETWORK)


def _balance(facts: Facts, values: Values) -> list[Work]:
    draws, measured = values["source"] == "generate", values["measure_benefit"]
    if measured is None:
        is_needed = draws or values["add"] == "if it gains"
        measured = is_needed and max(facts.counts, default=0) * values["held_out_fraction"] >= MIN_HELD_OUT
    added = values["added"] if "added" in values else _missing(facts, values)
    if not added:
        return []
    augmented = Work("augmenting images", added * (2e-3 + 0.05 * facts.megapixels), PHOTO)
    if not (draws or measured or values["filter_augmented"]):
        return [augmented, _written(added, "adding samples")]
    if draws and not values.get("generator"):
        work = _generator(facts, values)
    else:
        work = [_survey(facts.labelled, facts, values)]
    work += [Work("reading images", facts.labelled * (4e-4 + 0.008 * facts.megapixels), PHOTO)]
    work += [_drawing(DRAWS * added, facts, values)] if draws else []
    if draws or values["filter_augmented"]:
        work += [Work("filtering images", 2.0), _small_cnn(facts, values, "training the filter")]
        work += [Work("making images", 1.0 + 5e-3 * DRAWS * added, MATRIX)]
    else:
        work += [augmented]
    seeds = int(values["verdict_seeds"])
    measuring = _small_cnn(facts, values, "measuring", MAX_JUDGED_PX)
    work += [measuring._replace(seconds=seeds * measuring.seconds)] * ARMS if measured else []
    return [*work, _written(added, "adding samples")]


def _missing(facts: Facts, values: Values) -> float:
    """Images that the classes lack, where the plan is not known."""
    target, cap = values.get("target", "majority"), values["max_ratio"]
    largest = target if isinstance(target, (int, float)) else max(facts.counts, default=0)
    missing = [(max(largest - count, 0), math.inf if cap is None else cap * count) for count in facts.counts]
    return float(sum(map(min, missing)))


def _small_cnn(facts: Facts, values: Values, phase: str, limit: int = MAX_DRAWN_PX) -> Work:
    """A small CNN: its first layer reduces images to about MAX_JUDGED_PX."""
    side = min(facts.size_px(values, MAX_DRAWN_PX), limit)
    area = max((min(side, MAX_JUDGED_PX) / 32) ** 2, 0.1)
    return Work(phase, values["verdict_updates"] * 0.03 * area, NETWORK)


def _compare(facts: Facts, values: Values) -> list[Work]:
    if values.get("task") == "generation":
        both = {**values, "source": "generate", "measure_benefit": True, "filter_augmented": True}
        return _balance(facts, both)
    rows = values.get("settings_of") or [{"method": name} for name in values.get("methods") or METHODS]
    with_vectors = bool(values.get("embeddings"))
    size_px, train = facts.size_px(values, MAX_MODEL_PX), facts.labelled * (1 - values["test_fraction"])
    on_graph = [row for row in rows if row["method"] in ON_GRAPH]
    on_images = [row for row in rows if not (with_vectors and row in on_graph)]
    networks = {NETWORKS[row["method"]]: row for row in on_images if row["method"] in NETWORKS}
    once: list[Work] = []
    for row in networks.values():
        once += _resnet(train, facts.labelled, size_px, {**values, **row})
    if any(row["method"] == "ensemble" for row in rows):
        once += _spreading(facts, train)
    elif on_graph:
        once += [_graph(facts.samples), Work("training the GCN", 1.0 + 2e-3 * facts.samples, MATRIX)]
    looked = [_survey(facts.labelled, facts, values)] if on_images else []
    looked += _features(facts, values) if on_graph and not with_vectors else []
    traditional = [row for row in rows if row["method"] in ("hog + svm", "k-nn")]
    read = 1e-3 + 0.008 * facts.megapixels
    looked += [Work("computing image features", facts.labelled * read, PHOTO)] * len(traditional)
    once += [Work("training on image features", 0.2 + 1e-3 * train, MATRIX)] * len(traditional)
    return [*looked, *int(values["seeds"]) * once, _written(facts.labelled)]


WORK: dict[str, Callable[[Facts, Values], list[Work]]] = {
    "check_dataset": _check,
    "split_dataset": _split,
    "export_dataset": _export,
    "preprocess_images": _copies,
    "train_resnet": _train_resnet,
    "train_gcn": _train_gcn,
    "auto_label": _auto_label,
    "find_mistakes": _mistakes,
    "train_generator": _generator,
    "balance_classes": _balance,
    "compare_methods": _compare,
}
