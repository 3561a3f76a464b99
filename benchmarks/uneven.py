"""Few, uneven labels of vectors: Evenset beside a tuned regression, cleanlab and a split bound, on the same draws.

The peer is what a practitioner writes in forty lines: logistic regression on rows of length 1, with C by
cross-validation on all labels; cleanlab's scores of its out-of-fold probabilities; and an exact bound on half of the
labels for what it accepts. Labels are a plain random draw. Accuracy and acceptance are of all other samples, whose
labels choose nothing.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from measure import goal, own_database
from tabulate import tabulate
from uneven_data import DATA, read

BUDGETS = (100, 225, 400, 900)
TARGETS = (0.85, 0.90, 0.95)
KINDS = ("uniform", "confusable")
ALPHA = 0.1
WRONG = 0.08  # of the labels in which mistakes are looked for
CLEANLAB = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")
STRENGTHS = np.logspace(-1, 4, 11)

Figures = dict[tuple[str, str], list[float]]  # figure, method -> each draw


class Problem(NamedTuple):
    """Vectors and their classes, and the labels of a draw."""

    vectors: np.ndarray  # of length 1 [N, D]
    truth: np.ndarray  # [N]
    shown: np.ndarray  # indices of the labelled samples [n]
    labels: np.ndarray  # of these [n]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=DATA, required=True)
    parser.add_argument("--folder", help="CIFAR-10's class folders, BCCD, or Fashion-MNIST's .gz files")
    parser.add_argument("--budgets", type=int, nargs="+", default=BUDGETS, help="labels in all")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--cache", type=Path, help="file that keeps the vectors between calls (.npz)")
    options = parser.parse_args(arguments)
    vectors, truth = read(options)
    rows = []
    with own_database():
        dataset = make(vectors)
        for budget in options.budgets:
            figures: Figures = defaultdict(list)
            for seed in range(options.draws):
                label(dataset, vectors, truth, budget, seed, figures)
                for kind in KINDS:
                    find(dataset, vectors, truth, budget, kind, seed, figures)
            rows.append(report(budget, figures))
    print(tabulate(rows, "keys", floatfmt=".3f"), flush=True)


def make(vectors: np.ndarray) -> Any:
    import fiftyone as fo

    dataset = fo.Dataset()
    dataset.add_samples([fo.Sample(filepath=f"/nowhere/{i}.png") for i in range(len(vectors))], progress=False)
    dataset.set_values("vector", list(vectors))
    return dataset


def show(dataset: Any, shown: np.ndarray, labels: np.ndarray) -> None:
    """Gives the samples of a draw their labels, and takes those of others away."""
    import fiftyone as fo

    values: list[Any] = [None] * len(dataset)
    for i, class_id in zip(shown.tolist(), labels.tolist(), strict=True):
        values[i] = fo.Classification(label=f"class {class_id:02d}")
    dataset.set_values("labels", values)


def draw(vectors: np.ndarray, truth: np.ndarray, budget: int, seed: int) -> Problem:
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    shown = np.random.default_rng(1000 + seed).permutation(len(truth))[:budget]
    return Problem(unit, truth, shown, truth[shown])


def label(dataset: Any, vectors: np.ndarray, truth: np.ndarray, budget: int, seed: int, figures: Figures) -> None:
    """Labels the rest from a draw, at each target, beside the regression and its split bound."""
    import evenset

    problem = draw(vectors, truth, budget, seed)
    show(dataset, problem.shown, problem.labels)
    rest = np.delete(np.arange(len(truth)), problem.shown)
    predicted = regression(problem).argmax(axis=1)
    figures["right on the rest", "glue"].append(float((predicted == truth)[rest].mean()))
    for target in TARGETS:
        start = time.perf_counter()
        results = evenset.auto_label(
            dataset,
            "labels",
            embeddings="vector",
            target_precision=target,
            random_labels=True,
            seed=seed,
            progress=False,
        )
        figures["seconds", "Evenset"].append(time.perf_counter() - start)
        names = np.array(dataset.values("auto_label.label"))
        correct = names == np.array([f"class {class_id:02d}" for class_id in truth])
        accepted = np.array(dataset.values("auto_label.status")) == "accepted"
        evenset.delete_run(dataset, results.run_key)
        figures["right on the rest", "Evenset"].append(float(correct[rest].mean()))
        for name, mask, is_correct in (
            ("Evenset", accepted, correct),
            ("glue", *split_bound(problem, target, seed)),
        ):
            figures[f"accepted at {target:.2f}", name].append(float(mask[rest].mean()))
            figures["promises kept", name].append(float(not mask.any() or is_correct[mask].mean() >= target))


def regression(problem: Problem, cross_fit: bool = False) -> np.ndarray:
    """Probabilities of all samples [N, K], or out-of-fold ones of the labelled [n, K]."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    inputs, labels, classes = problem.vectors[problem.shown], problem.labels, problem.truth.max() + 1
    folds = StratifiedKFold(min(5, np.bincount(labels).max()), shuffle=True, random_state=0)
    few = np.bincount(labels)[np.unique(labels)].min() < 5
    search = GridSearchCV(
        LogisticRegression(max_iter=500), {"C": STRENGTHS}, cv=folds, scoring="accuracy" if few else "neg_log_loss"
    )
    best = search.fit(inputs, labels).best_estimator_

    def predict(model: Any, vectors: np.ndarray) -> np.ndarray:
        probabilities = np.full((len(vectors), classes), 1e-6)
        probabilities[:, model.classes_] = np.maximum(model.predict_proba(vectors), 1e-6)
        return probabilities / probabilities.sum(axis=1, keepdims=True)

    if not cross_fit:
        return predict(best, problem.vectors)
    out_of_fold = np.empty((len(labels), classes))
    for train, fold in folds.split(inputs, labels):
        model = LogisticRegression(C=search.best_params_["C"], max_iter=500).fit(inputs[train], labels[train])
        out_of_fold[fold] = predict(model, inputs[fold])
    return out_of_fold


