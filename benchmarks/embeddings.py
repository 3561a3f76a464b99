"""Label spreading on embeddings beside its peers: CIFAR-10 under a frozen EfficientNet-Lite0, paired splits."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import frozen
import numpy as np
import pictures
import torch
from measure import goal
from tabulate import tabulate

GOALS = {4: 1.0, 10: 1.0, 40: 0.3, 100: 0.3}  # points above the best peer's mean
STRENGTHS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 20.0)  # C of logistic regression, for rows of length 1 on average
NEIGHBOURS = (8, 15, 30)
HOPS = (1, 2, 4)
FOLDS = 3


class Problem(NamedTuple):
    truth: np.ndarray  # [N]
    labels: np.ndarray  # -1 where hidden [N]
    classes: int


Candidate = Callable[[np.ndarray], np.ndarray]  # labels [N] -> scores [N, K]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="a folder of class folders of images")
    parser.add_argument("--images", type=int, default=20_000, help="drawn at random")
    parser.add_argument("--labels", type=int, nargs="+", default=[4, 10, 40, 100], help="labels a class")
    parser.add_argument("--splits", type=int, default=20, help="draws of the labels")
    parser.add_argument("--first-seed", type=int, default=0, help="of the first split")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cache", type=Path, help=".npy file that keeps the embeddings between calls")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        drawn = pictures.read(options.data, options.images, 0, Path(folder))
        vectors = frozen.vectors(drawn.paths, options.cache)
    truth = np.unique(drawn.labels, return_inverse=True)[1]
    compare(vectors, truth, options.labels, range(options.first_seed, options.first_seed + options.splits))


def compare(vectors: np.ndarray, truth: np.ndarray, counts: list[int], seeds: range) -> None:
    """Prints the accuracy of every method on the same splits; each is tuned on the labels of its split alone."""
    from evenset.models.settings import GCNSettings, GraphSettings, LabelSpreadingSettings
    from evenset.workflows.training import label_spreading
    from evenset.workflows.training.graph_views import build_views

    graph_views = build_views(vectors, LabelSpreadingSettings(), GraphSettings())
    classes = int(truth.max()) + 1
    all_peers = peers(graph_views, classes)
    for count in counts:
        table: dict[str, list[float]] = {}
        for seed in seeds:
            problem = Problem(truth, draw(truth, count, seed), classes)
            settings = LabelSpreadingSettings(), GCNSettings()
            result = label_spreading.spread_labels(graph_views, problem.labels, classes, *settings)
            table.setdefault("Evenset", []).append(accuracy(problem, result.combined()))
            for name, scores in zip(result.names, result.log_probabilities, strict=True):
                table.setdefault(f"  member: {name}", []).append(accuracy(problem, scores))
            for name, candidates in all_peers.items():
                table.setdefault(name, []).append(accuracy(problem, tuned_scores(problem, candidates)))
            ours, best = table["Evenset"][-1], max(table[name][-1] for name in all_peers)
            print(f"{count} labels a class, split {seed}: Evenset {ours:.2f}, best peer {best:.2f}", flush=True)
        show(table, list(all_peers), count, len(truth))


def peers(graph_views, classes: int) -> dict[str, list[Candidate]]:  # type: ignore[no-untyped-def]
    """Each peer's candidates, for cross-validation to choose from. They get Evenset's preprocessed vectors."""
    from evenset.models.graphs import label_propagation, neighbourhood_features
    from evenset.models.graphs import nearest_neighbours as graphs
    from evenset.models.settings import GraphSettings

    features, adjacency = graph_views.views["own"], graph_views.graph.normalised()
    knn_graphs = [graphs.build(features, GraphSettings(neighbours=count)) for count in NEIGHBOURS]
    propagated = [neighbourhood_features.propagate(features, adjacency, hops) for hops in HOPS]
    return {
        "logistic regression": [regression(features, c) for c in STRENGTHS],
        "SGC": [regression(rows, c) for rows in propagated for c in STRENGTHS],
        "Laplace learning": [lambda labels, g=g: label_propagation.laplace(g, labels, classes) for g in knn_graphs],
        "Poisson learning": [lambda labels, g=g: label_propagation.poisson(g, labels, classes) for g in knn_graphs],
    }


def regression(rows: np.ndarray, strength: float) -> Candidate:
    from sklearn.linear_model import LogisticRegression

    def scores(labels: np.ndarray) -> np.ndarray:
        labelled = labels >= 0
        model = LogisticRegression(C=strength, max_iter=300, tol=1e-3).fit(rows[labelled], labels[labelled])
        return model.predict_proba(rows)

    return scores


def tuned_scores(problem: Problem, candidates: list[Candidate]) -> np.ndarray:
    """Scores of the best candidate by cross-validation: by log-loss if it predicts probabilities (less noisy), else by
    accuracy."""
    from sklearn.model_selection import StratifiedKFold

    labelled = np.flatnonzero(problem.labels >= 0)
    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(labelled, problem.labels[labelled]))
    merits = []
    for candidate in candidates:
        merit = []
        for _, held_out in folds:
            train_labels = problem.labels.copy()
            train_labels[labelled[held_out]] = -1
            scores, targets = candidate(train_labels)[labelled[held_out]], problem.labels[labelled[held_out]]
            is_probability = np.nanmin(scores) >= 0 and np.allclose(np.nansum(scores, axis=1), 1)
            log_likelihood = np.log(np.clip(np.nan_to_num(scores[np.arange(len(targets)), targets]), 1e-3, 1))
            correct = np.nan_to_num(scores, nan=-np.inf).argmax(axis=1) == targets
            merit.append(log_likelihood.mean() if is_probability else correct.mean())
        merits.append(float(np.mean(merit)))
    return candidates[int(np.argmax(merits))](problem.labels)


def draw(truth: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The true classes of `count` samples of each class, -1 elsewhere [N]."""
    order = np.random.default_rng(seed).permutation(len(truth))
    labels = np.full(len(truth), -1)
    for name in np.unique(truth):
        labels[order[truth[order] == name][:count]] = name
    return labels


def accuracy(problem: Problem, scores: np.ndarray) -> float:
    """Accuracy on samples with hidden labels, in percent; an abstention counts as an error."""
    hidden = problem.labels < 0
    predicted = np.where(np.isnan(scores).any(axis=1), -1, np.nan_to_num(scores, nan=-np.inf).argmax(axis=1))
    return 100 * float((predicted == problem.truth)[hidden].mean())


def show(table: dict[str, list[float]], peer_names: list[str], count: int, images: int) -> None:
    ours = np.array(table["Evenset"])
    rows = [
        [name, np.mean(values), np.std(values, ddof=1), np.mean(ours - values), np.std(ours - values, ddof=1)]
        for name, values in table.items()
    ]
    print(f"\n{count} labels a class, {images:,} images, {len(ours)} splits: accuracy on hidden labels, %")
    print(tabulate(rows, ["", "mean", "spread", "Evenset's lead", "spread of it"], floatfmt=".2f"))
    best = max(peer_names, key=lambda name: float(np.mean(table[name])))
    lead = float(ours.mean() - np.mean(table[best]))
    target = GOALS.get(count, 0.0)
    goal(f"{count} labels a class: {target} points above the best peer ({best})", lead >= target, f"{lead:+.2f}")


if __name__ == "__main__":
    main()
