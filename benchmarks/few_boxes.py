"""A few labels of each class of blood cells, crops of boxes: macro recall, and swapped labels, beside the same peers.

Peers: the tuned regression of uneven.py, and cleanlab on its out-of-fold probabilities. Labels are drawn by class, as
somebody picks them, so that no precision is promised.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import uneven
from measure import goal
from tabulate import tabulate
from uneven_data import read

EACH = (3, 10, 30)
SWAPPED, BUDGET = 0.05, 400  # of the labels in which swapped ones are looked for
AHEAD = {"recall": 0.01, "swapped": 0.02}
VIEWS = ("encoder", "pixels")
PIXELS = 16  # side of the crops whose pixels are vectors


def run(folder: Path, seeds: list[int], cache: Path | None) -> None:
    """Prints a row for each number of labels, and one for the swapped ones, by encoder and by pixels."""
    options = argparse.Namespace(data="bccd", folder=str(folder), cache=cache)
    encoder, truth = read(options)
    rows = []
    for view, vectors in zip(VIEWS, (encoder, pixels(folder)), strict=True):
        dataset = uneven.make(vectors)
        for each in EACH:
            rows.append(recall_row(dataset, vectors, truth, each, seeds, view))
        rows.append(swapped_row(dataset, vectors, truth, seeds, view))
        dataset.delete()
    print(tabulate(rows, "keys", floatfmt=".3f"))


def pixels(folder: Path) -> np.ndarray:
    """Crops at PIXELS, as rows [N, D]."""
    import tempfile

    from PIL import Image
    from uneven_data import crops

    with tempfile.TemporaryDirectory() as place:
        paths, _ = crops(folder, Path(place))
        return np.stack(
            [np.asarray(Image.open(path).resize((PIXELS, PIXELS)), np.float32).ravel() / 255 for path in paths]
        )


def recall_row(
    dataset: Any, vectors: np.ndarray, truth: np.ndarray, each: int, seeds: list[int], view: str
) -> dict[str, Any]:
    import evenset

    scores = defaultdict(list)
    for seed in seeds:
        rng = np.random.default_rng(seed)
        shown = np.concatenate([rng.permutation(np.flatnonzero(truth == i))[:each] for i in np.unique(truth)])
        problem = uneven.draw(vectors, truth, 1, 0)._replace(shown=shown, labels=truth[shown])
        uneven.show(dataset, shown, truth[shown])
        rest = np.delete(np.arange(len(truth)), shown)
        results = evenset.auto_label(dataset, "labels", embeddings="vector", seed=seed, progress=False)
        names = dataset.values("auto_label.label")
        evenset.delete_run(dataset, results.run_key)
        predicted = np.array([int(name.split()[1]) for name in names])
        scores["Evenset"].append(macro_recall(predicted[rest], truth[rest]))
        scores["peer"].append(macro_recall(uneven.regression(problem).argmax(axis=1)[rest], truth[rest]))
    return row(view, f"macro recall, {each} labels a class", scores, "recall")


def swapped_row(dataset: Any, vectors: np.ndarray, truth: np.ndarray, seeds: list[int], view: str) -> dict[str, Any]:
    """Average precision of labels exchanged for another class's."""
    import evenset
    from cleanlab.rank import get_label_quality_scores
    from sklearn.metrics import average_precision_score

    scores = defaultdict(list)
    for seed in seeds:
        rng, problem = np.random.default_rng(seed), uneven.draw(vectors, truth, BUDGET, seed)
        labels, classes = problem.labels.copy(), truth.max() + 1
        wrong = rng.permutation(BUDGET)[: round(SWAPPED * BUDGET)]
        labels[wrong] = (labels[wrong] + rng.integers(1, classes, len(wrong))) % classes
        is_wrong = labels != problem.labels
        uneven.show(dataset, problem.shown, labels)
        probabilities = uneven.regression(problem._replace(labels=labels), cross_fit=True)
        for name in uneven.CLEANLAB:
            quality = get_label_quality_scores(labels, probabilities, method=name)
            scores[name].append(average_precision_score(is_wrong, 1 - quality))
        results = evenset.find_mistakes(dataset, "labels", embeddings="vector", seed=seed, progress=False)
        by_id = dict(zip(*dataset.values(["id", "mistake.mistakenness"]), strict=True))
        ids = np.array(dataset.values("id"))[problem.shown].tolist()
        evenset.delete_run(dataset, results.run_key)
        scores["Evenset"].append(average_precision_score(is_wrong, [by_id[i] or 0.0 for i in ids]))
    best = max(uneven.CLEANLAB, key=lambda name: np.mean(scores[name]))
    return row(view, "swapped labels, average precision", {**scores, "peer": scores[best]}, "swapped")


def macro_recall(predicted: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean([(predicted[truth == i] == i).mean() for i in np.unique(truth)]))


def row(view: str, what: str, scores: dict[str, list[float]], kind: str) -> dict[str, Any]:
    ours, theirs = (float(np.mean(scores[name])) for name in ("Evenset", "peer"))
    spread = float(np.std(np.subtract(scores["Evenset"], scores["peer"])))
    goal(f"{view}, {what}: {AHEAD[kind]} ahead", ours >= theirs + AHEAD[kind], f"{ours:.3f} / {theirs:.3f}")
    return {"crops by": view, "": what, "Evenset": ours, "peer": theirs, "spread of the lead": spread}
