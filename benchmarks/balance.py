"""Gain of synthetic images over the best training without them, on Fashion-MNIST with a long tail (100:1).

Every arm trains the same small network for the same number of updates. Validation images choose the best arm without
synthetic images, and the best recipe with them; --sweep adds recipes with one value changed. The 10,000 test images
choose nothing.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pictures
import torch
from measure import goal
from tabulate import tabulate

ORDER = (1, 5, 8, 9, 7, 3, 0, 2, 4, 6)  # classes from head to tail: pullovers, coats and shirts are the tail
HEAD, RATIO = 6000, 100
VALIDATION, MIN_VALIDATION = 500, 100  # validation images a class; fewer of the largest classes
PEERS: dict[str, dict[str, Any]] = {
    "cross-entropy": dict(class_balance_power=0.0),
    "n^-.5 sampler": dict(class_balance_power=0.5),
    "balanced sampler": dict(class_balance_power=1.0),
    "logit adjustment": dict(class_balance_power=0.0, logit_adjustment=1.0),
    "n^-.5 sampler + LA": dict(class_balance_power=0.5, logit_adjustment=0.5),
    "balanced sampler + LA": dict(class_balance_power=1.0, logit_adjustment=1.0),
}
LONGER = "best of these + strong augmentation, longer"
TARGET = 1000  # images of a class, with synthetic ones
DRAWS = 2  # images generated for each that is needed, as filters reject some
MIN_START_IMAGES = 300  # classes of fewer real images are no starting point for generation


class Recipe(NamedTuple):
    """How synthetic images are generated and used."""

    budget: float = 1.0  # of the generator's training, times --minutes
    cap: float | None = 10.0  # synthetic images for each real one
    fraction: float = 0.15  # of a batch that is synthetic
    without: str = "none"  # the filter to leave out
    strength: float = 1.0  # below 1, generation starts from an image of a large class, noised this far
    guidance: float = 2.0  # classifier-free guidance scale

    def __str__(self) -> str:
        defaults = self._field_defaults
        changed = [f"{name} {value}" for name, value in self._asdict().items() if value != defaults[name]]
        return f"+ synthetic, {', '.join(changed) or 'the recipe'}"


SWEEPS: dict[str, tuple[Any, ...]] = {
    "cap": (3.0, None),
    "fraction": (0.05, 0.3),
    "without": ("copy", "prototype", "probability", "graph", "all"),
    "strength": (0.7, 0.5),
    "guidance": (1.0, 4.0),
    "budget": (0.4, 2.0, 4.0),
}


class Images(NamedTuple):
    pixels: np.ndarray  # uint8 [N, 1, S, S]
    labels: np.ndarray  # [N]


class Problem(NamedTuple):
    train: Images
    held_out: Images  # a quarter of the training images, unseen by the generator and the filters' classifier
    validation: Images
    test: Images


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0, help="training time of the generator")
    parser.add_argument("--sweep", nargs="*", default=[], choices=SWEEPS, help="values to change, one at a time")
    parser.add_argument("--updates", type=int, default=1200, help="of each network")
    parser.add_argument("--seeds", type=int, default=5, help="networks of each arm")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--half", action="store_true", help="halves the side of all images")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    problem = long_tailed(1 + options.half)
    print("training images of each class:", np.bincount(problem.train.labels)[list(ORDER)].tolist(), flush=True)
    validated, tested, seconds = {}, {}, {}

    def run(name: str, values: dict[str, Any], updates: int, synthetic: Images | None = None) -> None:
        start = time.perf_counter()
        validated[name], tested[name] = arm(problem, values, updates, range(options.seeds), synthetic)
        seconds[name] = (time.perf_counter() - start) / options.seeds
        count = f"{len(synthetic.labels):,} images, " if synthetic else ""
        print(f"{name}: {count}validation {validated[name].mean():.4f}, test {tested[name].mean():.4f}", flush=True)

    for name, values in PEERS.items():
        run(name, values, options.updates)
    best_peer = max(PEERS, key=lambda name: float(validated[name].mean()))
    strong = dict(PEERS[best_peer], augmentation="strong")
    longer = options.updates + extra_updates(options, seconds[best_peer])
    run(LONGER, strong, longer)
    best = max(validated, key=lambda name: float(validated[name].mean()))
    print(f"best without synthetic images, by validation: {best}\n", flush=True)
    values, updates = (strong, longer) if best == LONGER else (PEERS[best], options.updates)
    generate = Generation(problem, options.minutes)
    for recipe in recipes(options.sweep):
        run(str(recipe), dict(values, synthetic_fraction=recipe.fraction), updates, generate(recipe))
    report(validated, tested, best, options.seeds)


def extra_updates(options: argparse.Namespace, seconds: float) -> int:
    """Updates of a network in the generator's training time, where `options.updates` take `seconds`."""
    return round(options.minutes * 60 * options.updates / seconds)


