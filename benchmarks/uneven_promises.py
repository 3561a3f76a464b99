"""Promises on few, uneven labels: of 500 random draws, how many keep the precision that was promised.

Each draw takes new labels, trains auto_label's members on the part that is not held out, and compares what is accepted
with the truth. The GCN gets five epochs, which saves time: the promise holds whatever the members predict. With --peer
the split bound on a tuned regression (uneven.py) accepts from the same labels.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from measure import goal
from tabulate import tabulate
from uneven import BUDGETS, TARGETS, Problem, split_bound
from uneven_data import DATA, read

FIRST_SEED = 10_000  # of draws that uneven.py does not see


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=DATA, required=True)
    parser.add_argument("--folder", help="as for uneven.py")
    parser.add_argument("--budgets", type=int, nargs="+", default=BUDGETS, help="labels in all")
    parser.add_argument("--splits", type=int, default=500)
    parser.add_argument("--peer", action="store_true", help="the split bound on the same draws too")
    parser.add_argument("--cache", type=Path, help="file that keeps the vectors between calls (.npz)")
    options = parser.parse_args(arguments)
    vectors, truth = read(options)
    rows = [measure(vectors, truth, budget, options.splits, options.peer) for budget in options.budgets]
    print(tabulate(rows, "keys", floatfmt=".3f"), flush=True)


def measure(vectors: np.ndarray, truth: np.ndarray, budget: int, splits: int, peer: bool) -> dict[str, object]:
    """A row of the table: promises kept / of those that accept anything / accepted, for each target."""
    from evenset.models.settings import GraphSettings, LabelSpreadingSettings
    from evenset.models.vectors import unit_rows
    from evenset.workflows.training.graph_views import build_views

    views = build_views(vectors, LabelSpreadingSettings(), GraphSettings())
    outcomes: dict[float, list[tuple[float, bool]]] = {target: [] for target in TARGETS}
    peers: dict[float, list[float]] = {target: [] for target in TARGETS}
    for seed in range(FIRST_SEED, FIRST_SEED + splits):
        for target, outcome in draw(views, vectors, truth, budget, seed).items():
            outcomes[target].append(outcome)
        if peer:
            shown = _shown(truth, budget, seed)
            problem = Problem(unit_rows(vectors), truth, shown, truth[shown])
            for target in TARGETS:
                peers[target].append(float(np.delete(split_bound(problem, target, seed)[0], shown).mean()))
    row: dict[str, object] = {"labels": budget}
    for target, values in outcomes.items():
        coverage, kept = (np.array(column) for column in zip(*values, strict=True))
        some = coverage > 0
        row[f"kept at {target:.2f}"] = kept.mean()
        row[f"where some: {target:.2f}"] = f"{kept[some].mean() if some.any() else np.nan:.3f} of {some.sum()}"
        row[f"accepted at {target:.2f}"] = coverage.mean()
        if peer:
            row[f"split bound at {target:.2f}"] = np.mean(peers[target])
        goal(f"{budget} labels, {target:.2f}: kept in at least .90", kept.mean() >= 0.9, f"{kept.mean():.3f}")
    print(row, flush=True)
    return row


def draw(views, vectors: np.ndarray, truth: np.ndarray, budget: int, seed: int) -> dict[float, tuple[float, bool]]:
    """Coverage of the unlabelled samples at each target, and whether the promise is kept: an empty one is."""
    shown, labels = _shown(truth, budget, seed), np.full(len(truth), -1)
    labels[shown] = truth[shown]
    decisions, outcomes = {}, {}
    for target in TARGETS:
        held_out = _held_out(shown, target)
        if len(held_out) not in decisions:
            decisions[len(held_out)] = _predict(views, vectors, labels, held_out, seed)
        accepted, correct = _accept(*decisions[len(held_out)], target, truth)
        outcomes[target] = float(accepted.mean()), not accepted.any() or bool(correct[accepted].mean() >= target)
    return outcomes


def _shown(truth: np.ndarray, budget: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(len(truth))[:budget]


def _held_out(shown: np.ndarray, target: float) -> np.ndarray:
    from evenset.models.confidence.threshold import labels_to_hold_out
    from evenset.models.settings import AutoLabelSettings

    return shown[: labels_to_hold_out(len(shown), target, AutoLabelSettings().alpha)]


def _predict(views, vectors, labels, held_out, seed):
    """Labels, and predictions of members that learned from those that are not held out."""
    from evenset.models.settings import GCNSettings, LabelSpreadingSettings
    from evenset.workflows.data.labels import Labels
    from evenset.workflows.labeling.predictions import Predictions
    from evenset.workflows.training.ensemble import neighbour_agreement
    from evenset.workflows.training.label_spreading import spread_labels
    from evenset.workflows.training.partition import Split

    classes, count = int(labels.max()) + 1, len(labels)
    split_ids = np.where(labels >= 0, Split.TRAIN, Split.NONE)
    split_ids[held_out] = Split.HELD_OUT
    training_labels = np.where(split_ids == Split.TRAIN, labels, -1)
    settings = LabelSpreadingSettings(seed=seed), GCNSettings(seed=seed, epochs=5)
    members = spread_labels(views, training_labels, classes, *settings)
    combined = members.combined()
    ids, names = np.arange(count).astype(str), [str(i) for i in range(classes)]
    predictions = Predictions(
        logits=combined,
        embeddings=vectors,
        log_prior=np.zeros(classes),
        split_ids=split_ids,
        reference=vectors[split_ids == Split.TRAIN],
        errors={},
        members=dict(zip(members.names, members.log_probabilities, strict=True)),
        neighbour_agreement=neighbour_agreement(combined, views.neighbours()),
        out_of_fold=members.combined_out_of_fold(),
        trained=members.labelled,
    )
    return Labels(ids, ids, labels, names, labels >= 0, np.full(count, ""), 0), predictions


def _accept(labels, predictions, target: float, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which unlabelled samples are accepted, and which are predicted correctly [M]."""
    from evenset.models.settings import AutoLabelSettings
    from evenset.workflows.labeling.decision import decide

    decision = decide(labels, predictions, AutoLabelSettings(target_precision=target, random_labels=True))
    rest = labels.class_ids < 0
    return decision.acceptance.accepted[rest], (decision.bounded.class_ids == truth)[rest]


if __name__ == "__main__":
    main()
