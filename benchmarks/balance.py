"""Are synthetic images worth more than what one would do without them? Fashion-MNIST, made long-tailed (100:1).

Every arm is the same small network, trained for equal steps. The best arm without synthetic images is chosen on a
validation part, as is the recipe for synthetic ones; with --sweep there are others, each with one thing changed. The
10,000 test images choose nothing.
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
VALIDATION, AT_LEAST = 500, 100  # images of a class that choose the best arm; of the largest, whose others all train
PEERS: dict[str, dict[str, Any]] = {
    "cross-entropy": dict(class_balance_power=0.0),
    "n^-.5 sampler": dict(class_balance_power=0.5),
    "balanced sampler": dict(class_balance_power=1.0),
    "logit adjustment": dict(class_balance_power=0.0, logit_adjustment=1.0),
    "n^-.5 sampler + LA": dict(class_balance_power=0.5, logit_adjustment=0.5),
    "balanced sampler + LA": dict(class_balance_power=1.0, logit_adjustment=1.0),
}
LONGER = "best of these + strong augmentation, longer"
MOST = 1000  # images of a class that synthetic ones fill up to
TRIES = 2  # images drawn for each that is wanted, as filters refuse some
LENDS = 300  # real images of a class from which on it lends them to the others


class Recipe(NamedTuple):
    """How synthetic images are made and used."""

    budget: float = 1.0  # the generator's training, times --minutes
    cap: float = 10.0  # synthetic images for a real one; 0: none
    share: float = 0.15  # of a batch that is synthetic
    without: str = "none"  # the filter that is left out
    strength: float = 1.0  # below 1 an image starts from one of a large class, noised so far
    guidance: float = 2.0  # how much the label is stressed in drawing

    def __str__(self) -> str:
        usual = self._field_defaults
        other = [f"{name} {value}" for name, value in self._asdict().items() if value != usual[name]]
        return f"+ synthetic, {', '.join(other) or 'the recipe'}"


SWEEPS: dict[str, tuple[Any, ...]] = {
    "cap": (3.0, 0.0),
    "share": (0.05, 0.3),
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
    held_out: Images  # a quarter of the training images, which the generator and the filters' classifier do not see
    validation: Images
    test: Images


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0, help="of the generator's training")
    parser.add_argument("--sweep", nargs="*", default=[], choices=SWEEPS, help="what is changed, one thing at a time")
    parser.add_argument("--steps", type=int, default=1200, help="updates of each network")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--half", action="store_true", help="images of half the side: a quarter of the work")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    problem = long_tailed(1 + options.half)
    print("training images of each class:", np.bincount(problem.train.labels)[list(ORDER)].tolist(), flush=True)
    validated, tested, clock = {}, {}, {}

    def run(name: str, values: dict[str, Any], steps: int, made: Images | None = None) -> None:
        start = time.perf_counter()
        validated[name], tested[name] = arm(problem, values, steps, range(options.seeds), made)
        clock[name] = (time.perf_counter() - start) / options.seeds
        count = f"{len(made.labels):,} images, " if made else ""
        print(f"{name}: {count}validation {validated[name].mean():.4f}, test {tested[name].mean():.4f}", flush=True)

    for name, values in PEERS.items():
        run(name, values, options.steps)
    first = max(PEERS, key=lambda name: float(validated[name].mean()))
    strong, longer = dict(PEERS[first], augmentation="strong"), options.steps + more_steps(options, clock[first])
    run(LONGER, strong, longer)
    best = max(validated, key=lambda name: float(validated[name].mean()))
    print(f"best without synthetic images, by validation: {best}\n", flush=True)
    values, steps = (strong, longer) if best == LONGER else (PEERS[best], options.steps)
    making = Making(problem, options.minutes)
    for recipe in recipes(options.sweep):
        run(str(recipe), dict(values, synthetic_fraction=recipe.share), steps, making(recipe))
    report(validated, tested, best, options.seeds)


def more_steps(options: argparse.Namespace, seconds: float) -> int:
    """Updates that a network makes in the time that the generator trains; `options.steps` take so many seconds."""
    return round(options.minutes * 60 * options.steps / seconds)


def recipes(sweep: list[str]) -> list[Recipe]:
    changed = [Recipe()._replace(**{name: value}) for name in sweep for value in SWEEPS[name]]
    return [Recipe(), *changed]


def long_tailed(fold: int = 1, seed: int = 0) -> Problem:
    pixels, names = pictures._fashion_mnist(pictures.LOCAL_COPY)
    truth = np.array([pictures.CLOTHES.index(name) for name in names])
    pixels = pictures.reduced(pixels[:, None], fold)
    first, rng = np.arange(len(truth)) < 60_000, np.random.default_rng(seed)
    train, held, validation = [], [], []
    for rank, name in enumerate(ORDER):
        rows = rng.permutation(np.flatnonzero(first & (truth == name)))
        count = min(round(HEAD * RATIO ** (-rank / 9)), len(rows) - AT_LEAST)
        quarter = count // 4
        held, train = [*held, rows[:quarter]], [*train, rows[quarter:count]]
        validation.append(rows[max(count, len(rows) - VALIDATION) :])
    parts = [np.concatenate(rows) for rows in (train, held, validation)]
    return Problem(*(Images(pixels[rows], truth[rows]) for rows in (*parts, np.flatnonzero(~first))))


def everything(problem: Problem) -> Images:
    """What the arms train on: all real training images, the generator's held-out ones too."""
    return Images(*(np.concatenate(pair) for pair in zip(problem.train, problem.held_out, strict=True)))


