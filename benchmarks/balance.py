"""Are synthetic images worth more than what one would do without them? Fashion-MNIST, made long-tailed (100:1).

Every arm is the same small network, trained for equal steps. The best arm without synthetic images is chosen on a
validation part, and only then are the 10,000 test images looked at.
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
VALIDATION = 100  # images of a class that choose the best arm
PEERS: dict[str, dict[str, Any]] = {
    "cross-entropy": dict(sampler_power=0.0),
    "n^-.5 sampler": dict(sampler_power=0.5),
    "balanced sampler": dict(sampler_power=1.0),
    "logit adjustment": dict(sampler_power=0.0, logit_adjustment=1.0),
    "n^-.5 sampler + LA": dict(sampler_power=0.5, logit_adjustment=0.5),
    "balanced sampler + LA": dict(sampler_power=1.0, logit_adjustment=1.0),
}
LONGER = "best of these + strong augmentation, longer"


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
    parser.add_argument("--minutes", type=float, nargs="+", default=[5.0], help="of the generator's training")
    parser.add_argument("--caps", type=float, nargs="+", default=[10.0], help="synthetic images per real one; 0: none")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.15], help="of a batch that is synthetic")
    parser.add_argument("--filters", nargs="+", default=["all"], choices=("all", "none"))
    parser.add_argument("--steps", type=int, default=1200, help="updates of each network")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--most", type=int, default=1000, help="images of a class that synthetic ones fill up to")
    parser.add_argument("--half", action="store_true", help="images of half the side: a quarter of the work")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    problem = long_tailed(1 + given.half)
    print("training images of each class:", np.bincount(problem.train.labels)[list(ORDER)].tolist(), flush=True)
    seeds = range(given.seeds)
    validated, tested, clock = {}, {}, {}
    for name, values in PEERS.items():
        start = time.perf_counter()
        validated[name], tested[name] = arm(problem, values, given.steps, seeds)
        clock[name] = (time.perf_counter() - start) / given.seeds
        print(f"{name}: validation {validated[name].mean():.3f}, test {tested[name].mean():.3f}", flush=True)
    first = max(PEERS, key=lambda name: float(validated[name].mean()))
    longer = given.steps + round(max(given.minutes) * 60 * given.steps / clock[first])
    strong = dict(PEERS[first], augmentation="strong")
    validated[LONGER], tested[LONGER] = arm(problem, strong, longer, seeds)
    best = max(validated, key=lambda name: float(validated[name].mean()))
    print(f"best without synthetic images, by validation: {best}\n", flush=True)
    values, steps = (strong, longer) if best == LONGER else (PEERS[best], given.steps)
    for minutes in given.minutes:
        generator = trained(problem, minutes)
        for filters in given.filters:
            for cap in given.caps:
                made = synthetic(problem, generator, cap, given.most, filters == "all")
                for share in given.shares:
                    name = f"+ synthetic: {minutes:g} minutes, cap {cap:g}, filters {filters}, share {share:g}"
                    some = dict(values, synthetic_share=share)
                    validated[name], tested[name] = arm(problem, some, steps, seeds, made)
                    print(f"{name}: {len(made.labels):,} images, test {tested[name].mean():.3f}", flush=True)
    report(validated, tested, best, given.seeds)


def long_tailed(fold: int = 1, seed: int = 0) -> Problem:
    pixels, names = pictures._fashion_mnist(pictures.LOCAL_COPY)
    truth = np.array([pictures.CLOTHES.index(name) for name in names])
    pixels = pictures.reduced(pixels[:, None], fold)
    first, rng = np.arange(len(truth)) < 60_000, np.random.default_rng(seed)
    train, held, validation = [], [], []
    for rank, name in enumerate(ORDER):
        rows = rng.permutation(np.flatnonzero(first & (truth == name)))
        count = min(round(HEAD * RATIO ** (-rank / 9)), len(rows) - VALIDATION)
        cut = count // 4
        held, train = [*held, rows[:cut]], [*train, rows[cut:count]]
        validation.append(rows[-VALIDATION:])
    parts = [np.concatenate(rows) for rows in (train, held, validation)]
    return Problem(*(Images(pixels[rows], truth[rows]) for rows in (*parts, np.flatnonzero(~first))))


def everything(problem: Problem) -> Images:
    """What the arms train on: all real training images, the generator's held-out ones too."""
    return Images(*(np.concatenate(pair) for pair in zip(problem.train, problem.held_out, strict=True)))


