"""The promise: of 500 random splits, how many keep the precision that was promised, and how much is accepted.

The predictions are the product's own: the ensemble of logistic regression, the GCN and the harmonic function on
label-free features of Fashion-MNIST, from a few labels, all right or a part of them wrong. They are made once and kept.
Each split draws calibration labels from the rest at random; what is accepted of all others is then compared with the
truth. All methods get the same score, except temperature scaling, which makes its own.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pictures
from measure import goal
from tabulate import tabulate

TUNING = 100  # labels that weigh the members and the evidence, beside those that train
ALPHA = 0.1
GOALS = {(500, 0.9): 0.80, (500, 0.95): 0.60, (2000, 0.9): 0.90, (2000, 0.95): 0.85}  # coverage over the oracle's


class Predictions(NamedTuple):
    """What is known of the samples that had no part in training, and of the tuning part."""

    scores: np.ndarray  # what orders them [N]
    confidence: np.ndarray  # the same, as the tuning part calibrates it [N]
    logits: np.ndarray  # of the ensemble [N, K]
    truth: np.ndarray  # [N]

    @property
    def right(self) -> np.ndarray:
        return np.asarray(self.logits.argmax(1) == self.truth)


class Split(NamedTuple):
    """Indices of a draw."""

    held: np.ndarray
    pool: np.ndarray


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--labels", type=int, default=300, help=f"that train; {TUNING} more are the tuning part")
    parser.add_argument(
        "--wrong", type=float, nargs="*", default=[0.0, 0.2], help="parts of these labels that are wrong"
    )
    parser.add_argument("--held", type=int, nargs="*", default=[45, 150, 500, 2000], help="calibration labels")
    parser.add_argument("--targets", type=float, nargs="*", default=[0.9, 0.95, 0.99], help="precisions to promise")
    parser.add_argument("--splits", type=int, default=500)
    parser.add_argument("--cache", type=Path, help="folder that keeps the predictions; none: they are made anew")
    given = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", module="mapie")  # it warns where nothing is accepted
    with tempfile.TemporaryDirectory() as passing:
        for wrong in given.wrong:
            found = predictions(given, wrong, given.cache or Path(passing))
            print(f"\n{given.labels} labels, {wrong:.0%} of them wrong: {found.right.mean():.3f} are predicted right")
            for held in given.held:
                for target in given.targets:
                    compare(found, held, target, given.splits)


def predictions(given: argparse.Namespace, wrong: float, folder: Path) -> Predictions:
    """Reads them from the folder, or makes them and keeps them there."""
    from evenset.models.confidence import calibration

    path = folder / f"promise-{given.images}-{given.labels}-{wrong:g}.npz"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(path, **predict(given.images, given.labels, wrong))
    with np.load(path) as kept:
        scores, logits, truth, labels = (kept[name] for name in ("scores", "logits", "truth", "labels"))
    tuning = slice(given.labels, given.labels + TUNING)
    calibrator = calibration.fit(scores[tuning], logits[tuning].argmax(1) == labels[tuning])
    rest = slice(given.labels + TUNING, None)
    return Predictions(scores[rest], calibrator(scores)[rest], logits[rest], truth[rest])


def predict(images: int, labels: int, wrong: float) -> dict[str, np.ndarray]:
    """Scores and logits of all images, by members that learn from the first `labels` of them."""
    from evenset.models.classifiers import linear
    from evenset.models.confidence import ensemble
    from evenset.models.graphs import gcn, label_propagation, nearest_neighbours
    from evenset.models.images import features
    from evenset.models.settings import GCNSettings, GraphSettings

    rng = np.random.default_rng(0)
    pixels, names = pictures._fashion_mnist(pictures.LOCAL_COPY)
    order = rng.permutation(len(pixels))[:images]
    truth = np.unique(np.array(names)[order], return_inverse=True)[1]
    given = np.full(images, -1)
    given[: labels + TUNING] = truth[: labels + TUNING]
    bad = np.flatnonzero(rng.random(labels + TUNING) < wrong)
    given[bad] = (given[bad] + rng.integers(1, 10, len(bad))) % 10
    train = np.where(np.arange(images) < labels, given, -1)

    vectors = features.describe(pixels[order][:, None])
    nearest, reduced = (
        nearest_neighbours.build(vectors, GraphSettings()),
        nearest_neighbours.prepare(vectors, GraphSettings()),
    )
    propagated, adjacency = gcn.prepare(nearest, reduced, GCNSettings())
    network = gcn.build(reduced.shape[1], 10, GCNSettings())
    for _ in gcn.train(network, propagated, adjacency, train, GCNSettings()):
        pass
    with np.errstate(divide="ignore"):
        members = {
            "linear": ensemble.normalise(linear.predict(linear.train(vectors[:labels], train[:labels], 10), vectors)),
            "gcn": np.log(gcn.predict(network, propagated, adjacency)),
            "harmonic": np.log(label_propagation.laplace(nearest, train, 10)),
        }
    stack, tuning = np.stack(list(members.values())), slice(labels, labels + TUNING)
    weights = ensemble.weigh(stack[:, tuning], given[tuning])
    logits = ensemble.combine(stack, weights)
    scores = ordered(logits, members, weights, nearest.neighbours, given)
    return dict(scores=scores, logits=logits, truth=truth, labels=given)


def ordered(
    logits: np.ndarray, members: dict[str, np.ndarray], weights: np.ndarray, neighbours: np.ndarray, given: np.ndarray
) -> np.ndarray:
    """What auto_label orders samples by [N]."""
    from evenset.models.settings import AutoLabelSettings
    from evenset.workflows.data.labels import Labels
    from evenset.workflows.labeling import predictions
    from evenset.workflows.labeling.decision import decide
    from evenset.workflows.training.ensemble import neighbour_agreement
    from evenset.workflows.training.partition import Split

    count, agree = len(logits), neighbour_agreement(logits, neighbours)
    parts = np.where(
        given < 0, 0, np.where(np.arange(count) < (given >= 0).sum() - TUNING, Split.TRAIN, Split.VALIDATION)
    )
    ids = np.arange(count).astype(str)
    known = Labels(ids, ids, given, list("abcdefghij"), given >= 0, np.full(count, ""), 0)
    none = np.zeros((count, 0))
    of_all = predictions.Predictions(logits, none, np.zeros(10), parts, none[:0], {}, members=members)
    of_all.neighbour_agreement, of_all.weights = agree, dict(zip(members, weights.tolist(), strict=True))
    return decide(known, of_all, AutoLabelSettings()).candidates.scores


def compare(found: Predictions, held: int, target: float, splits: int) -> None:
    """Prints how each method fares over the splits, and the goals."""
    rng = np.random.default_rng(held)
    draws = [np.split(rng.permutation(len(found.truth)), [held]) for _ in range(splits)]
    oracle = np.array([best_coverage(found, Split(*draw), target) for draw in draws])
    rows, figures = [], {}
    for name, method in METHODS.items():
        outcomes = [outcome(method, found, Split(*draw), target) for draw in draws]
        coverage, kept = (np.array(column) for column in zip(*outcomes, strict=True))
        figures[name] = float(kept.mean()), float(coverage.mean() / max(oracle.mean(), 1e-9))
        said = {"promise kept": figures[name][0], "coverage over the oracle's": figures[name][1]}
        rows.append({"": name, **said, "nothing accepted": float((coverage == 0).mean())})
    print(f"\n{held:,} calibration labels, target {target:g}: the oracle accepts {oracle.mean():.3f}")
    print(tabulate(rows, "keys", floatfmt=".3f"))
    kept_share, share = figures["Evenset"]
    goal(f"{held:,} labels, {target:g}: kept in at least .90 of the splits", kept_share >= 0.9, f"{kept_share:.3f}")
    if (held, target) in GOALS:
        least = GOALS[held, target]
        goal(
            f"{held:,} labels, {target:g}: coverage over the oracle's at least {least:.2f}",
            share >= least,
            f"{share:.3f}",
        )


def outcome(method: Method, found: Predictions, split: Split, target: float) -> tuple[float, bool]:
    """Coverage, and whether the promise is kept: an empty one is."""
    accepted = method(found, split, target)
    return float(accepted.mean()), not accepted.any() or bool(found.right[split.pool][accepted].mean() >= target)


def best_coverage(found: Predictions, split: Split, target: float) -> float:
    """The largest part of the pool that keeps the target, by the same scores and the truth."""
    right = found.right[split.pool][np.argsort(-found.scores[split.pool])]
    good = np.flatnonzero(np.cumsum(right) >= target * np.arange(1, len(right) + 1) - 1e-9)
    return float((good[-1] + 1) / len(right)) if len(good) else 0.0


Method = Callable[[Predictions, Split, float], np.ndarray]  # which of the pool are accepted [M]


def evenset(found: Predictions, split: Split, target: float) -> np.ndarray:
    from evenset.models.confidence.threshold import choose_threshold

    pool, held = found.scores[split.pool], found.scores[split.held]
    return np.asarray(pool >= choose_threshold(pool, held, found.right[split.held], target, ALPHA).score)


def read_off(found: Predictions, split: Split, target: float) -> np.ndarray:
    """The lowest score above which the calibration labels reach the target."""
    order = split.held[np.argsort(-found.scores[split.held])]
    good = np.flatnonzero(np.cumsum(found.right[order]) >= target * np.arange(1, len(order) + 1) - 1e-9)
    least = found.scores[order[good[-1]]] if len(good) else np.inf
    return np.asarray(found.scores[split.pool] >= least)


def temperature(found: Predictions, split: Split, target: float) -> np.ndarray:
    """Guo et al., 2017: accepted is what has a confidence of the target."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    rows, answers = found.logits[split.held], found.truth[split.held]

    def loss(scale: float) -> float:
        return -float(log_softmax(np.exp(scale) * rows, axis=1)[np.arange(len(rows)), answers].mean())

    scale = np.exp(minimize_scalar(loss, bounds=(-4, 4), method="bounded").x)
    return np.asarray(np.exp(log_softmax(scale * found.logits[split.pool], axis=1).max(1)) >= target)


