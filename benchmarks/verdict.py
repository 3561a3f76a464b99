"""Accuracy of the verdict: its gain on held-out images, beside the gain on test images that it never sees.

Several datasets with a long tail get new images from several sources: spare real images (a perfect generator),
generators of any budget, augmented copies, and generated images with wrong labels. They are not filtered, as the
verdict alone is measured; --filtered adds the generated images that Evenset's filters keep.
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

MAX_RATIO = 3  # new images for each real one, at most: Evenset's default
MIN_EFFECT, MAX_LOSS = 1.0, 0.3  # points: the sign must agree above the first; following may cost the second


class Case(NamedTuple):
    """A long tail to train on, and disjoint images of the same classes."""

    name: str
    train: tuple[np.ndarray, np.ndarray]  # uint8 [n, C, S, S], [n]
    held_out: tuple[np.ndarray, np.ndarray]
    spare: tuple[np.ndarray, np.ndarray]  # real images to add
    test: tuple[np.ndarray, np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar", type=Path, help="CIFAR-10's class folders; default: without CIFAR-10")
    parser.add_argument("--half", action="store_true", help="halves the side of all images")
    parser.add_argument("--updates", type=int, nargs="+", default=[600], help="of the generator, one a budget")
    parser.add_argument("--filtered", action="store_true", help="adds filtered generated images as a source")
    parser.add_argument("--network-updates", type=int, help="of each classifier; default: balance_classes' setting")
    parser.add_argument("--seeds", type=int, default=3, help="networks scored on the test images (at least 2)")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows: list[dict[str, Any]] = []
    for case in cases(options.cifar, 1 + options.half):
        for row in measure(case, options):
            rows.append(row)
            print(row, flush=True)
    print(f"\n{len(rows)} cases; points of balanced accuracy over the best training without new images")
    print(tabulate(rows, headers="keys", floatfmt="+.2f"))
    large = [row for row in rows if abs(row["on test"]) > MIN_EFFECT]
    agree = sum(row["verdict"] * row["on test"] > 0 for row in large)
    goal(
        f"the sign agrees wherever the effect exceeds {MIN_EFFECT:g} point",
        agree == len(large),
        f"{agree}/{len(large)}",
    )
    worst = min(row["on test"] if row["added"] else 0.0 for row in rows)
    goal(f"following the verdict costs at most {MAX_LOSS:g} points", worst >= -MAX_LOSS, f"{worst:+.2f} at worst")


def cases(cifar: Path | None, fold: int = 1) -> list[Case]:
    """The long tails, with the side of the images divided by `fold`."""
    pixels, names = pictures._fashion_mnist(pictures.LOCAL_COPY)
    clothes = np.array([pictures.CLOTHES.index(name) for name in names])
    digits, digit_names = pictures._arrays("digits", None, np.random.default_rng(0))
    enlarged = np.repeat(np.repeat(digits, 3, axis=1), 3, axis=2)[:, None]
    tails = [
        long_tail("Fashion-MNIST, 100:1", pictures.reduced(pixels[:, None], fold), clothes, 2000, 100, 400),
        long_tail("Fashion-MNIST, 20:1", pictures.reduced(pixels[:, None], fold), clothes, 600, 20, 200),
        long_tail("digits, 10:1", pictures.reduced(enlarged, fold), np.array(digit_names, dtype=int), 80, 10, 60),
    ]
    if cifar:
        images, labels = read_folder(cifar)
        tails.append(long_tail("CIFAR-10, 20:1", pictures.reduced(images, fold), labels, 1500, 20, 250))
    return tails


def read_folder(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images [N, 3, 32, 32] and classes [N] of class folders."""
    from PIL import Image

    names = sorted(folder.name for folder in path.iterdir() if folder.is_dir())
    files = [(file, number) for number, name in enumerate(names) for file in sorted((path / name).iterdir())]
    images = np.stack([np.asarray(Image.open(file).convert("RGB")).transpose(2, 0, 1) for file, _ in files])
    return images, np.array([number for _, number in files])


def long_tail(name: str, pixels: np.ndarray, labels: np.ndarray, head: int, ratio: int, held_out: int) -> Case:
    """Splits a dataset: exponentially fewer training images from class to class, at most `held_out` of each class to
    measure the verdict, and half of the rest each to add and to test."""
    rng = np.random.default_rng(0)
    parts: list[list[np.ndarray]] = [[], [], [], []]
    for rank, label in enumerate(rng.permutation(10)):
        rows = rng.permutation(np.flatnonzero(labels == label))
        count = round(head * ratio ** (-rank / 9))
        middle = count + held_out + (len(rows) - count - held_out) // 2
        for part, block in zip(parts, np.split(rows, [count, count + held_out, middle]), strict=True):
            part.append(block)
    blocks = [np.concatenate(part) for part in parts]
    return Case(name, *((pixels[rows], labels[rows]) for rows in blocks))