def arm(
    problem: Problem, values: dict[str, Any], steps: int, seeds: range, made: Images | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Balanced accuracy on validation and on test, for each seed [S]."""
    from evenset.models import probe
    from evenset.models.settings import ProbeSettings

    real = everything(problem)
    found = []
    for seed in seeds:
        settings = ProbeSettings(seed=seed, **{"steps": steps, **values})
        model = probe.build(10, real.pixels, settings)
        for _ in probe.train(model, real.pixels, real.labels, settings, made):
            pass
        found.append([balanced(probe.predict(model, part.pixels), part.labels) for part in problem[2:]])
    return tuple(np.array(found).T)  # type: ignore[return-value]


def balanced(probabilities: np.ndarray, labels: np.ndarray) -> float:
    right = probabilities.argmax(1) == labels
    return float(np.mean([right[labels == name].mean() for name in range(10)]))


def trained(problem: Problem, minutes: float) -> Any:
    from evenset.models import diffusion
    from evenset.models.settings import GeneratorSettings

    settings = GeneratorSettings(minutes=minutes, picture_steps=10**9)
    pipeline = diffusion.build(list(pictures.CLOTHES), 1, problem.train.pixels.shape[-1], settings)
    with tempfile.TemporaryDirectory() as folder:
        steps = diffusion.train(
            pipeline, lambda rows: problem.train.pixels[rows], problem.train.labels, settings, Path(folder)
        )
        last = list(steps)[-1]
    print(f"generator: {minutes:g} minutes, {last.number:,} updates, loss {last.loss:.3f}", flush=True)
    return pipeline


def synthetic(problem: Problem, pipeline: Any, cap: float, most: int, filtered: bool) -> Images:
    """Images of the classes that have fewer than `most`, no more than `cap` for a real one."""
    from evenset.models import diffusion
    from evenset.models.settings import FilterSettings, ProbeSettings, SamplingSettings
    from evenset.workflows.benefit import Problem as Judged
    from evenset.workflows.judging import Judging

    counts = np.bincount(everything(problem).labels)
    wanted = np.maximum(most - counts, 0)
    wanted = np.minimum(wanted, np.floor(cap * counts).astype(int)) if cap else wanted
    labels = np.repeat(np.arange(10), np.ceil(wanted * (2 if filtered else 1)).astype(int))
    pixels = np.empty((len(labels), *problem.train.pixels.shape[1:]), np.uint8)
    for rows, images in diffusion.generate(pipeline, labels, SamplingSettings()):
        pixels[rows] = images
    if not filtered:
        return Images(pixels, labels)
    with tempfile.TemporaryDirectory() as folder:
        run: Any = SimpleNamespace(folder=Path(folder), report=lambda *_: None, check_stop=lambda: None)
        ids = np.arange(len(problem.train.labels)).astype(str)
        real = Judged(list(pictures.CLOTHES), *problem.train, ids, *problem.held_out)
        kept = Judging(run, real, FilterSettings(), ProbeSettings(), copies=True)(pixels, labels)[0].kept
    print(f"filters kept {kept.mean():.0%}", flush=True)
    rows = np.concatenate([np.flatnonzero(kept & (labels == name))[: wanted[name]] for name in range(10)])
    return Images(pixels[rows], labels[rows])


def report(validated: dict[str, np.ndarray], tested: dict[str, np.ndarray], best: str, seeds: int) -> None:
    from scipy.stats import t

    rows = []
    for name, found in tested.items():
        lead = 100 * (found - tested[best])
        half = float(t.ppf(0.975, seeds - 1) * lead.std(ddof=1) / seeds**0.5) if seeds > 1 else float("nan")
        rows.append([name, validated[name].mean(), found.mean(), found.std(ddof=1), lead.mean(), lead.mean() - half])
    print(f"\nFashion-MNIST, {RATIO}:1, balanced accuracy on 10,000 test images, {seeds} seeds")
    headers = ["", "validation", "test", "spread", "points over the best", "at least"]
    print(tabulate(rows, headers, floatfmt=("", ".3f", ".3f", ".4f", "+.2f", "+.2f")))
    with_images = [row for row in rows if str(row[0]).startswith("+ synthetic")]
    top = max(with_images, key=lambda row: float(row[1]))  # by validation
    met = float(top[4]) >= 1 and float(top[5]) > 0
    goal(f"best peer ({best}) + synthetic at least 1 point better, interval above 0", met, f"{top[4]:+.2f} ({top[0]})")


if __name__ == "__main__":
    main()
