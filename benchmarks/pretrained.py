"""Tuning a pretrained model on classes that it has never seen, beside a generator trained from nothing.

A small latent diffusion model (an autoencoder, a text encoder of random weights, a UNet) learns six classes of
Fashion-MNIST or CIFAR-10 at 32 px. Then 20 images of each of the other four are all there is: the model is tuned on
them by LoRA, and a generator of pixels trains for the same minutes. Both are scored by the classifier accuracy score
(Ravuri and Vinyals, 2019), of a network that trains on generated images and is tested on real ones, and by KID. Filters
are off.

    python benchmarks/pretrained.py
    python benchmarks/pretrained.py --cifar FOLDER
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import goal
from small_base import PROMPT, SIDE_PX, Data, cifar, fashion, pretrain
from tabulate import tabulate

RATIO, KID_RATIO = 1.15, 0.7

Labelled = tuple[np.ndarray, np.ndarray]  # images and classes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar", type=Path, help="CIFAR-10's train/ and test/, in place of Fashion-MNIST")
    parser.add_argument("--base", type=Path, help="folder that keeps the pretrained model between calls")
    parser.add_argument(
        "--pretraining", type=float, default=20.0, help="minutes of the base, a fifth for its autoencoder"
    )
    parser.add_argument("--minutes", type=float, default=3.0, help="of each tuning and of each generator from nothing")
    parser.add_argument("--few", type=int, default=20, help="real images of each class that it has never seen")
    parser.add_argument("--images", type=int, default=200, help="generated images of each class")
    parser.add_argument("--seeds", type=int, default=5, help="draws of the few images")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data = cifar(options.cifar) if options.cifar else fashion()

    with tempfile.TemporaryDirectory() as place:
        base = options.base or Path(place) / "base"
        if not (base / "model_index.json").exists():
            pretrain(base, options.pretraining, data)
        seeds = range(options.seeds)
        rows = [row for seed in seeds for row in compare(base, data, options, seed, Path(place) / str(seed))]
    print(
        f"\n{len(data.unseen)} classes that the base has never seen, {options.few} real images of each, means of seeds"
    )
    names = list(dict.fromkeys(row["trained on"] for row in rows))
    means = {name: np.array([[row["CAS"], row["KID"]] for row in rows if row["trained on"] == name]) for name in names}
    print(
        tabulate(
            [[n, *means[n].mean(0), *means[n].std(0)] for n in names], ["", "CAS", "KID", "std", "std"], floatfmt=".3f"
        )
    )
    tuned, scratch = (means[name] for name in ("tuned, from images", "from nothing"))
    ratio, low, high = ratio_of_means(tuned[:, 0], scratch[:, 0])
    figure = f"{ratio:.2f} ({low:.2f} to {high:.2f})"
    goal(f"CAS at least {RATIO} times that of a generator from nothing", ratio >= RATIO, figure)
    ratio, low, high = ratio_of_means(tuned[:, 1], scratch[:, 1])
    goal(f"KID at most {KID_RATIO} of it", ratio <= KID_RATIO, f"{ratio:.2f} ({low:.2f} to {high:.2f})")


def ratio_of_means(values: np.ndarray, others: np.ndarray) -> tuple[float, float, float]:
    """The ratio, and its interval of 95 % by a bootstrap of the seeds."""
    rows = np.random.default_rng(0).integers(0, len(values), (10_000, len(values)))
    low, high = np.quantile(values[rows].mean(axis=1) / others[rows].mean(axis=1), (0.025, 0.975))
    return float(values.mean() / others.mean()), float(low), float(high)


def compare(base: Path, data: Data, options: argparse.Namespace, seed: int, folder: Path) -> list[dict[str, Any]]:
    """Scores of a network that trains on each kind of images."""
    folder.mkdir()
    unseen = data.unseen
    (pixels, labels), test = data.images_of("train", unseen), data.images_of("test", unseen)
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.permutation(np.flatnonzero(labels == i))[: options.few] for i in range(len(unseen))])
    few, few_labels = pixels[rows], labels[rows]
    classes = np.repeat(np.arange(len(unseen)), options.images)
    prompts = [PROMPT.replace("{class}", name) for name in unseen]
    pipe, family = tuned(base, (few, few_labels, prompts), options.minutes, seed, folder)
    sources = few[[rng.choice(np.flatnonzero(few_labels == i)) for i in classes]]
    kinds = {
        "tuned, from images": draw(pipe, family, prompts, classes, sources, seed),
        "tuned, from noise": draw(pipe, family, prompts, classes, None, seed),
        "from nothing": scratch((few, few_labels, unseen), classes, options.minutes, seed, folder),
        f"the {options.few} real ones": few,
        f"{options.images} real ones": np.concatenate(
            [pixels[labels == i][-options.images :] for i in range(len(unseen))]
        ),
    }
    rows = []
    for name, images in kinds.items():
        found = scores(images, few_labels if images is few else classes, test, (pixels, labels), seed)
        rows.append({"trained on": name, "seed": seed, **found})
        print(rows[-1], flush=True)
    return rows


def tuned(
    base: Path, few: tuple[np.ndarray, np.ndarray, list[str]], minutes: float, seed: int, folder: Path
) -> tuple[Any, Any]:
    """The base, tuned on a few images, with their classes and the prompts of these."""
    from evenset.models.diffusion.pretrained import adapter, bases, latents, tuning
    from evenset.models.settings import GeneratorSettings, TuningSettings

    (images, labels, prompts), model = few, bases.find(str(base))
    pipe = bases.load(model, "cpu", False)
    torch.manual_seed(seed)
    denoiser = adapter.Denoiser(pipe, model.family, TuningSettings().lora_rank, False)
    kept = latents.Latents(folder / "latents", [latents.Bucket(SIDE_PX, SIDE_PX)] * len(images), (2,))
    list(kept.compute(pipe, lambda i: np.ascontiguousarray(images[i].transpose(1, 2, 0))))
    settings = GeneratorSettings(minutes=minutes, seed=seed, preview_every=10**8, batch_size=32, learning_rate=1e-3)
    *_, last = tuning.tune(denoiser, tuning.Examples(kept, labels, prompts), (settings, TuningSettings()), folder)
    (folder / "training.safetensors").unlink()
    print(f"seed {seed}: tuned in {last.number:,} updates, loss {last.loss:.4f}", flush=True)
    return pipe, model.family


def draw(
    pipe: Any, family: Any, prompts: list[str], classes: np.ndarray, sources: np.ndarray | None, seed: int
) -> np.ndarray:
    """Images of the classes, uint8 [n, 3, S, S]: from real ones, noised by .5 to .8, or from noise."""
    from evenset.models.diffusion.pretrained import drawing
    from evenset.models.diffusion.pretrained.latents import Bucket

    rng, requests = np.random.default_rng(seed), []
    for number, class_id in enumerate(classes.tolist()):
        strength = None if sources is None else float(rng.choice((0.5, 0.6, 0.7, 0.8)))
        start = None if sources is None else np.ascontiguousarray(sources[number].transpose(1, 2, 0))
        guidance = float(rng.choice((2.0, 3.0, 4.0)))
        requests.append(drawing.Request(class_id, number, Bucket(SIDE_PX, SIDE_PX), guidance, strength, start, seed))
    images = dict(drawing.draw(pipe, family, prompts, requests, 20, "bf16"))
    return np.stack([images[i].transpose(2, 0, 1) for i in range(len(classes))])


def scratch(
    few: tuple[np.ndarray, np.ndarray, Sequence[str]], classes: np.ndarray, minutes: float, seed: int, folder: Path
) -> np.ndarray:
    """Images of a generator of pixels that trains on the few images for as long."""
    from evenset.models.diffusion import training
    from evenset.models.settings import GeneratorSettings, SamplingSettings

    images, labels, names = few
    settings = GeneratorSettings(minutes=minutes, seed=seed, preview_every=10**8, flips="horizontal")
    pipeline = training.build(list(names), 3, SIDE_PX, settings)
    *_, last = training.train(pipeline, images.__getitem__, labels, settings, folder)
    print(f"seed {seed}: from nothing in {last.number:,} updates, loss {last.loss:.4f}", flush=True)
    return np.concatenate(
        [block for _, block in training.generate(pipeline, classes, SamplingSettings(sampling_seed=seed))]
    )


def scores(images: np.ndarray, labels: np.ndarray, test: Labelled, real: Labelled, seed: int) -> dict[str, float]:
    """Accuracy on real test images of a network that trained on `images`, and their distance from real ones."""
    from evenset.models.classifiers import small_cnn
    from evenset.models.quality import image_metrics
    from evenset.models.settings import SmallCNNSettings

    settings = SmallCNNSettings(seed=seed, updates=300)
    accuracy = small_cnn.accuracy_score(images, labels, *test, len(np.unique(test[1])), settings)[0]
    judge = _judge(real)
    kid, _ = image_metrics.kid(small_cnn.embed(judge, test[0]), small_cnn.embed(judge, images))
    return {"CAS": accuracy, "KID": kid}


_judges: list[Any] = []


def _judge(real: Labelled) -> Any:
    """A network trained on all real images of the unseen classes, for the distances alone."""
    from evenset.models.classifiers import small_cnn
    from evenset.models.settings import SmallCNNSettings

    if not _judges:
        network = small_cnn.build(len(np.unique(real[1])), real[0], SmallCNNSettings())
        for _ in small_cnn.train(network, *real, SmallCNNSettings()):
            pass
        _judges.append(network)
    return _judges[0]


if __name__ == "__main__":
    main()