def split_bound(problem: Problem, target: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What the regression on half of the labels accepts, and whether it is correct [N].

    Confidences are tested from the highest on by the exact binomial bound on the other half, from the first that can
    pass until one fails.
    """
    from scipy.stats import binom

    order = np.random.default_rng(seed).permutation(len(problem.shown))
    train, held = np.sort(order[: len(order) // 2]), order[len(order) // 2 :]
    half = problem._replace(shown=problem.shown[train], labels=problem.labels[train])
    probabilities = regression(half)
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    rows = problem.shown[held]
    rows = rows[np.argsort(-confidence[rows])]
    errors = np.cumsum(predicted[rows] != problem.truth[rows])
    passes = binom.cdf(errors, np.arange(1, len(rows) + 1), 1 - target) <= ALPHA
    first = int(np.ceil(np.log(ALPHA) / np.log(target))) - 1
    end = first
    while end < len(rows) and passes[end]:
        end += 1
    limit = confidence[rows[end - 1]] if end > first else np.inf
    accepted = confidence >= limit
    accepted[problem.shown] = False
    return accepted, predicted == problem.truth


def find(
    dataset: Any, vectors: np.ndarray, truth: np.ndarray, budget: int, kind: str, seed: int, figures: Figures
) -> None:
    """Finds wrong labels of one kind in a draw, beside cleanlab's scores of the regression."""
    import evenset
    from cleanlab.rank import get_label_quality_scores
    from sklearn.metrics import average_precision_score

    problem = draw(vectors, truth, budget, seed)
    labels = corrupt(problem, kind, np.random.default_rng(seed))
    is_wrong = labels != problem.labels
    problem = problem._replace(labels=labels)
    show(dataset, problem.shown, labels)
    probabilities = regression(problem, cross_fit=True)
    for name in CLEANLAB:
        scores = 1 - get_label_quality_scores(labels, probabilities, method=name)
        figures[f"mistakes, {kind}", name].append(float(average_precision_score(is_wrong, scores)))
    start = time.perf_counter()
    results = evenset.find_mistakes(dataset, "labels", embeddings="vector", seed=seed, progress=False)
    figures["seconds, mistakes", "Evenset"].append(time.perf_counter() - start)
    ids = np.array(dataset.values("id"))[problem.shown]
    values = dict(zip(*dataset.values(["id", "mistake.mistakenness"]), strict=True))
    scores = np.array([np.nan if values[i] is None else values[i] for i in ids.tolist()], dtype=float)
    scores = np.where(np.isnan(scores), np.nanmean(scores), scores)  # not judged: neither suspicious nor not
    evenset.delete_run(dataset, results.run_key)
    figures[f"mistakes, {kind}", "Evenset"].append(float(average_precision_score(is_wrong, scores)))
    figures["calibration error", "Evenset"].append(calibration_error(scores, is_wrong))


def corrupt(problem: Problem, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Labels of which WRONG are wrong: any other class, or the one that a regression confuses each class with most."""
    labels, classes = problem.labels.copy(), problem.truth.max() + 1
    rows = rng.permutation(len(labels))[: max(1, round(WRONG * len(labels)))]
    if kind == "uniform":
        labels[rows] = (labels[rows] + rng.integers(1, classes, len(rows))) % classes
        return labels
    everything = Problem(problem.vectors, problem.truth, np.arange(2000), problem.truth[:2000])
    probabilities = regression(everything)
    confusion = np.stack([probabilities[problem.truth == i].mean(axis=0) for i in range(classes)])
    np.fill_diagonal(confusion, -1)
    labels[rows] = confusion.argmax(axis=1)[labels[rows]]
    return labels


def calibration_error(chances: np.ndarray, is_wrong: np.ndarray) -> float:
    bins = np.minimum((10 * chances).astype(int), 9)
    return float(sum(abs((chances - is_wrong)[bins == i].sum()) for i in np.unique(bins)) / len(chances))


def report(budget: int, figures: Figures) -> dict[str, Any]:
    """A row of the table: Evenset / glue, means over the draws."""
    mean = {key: float(np.mean(values)) for key, values in figures.items()}
    row: dict[str, Any] = {"labels": budget}
    accuracy = mean["right on the rest", "Evenset"], mean["right on the rest", "glue"]
    row["right on the rest"] = "{:.3f} / {:.3f}".format(*accuracy)
    for kind in KINDS:
        best = max(mean[f"mistakes, {kind}", name] for name in CLEANLAB)
        row[f"mistakes, {kind}"] = f"{mean[f'mistakes, {kind}', 'Evenset']:.3f} / {best:.3f}"
    for target in TARGETS:
        names = ("Evenset", "glue")
        row[f"accepted at {target:.2f}"] = " / ".join(
            f"{mean[f'accepted at {target:.2f}', name]:.2f}" for name in names
        )
    row["kept"] = " / ".join(f"{mean['promises kept', name]:.2f}" for name in ("Evenset", "glue"))
    row["calibration error"] = mean["calibration error", "Evenset"]
    row["seconds"] = f"{mean['seconds', 'Evenset']:.1f}, {mean['seconds, mistakes', 'Evenset']:.1f}"
    print(row, flush=True)
    goal(f"{budget} labels, right on the rest", accuracy[0] >= accuracy[1] - 0.003, row["right on the rest"])
    return row


if __name__ == "__main__":
    main()
