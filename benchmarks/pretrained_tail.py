"""A tail of 50:1 evened out by a tuned model: six classes that its base has seen, with many images, four with 20 each.

In every draw, the best rival that needs no new images is chosen on held-out images. It then trains with and without new
images of the four classes: drawn by the tuned base, by a generator from nothing, augmented copies, and more real ones.
Each is scored on the test images; the networks of a draw share their seed.

    python benchmarks/pretrained_tail.py --cifar FOLDER --base FOLDER
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pretrained
import torch
import verdict
from measure import goal
from small_base import PROMPT, Data, cifar, fashion, pretrain
from tabulate import tabulate

HEAD, RATIO, HELD_OUT = 1000, 50, 50  # images of a frequent class, of it to a rare one; held out of each class
TUNED = "tuned base"  # source of new images
GAIN = 1.0  # points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar", type=Path, help="CIFAR-10's train/ and test/, in place of Fashion-MNIST")
    parser.add_argument("--base", type=Path, required=True, help="folder that keeps the base between calls")
    parser.add_argument("--pretraining", type=float, default=20.0, help="minutes of the base")
    parser.add_argument("--minutes", type=float, default=3.0, help="of each tuning and of each generator from nothing")
    parser.add_argument("--images", type=int, default=100, help="new images of each rare class")
    parser.add_argument("--updates", type=int, default=400, help="of each network that is scored")
    parser.add_argument("--seeds", type=int, default=5, help="draws of the images")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data = cifar(options.cifar) if options.cifar else fashion()
    if not (options.base / "model_index.json").exists():
        pretrain(options.base, options.pretraining, data)
    draws = [measure(data, options, seed) for seed in range(options.seeds)]
    gains = {name: 100 * np.array([draw[name] - draw["without"] for draw in draws]) for name in draws[0]}
    rows = [[name, values.mean(), *interval(values)] for name, values in gains.items() if name != "without"]
    without = 100 * np.mean([draw["without"] for draw in draws])
    print(f"\nPoints of balanced accuracy that new images add to the best rival's {without:.1f}, {len(draws)} draws")
    print(tabulate(rows, ["new images", "gain", "from", "to"], floatfmt="+.2f"))
    gain, low = gains[TUNED].mean(), interval(gains[TUNED])[0]
    goal(f"the tuned base adds {GAIN} points, with an interval above 0", gain >= GAIN and low > 0, f"{gain:+.2f}")


def interval(values: np.ndarray) -> tuple[float, float]:
    """95 % by Student's t."""
    from scipy.stats import t

    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return float(values.mean() - half), float(values.mean() + half)


def measure(data: Data, options: argparse.Namespace, seed: int) -> dict[str, float]:
    """Balanced accuracy on the test images, by source of new images."""
    case, rare = draw_case(data, seed)
    settings = best_rival(case, options.updates, seed)
    arms: dict[str, Any] = {"without": None, **new_images(case, rare, data, options, seed)}
    found = {name: float(verdict.accuracy(case, extra, settings, 1)[0]) for name, extra in arms.items()}
    print({"seed": seed, **found}, flush=True)
    return found


def draw_case(data: Data, seed: int) -> tuple[verdict.Case, list[int]]:
    """Images that train, that choose, that are spare and that test; and the rare classes."""
    (pixels, labels), test = data.parts["train"], data.parts["test"]
    rng = np.random.default_rng(seed)
    rare = [data.classes.index(name) for name in data.unseen]
    parts: list[list[np.ndarray]] = [[], [], []]
    for class_id in range(len(data.classes)):
        count = HEAD // RATIO if class_id in rare else HEAD
        rows = rng.permutation(np.flatnonzero(labels == class_id))
        for part, block in zip(parts, np.split(rows, [count, count + HELD_OUT]), strict=True):
            part.append(block)
    train, held_out, spare = ((pixels[rows], labels[rows]) for rows in map(np.concatenate, parts))
    return verdict.Case("tail", train, held_out, spare, test), rare


def best_rival(case: verdict.Case, updates: int, seed: int) -> Any:
    """Settings of the network that is best on the held-out images without new ones."""
    from evenset.models.settings import SmallCNNSettings
    from evenset.workflows.balancing.benefit import BASELINES

    chosen = case._replace(test=case.held_out)
    candidates = [SmallCNNSettings(updates=updates, seed=1000 + seed, **recipe) for recipe in BASELINES.values()]
    scores = [verdict.accuracy(chosen, None, settings, 1)[0] for settings in candidates]
    best = candidates[int(np.argmax(scores))]
    for change in (dict(augmentation="strong"), dict(mix="mixup")):
        other = replace(best, **change)
        if (score := verdict.accuracy(chosen, None, other, 1)[0]) > max(scores):
            best = other
            scores.append(score)
    return best


def new_images(
    case: verdict.Case, rare: list[int], data: Data, options: argparse.Namespace, seed: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Images and classes from each source."""
    pixels, labels = case.train
    rows = np.flatnonzero(np.isin(labels, rare))
    few, few_labels = pixels[rows], np.array([rare.index(label) for label in labels[rows]])
    drawn = np.repeat(np.arange(len(rare)), options.images)
    classes, rng = np.array(rare)[drawn], np.random.default_rng(seed)
    prompts = [PROMPT.replace("{class}", name) for name in data.unseen]
    sources = few[[rng.choice(np.flatnonzero(few_labels == i)) for i in drawn]]
    spare = np.concatenate([np.flatnonzero(case.spare[1] == label)[: options.images] for label in rare])
    with tempfile.TemporaryDirectory() as place:
        folders = [Path(place) / name for name in ("tuned", "scratch")]
        for folder in folders:
            folder.mkdir()
        pipe, family = pretrained.tuned(options.base, (few, few_labels, prompts), options.minutes, seed, folders[0])
        tuned = pretrained.draw(pipe, family, prompts, drawn, sources, seed)
        scratch = pretrained.scratch((few, few_labels, data.unseen), drawn, options.minutes, seed, folders[1])
    return {
        TUNED: (tuned, classes),
        "generator from nothing": (scratch, classes),
        "augmented copies": (verdict.augmented_copies(sources), classes),
        "more real images": (case.spare[0][spare], case.spare[1][spare]),
    }


if __name__ == "__main__":
    main()