def isotonic(found: Predictions, split: Split, target: float) -> np.ndarray:
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(out_of_bounds="clip").fit(found.scores[split.held], found.right[split.held])
    return np.asarray(model.predict(found.scores[split.pool]) >= target)


def learn_then_test(correction: str) -> Method:
    """mapie's, at a hundred thresholds that cut off a tenth to all of the pool, so that each has samples above it."""

    def method(found: Predictions, split: Split, target: float) -> np.ndarray:
        from mapie.risk_control import BinaryClassificationController

        steps = np.quantile(found.confidence[split.pool], np.linspace(0, 0.9, 100))
        controller = BinaryClassificationController(
            lambda sure: np.stack([1 - sure, sure], axis=1),
            "precision",
            target,
            1 - ALPHA,
            list_predict_params=steps[::-1] if correction == "fixed_sequence" else steps,
            fwer_method=correction,  # type: ignore[arg-type]
        )
        controller.calibrate(found.confidence[split.held], found.right[split.held].astype(int))
        least = controller.best_predict_param
        return found.confidence[split.pool] >= (np.inf if least is None else least)

    return method


METHODS: dict[str, Method] = {
    "Evenset": evenset,
    "read off without a bound": read_off,
    "temperature scaling": temperature,
    "isotonic": isotonic,
    "mapie, Bonferroni-Holm": learn_then_test("bonferroni_holm"),
    "mapie, fixed sequence": learn_then_test("fixed_sequence"),
}

if __name__ == "__main__":
    main()
