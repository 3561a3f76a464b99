"""Is the verdict right? What it says on held-out images, beside what adding does on test images that it never sees.

Long tails of several data sets, and new images from several sources: real ones that the tail lacks (so the best
generator there can be), generators of any budget, changed copies, and a generator that names its images wrongly. No
filter stands before them, as it is the verdict that is judged; --filtered shows what the product's filters let through,
too.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pictures
import torch
from measure import goal
from tabulate import tabulate

MORE = 3  # new images for a real one, at the most: the product's usual cap
SHOWS, COSTS = 1.0, 0.3  # points: an effect that the sign has to agree with; what following may cost


class Case(NamedTuple):
    """A long tail, and what lies outside of it."""

    name: str
    train: tuple[np.ndarray, np.ndarray]  # uint8 [n, C, S, S], [n]
    held_out: tuple[np.ndarray, np.ndarray]
    spare: tuple[np.ndarray, np.ndarray]  # more images of the same classes
    test: tuple[np.ndarray, np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar", type=Path, help="folder of CIFAR-10's class folders; without it, no case of it")
    parser.add_argument("--half", action="store_true", help="images of half the side: a quarter of the work")
    parser.add_argument("--updates", type=int, nargs="+", default=[600], help="of a generator, for each budget")
    parser.add_argument("--filtered", action="store_true", help="generators' images behind the product's filters, too")
    parser.add_argument("--steps", type=int, default=0, help="updates of a network; 0: as balance_classes has it")
    parser.add_argument("--seeds", type=int, default=3, help="networks that score on the test images")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows: list[dict[str, Any]] = []
    for case in cases(options.cifar, 1 + options.half):
        for row in judged(case, options):
            rows.append(row)
            print(row, flush=True)
    print(f"\n{len(rows)} cases; points of balanced accuracy over the best way without new images")
    print(tabulate(rows, headers="keys", floatfmt="+.2f"))
    shown = [row for row in rows if abs(row["on test"]) > SHOWS]
    agree = sum(row["verdict"] * row["on test"] > 0 for row in shown)
    goal(f"the sign agrees wherever the effect exceeds {SHOWS:g} point", agree == len(shown), f"{agree}/{len(shown)}")
    worst = min(row["on test"] if row["added"] else 0.0 for row in rows)
    goal(f"following the verdict costs at most {COSTS:g} points", worst >= -COSTS, f"{worst:+.2f} at the worst")


def cases(cifar: Path | None, fold: int = 1) -> list[Case]:
    """The long tails, of images whose side is reduced `fold` times."""
    pixels, names = pictures._fashion_mnist(pictures.LOCAL_COPY)
    clothes = np.array([pictures.CLOTHES.index(name) for name in names])
    digits, digit_names = pictures._arrays("digits", 0, np.random.default_rng(0))
    wide = np.repeat(np.repeat(digits, 3, axis=1), 3, axis=2)[:, None]
    found = [
        long_tail("Fashion-MNIST, 100:1", pictures.reduced(pixels[:, None], fold), clothes, 2000, 100, 400),
        long_tail("Fashion-MNIST, 20:1", pictures.reduced(pixels[:, None], fold), clothes, 600, 20, 200),
        long_tail("digits, 10:1", pictures.reduced(wide, fold), np.array(digit_names, dtype=int), 80, 10, 60),
    ]
    if cifar:
        images, labels = folder(cifar)
        found.append(long_tail("CIFAR-10, 20:1", pictures.reduced(images, fold), labels, 1500, 20, 250))
    return found


def folder(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images [N, 3, 32, 32] and classes [N] of a tree of class folders."""
    from PIL import Image

    names = sorted(folder.name for folder in path.iterdir() if folder.is_dir())
    files = [(file, number) for number, name in enumerate(names) for file in sorted((path / name).iterdir())]
    images = np.stack([np.asarray(Image.open(file).convert("RGB")).transpose(2, 0, 1) for file, _ in files])
    return images, np.array([number for _, number in files])


def long_tail(name: str, pixels: np.ndarray, labels: np.ndarray, head: int, ratio: int, held: int) -> Case:
    """Cuts a data set: exponentially fewer training images from class to class, `held` others that judge (fewer where
    there are not so many), and of the rest a half each to test and to spare."""
    rng = np.random.default_rng(0)
    parts: list[list[np.ndarray]] = [[], [], [], []]
    for rank, label in enumerate(rng.permutation(10)):
        rows = rng.permutation(np.flatnonzero(labels == label))
        count = round(head * ratio ** (-rank / 9))
        half = count + held + (len(rows) - count - held) // 2
        for part, some in zip(parts, np.split(rows, [count, count + held, half]), strict=True):
            part.append(some)
    blocks = [np.concatenate(part) for part in parts]
    return Case(name, *((pixels[rows], labels[rows]) for rows in blocks))


