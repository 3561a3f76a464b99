"""Copy detection: recall on planted copies, and false alarms on held-out images, beside distance in pixels.

100 training images are planted: unchanged, mirrored, shifted by 1 or 2 px, re-encoded as JPEG, and all three. Held-out
real images, some to set the limits and others to test them, must not be called copies.

    python benchmarks/copies.py
    python benchmarks/copies.py --data FOLDER
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pictures
import torch
from measure import goal
from tabulate import tabulate

PLANTED = 100
KINDS = ("unchanged", "mirrored", "shifted", "JPEG", "all three")
QUALITIES = (50, 75, 90)


class Partition(NamedTuple):
    """Indices of images: to train, to set the limits, to test them."""

    train: np.ndarray
    limits: np.ndarray
    test: np.ndarray


class Row(NamedTuple):
    method: str
    recall: float  # planted copies that are caught, %
    false_alarms: float  # held-out images called copies, %
    worst_class: float  # the same in the worst class, %
    margin: float  # lowest ratio of limit to score among the planted copies
    seconds: float


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fashion-mnist", help=pictures.HELP)
    parser.add_argument("--size-px", type=int, help="side of the images; default: chosen from them")
    parser.add_argument("--per-class", type=int, nargs="+", default=[60, 4000], help="training images of a class")
    parser.add_argument("--seeds", type=int, default=3, help="draws of the images")
    parser.add_argument("--tested", type=int, default=5000, help="at most this many held-out test images")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        pixels, labels = arrays(options.data, options.size_px, Path(folder))
    for count in options.per_class:
        tables = [compare(pixels, labels, count, options.tested, seed) for seed in range(options.seeds)]
        report(count, tables, len(np.unique(labels)))


def arrays(data: str, size_px: int | None, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    from evenset.models.images.reader import Images
    from evenset.models.images.survey import survey
    from evenset.models.settings import ImageSettings

    drawn = pictures.read(data, None, 0, folder)
    settings = ImageSettings(size_px=size_px)
    stats = survey(drawn.paths[:500], settings)
    images = Images(drawn.paths, settings, stats.size_px(settings), 1 if stats.gray else 3, cache_megabytes=8000)
    return images[np.arange(len(images))], np.unique(drawn.labels, return_inverse=True)[1]


def compare(pixels: np.ndarray, labels: np.ndarray, count: int, tested: int, seed: int) -> list[Row]:
    from evenset.models.quality import copies
    from evenset.models.settings import FilterSettings

    rng = np.random.default_rng(seed)
    partition = divide(labels, count, tested, rng)
    planted_from = rng.permutation(partition.train)[:PLANTED]
    planted = np.stack([changed(pixels[i], KINDS[number % len(KINDS)], rng) for number, i in enumerate(planted_from)])
    quantile = FilterSettings().copy_reject_quantile
    classes = int(labels.max()) + 1
    train, held_out, test = (pixels[part] for part in partition)

    start = time.perf_counter()
    reference = copies.prepare(train)
    real = (
        copies.LabelledImages(train, labels[partition.train]),
        copies.LabelledImages(held_out, labels[partition.limits]),
    )
    limit = copies.limits(reference, *real, classes, quantile)
    scores = [copies.search(reference, images).ratio for images in (planted, test)]
    ours = row("Evenset", scores, limit, labels, planted_from, partition, time.perf_counter() - start)

    start = time.perf_counter()
    distances = [whole_frame(images, train) for images in (held_out, planted, test)]
    limit = np.array([np.quantile(distances[0][labels[partition.limits] == name], quantile) for name in range(classes)])
    peer = row(
        "distance of whole frames", distances[1:], limit, labels, planted_from, partition, time.perf_counter() - start
    )
    return [ours, peer]


def divide(labels: np.ndarray, count: int, tested: int, rng: np.random.Generator) -> Partition:
    """Splits each class: `count` to train, a fifth of that (1 to 100) to set the limits, and the rest to test."""
    spare = min(max(count // 5, 1), 100)
    orders = [rng.permutation(np.flatnonzero(labels == name)) for name in np.unique(labels)]
    train = np.concatenate([order[:count] for order in orders])
    limits = np.concatenate([order[count:][:spare] for order in orders])
    rest = rng.permutation(np.concatenate([order[count + spare :] for order in orders]))
    return Partition(train, limits, rest[:tested])


def changed(image: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """A copy, changed as `kind` says [C, S, S]."""
    all_three = kind == "all three"
    if all_three or kind == "mirrored":
        image = image[:, :, ::-1]
    if all_three or kind == "shifted":
        down, right = rng.choice([(a, b) for a in range(-2, 3) for b in range(-2, 3) if a or b])
        side = image.shape[-1]
        image = np.pad(image, ((0, 0), (2, 2), (2, 2)), mode="edge")[:, 2 + down :, 2 + right :][:, :side, :side]
    return np.ascontiguousarray(reencoded(image, int(rng.choice(QUALITIES))) if all_three or kind == "JPEG" else image)


def reencoded(image: np.ndarray, quality: int) -> np.ndarray:
    from PIL import Image

    buffer = io.BytesIO()
    gray = len(image) == 1
    Image.fromarray(image[0] if gray else np.ascontiguousarray(image.transpose(1, 2, 0))).save(
        buffer, "JPEG", quality=quality
    )
    decoded = np.asarray(Image.open(buffer))
    return decoded[None] if gray else decoded.transpose(2, 0, 1)


def whole_frame(images: np.ndarray, train: np.ndarray, block: int = 500) -> np.ndarray:
    """Euclidean distance of the pixels to those of the nearest training image [n]."""
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())
    index = faiss.IndexFlatL2(int(np.prod(train.shape[1:])))
    index.add(train.reshape(len(train), -1).astype(np.float32) / 255)
    blocks = [images[at : at + block] for at in range(0, len(images), block)]
    squares = [index.search(part.reshape(len(part), -1).astype(np.float32) / 255, 1)[0][:, 0] for part in blocks]
    return np.sqrt(np.maximum(np.concatenate(squares), 0))


def row(
    method: str,
    scores: list[np.ndarray],
    limit: np.ndarray,
    labels: np.ndarray,
    planted_from: np.ndarray,
    partition: Partition,
    seconds: float,
) -> Row:
    planted, test = scores
    caught, alarms = planted <= limit[labels[planted_from]], test <= limit[labels[partition.test]]
    worst_class = max(alarms[labels[partition.test] == name].mean() for name in np.unique(labels[partition.test]))
    margin = float((limit[labels[planted_from]] / np.maximum(planted, 1e-9)).min())
    return Row(method, 100 * caught.mean(), 100 * alarms.mean(), 100 * worst_class, margin, seconds)


def report(count: int, tables: list[list[Row]], classes: int) -> None:
    print(f"\n{count:,} training images of each of {classes} classes, {len(tables)} draws: mean (lowest to highest)")
    lines = []
    for rows in zip(*tables, strict=True):
        cells = [[getattr(row, name) for row in rows] for name in Row._fields[1:]]
        lines.append([rows[0].method, *(f"{np.mean(c):.2f} ({min(c):.2f} to {max(c):.2f})" for c in cells)])
    head = ["", "planted copies caught, %", "held-out images called copies, %", "worst class, %", "margin", "seconds"]
    print(tabulate(lines, head))
    ours = [rows[0] for rows in tables]
    goal("every planted copy is caught", all(r.recall == 100 for r in ours), f"{min(r.recall for r in ours):.0f} %")
    most = max(r.false_alarms for r in ours)
    goal("at most 2 % of held-out images are called copies", most <= 2, f"{most:.2f} % in the worst draw")


if __name__ == "__main__":
    main()