def arm(
    problem: Problem, values: dict[str, Any], steps: int, seeds: range, extra: Images | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Balanced accuracy on validation and on test, for each seed [S]."""
    from evenset.models.classifiers import small_cnn
    from evenset.models.settings import SmallCNNSettings

    real = everything(problem)
    scores = []
    for seed in seeds:
        settings = SmallCNNSettings(seed=seed, **{"updates": steps, **values})
        model = small_cnn.build(10, real.pixels, settings)
        for _ in small_cnn.train(model, real.pixels, real.labels, settings, extra):
            pass
        scores.append([balanced(small_cnn.predict(model, part.pixels), part.labels) for part in problem[2:]])
    return tuple(np.array(scores).T)  # type: ignore[return-value]


def balanced(probabilities: np.ndarray, labels: np.ndarray) -> float:
    correct = probabilities.argmax(1) == labels
    return float(np.mean([correct[labels == name].mean() for name in range(10)]))


class Making:
    """Makes what recipes ask for; a generator is trained once a budget."""

    def __init__(self, problem: Problem, minutes: float) -> None:
        self.problem, self.minutes = problem, minutes
        self.trained: dict[float, Any] = {}

    def __call__(self, recipe: Recipe) -> Images:
        """Images of the classes that have fewer than `MOST`, no more than the cap for a real one."""
        counts = np.bincount(everything(self.problem).labels)
        wanted = np.maximum(MOST - counts, 0)
        wanted = np.minimum(wanted, np.floor(recipe.cap * counts).astype(int)) if recipe.cap else wanted
        drawn = self._drawn(recipe, np.repeat(np.arange(10), TRIES * wanted))
        good = self._kept(recipe.without, drawn)
        rows = np.concatenate([np.flatnonzero(good & (drawn.labels == name))[: wanted[name]] for name in range(10)])
        return Images(drawn.pixels[rows], drawn.labels[rows])

    def _drawn(self, recipe: Recipe, labels: np.ndarray) -> Images:
        from evenset.models.diffusion import training
        from evenset.models.settings import SamplingSettings

        train = self.problem.train
        pixels, start = np.empty((len(labels), *train.pixels.shape[1:]), np.uint8), None
        if recipe.strength < 1:
            lent = np.flatnonzero(np.bincount(train.labels)[train.labels] >= LENDS)
            start = train.pixels[np.random.default_rng(0).choice(lent, len(labels))]
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
            settings = GeneratorSettings(minutes=budget * self.minutes, preview_every=10**9)
            pipeline = training.build(list(pictures.CLOTHES), 1, train.pixels.shape[-1], settings)
            with tempfile.TemporaryDirectory() as folder:
                steps = training.train(pipeline, train.pixels.__getitem__, train.labels, settings, Path(folder))
                last = list(steps)[-1]
            print(f"generator: {settings.minutes:g} minutes, {last.number:,} updates, loss {last.loss:.3f}", flush=True)
            self.trained[budget] = pipeline
        return self.trained[budget]

    def _kept(self, without: str, drawn: Images) -> np.ndarray:
        from evenset.models.quality.image_filters import CHECKS

        if without == "all":
            return np.ones(len(drawn.labels), dtype=bool)
        setting = "gcn_reject_quantile" if without == "graph" else f"{without}_reject_quantile"
        off = {setting: 0.0} if without in CHECKS else {}
        return kept(self.problem.train, self.problem.held_out, drawn, off)


def kept(train: Images, held_out: Images, drawn: Images, off: dict[str, float] | None = None) -> np.ndarray:
    """Which images the filters keep: a network that learned from `train` judges, `held_out` sets the limits."""
    from evenset.models.quality.image_filters import CHECKS
    from evenset.models.settings import FilterSettings, SmallCNNSettings
    from evenset.workflows.balancing.benefit import RealImages
    from evenset.workflows.balancing.image_filter import ImageFilter

    names = np.arange(len(train.labels)).astype(str)
    real = RealImages(list(pictures.CLOTHES), *train, names, *held_out)
    with tempfile.TemporaryDirectory() as folder:
        run: Any = SimpleNamespace(folder=Path(folder), report=lambda *_: None, check_stop=lambda: None)
        judged = ImageFilter(run, real, FilterSettings(**(off or {})), SmallCNNSettings(), copies=True)(*drawn)[0]
    refused = [f"{name} {(judged.reason == name).mean():.0%}" for name in CHECKS]
    print(f"filters kept {judged.kept.mean():.1%}; refused: {', '.join(refused)}", flush=True)
    return judged.kept


def report(validated: dict[str, np.ndarray], tested: dict[str, np.ndarray], best: str, seeds: int) -> None:
    from scipy.stats import t

    rows = []
    for name, found in tested.items():
        lead = 100 * (found - tested[best])
        half = float(t.ppf(0.975, seeds - 1) * lead.std(ddof=1) / seeds**0.5) if seeds > 1 else float("nan")
        shown = [100 * values for values in (validated[name].mean(), found.mean(), found.std(ddof=seeds > 1))]
        rows.append([name, *shown, lead.mean(), lead.mean() - half, lead.mean() + half])
    print(f"\nFashion-MNIST, {RATIO}:1, balanced accuracy on 10,000 test images in %, {seeds} seeds")
    headers = ["", "validation", "test", "spread", "points over the best", "from", "to"]
    print(tabulate(rows, headers, floatfmt=("", ".1f", ".1f", ".2f", "+.2f", "+.2f", "+.2f")))
    with_images = [row for row in rows if str(row[0]).startswith("+ synthetic")]
    top = max(with_images, key=lambda row: float(row[1]))  # by validation
    met = float(top[4]) >= 1 and float(top[5]) > 0
    goal(f"best peer ({best}) + synthetic at least 1 point better, interval above 0", met, f"{top[4]:+.2f} ({top[0]})")


if __name__ == "__main__":
    main()