def recipes(sweep: list[str]) -> list[Recipe]:
    changed = [Recipe()._replace(**{name: value}) for name in sweep for value in SWEEPS[name]]
    return [Recipe(), *changed]


def long_tailed(fold: int = 1, seed: int = 0) -> Problem:
    pixels, names = pictures._fashion_mnist(pictures.LOCAL_COPY)
    truth = np.array([pictures.CLOTHES.index(name) for name in names])
    pixels = pictures.reduced(pixels[:, None], fold)
    is_train, rng = np.arange(len(truth)) < 60_000, np.random.default_rng(seed)
    train, held_out, validation = [], [], []
    for rank, name in enumerate(ORDER):
        rows = rng.permutation(np.flatnonzero(is_train & (truth == name)))
        count = min(round(HEAD * RATIO ** (-rank / 9)), len(rows) - MIN_VALIDATION)
        quarter = count // 4
        held_out, train = [*held_out, rows[:quarter]], [*train, rows[quarter:count]]
        validation.append(rows[max(count, len(rows) - VALIDATION) :])
    parts = [np.concatenate(rows) for rows in (train, held_out, validation)]
    return Problem(*(Images(pixels[rows], truth[rows]) for rows in (*parts, np.flatnonzero(~is_train))))


def all_training(problem: Problem) -> Images:
    """All real training images, for the arms, including those held out from the generator."""
    return Images(*(np.concatenate(pair) for pair in zip(problem.train, problem.held_out, strict=True)))


