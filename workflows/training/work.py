"""The stages of each workflow, in their order, with the seconds that they take on the reference machine."""

from __future__ import annotations

import math
from collections.abc import Callable

from ...models.quality.paired_gain import MIN_HELD_OUT
from ...models.settings import ResNetSettings
from ..runs.pace import STARTING
from .resnet import WARM_START_FRACTION
from .stage_costs import (
    LIMIT,
    MATRIX,
    MAX_DRAWN_PX,
    MAX_JUDGED_PX,
    MAX_MODEL_PX,
    NETWORK,
    PHOTO,
    Facts,
    Values,
    Work,
    drawing,
    features,
    graph,
    resnet,
    small_cnn,
    spreading,
    survey,
    tuned_drawing,
    tuning,
    written,
)

ENCODING = "computing embeddings"
HELD_OUT = 0.4  # of the labels, where the target says how many
METHODS = ("hog + svm", "k-nn", "resnet", "image gcn", "gcn", "laplace", "ensemble")  # defaults of a comparison
NETWORKS = {"resnet": "resnet", "ensemble": "resnet", "image gcn": "image gcn"}  # the network that a method trains
ON_GRAPH = ("gcn", "laplace", "ensemble")
DRAWS = 1.4  # images drawn for each that is kept
ARMS, ENCODER_ARMS = 7, 6  # ways to train the small networks, and the regression on an encoder's vectors


def stages(workflow: str, facts: Facts, values: Values) -> list[Work]:
    """The stages of a run; none for an unknown workflow.

    Args:
        values: every setting, and the arguments; "trains_resnet" says whether one takes part beside vectors
    """
    if workflow not in WORK:
        return []
    encoding = Work(ENCODING, facts.to_encode * facts.encoder_seconds, NETWORK)
    return [Work(STARTING, 0.5), *([encoding] if facts.to_encode else []), *WORK[workflow](facts, values)]


def _check(facts: Facts, values: Values) -> list[Work]:
    count = facts.samples
    return [
        Work("looking at images", count * (3.3e-4 + 0.012 * facts.megapixels), PHOTO),
        Work("searching for near duplicates", 0.05 + 8e-5 * count + 1e-8 * count**2, MATRIX),
        Work("comparing near duplicates", 2e-3 * count, MATRIX),
        written(count, "writing problems"),
    ]


def _split(facts: Facts, values: Values) -> list[Work]:
    count, by_vectors = facts.samples, bool(values.get("embeddings"))
    looks = values["near_duplicates"] and not by_vectors
    work = [survey(count, facts, {})] if looks else []
    compared = [Work("comparing vectors" if by_vectors else "comparing images", 0.1 + 1e-4 * count, MATRIX)]
    return [*work, *(compared if looks or by_vectors else []), written(count, "writing tags")]


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
    trained = resnet(facts.labelled, facts.samples, size_px, values)
    return [survey(facts.labelled, facts, values), *trained, written(facts.samples)]


def _train_gcn(facts: Facts, values: Values) -> list[Work]:
    if values.get("graph") == "image":
        (looked, *trained, end) = _train_resnet(facts, values)
        seconds = 2.5e-3 * facts.samples + 1e-3 * facts.labelled * values["graph_epochs"]
        return [looked, *trained, Work("training the graph", seconds, NETWORK), end]
    own = [] if values.get("embeddings") else [survey(facts.labelled, facts, values), *features(facts, values)]
    network = Work("training the GCN", 0.2 + 7e-6 * values["epochs"] * facts.samples, MATRIX)
    return [*own, graph(facts.samples), network, written(facts.samples)]


def _auto_label(facts: Facts, values: Values) -> list[Work]:
    fraction, size_px = values["calibration_fraction"], facts.size_px(values, MAX_MODEL_PX)
    train = facts.labelled * (1 - (HELD_OUT if fraction is None else fraction))
    on_graph = [] if values["members"] == "resnet" or values.get("run") else spreading(facts, train)
    end = [Work("calibrating confidences", 0.3), written(facts.samples)]
    if values["text_encoder"]:
        return [Work("encoding images", 0.2 * facts.samples, NETWORK), *on_graph, *end]
    if values.get("embeddings") and not values.get("trains_resnet"):
        return [Work("training the classifier", 0.2 + 2e-4 * train, MATRIX), *on_graph, *end]
    looked = survey(facts.labelled, facts, values)
    own = features(facts, values) if on_graph and not values.get("embeddings") else []
    if values["members"] == "graph":
        return [looked, *own, *on_graph, *end]
    part = 0.0 if values.get("run") else WARM_START_FRACTION if values.get("after") else 1.0
    values = {**values, **{name: part * values[name] for name in ("epochs", "min_updates")}}
    rounds = 1 + int(values["self_training_rounds"])
    return [looked, *own, *on_graph, *rounds * resnet(train, facts.samples, size_px, values), *end]


def _mistakes(facts: Facts, values: Values) -> list[Work]:
    labelled, folds, size_px = facts.labelled, int(values["folds"]), facts.size_px(values, MAX_MODEL_PX)
    facts = facts._replace(samples=labelled)
    predicted = 0.5 + 1.2e-3 * labelled * max(len(facts.counts), 2) ** 0.5
    planted = [graph(labelled), Work("predicting labels", predicted, MATRIX)]
    planted += [Work("planting", 0.3 * predicted, MATRIX)] * 2
    end = [Work("judging labels", 0.2 + 1e-4 * labelled), written(labelled)]
    if values.get("embeddings"):
        return [*planted, *end]
    looked = [survey(labelled, facts, values), *features(facts, values)]
    trained: list[Work] = []
    if values.get("trains_resnet", True):
        trained = folds * resnet(labelled * (folds - 1) / folds, 2 * labelled, size_px, values)
    return [*looked, *trained, *planted, *end]