def measure(case: Case, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Gain of every source by the verdict, and on the test images."""
    from evenset.models.settings import BalanceSettings, SmallCNNSettings
    from evenset.workflows.balancing import benefit
    from evenset.workflows.balancing.real_or_synthetic import real_or_synthetic
    from evenset.workflows.balancing.small_cnn_judge import SmallCNNJudge
    from evenset.workflows.balancing.soundness import should_add
    from evenset.workflows.runs.detached import detached_run

    balance_settings = BalanceSettings()
    settings = SmallCNNSettings(updates=options.network_updates or balance_settings.verdict_updates)
    images = new_images(case, options.updates)
    ids = np.arange(len(case.train[1])).astype(str)
    real = benefit.RealImages([str(i) for i in range(10)], *case.train, ids, *case.held_out)
    with tempfile.TemporaryDirectory() as place:
        run = detached_run(Path(place))
        if options.filtered:
            images |= filtered(real, images, settings, Path(place))
        written = {source: write(Path(place) / source, *added) for source, added in images.items()}
        told = {
            source: real_or_synthetic(run.subrun(f"told {number}"), real, added, settings)
            for number, (source, added) in enumerate(written.items())
        }
        judge = SmallCNNJudge(run, real, settings)
        measured = benefit.measure(run, judge, real, written, balance_settings.verdict_seeds)
    settings = replace(settings, seed=1000, **measured.recipe)  # not the seeds of the verdict's networks
    before = accuracy(case, None, settings, options.seeds)
    rows = []
    for source, added in images.items():
        verdict = measured.verdicts[source]
        effect = accuracy(case, added, settings, options.seeds) - before
        rows.append(
            {
                "case": case.name,
                "new images": source,
                "told apart": told[source],
                "verdict": 100 * verdict.total[0],
                "from": 100 * verdict.total[1],
                "to": 100 * verdict.total[2],
                "decision": verdict.decision,
                "added": should_add(verdict, balance_settings.add),
                "on test": 100 * float(effect.mean()),
                "std": 100 * float(effect.std(ddof=1)),
            }
        )
    return rows


def new_images(case: Case, budgets: list[int]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Images and classes from every source, in numbers that balance the classes within MAX_RATIO."""
    pixels, labels = case.train
    counts = np.bincount(labels, minlength=10)
    needed = np.minimum(counts.max() - counts, MAX_RATIO * counts)
    classes, rng = np.repeat(np.arange(10), needed), np.random.default_rng(1)
    spare = np.concatenate([np.flatnonzero(case.spare[1] == label)[: needed[label]] for label in range(10)])
    rows = [int(rng.choice(np.flatnonzero(labels == label))) for label in classes]
    copies = augmented_copies(pixels[rows])
    by_updates = {updates: generated(case, classes, updates) for updates in sorted(budgets)}
    return {
        "more real images": (case.spare[0][spare], case.spare[1][spare]),
        **{f"generator, {updates} updates": (images, classes) for updates, images in by_updates.items()},
        "augmented copies": (copies, classes),
        "wrong labels": (by_updates[max(budgets)], (classes + 1) % 10),
    }


def augmented_copies(images: np.ndarray) -> np.ndarray:
    """Each image, changed as `source="augment"` does, without flips."""
    from evenset.models.images.augment import augment
    from evenset.models.settings import AugmentSettings
    from PIL import Image

    settings, copies = AugmentSettings(flips="none"), []
    for number, image in enumerate(images):
        changed = augment(Image.fromarray(image.transpose(1, 2, 0).squeeze()), settings, (0, number))
        copies.append(np.atleast_3d(np.asarray(changed)).transpose(2, 0, 1))
    return np.stack(copies)


def filtered(
    real: Any, images: dict[str, tuple[np.ndarray, np.ndarray]], settings: Any, place: Path
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The generated images that Evenset's filters keep."""
    from evenset.models.settings import FilterSettings
    from evenset.workflows.balancing.image_filter import ImageFilter

    run: Any = SimpleNamespace(folder=place, report=lambda *_: None, check_stop=lambda: None)
    image_filter, accepted = ImageFilter(run, real, FilterSettings(), settings, copies=True), {}
    for source, (pixels, classes) in images.items():
        if source.startswith("generator"):
            kept = image_filter(pixels, classes)[0].kept
            accepted[f"{source}, filtered: {kept.mean():.0%}"] = pixels[kept], classes[kept]
    return accepted


def generated(case: Case, classes: np.ndarray, updates: int) -> np.ndarray:
    from evenset.models.diffusion import training
    from evenset.models.settings import GeneratorSettings, SamplingSettings

    pixels, labels = case.train
    settings = GeneratorSettings(minutes=None, max_updates=updates, width=32, layers=1, preview_every=10**8)
    pipeline = training.build([str(i) for i in range(10)], pixels.shape[1], pixels.shape[-1], settings)
    with tempfile.TemporaryDirectory() as place:
        list(training.train(pipeline, lambda rows: pixels[rows], labels, settings, Path(place)))
    images = np.empty((len(classes), *pixels.shape[1:]), dtype=np.uint8)
    for rows, block in training.generate(pipeline, classes, SamplingSettings()):
        images[rows] = block
    return images


def write(place: Path, images: np.ndarray, classes: np.ndarray) -> list[Any]:
    """Writes the images, in the form that benefit.measure takes."""
    from evenset.models.synthetic import Origin
    from evenset.workflows.data.synthetic import SyntheticImage

    place.mkdir()
    paths = [str(place / f"{number:06d}.png") for number in range(len(images))]
    pixels = images[:, 0] if images.shape[1] == 1 else images.transpose(0, 2, 3, 1)
    pictures.write(paths, pixels)
    notes = {"source": str(Origin.GENERATE)}  # so that they are read in the size of the real ones
    return [SyntheticImage(path, str(name), notes, True) for path, name in zip(paths, classes, strict=True)]


def accuracy(case: Case, extra: tuple[np.ndarray, np.ndarray] | None, settings: Any, seeds: int) -> np.ndarray:
    """Balanced accuracy on the test images, for each seed [S]."""
    from evenset.models.classifiers import small_cnn

    accuracies = []
    for number in range(seeds):
        seeded = replace(settings, seed=settings.seed + number)
        model = small_cnn.build(10, case.train[0], seeded)
        for _ in small_cnn.train(model, *case.train, seeded, extra):
            pass
        correct = small_cnn.predict(model, case.test[0]).argmax(1) == case.test[1]
        accuracies.append(np.mean([correct[case.test[1] == label].mean() for label in range(10)]))
    return np.array(accuracies)


if __name__ == "__main__":
    main()
