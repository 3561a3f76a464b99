"""Labels spread from given embeddings, beside the peers: CIFAR-10 under a frozen EfficientNet-Lite0, paired splits."""

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
    parser.add_argument("--data", required=True, help="a folder of image folders, one a class")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--labels", type=int, nargs="+", default=[4, 10, 40, 100], help="a class")
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cache", type=Path, help="file that keeps the embeddings between calls")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        found = pictures.read(options.data, options.images, 0, Path(folder))
        vectors = frozen.vectors(found.paths, options.cache)
    truth = np.unique(found.labels, return_inverse=True)[1]
    compare(vectors, truth, options.labels, range(options.first_seed, options.first_seed + options.splits))


def compare(vectors: np.ndarray, truth: np.ndarray, counts: list[int], seeds: range) -> None:
    """Every method on the same splits; what a method chooses, it chooses from the labels of its split."""
    from evenset.models.settings import GCNSettings, GraphSettings, LabelSpreadingSettings
    from evenset.workflows.training import label_spreading

    graph_views = label_spreading.build_views(vectors, LabelSpreadingSettings(), GraphSettings())
    classes = int(truth.max()) + 1
    others = peers(graph_views, classes)
    for each in counts:
        table: dict[str, list[float]] = {}
        for seed in seeds:
            problem = Problem(truth, draw(truth, each, seed), classes)
            settings = LabelSpreadingSettings(), GCNSettings()
            found = label_spreading.spread_labels(graph_views, problem.labels, classes, *settings)
            table.setdefault("Evenset", []).append(accuracy(problem, found.combined()))
            for name, scores in zip(found.names, found.log_probabilities, strict=True):
                table.setdefault(f"  member: {name}", []).append(accuracy(problem, scores))
            for name, candidates in others.items():
                table.setdefault(name, []).append(accuracy(problem, tuned(problem, candidates)))
            ours, best = table["Evenset"][-1], max(table[name][-1] for name in others)
            print(f"{each} labels a class, split {seed}: Evenset {ours:.2f}, best peer {best:.2f}", flush=True)
        show(table, list(others), each, len(truth))


def peers(around, classes: int) -> dict[str, list[Candidate]]:  # type: ignore[no-untyped-def]
    """Each peer's candidates, from which cross-validation chooses. They get the product's evened-out vectors."""
    from evenset.models.graphs import label_propagation, neighbourhood_features
    from evenset.models.graphs import nearest_neighbours as graphs
    from evenset.models.settings import GraphSettings

    own, adjacency = around.views["own"], around.graph.normalised()
    wide = [graphs.build(own, GraphSettings(neighbours=count)) for count in NEIGHBOURS]
    smooth = [neighbourhood_features.propagate(own, adjacency, hops) for hops in HOPS]
    return {
        "logistic regression": [regression(own, c) for c in STRENGTHS],
        "SGC": [regression(rows, c) for rows in smooth for c in STRENGTHS],
        "Laplace learning": [lambda labels, g=g: label_propagation.laplace(g, labels, classes) for g in wide],
        "Poisson learning": [lambda labels, g=g: label_propagation.poisson(g, labels, classes) for g in wide],
    }


def regression(rows: np.ndarray, strength: float) -> Candidate:
    from sklearn.linear_model import LogisticRegression

    def scores(labels: np.ndarray) -> np.ndarray:
        known = labels >= 0
        model = LogisticRegression(C=strength, max_iter=300, tol=1e-3).fit(rows[known], labels[known])
        return model.predict_proba(rows)

    return scores


def tuned(problem: Problem, candidates: list[Candidate]) -> np.ndarray:
    """Scores of the candidate that cross-validation of the labels finds best: by log-loss where it gives probabilities
    (less noisy than accuracy), and by accuracy between equals."""
    from sklearn.model_selection import StratifiedKFold

    known = np.flatnonzero(problem.labels >= 0)
    cut = list(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(known, problem.labels[known]))
    merits = []
    for candidate in candidates:
        merit = []
        for _, held in cut:
            rest = problem.labels.copy()
            rest[known[held]] = -1
            scores, wanted = candidate(rest)[known[held]], problem.labels[known[held]]
            is_probability = np.nanmin(scores) >= 0 and np.allclose(np.nansum(scores, axis=1), 1)
            chosen = np.log(np.clip(np.nan_to_num(scores[np.arange(len(wanted)), wanted]), 1e-3, 1))
            right = np.nan_to_num(scores, nan=-np.inf).argmax(axis=1) == wanted
            merit.append(chosen.mean() if is_probability else right.mean())
        merits.append(float(np.mean(merit)))
    return candidates[int(np.argmax(merits))](problem.labels)


def draw(truth: np.ndarray, each: int, seed: int) -> np.ndarray:
    """The truth of `each` samples of a class, -1 elsewhere [N]."""
    order = np.random.default_rng(seed).permutation(len(truth))
    labels = np.full(len(truth), -1)
    for name in np.unique(truth):
        labels[order[truth[order] == name][:each]] = name
    return labels


def accuracy(problem: Problem, scores: np.ndarray) -> float:
    """Percent right of the samples whose label is hidden; where a method abstains, it is wrong."""
    hidden = problem.labels < 0
    found = np.where(np.isnan(scores).any(axis=1), -1, np.nan_to_num(scores, nan=-np.inf).argmax(axis=1))
    return 100 * float((found == problem.truth)[hidden].mean())


def show(table: dict[str, list[float]], others: list[str], each: int, images: int) -> None:
    ours = np.array(table["Evenset"])
    rows = [
        [name, np.mean(values), np.std(values, ddof=1), np.mean(ours - values), np.std(ours - values, ddof=1)]
        for name, values in table.items()
    ]
    print(f"\n{each} labels a class, {images:,} images, {len(ours)} splits: accuracy of the hidden ones, %")
    print(tabulate(rows, ["", "mean", "spread", "Evenset's lead", "spread of it"], floatfmt=".2f"))
    best = max(others, key=lambda name: float(np.mean(table[name])))
    lead = float(ours.mean() - np.mean(table[best]))
    wanted = GOALS.get(each, 0.0)
    goal(f"{each} labels a class: {wanted} points above the best peer ({best})", lead >= wanted, f"{lead:+.2f}")


if __name__ == "__main__":
    main()
