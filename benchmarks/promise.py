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
    """Predictions for the samples that are neither trained on nor tuned on."""

    scores: np.ndarray  # higher is accepted first [N]
    confidence: np.ndarray  # the scores, calibrated on the tuning labels [N]
    logits: np.ndarray  # of the ensemble [N, K]
    truth: np.ndarray  # [N]

    @property
    def correct(self) -> np.ndarray:
        return np.asarray(self.logits.argmax(1) == self.truth)


class Split(NamedTuple):
    """Indices of a draw."""

    calibration: np.ndarray
    unlabelled: np.ndarray


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
    parser.add_argument("--cache", type=Path, help="folder that keeps the predictions between calls")
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", module="mapie")  # it warns where nothing is accepted
    with tempfile.TemporaryDirectory() as passing:
        for wrong in options.wrong:
            scored = predictions(options, wrong, options.cache or Path(passing))
            accuracy = scored.correct.mean()
            print(f"\n{options.labels} labels, {wrong:.0%} of them wrong: accuracy {accuracy:.3f}")
            for count in options.held:
                for target in options.targets:
                    compare(scored, count, target, options.splits)


def predictions(options: argparse.Namespace, wrong: float, folder: Path) -> Predictions:
    """Reads them from the folder, or makes them and keeps them there."""
    from evenset.models.confidence import calibration

    path = folder / f"promise-{options.images}-{options.labels}-{wrong:g}.npz"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(path, **predict(options.images, options.labels, wrong))
    with np.load(path) as arrays:
        scores, logits, truth, labels = (arrays[name] for name in ("scores", "logits", "truth", "labels"))
    tuning = slice(options.labels, options.labels + TUNING)
    calibrator = calibration.fit(scores[tuning], logits[tuning].argmax(1) == labels[tuning])
    rest = slice(options.labels + TUNING, None)
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
    noisy = np.full(images, -1)
    noisy[: labels + TUNING] = truth[: labels + TUNING]
    bad = np.flatnonzero(rng.random(labels + TUNING) < wrong)
    noisy[bad] = (noisy[bad] + rng.integers(1, 10, len(bad))) % 10
    train = np.where(np.arange(images) < labels, noisy, -1)

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
    weights = ensemble.weigh(stack[:, tuning], noisy[tuning])
    logits = ensemble.combine(stack, weights)
    scores = ordered(logits, members, weights, nearest.neighbours, noisy)
    return dict(scores=scores, logits=logits, truth=truth, labels=noisy)


def ordered(
    logits: np.ndarray, members: dict[str, np.ndarray], weights: np.ndarray, neighbours: np.ndarray, noisy: np.ndarray
) -> np.ndarray:
    """Scores by which auto_label orders samples [N]."""
    from evenset.models.settings import AutoLabelSettings
    from evenset.workflows.data.labels import Labels
    from evenset.workflows.labeling import predictions
    from evenset.workflows.labeling.decision import decide
    from evenset.workflows.training.ensemble import neighbour_agreement
    from evenset.workflows.training.partition import Split

    count, agree = len(logits), neighbour_agreement(logits, neighbours)
    parts = np.where(
        noisy < 0, 0, np.where(np.arange(count) < (noisy >= 0).sum() - TUNING, Split.TRAIN, Split.VALIDATION)
    )
    ids = np.arange(count).astype(str)
    label_data = Labels(ids, ids, noisy, list("abcdefghij"), noisy >= 0, np.full(count, ""), 0)
    none = np.zeros((count, 0))
    of_all = predictions.Predictions(logits, none, np.zeros(10), parts, none[:0], {}, members=members)
    of_all.neighbour_agreement, of_all.weights = agree, dict(zip(members, weights.tolist(), strict=True))
    return decide(label_data, of_all, AutoLabelSettings()).candidates.scores


def compare(scored: Predictions, count: int, target: float, splits: int) -> None:
    """Prints how each method fares over the splits, and the goals."""
    rng = np.random.default_rng(count)
    draws = [np.split(rng.permutation(len(scored.truth)), [count]) for _ in range(splits)]
    oracle = np.array([best_coverage(scored, Split(*draw), target) for draw in draws])
    rows, figures = [], {}
    for name, method in METHODS.items():
        outcomes = [outcome(method, scored, Split(*draw), target) for draw in draws]
        coverage, keeps = (np.array(column) for column in zip(*outcomes, strict=True))
        figures[name] = float(keeps.mean()), float(coverage.mean() / max(oracle.mean(), 1e-9))
        figure = {"promise kept": figures[name][0], "coverage over the oracle's": figures[name][1]}
        rows.append({"": name, **figure, "nothing accepted": float((coverage == 0).mean())})
    print(f"\n{count:,} calibration labels, target {target:g}: the oracle accepts {oracle.mean():.3f}")
    print(tabulate(rows, "keys", floatfmt=".3f"))
    keep_rate, share = figures["Evenset"]
    goal(f"{count:,} labels, {target:g}: kept in at least .90 of the splits", keep_rate >= 0.9, f"{keep_rate:.3f}")
    if (count, target) in GOALS:
        least = GOALS[count, target]
        goal(
            f"{count:,} labels, {target:g}: coverage over the oracle's at least {least:.2f}",
            share >= least,
            f"{share:.3f}",
        )