def judged(case: Case, options: argparse.Namespace) -> list[dict[str, Any]]:
    """What the product's verdict says of every source, and what the test images say."""
    from evenset.models.settings import BalanceSettings, SmallCNNSettings
    from evenset.workflows.balancing import benefit

    balance_settings = BalanceSettings()
    settings = SmallCNNSettings(updates=options.steps or balance_settings.verdict_updates)
    images = new_images(case, options.updates)
    ids = np.arange(len(case.train[1])).astype(str)
    real = benefit.RealImages([str(i) for i in range(10)], *case.train, ids, *case.held_out)
    with tempfile.TemporaryDirectory() as place:
        run: Any = SimpleNamespace(
            report=lambda *_: None, check_stop=lambda: None, cached_arrays=lambda name, compute, ids: compute()
        )
        if options.filtered:
            images |= passed(real, images, settings, Path(place))
        written = {source: write(Path(place) / source, *some) for source, some in images.items()}
        measured = benefit.measure(run, real, written, settings, balance_settings.verdict_seeds)
    settings = replace(settings, seed=1000, **measured.recipe)  # other networks than those that the verdict saw
    before = accuracy(case, None, settings, options.seeds)
    rows = []
    for source, some in images.items():
        verdict = measured.verdicts[source]
        effect = accuracy(case, some, settings, options.seeds) - before
        rows.append(
            {
                "case": case.name,
                "new images": source,
                "verdict": 100 * verdict.total[0],
                "from": 100 * verdict.total[1],
                "to": 100 * verdict.total[2],
                "decision": verdict.decision,
                "added": benefit.should_add(verdict, balance_settings.add),
                "on test": 100 * float(effect.mean()),
                "spread": 100 * float(effect.std(ddof=1)),
            }
        )
    return rows


def new_images(case: Case, budgets: list[int]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Images and classes from every source, as many as even the classes out under the cap."""
    from evenset.models.images.augment import augment

    pixels, labels = case.train
    counts = np.bincount(labels, minlength=10)
    wanted = np.minimum(counts.max() - counts, MORE * counts)
    classes, rng = np.repeat(np.arange(10), wanted), np.random.default_rng(1)
    spare = np.concatenate([np.flatnonzero(case.spare[1] == label)[: wanted[label]] for label in range(10)])
    rows = [int(rng.choice(np.flatnonzero(labels == label))) for label in classes]
    copies = np.stack([augment(pixels[row], (0, number)) for number, row in enumerate(rows)])
    drawn = {updates: generated(case, classes, updates) for updates in sorted(budgets)}
    return {
        "more real images": (case.spare[0][spare], case.spare[1][spare]),
        **{f"generator, {updates} updates": (images, classes) for updates, images in drawn.items()},
        "changed copies": (copies, classes),
        "wrong names": (drawn[max(budgets)], (classes + 1) % 10),
    }


def passed(
    real: Any, made: dict[str, tuple[np.ndarray, np.ndarray]], settings: Any, place: Path
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Of what generators drew, the part that the product's filters let through."""
    from evenset.models.settings import FilterSettings
    from evenset.workflows.balancing.image_filter import ImageFilter

    run: Any = SimpleNamespace(folder=place, report=lambda *_: None, check_stop=lambda: None)
    accepts, accepted = ImageFilter(run, real, FilterSettings(), settings, copies=True), {}
    for source, (images, classes) in made.items():
        if source.startswith("generator"):
            kept = accepts(images, classes)[0].kept
            accepted[f"{source}, filtered: {kept.mean():.0%}"] = images[kept], classes[kept]
    return accepted


def generated(case: Case, classes: np.ndarray, updates: int) -> np.ndarray:
    from evenset.models.diffusion import training
    from evenset.models.settings import GeneratorSettings, SamplingSettings

    pixels, labels = case.train
    settings = GeneratorSettings(minutes=None, max_updates=updates, width=32, layers=1, preview_every=10**9)
    pipeline = training.build([str(i) for i in range(10)], pixels.shape[1], pixels.shape[-1], settings)
    with tempfile.TemporaryDirectory() as place:
        list(training.train(pipeline, lambda rows: pixels[rows], labels, settings, Path(place)))
    images = np.empty((len(classes), *pixels.shape[1:]), dtype=np.uint8)
    for places, some in training.generate(pipeline, classes, SamplingSettings()):
        images[places] = some
    return images


def write(place: Path, images: np.ndarray, classes: np.ndarray) -> list[Any]:
    """The images as the product reads them."""
    from evenset.workflows.data.synthetic import SyntheticImage

    place.mkdir()
    paths = [str(place / f"{number:06d}.png") for number in range(len(images))]
    shown = images[:, 0] if images.shape[1] == 1 else images.transpose(0, 2, 3, 1)
    pictures.write(paths, shown)
    return [SyntheticImage(path, str(name), {}, True) for path, name in zip(paths, classes, strict=True)]


def accuracy(case: Case, extra: tuple[np.ndarray, np.ndarray] | None, settings: Any, seeds: int) -> np.ndarray:
    """Balanced accuracy on the test images, for each seed [S]."""
    from evenset.models.classifiers import small_cnn

    accuracies = []
    for number in range(seeds):
        own = replace(settings, seed=settings.seed + number)
        model = small_cnn.build(10, case.train[0], own)
        for _ in small_cnn.train(model, *case.train, own, extra):
            pass
        correct = small_cnn.predict(model, case.test[0]).argmax(1) == case.test[1]
        accuracies.append(np.mean([correct[case.test[1] == label].mean() for label in range(10)]))
    return np.array(accuracies)


if __name__ == "__main__":
    main()
