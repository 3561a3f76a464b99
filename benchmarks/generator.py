"""The generator: training speed beside the bare network, sampling beside a slow solver, worth to a classifier.

Fashion-MNIST at 28 px, with equal numbers of each class. The generator learns from the 60,000 training images. The
10,000 test images score it, in the embedding of a network trained on real images, and by classifiers trained on
generated ones.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import balance
import numpy as np
import pictures
import torch
from measure import goal
from tabulate import tabulate

SLOW_STEPS = 25  # of the slow solver, guided throughout
SLOW_GUIDANCE = 1.5  # better than 2 if guided throughout
ROUNDS, UPDATES = 8, 20  # of training, in turn with the bare network
FAST = "at least 150 images/s"
CLOSE = f"KID at most 1.10 of {SLOW_STEPS} steps guided throughout"
WORTH = "unfiltered images are worth at least .90 of all real ones"
GOALS = {FAST: lambda speed: speed >= 150, CLOSE: lambda ratio: ratio <= 1.1, WORTH: lambda ratio: ratio >= 0.9}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", default="all", choices=("training", "sampling", "worth", "all"))
    parser.add_argument("--minutes", type=float, default=5.0, help="training time of each generator")
    parser.add_argument("--images", type=int, default=10_000, help="generated images")
    parser.add_argument("--folder", type=Path, help="keeps the generators, a folder a seed, between calls")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3, help="generators, each trained and scored separately")
    options = parser.parse_args(arguments)

    torch.set_num_threads(options.threads)
    if options.part in ("training", "all"):
        training(seed=0)
    if options.part == "training":
        return
    parts = [part for part in (sampling, worth) if options.part in (part.__name__, "all")]
    figures: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.seeds):
            pipeline = trained((options.folder or Path(folder)) / f"seed {seed}", options.minutes, seed)
            for part in parts:
                for name, figure in part(pipeline, options.images, seed).items():
                    figures.setdefault(name, []).append(figure)
    print(f"\nMeans of {options.seeds} seeds, lowest and highest")
    for name, values in figures.items():
        mean = float(np.mean(values))
        goal(name, GOALS[name](mean), f"{mean:.3g} ({min(values):.3g} to {max(values):.3g})")


def training(seed: int) -> None:
    """Speed of `diffusion.train` on PNG files and of bare updates of the same network on random numbers, in turn."""
    from evenset.models.diffusion import training as diffusion
    from evenset.models.images.reader import Images
    from evenset.models.settings import GeneratorSettings, ImageSettings

    settings = GeneratorSettings(minutes=None, max_updates=100_000, preview_every=100_000, seed=seed)
    ours, bare = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pixels, labels = real("train")
        paths = [str(folder / f"{number:05d}.png") for number in range(5000)]
        pictures.write(paths, pixels[:5000, 0])
        images = Images(paths, ImageSettings(), 28, 1)
        pipeline = diffusion.build(list(pictures.CLOTHES), 1, 28, settings)
        precision = diffusion.choose_precision(pipeline, settings)
        settings = GeneratorSettings(
            minutes=None, max_updates=100_000, preview_every=100_000, seed=seed, precision=precision
        )
        reports = diffusion.train(pipeline, lambda indices: images[indices], labels[:5000], settings, folder)
        update = bare_update(diffusion.build(list(pictures.CLOTHES), 1, 28, settings), precision, settings)
        number = next(reports).number
        update()
        for _ in range(ROUNDS):
            start, first = time.perf_counter(), number
            while number < first + UPDATES:
                number = next(reports).number
            ours.append((number - first) / (time.perf_counter() - start))
            start = time.perf_counter()
            for _ in range(UPDATES):
                update()
            bare.append(UPDATES / (time.perf_counter() - start))
        reports.close()
    batch, ratio = settings.batch_size or diffusion.CPU_BATCH, float(np.median(np.divide(ours, bare)))
    rows = [("Evenset, from PNG files", *speeds(ours, batch)), ("bare updates", *speeds(bare, batch))]
    print(f"\nTraining at 28 px, {precision}, batches of {batch}, {ROUNDS} rounds of {UPDATES} updates in turn")
    print(tabulate(rows, ["", "images/s", "lowest", "highest"], floatfmt=".0f"))
    goal("at least .90 of the bare update's speed", ratio >= 0.9, f"{ratio:.2f}")


def bare_update(pipeline: Any, precision: str, settings: Any) -> Any:
    """Forward, backward and optimizer step of the network on random numbers."""
    from evenset.models.diffusion import training as diffusion

    network, batch = pipeline.unet.train(), settings.batch_size or diffusion.CPU_BATCH
    side, channels = 28 // pipeline.config.patch_px, network.config.in_channels
    stride = 2 ** (len(network.config.block_out_channels) - 1)
    side = -(-side // stride) * stride
    noisy, target = torch.randn(2, batch, channels, side, side)
    times, labels = 1000 * torch.rand(batch), torch.randint(0, 11, (batch,))
    optimizer = torch.optim.AdamW(network.parameters(), 1e-4, fused=True)

    def update() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            predicted = network(noisy, times, labels, return_dict=False)[0]
        loss = (predicted.float() - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return update


def trained(folder: Path, minutes: float, seed: int) -> Any:
    """A generator trained on all 60,000 training images, in memory."""
    from evenset.models.diffusion import training as diffusion
    from evenset.models.settings import GeneratorSettings

    if not (folder / "model_index.json").exists():
        pixels, labels = real("train")
        settings = GeneratorSettings(minutes=minutes, seed=seed)
        pipeline = diffusion.build(list(pictures.CLOTHES), 1, 28, settings)
        folder.mkdir(parents=True, exist_ok=True)
        *_, last = diffusion.train(pipeline, lambda indices: pixels[indices], labels, settings, folder, folder)
        diffusion.save(pipeline, folder)
        progress, metrics = f"{last.number:,} updates, loss {last.loss:.4f}", last.metrics
        print(f"\nTrained for {metrics['seconds'] / 60:.1f} minutes: {progress}, {metrics['epochs']:.1f} epochs")
    return diffusion.load(folder)


def sampling(pipeline: Any, count: int, seed: int) -> dict[str, float]:
    """Speed and distance from real images of the default sampling, and of 25 steps guided throughout."""
    from evenset.models.classifiers import small_cnn
    from evenset.models.quality import image_metrics
    from evenset.models.settings import SamplingSettings, SmallCNNSettings

    pixels, labels = real("train")
    network = small_cnn.build(10, pixels, SmallCNNSettings(seed=seed))
    for _ in small_cnn.train(network, pixels, labels, SmallCNNSettings(seed=seed)):
        pass
    reference = small_cnn.embed(network, real("t10k")[0])
    default = SamplingSettings(sampling_seed=seed)
    slow = SamplingSettings(
        sampling_steps=SLOW_STEPS, guidance=SLOW_GUIDANCE, guidance_from=0.0, guidance_to=1.0, sampling_seed=seed
    )
    rows = []
    samplers = {
        f"{default.sampling_steps} steps, guided in part": default,
        f"{SLOW_STEPS} steps, guided throughout": slow,
    }
    for name, settings in samplers.items():
        images, _, seconds = draw(pipeline, count, settings)
        generated = small_cnn.embed(network, images)
        prdc = image_metrics.prdc(reference, generated)
        distances = [*image_metrics.kid(reference, generated), image_metrics.fid(reference, generated)]
        rows.append([name, count / seconds, *distances, *prdc.values()])
    print(f"\n{count:,} images of 28 px beside the 10,000 test images, in the embedding of a network")
    print(tabulate(rows, ["", "images/s", "KID", "+-", "FID", *prdc], floatfmt=".3g"))
    (_, speed, ours, *_), (_, _, theirs, *_) = rows
    return {FAST: speed, CLOSE: ours / theirs}


def worth(pipeline: Any, count: int, seed: int) -> dict[str, float]:
    """Accuracy on real test images of networks trained on generated images alone, unfiltered or filtered."""
    from evenset.models.classifiers import small_cnn
    from evenset.models.settings import SamplingSettings, SmallCNNSettings

    (pixels, labels), test, settings = real("train"), real("t10k"), SmallCNNSettings(seed=seed)
    images, classes, _ = draw(pipeline, count * 5 // 4, SamplingSettings(sampling_seed=seed))
    held_out, train = np.split(np.random.default_rng(0).permutation(len(pixels)), [len(pixels) // 4])
    parts = [balance.Images(pixels[rows], labels[rows]) for rows in (train, held_out)]
    accepted = np.flatnonzero(balance.filter_mask(*parts, balance.Images(images, classes)))[:count]
    subset = np.random.default_rng(seed).permutation(len(pixels))[:count]
    sets = {
        "generated": (images[:count], classes[:count]),
        "generated and filtered": (images[accepted], classes[accepted]),
        f"real, {count:,}": (pixels[subset], labels[subset]),
        f"real, {len(pixels):,}": (pixels, labels),
    }
    scores = {name: small_cnn.accuracy_score(*images, *test, 10, settings)[0] for name, images in sets.items()}
    best = scores[f"real, {len(pixels):,}"]
    print(f"\nAccuracy on the 10,000 test images after training on {count:,} images")
    print(tabulate([(name, score, score / best) for name, score in scores.items()], ["", "accuracy", "of real"]))
    return {WORTH: scores["generated"] / best}


def draw(pipeline: Any, count: int, settings: Any) -> tuple[np.ndarray, np.ndarray, float]:
    """Images [count, 1, 28, 28], their classes, in equal numbers, and the seconds of sampling."""
    from evenset.models.diffusion import training as diffusion

    classes = np.arange(count) % 10
    images = np.empty((count, 1, 28, 28), dtype=np.uint8)
    list(diffusion.generate(pipeline, classes[:32], settings))  # warm-up
    start = time.perf_counter()
    for rows, block in diffusion.generate(pipeline, classes, settings):
        images[rows] = block
    return images, classes, time.perf_counter() - start


def real(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images [N, 1, 28, 28] and classes of Fashion-MNIST's "train" or "t10k"."""
    pixels, labels = pictures._part_of_fashion_mnist(pictures.LOCAL_COPY, part)
    return np.ascontiguousarray(pixels[:, None]), labels.astype(np.int64)


def speeds(rates: list[float], batch: int) -> tuple[float, float, float]:
    return float(np.median(rates)) * batch, min(rates) * batch, max(rates) * batch


if __name__ == "__main__":
    main()