def outcome(method: Method, scored: Predictions, split: Split, target: float) -> tuple[float, bool]:
    """Coverage, and whether the promise is kept: an empty one is."""
    accepted = method(scored, split, target)
    correct = scored.correct[split.unlabelled][accepted]
    return float(accepted.mean()), not accepted.any() or bool(correct.mean() >= target)


def best_coverage(scored: Predictions, split: Split, target: float) -> float:
    """The largest part of the unlabelled samples that keeps the target, by the same scores and the truth."""
    correct = scored.correct[split.unlabelled][np.argsort(-scored.scores[split.unlabelled])]
    reached = np.flatnonzero(np.cumsum(correct) >= target * np.arange(1, len(correct) + 1) - 1e-9)
    return float((reached[-1] + 1) / len(correct)) if len(reached) else 0.0


Method = Callable[[Predictions, Split, float], np.ndarray]  # unlabelled samples that are accepted [M]


def evenset(scored: Predictions, split: Split, target: float) -> np.ndarray:
    from evenset.models.confidence.threshold import HeldOut, choose_threshold

    scores, calibration = scored.scores[split.unlabelled], scored.scores[split.calibration]
    correct = scored.correct[split.calibration]
    expected = scored.confidence[split.calibration]  # calibrated by the tuning part
    chosen = choose_threshold(scores, HeldOut(calibration, correct), expected, target, ALPHA)
    return np.asarray(scores >= chosen.score)


def read_off(scored: Predictions, split: Split, target: float) -> np.ndarray:
    """The lowest score above which the calibration labels reach the target."""
    order = split.calibration[np.argsort(-scored.scores[split.calibration])]
    reached = np.flatnonzero(np.cumsum(scored.correct[order]) >= target * np.arange(1, len(order) + 1) - 1e-9)
    least = scored.scores[order[reached[-1]]] if len(reached) else np.inf
    return np.asarray(scored.scores[split.unlabelled] >= least)


def temperature(scored: Predictions, split: Split, target: float) -> np.ndarray:
    """Guo et al., 2017: accepts confidences of at least the target."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    rows, answers = scored.logits[split.calibration], scored.truth[split.calibration]

    def loss(scale: float) -> float:
        return -float(log_softmax(np.exp(scale) * rows, axis=1)[np.arange(len(rows)), answers].mean())

    scale = np.exp(minimize_scalar(loss, bounds=(-4, 4), method="bounded").x)
    return np.asarray(np.exp(log_softmax(scale * scored.logits[split.unlabelled], axis=1).max(1)) >= target)


def isotonic(scored: Predictions, split: Split, target: float) -> np.ndarray:
    from sklearn.isotonic import IsotonicRegression

    calibration = scored.scores[split.calibration], scored.correct[split.calibration]
    model = IsotonicRegression(out_of_bounds="clip").fit(*calibration)
    return np.asarray(model.predict(scored.scores[split.unlabelled]) >= target)


def learn_then_test(correction: str) -> Method:
    """mapie's, at a hundred thresholds that leave all to a tenth of the samples, so that each has samples above it."""

    def method(scored: Predictions, split: Split, target: float) -> np.ndarray:
        from mapie.risk_control import BinaryClassificationController

        steps = np.quantile(scored.confidence[split.unlabelled], np.linspace(0, 0.9, 100))
        controller = BinaryClassificationController(
            lambda sure: np.stack([1 - sure, sure], axis=1),
            "precision",
            target,
            1 - ALPHA,
            list_predict_params=steps[::-1] if correction == "fixed_sequence" else steps,
            fwer_method=correction,  # type: ignore[arg-type]
        )
        controller.calibrate(scored.confidence[split.calibration], scored.correct[split.calibration].astype(int))
        least = controller.best_predict_param
        return scored.confidence[split.unlabelled] >= (np.inf if least is None else least)

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
