"""From a few labels to all: Evenset beside logistic regression on the same pixels, calibrated by the same rule.

A pool of images is drawn at random, and of these the ones that have a label. Both methods learn from the same part of
the labels, choose a threshold on the same held-out rest, and promise the same precision. The labels of all other images
are hidden: they count at the end, and choose nothing.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pictures
from measure import own_database
from tabulate import tabulate


class Outcome(NamedTuple):
    """What a method did with the hidden labels of one seed."""

    seed: int
    method: str
    accuracy: float
    coverage: float
    precision: float  # of the accepted; NaN where nothing was
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fashion-mnist", help=pictures.HELP)
    parser.add_argument("--labels", type=int, default=300, help="images that have a label")
    parser.add_argument("--pool", type=int, default=2000, help="images in all; 0: all that there are")
    parser.add_argument("--seeds", type=int, default=3, help="draws of pool and labels")
    parser.add_argument("--size-px", type=int, default=0, help="side that both learn at; 0: the images' own")
    parser.add_argument("--target", type=float, default=0.95, help="precision to promise")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="other settings of auto_label")
    options = parser.parse_args()
    settings = {name: value_of(text) for name, _, text in (item.partition("=") for item in options.set)}
    settings = {**settings, "size_px": options.size_px, "target_precision": options.target, "random_labels": True}

    outcomes: list[Outcome] = []
    with own_database() as folder:
        for seed in range(options.seeds):
            outcomes += one_seed(options, seed, {**settings, "seed": seed}, folder)
            for found in outcomes[-2:]:
                print(described(found, options.target), flush=True)
    images = options.pool or "all"
    print(f"\n{options.data}: {options.labels} labels drawn at random, {images} images, {options.seeds} seeds")
    print(f"mean and (lowest to highest) on hidden labels; promised: a precision of {options.target:g} at least")
    print(tabulate([summary(method, outcomes, options.target) for method in METHODS], "keys"))


METHODS = ("Evenset", "logistic regression")


def value_of(text: str) -> Any:
    """A number, true, false, or the text itself."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def one_seed(options: argparse.Namespace, seed: int, settings: dict[str, Any], folder: Path) -> list[Outcome]:
    import evenset
    import fiftyone as fo

    (folder / f"seed-{seed}").mkdir()
    drawn = pictures.read(options.data, options.pool, seed, folder / f"seed-{seed}")  # in random order
    truth = np.array(drawn.labels)
    dataset = fo.Dataset()
    dataset.add_samples([fo.Sample(filepath=path) for path in drawn.paths], progress=False)
    labelled = [fo.Classification(label=label) for label in drawn.labels[: options.labels]]
    dataset.add_sample_field("ground_truth", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    dataset.set_values("ground_truth", labelled + [None] * (len(truth) - options.labels))

    start = time.perf_counter()
    results = evenset.auto_label(dataset, "ground_truth", progress=False, **settings)
    ours = time.perf_counter() - start
    labels, status = dataset.values(["auto_label.label", "auto_label.status"])
    start = time.perf_counter()
    classes, accepted = logistic_regression(dataset, results.run_key, settings)
    theirs = time.perf_counter() - start
    dataset.delete()

    hidden = np.arange(len(truth)) >= options.labels
    return [
        outcome(seed, METHODS[0], truth, hidden, np.array(labels, dtype=str), np.array(status) == "accepted", ours),
        outcome(seed, METHODS[1], truth, hidden, np.array(results.names)[classes], accepted, theirs),
    ]


def outcome(
    seed: int, method: str, truth: np.ndarray, hidden: np.ndarray, labels: np.ndarray, accepted: np.ndarray, took: float
) -> Outcome:
    right = labels == truth
    taken = hidden & accepted
    precision = float(right[taken].mean()) if taken.any() else float("nan")
    return Outcome(seed, method, float(right[hidden].mean()), float(taken.sum() / hidden.sum()), precision, took)


def logistic_regression(dataset: Any, run_key: str, settings: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Predicted class and whether it is accepted, of each sample: scikit-learn, on the pixels that Evenset saw.

    It learns from the labels that train and validate Evenset's network; scaling and regularisation are chosen among
    them by cross-validation. The rest is Evenset's own rule, on the same held-out labels.
    """
    from evenset.models.checkpoints import load_tensors
    from evenset.models.settings import AutoLabelSettings, ImageSettings, ResNetSettings, split
    from evenset.workflows.data.folders import run_folder
    from evenset.workflows.data.labels import read_labels
    from evenset.workflows.labeling.decision import decide
    from evenset.workflows.labeling.predictions import Predictions
    from evenset.workflows.training.partition import Split
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    known = read_labels(dataset, "ground_truth")
    with np.load(run_folder(dataset, run_key) / "parts.npz") as kept:
        parts = kept["parts"]
    shape = load_tensors(run_folder(dataset, run_key) / "checkpoint.safetensors")[1]
    reading, _, choices = split(settings, ImageSettings, ResNetSettings, AutoLabelSettings)
    vectors = pixels(known.paths.tolist(), reading, shape["size_px"], shape["channels"])
    train = np.isin(parts, (Split.TRAIN, Split.VALIDATION))
    folds = max(2, min(5, int(np.bincount(known.class_ids[train]).min())))
    search = GridSearchCV(
        Pipeline([("scale", StandardScaler()), ("model", LogisticRegression(max_iter=3000))]),
        {"scale": [StandardScaler(), "passthrough"], "model__C": np.logspace(-4, 1, 6)},
        scoring="neg_log_loss",
        cv=StratifiedKFold(folds, shuffle=True, random_state=settings["seed"]),
    ).fit(vectors[train], known.class_ids[train])
    logits = np.full((len(vectors), len(known.names)), -1e9)
    logits[:, search.classes_] = search.predict_log_proba(vectors)
    none = np.zeros((len(vectors), 0))
    predictions = Predictions(logits, none, np.zeros(len(known.names)), parts, none[:0], {}, resnet=False)
    decision = decide(known, predictions, choices)
    return decision.candidates.class_ids, decision.acceptance.accepted


def pixels(paths: list[str], reading: Any, size_px: int, channels: int) -> np.ndarray:
    from evenset.models.images.reader import Images

    images = Images(paths, reading, size_px, channels)
    return np.concatenate([block.reshape(len(block), -1) for _, block in images.batches(64)]).astype(np.float32) / 255


def described(found: Outcome, target: float) -> str:
    promise = "the promise was kept" if kept(found, target) else "the promise was broken"
    taken = f"{found.coverage:.3f} accepted with a precision of {found.precision:.3f}: {promise}"
    nothing = found.precision != found.precision
    return (
        f"seed {found.seed}, {found.method}: accuracy {found.accuracy:.3f}, "
        f"{'nothing accepted' if nothing else taken} ({found.seconds:.0f} s)"
    )


def kept(found: Outcome, target: float) -> bool:
    return found.precision >= target


def summary(method: str, outcomes: list[Outcome], target: float) -> dict[str, str]:
    mine = [found for found in outcomes if found.method == method]
    promised = [found for found in mine if found.precision == found.precision]
    return {
        "": method,
        "accuracy": spread([found.accuracy for found in mine]),
        "coverage": spread([found.coverage for found in mine]),
        "precision of accepted": spread([found.precision for found in promised]),
        "promises kept": f"{sum(kept(found, target) for found in promised)} of {len(promised)}",
        "seconds": f"{np.mean([found.seconds for found in mine]):.0f}",
    }


def spread(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})" if values else "nothing accepted"


if __name__ == "__main__":
    main()
