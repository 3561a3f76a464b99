"""From a few labels to all: Evenset beside logistic regression on the same pixels, accepted by the same rule.

Images are drawn at random, and some of these are labelled. Both methods learn from the same training labels, and choose
a threshold for the same target precision on the same held-out labels. The labels of all other images are hidden: they
score the methods, and choose nothing.
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
    """Scores of a method on the hidden labels of one seed."""

    seed: int
    method: str
    accuracy: float
    coverage: float
    precision: float  # of accepted labels; NaN if none
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fashion-mnist", help=pictures.HELP)
    parser.add_argument("--labels", type=int, default=300, help="images with a visible label")
    parser.add_argument("--images", type=image_count, default=2000, help="drawn at random, or: all")
    parser.add_argument("--seeds", type=int, default=3, help="draws of images and labels")
    parser.add_argument("--size-px", type=int, help="side of the images, for both; default: chosen from them")
    parser.add_argument("--target", type=float, default=0.95, help="target precision")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="other settings of auto_label")
    options = parser.parse_args()
    settings = {name: value_of(text) for name, _, text in (item.partition("=") for item in options.set)}
    settings = {**settings, "size_px": options.size_px, "target_precision": options.target, "random_labels": True}

    outcomes: list[Outcome] = []
    with own_database() as folder:
        for seed in range(options.seeds):
            outcomes += one_seed(options, seed, {**settings, "seed": seed}, folder)
            for latest in outcomes[-2:]:
                print(described(latest, options.target), flush=True)
    images = options.images or "all"
    print(f"\n{options.data}: {options.labels} labels drawn at random, {images} images, {options.seeds} seeds")
    print(f"mean and (lowest to highest) on hidden labels; target precision {options.target:g}")
    print(tabulate([summary(method, outcomes, options.target) for method in METHODS], "keys"))


METHODS = ("Evenset", "logistic regression")


def image_count(text: str) -> int | None:
    return None if text == "all" else int(text)


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
    drawn = pictures.read(options.data, options.images, seed, folder / f"seed-{seed}")  # in random order
    truth = np.array(drawn.labels)
    dataset = fo.Dataset()
    dataset.add_samples([fo.Sample(filepath=path) for path in drawn.paths], progress=False)
    visible = [fo.Classification(label=label) for label in drawn.labels[: options.labels]]
    dataset.add_sample_field("ground_truth", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    dataset.set_values("ground_truth", visible + [None] * (len(truth) - options.labels))

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
    seed: int,
    method: str,
    truth: np.ndarray,
    hidden: np.ndarray,
    labels: np.ndarray,
    accepted: np.ndarray,
    seconds: float,
) -> Outcome:
    correct = labels == truth
    selected = hidden & accepted
    precision = float(correct[selected].mean()) if selected.any() else float("nan")
    return Outcome(
        seed, method, float(correct[hidden].mean()), float(selected.sum() / hidden.sum()), precision, seconds
    )


def logistic_regression(dataset: Any, run_key: str, settings: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Predicted class of each sample, and whether it is accepted: scikit-learn on the pixels that Evenset saw.

    It learns from the labels that train and validate Evenset's network. Cross-validation on these chooses scaling and
    regularisation. Acceptance is by Evenset's rule, on the same held-out labels.
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

    labels = read_labels(dataset, "ground_truth")
    with np.load(run_folder(dataset, run_key) / "parts.npz") as arrays:
        parts = arrays["parts"]
    shape = load_tensors(run_folder(dataset, run_key) / "checkpoint.safetensors")[1]
    image_settings, _, auto_label_settings = split(settings, ImageSettings, ResNetSettings, AutoLabelSettings)
    vectors = pixels(labels.paths.tolist(), image_settings, shape["size_px"], shape["channels"])
    train = np.isin(parts, (Split.TRAIN, Split.VALIDATION))
    folds = max(2, min(5, int(np.bincount(labels.class_ids[train]).min())))
    search = GridSearchCV(
        Pipeline([("scale", StandardScaler()), ("model", LogisticRegression(max_iter=3000))]),
        {"scale": [StandardScaler(), "passthrough"], "model__C": np.logspace(-4, 1, 6)},
        scoring="neg_log_loss",
        cv=StratifiedKFold(folds, shuffle=True, random_state=settings["seed"]),
    ).fit(vectors[train], labels.class_ids[train])
    logits = np.full((len(vectors), len(labels.names)), -1e9)
    logits[:, search.classes_] = search.predict_log_proba(vectors)
    no_embeddings = np.zeros((len(vectors), 0))
    predictions = Predictions(
        logits, no_embeddings, np.zeros(len(labels.names)), parts, no_embeddings[:0], {}, resnet=False
    )
    decision = decide(labels, predictions, auto_label_settings)
    return decision.candidates.class_ids, decision.acceptance.accepted


def pixels(paths: list[str], image_settings: Any, size_px: int, channels: int) -> np.ndarray:
    from evenset.models.images.reader import Images

    images = Images(paths, image_settings, size_px, channels)
    return np.concatenate([block.reshape(len(block), -1) for _, block in images.batches(64)]).astype(np.float32) / 255


def described(result: Outcome, target: float) -> str:
    promise = "the promise was kept" if is_kept(result, target) else "the promise was broken"
    accepted = f"{result.coverage:.3f} accepted with a precision of {result.precision:.3f}: {promise}"
    nothing = result.precision != result.precision
    return (
        f"seed {result.seed}, {result.method}: accuracy {result.accuracy:.3f}, "
        f"{'nothing accepted' if nothing else accepted} ({result.seconds:.0f} s)"
    )


def is_kept(result: Outcome, target: float) -> bool:
    return result.precision >= target


def summary(method: str, outcomes: list[Outcome], target: float) -> dict[str, str]:
    results = [result for result in outcomes if result.method == method]
    with_accepted = [result for result in results if result.precision == result.precision]
    return {
        "": method,
        "accuracy": mean_and_range([result.accuracy for result in results]),
        "coverage": mean_and_range([result.coverage for result in results]),
        "precision of accepted": mean_and_range([result.precision for result in with_accepted]),
        "promises kept": f"{sum(is_kept(result, target) for result in with_accepted)} of {len(with_accepted)}",
        "seconds": f"{np.mean([result.seconds for result in results]):.0f}",
    }


def mean_and_range(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})" if values else "nothing accepted"


if __name__ == "__main__":
    main()
