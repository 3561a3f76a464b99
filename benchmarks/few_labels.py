"""A handful of labels a class: auto_label end to end, beside label spreading and regression on the same images.

Images are files in a FiftyOne data set, drawn labels are its label field, and the labels of all other images are
hidden: they score the methods, and choose nothing. Nothing pretrained is used.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pictures
from measure import goal, own_database
from tabulate import tabulate

GOALS = {"digits": {1: 0.90, 5: 0.97, 10: 0.98}, "fashion-mnist": {10: 0.80, 160: 0.88}}  # accuracy, by labels a class
MINUTES = {"fashion-mnist": 12.0}  # on two cores
SETTINGS = dict(calibration_fraction=0.0, size_px=None, progress=False)  # all labels train: only accuracy is measured

Rows = dict[tuple[str, int], list[tuple[float, float]]]  # method, labels a class -> accuracy and seconds of each seed


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits", help=pictures.HELP)
    parser.add_argument("--labels", type=int, nargs="+", help="labels a class; default: those with goals")
    parser.add_argument("--seeds", type=int, help="draws of the labels; default: 20 of digits, else 3")
    parser.add_argument("--first-seed", type=int, default=0, help="of the first draw")
    parser.add_argument("--members", default="graph", help="auto_label's")
    parser.add_argument("--neighbours", type=int, help="of each sample in the graph; default: auto_label's")
    options = parser.parse_args(arguments)
    counts = options.labels or list(GOALS.get(options.data, {10: 0.0}))
    seeds = range(options.first_seed, options.first_seed + (options.seeds or (20 if options.data == "digits" else 3)))

    settings = {**SETTINGS, "members": options.members}
    if options.neighbours:
        settings["neighbours"] = options.neighbours

    rows: Rows = defaultdict(list)
    with own_database() as folder:
        dataset, drawn = make(options.data, folder)
        truth = np.unique(drawn.labels, return_inverse=True)[1]
        peers = make_peers(drawn, options.data)
        for seed in seeds:
            for count in counts:
                labels = draw(truth, count, seed)
                rows["Evenset", count].append(run(dataset, drawn, labels, settings, seed))
                for name, peer in peers.items():
                    start = time.perf_counter()
                    predicted = peer(labels)
                    accuracy = (predicted == truth)[labels < 0].mean()
                    rows[name, count].append((float(accuracy), time.perf_counter() - start))
                print(f"seed {seed}, {count} a class: {rows['Evenset', count][-1][0]:.3f}", flush=True)
    report(options, rows, counts, seeds)


def make(data: str, folder: Path) -> tuple[Any, pictures.Pictures]:
    import fiftyone as fo

    drawn = pictures.read(data, None, 0, folder)
    dataset = fo.Dataset()
    dataset.add_samples([fo.Sample(filepath=path) for path in drawn.paths], progress=False)
    dataset.add_sample_field("ground_truth", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    return dataset, drawn


def draw(truth: np.ndarray, count: int, seed: int) -> np.ndarray:
    """`count` labels of each class at random, -1 elsewhere [N]."""
    order = np.random.default_rng(seed).permutation(len(truth))
    labels = np.full(len(truth), -1)
    for i in np.unique(truth):
        labels[order[truth[order] == i][:count]] = i
    return labels


def run(
    dataset: Any, drawn: pictures.Pictures, labels: np.ndarray, settings: dict[str, Any], seed: int
) -> tuple[float, float]:
    """Accuracy on hidden labels, and seconds, of a whole auto_label run."""
    import evenset
    import fiftyone as fo

    visible = [None if i < 0 else fo.Classification(label=name) for i, name in zip(labels, drawn.labels, strict=True)]
    dataset.set_values("ground_truth", visible)
    start = time.perf_counter()
    results = evenset.auto_label(dataset, "ground_truth", seed=seed, **settings)
    seconds = time.perf_counter() - start
    predicted = np.array(dataset.values("auto_label.label"))
    evenset.delete_run(dataset, results.run_key)
    return float((predicted == np.array(drawn.labels))[labels < 0].mean()), seconds


def make_peers(drawn: pictures.Pictures, data: str) -> dict[str, Any]:
    """Peers by name, from labels [N] to classes [N]: label propagation on pixels, or regression on pixels and HOG."""
    from evenset.models.graphs import label_propagation, nearest_neighbours
    from evenset.models.images import features
    from evenset.models.images.reader import Images
    from evenset.models.settings import GraphSettings, ImageSettings
    from sklearn.linear_model import LogisticRegression
    from sklearn.semi_supervised import LabelSpreading

    side = 8 if data == "digits" else 28
    blocks = [block for _, block in Images(drawn.paths, ImageSettings(), side, 1).batches(256)]
    pixels = np.concatenate([block.reshape(len(block), -1) for block in blocks]).astype(np.float32) / 255
    graph = nearest_neighbours.build(pixels, GraphSettings(metric="euclidean", neighbours=10))
    described = np.concatenate([features.describe(block) for block in blocks])
    classes = len(set(drawn.labels))

    def regress(labels: np.ndarray) -> np.ndarray:
        labelled = labels >= 0
        return LogisticRegression(C=10, max_iter=500).fit(described[labelled], labels[labelled]).predict(described)

    def best(scores: np.ndarray) -> np.ndarray:
        return np.nan_to_num(scores, nan=-np.inf).argmax(axis=1)

    peers = {
        "Laplace learning, pixels": lambda labels: best(label_propagation.laplace(graph, labels, classes)),
        "Poisson learning, pixels": lambda labels: best(label_propagation.poisson(graph, labels, classes)),
        "logistic regression, pixels and HOG": regress,
    }
    if len(pixels) < 5000:  # its memory grows with the square of the samples
        spreading = LabelSpreading(kernel="knn", n_neighbors=10, max_iter=200)
        peers["LabelSpreading (scikit-learn), pixels"] = lambda labels: spreading.fit(pixels, labels).transduction_
    return peers


def report(options: argparse.Namespace, rows: Rows, counts: list[int], seeds: range) -> None:
    print(f"\n{options.data}, members: {options.members}, neighbours: {options.neighbours or 'default'}")
    print(f"accuracy on hidden labels, {len(seeds)} draws: mean (lowest to highest)")
    table = []
    for name in dict.fromkeys(name for name, _ in rows):
        row = {"": name}
        for count in counts:
            accuracies = [accuracy for accuracy, _ in rows[name, count]]
            row[f"{count} a class"] = f"{np.mean(accuracies):.3f} ({min(accuracies):.3f} to {max(accuracies):.3f})"
        row["seconds"] = f"{max(seconds for count in counts for _, seconds in rows[name, count]):.0f}"
        table.append(row)
    print(tabulate(table, "keys"), flush=True)
    for count, wanted in GOALS.get(options.data, {}).items():
        if count in counts:
            mean = float(np.mean([accuracy for accuracy, _ in rows["Evenset", count]]))
            goal(f"{options.data}, {count} labels a class, accuracy >= {wanted:.2f}", mean >= wanted, f"{mean:.3f}")
    if options.data in MINUTES:
        slowest = max(seconds for count in counts for _, seconds in rows["Evenset", count]) / 60
        most = MINUTES[options.data]
        goal(f"{options.data}, within {most:.0f} minutes", slowest <= most, f"{slowest:.1f} minutes, the slowest run")


if __name__ == "__main__":
    main()