def arm(
    problem: Problem, values: dict[str, Any], updates: int, seeds: range, extra: Images | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Balanced accuracy on validation and on test, for each seed [S]."""
    from evenset.models.classifiers import small_cnn
    from evenset.models.settings import SmallCNNSettings

    real = all_training(problem)
    scores = []
    for seed in seeds:
        settings = SmallCNNSettings(seed=seed, **{"updates": updates, **values})
        model = small_cnn.build(10, real.pixels, settings)
        for _ in small_cnn.train(model, real.pixels, real.labels, settings, extra):
            pass
        scores.append([balanced_accuracy(small_cnn.predict(model, part.pixels), part.labels) for part in problem[2:]])
    return tuple(np.array(scores).T)  # type: ignore[return-value]


def balanced_accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    correct = probabilities.argmax(1) == labels
    return float(np.mean([correct[labels == name].mean() for name in range(10)]))


class Generation:
    """Generates the images of a recipe; the generator is trained once a budget."""

    def __init__(self, problem: Problem, minutes: float) -> None:
        self.problem, self.minutes = problem, minutes
        self.trained: dict[float, Any] = {}

    def __call__(self, recipe: Recipe) -> Images:
        """Images that fill classes up to TARGET, at most `cap` for each real one."""
        counts = np.bincount(all_training(self.problem).labels)
        needed = np.maximum(TARGET - counts, 0)
        if recipe.cap is not None:
            needed = np.minimum(needed, np.floor(recipe.cap * counts).astype(int))
        drawn = self._drawn(recipe, np.repeat(np.arange(10), DRAWS * needed))
        kept = self._filter_mask(recipe.without, drawn)
        rows = np.concatenate([np.flatnonzero(kept & (drawn.labels == name))[: needed[name]] for name in range(10)])
        return Images(drawn.pixels[rows], drawn.labels[rows])

    def _drawn(self, recipe: Recipe, labels: np.ndarray) -> Images:
        from evenset.models.diffusion import training
        from evenset.models.settings import SamplingSettings

        train = self.problem.train
        pixels, start = np.empty((len(labels), *train.pixels.shape[1:]), np.uint8), None
        if recipe.strength < 1:
            candidates = np.flatnonzero(np.bincount(train.labels)[train.labels] >= MIN_START_IMAGES)
            start = train.pixels[np.random.default_rng(0).choice(candidates, len(labels))]
        settings = SamplingSettings(guidance=recipe.guidance)
        generator = self._generator(recipe.budget)
        for rows, images in training.generate(generator, labels, settings, start=start, strength=recipe.strength):
            pixels[rows] = images
        return Images(pixels, labels)

    def _generator(self, budget: float) -> Any:
        from evenset.models.diffusion import training
        from evenset.models.settings import GeneratorSettings

        if budget not in self.trained:
            train = self.problem.train
            settings = GeneratorSettings(minutes=budget * self.minutes, preview_every=10**8)
            pipeline = training.build(list(pictures.CLOTHES), 1, train.pixels.shape[-1], settings)
            with tempfile.TemporaryDirectory() as folder:
                reports = training.train(pipeline, train.pixels.__getitem__, train.labels, settings, Path(folder))
                last = list(reports)[-1]
            print(f"generator: {settings.minutes:g} minutes, {last.number:,} updates, loss {last.loss:.3f}", flush=True)
            self.trained[budget] = pipeline
        return self.trained[budget]

    def _filter_mask(self, without: str, drawn: Images) -> np.ndarray:
        from evenset.models.quality.image_filters import CHECKS

        if without == "all":
            return np.ones(len(drawn.labels), dtype=bool)
        setting = "gcn_reject_quantile" if without == "graph" else f"{without}_reject_quantile"
        off = {setting: 0.0} if without in CHECKS else {}
        return filter_mask(self.problem.train, self.problem.held_out, drawn, off)


def filter_mask(train: Images, held_out: Images, drawn: Images, off: dict[str, float] | None = None) -> np.ndarray:
    """Mask of the images that the filters keep: trained on `train`, with limits from `held_out`."""
    from evenset.models.quality.image_filters import CHECKS
    from evenset.models.settings import FilterSettings, SmallCNNSettings
    from evenset.workflows.balancing.benefit import RealImages
    from evenset.workflows.balancing.image_filter import ImageFilter

    names = np.arange(len(train.labels)).astype(str)
    real = RealImages(list(pictures.CLOTHES), *train, names, *held_out)
    with tempfile.TemporaryDirectory() as folder:
        run: Any = SimpleNamespace(folder=Path(folder), report=lambda *_: None, check_stop=lambda: None)
        verdicts = ImageFilter(run, real, FilterSettings(**(off or {})), SmallCNNSettings(), copies=True)(*drawn)[0]
    rejected = [f"{name} {(verdicts.reason == name).mean():.0%}" for name in CHECKS]
    print(f"filters kept {verdicts.kept.mean():.1%}; rejected: {', '.join(rejected)}", flush=True)
    return verdicts.kept


def report(validated: dict[str, np.ndarray], tested: dict[str, np.ndarray], best: str, seeds: int) -> None:
    from scipy.stats import t

    rows = []
    for name, scores in tested.items():
        lead = 100 * (scores - tested[best])
        half = float(t.ppf(0.975, seeds - 1) * lead.std(ddof=1) / seeds**0.5) if seeds > 1 else float("nan")
        percentages = [100 * value for value in (validated[name].mean(), scores.mean(), scores.std(ddof=seeds > 1))]
        rows.append([name, *percentages, lead.mean(), lead.mean() - half, lead.mean() + half])
    print(f"\nFashion-MNIST, {RATIO}:1, balanced accuracy on 10,000 test images in %, {seeds} seeds")
    headers = ["", "validation", "test", "std", "points over the best", "from", "to"]
    print(tabulate(rows, headers, floatfmt=("", ".1f", ".1f", ".2f", "+.2f", "+.2f", "+.2f")))
    with_images = [row for row in rows if str(row[0]).startswith("+ synthetic")]
    best_recipe = max(with_images, key=lambda row: float(row[1]))  # by validation
    met = float(best_recipe[4]) >= 1 and float(best_recipe[5]) > 0
    goal(
        f"best peer ({best}) + synthetic at least 1 point better, interval above 0",
        met,
        f"{best_recipe[4]:+.2f} ({best_recipe[0]})",
    )


if __name__ == "__main__":
    main()