def _is_pretrained(values: Values) -> bool:
    base = values.get("base")
    return base not in (None, "", "scratch") and not str(base).startswith("evenset_")


def _generator(facts: Facts, values: Values) -> list[Work]:
    if _is_pretrained(values):
        return tuning(facts, values)
    minutes, updates = values["minutes"], values["max_updates"]
    area = max((facts.size_px(values, MAX_DRAWN_PX) / 32) ** 2, 0.25)  # an update has a cost of its own
    by_time = math.inf if minutes is None else 60.0 * minutes
    by_updates = math.inf if updates is None else updates * 0.4 * area
    phase = "training the generator"
    trained = Work(phase, by_time, LIMIT) if by_time < by_updates else Work(phase, by_updates, NETWORK)
    return [survey(facts.labelled, facts, values), trained, drawing(40, facts, values, "drawing samples")]


def _balance(facts: Facts, values: Values) -> list[Work]:
    draws, measured = values["source"] == "generate", values["measure_benefit"]
    if measured is None:
        is_needed = draws or values["add"] == "if it gains"
        measured = is_needed and max(facts.counts, default=0) * values["held_out_fraction"] >= MIN_HELD_OUT
    added = values["added"] if "added" in values else _missing(facts, values)
    if not added:
        return []
    augmented = Work("augmenting images", added * (2e-3 + 0.05 * facts.megapixels), PHOTO)
    if values["source"] == "paste":
        augmented = Work("pasting objects", added * (0.08 + 0.02 * facts.megapixels), PHOTO)
    if not (draws or measured or values["filter_augmented"]):
        return [augmented, written(added, "adding samples")]
    if draws and not values.get("generator"):
        work = _generator(facts, values)
    else:
        work = [survey(facts.labelled, facts, values)]
    work += [Work("reading images", facts.labelled * (4e-4 + 0.008 * facts.megapixels), PHOTO)]
    if draws:
        work += [(tuned_drawing if _is_pretrained(values) else drawing)(DRAWS * added, facts, values)]
    if draws or values["filter_augmented"]:
        work += [Work("filtering images", 2.0), small_cnn(facts, values, "training the filter")]
        work += [Work("making images", 1.0 + 5e-3 * DRAWS * added, MATRIX)]
    else:
        work += [augmented]
    work += _measuring(added, facts, values) if measured else []
    return [*work, written(added, "adding samples")]


def _measuring(added: float, facts: Facts, values: Values) -> list[Work]:
    """The judges of new images; "judges_by_encoder" says whether there is an encoder, where the setting leaves it."""
    seeds, judge, work = int(values["verdict_seeds"]), values["judge"], list[Work]()
    if judge in ("encoder", "both") or (judge is None and values.get("judges_by_encoder")):
        regression = Work("measuring by the encoder", seeds * (0.5 + 2e-3 * (facts.labelled + added)), MATRIX)
        work += [
            Work(ENCODING, (facts.to_judge + added) * facts.encoder_seconds, NETWORK),
            *[regression] * ENCODER_ARMS,
        ]
    if judge == "resnet":
        size_px, count = facts.size_px(values, MAX_MODEL_PX), facts.labelled + added
        network = ResNetSettings(epochs=1, min_updates=values["verdict_updates"] // 4)
        tuned = resnet(count, facts.labelled, size_px, vars(network), "measuring by the ResNet")
        return [*work, *[Work("measuring by the ResNet", seeds * sum(part.seconds for part in tuned), NETWORK)] * ARMS]
    if judge != "encoder":
        measuring = small_cnn(facts, values, "measuring", MAX_JUDGED_PX)
        work += [measuring._replace(seconds=seeds * measuring.seconds)] * ARMS
    return work


def _missing(facts: Facts, values: Values) -> float:
    """Images that the classes lack, where the plan is not known."""
    target, cap = values.get("target", "majority"), values["max_ratio"]
    largest = target if isinstance(target, (int, float)) else max(facts.counts, default=0)
    missing = [(max(largest - count, 0), math.inf if cap is None else cap * count) for count in facts.counts]
    return float(sum(map(min, missing)))


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
        once += resnet(train, facts.labelled, size_px, {**values, **row})
    if any(row["method"] == "ensemble" for row in rows):
        once += spreading(facts, train)
    elif on_graph:
        once += [graph(facts.samples), Work("training the GCN", 0.3 + 5e-4 * facts.samples, MATRIX)]
    looked = [survey(facts.labelled, facts, values)] if on_images else []
    looked += features(facts, values) if on_graph and not with_vectors else []
    traditional = [row for row in rows if row["method"] in ("hog + svm", "k-nn")]
    read = 1e-3 + 0.008 * facts.megapixels
    looked += [Work("computing image features", facts.labelled * read, PHOTO)] * len(traditional)
    once += [Work("training on image features", 0.2 + 1e-3 * train, MATRIX)] * len(traditional)
    return [*looked, *int(values["seeds"]) * once, written(facts.labelled)]


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
