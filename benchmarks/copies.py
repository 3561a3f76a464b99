"""Are copies of training images found among generated ones, and are real images let pass? Beside distance in pixels.

100 training images are planted: as they are, mirrored, shifted by 1 or 2 px, re-encoded as JPEG, and all at once. Real
images that were held out, some to set the limits and others to be judged, must not be called copies.

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
KINDS = ("as it is", "mirrored", "shifted", "JPEG", "all three")
QUALITIES = (50, 75, 90)


class Parts(NamedTuple):
    """Indices of images: training, those that set the limits, those that are judged."""

    train: np.ndarray
    held: np.ndarray
    fresh: np.ndarray


class Row(NamedTuple):
    method: str
    caught: float  # of the planted ones, %
    wrong: float  # of held-out ones called copies, %
    worst: float  # the same, of the class that has most, %
    margin: float  # the limit over the figure of the planted image that came nearest to pass
    seconds: float


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fashion-mnist", help=pictures.HELP)
    parser.add_argument("--size-px", type=int, default=0, help="0: as they are")
    parser.add_argument("--per-class", type=int, nargs="+", default=[60, 4000], help="training images of a class")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--judged", type=int, default=5000, help="held-out images that are judged, at the most")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        pixels, labels = arrays(options.data, options.size_px, Path(folder))
    for count in options.per_class:
        tables = [compare(pixels, labels, count, options.judged, seed) for seed in range(options.seeds)]
        report(count, tables, len(np.unique(labels)))


def arrays(data: str, size_px: int, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    from evenset.models.images.reader import Images
    from evenset.models.images.survey import survey
    from evenset.models.settings import ImageSettings

    found = pictures.read(data, 0, 0, folder)
    settings = ImageSettings(size_px=size_px)
    look = survey(found.paths[:500], settings)
    images = Images(found.paths, settings, look.size_px(settings), 1 if look.gray else 3, cache_megabytes=8000)
    return images[np.arange(len(images))], np.unique(found.labels, return_inverse=True)[1]


def compare(pixels: np.ndarray, labels: np.ndarray, count: int, judged: int, seed: int) -> list[Row]:
    from evenset.models.quality import copies
    from evenset.models.settings import FilterSettings

    rng = np.random.default_rng(seed)
    parts = divide(labels, count, judged, rng)
    chosen = rng.permutation(parts.train)[:PLANTED]
    planted = np.stack([changed(pixels[i], KINDS[number % len(KINDS)], rng) for number, i in enumerate(chosen)])
    share = FilterSettings().copy_reject_quantile
    classes = int(labels.max()) + 1
    train, held, fresh = (pixels[part] for part in parts)

    start = time.perf_counter()
    reference = copies.prepare(train)
    real = (copies.LabelledImages(train, labels[parts.train]), copies.LabelledImages(held, labels[parts.held]))
    limit = copies.limits(reference, *real, classes, share)
    scores = [copies.search(reference, images).ratio for images in (planted, fresh)]
    ours = row("Evenset", scores, limit, labels, chosen, parts, time.perf_counter() - start)

    start = time.perf_counter()
    distances = [whole_frame(images, train) for images in (held, planted, fresh)]
    limit = np.array([np.quantile(distances[0][labels[parts.held] == name], share) for name in range(classes)])
    peer = row("distance of whole frames", distances[1:], limit, labels, chosen, parts, time.perf_counter() - start)
    return [ours, peer]


def divide(labels: np.ndarray, count: int, judged: int, rng: np.random.Generator) -> Parts:
    """Those that set the limits are as many as a user would spare: a fifth of the training ones, 100 at the most."""
    held = min(max(count // 5, 1), 100)
    orders = [rng.permutation(np.flatnonzero(labels == name)) for name in np.unique(labels)]
    train, spare = (np.concatenate(part) for part in ([o[:count] for o in orders], [o[count:][:held] for o in orders]))
    rest = rng.permutation(np.concatenate([order[count + held :] for order in orders]))
    return Parts(train, spare, rest[:judged])


def changed(image: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """A copy that is not the same, uint8 [C, S, S]."""
    every = kind == "all three"
    if every or kind == "mirrored":
        image = image[:, :, ::-1]
    if every or kind == "shifted":
        down, right = rng.choice([(a, b) for a in range(-2, 3) for b in range(-2, 3) if a or b])
        side = image.shape[-1]
        image = np.pad(image, ((0, 0), (2, 2), (2, 2)), mode="edge")[:, 2 + down :, 2 + right :][:, :side, :side]
    return np.ascontiguousarray(reencoded(image, int(rng.choice(QUALITIES))) if every or kind == "JPEG" else image)


def reencoded(image: np.ndarray, quality: int) -> np.ndarray:
    from PIL import Image

    file = io.BytesIO()
    gray = len(image) == 1
    Image.fromarray(image[0] if gray else np.ascontiguousarray(image.transpose(1, 2, 0))).save(
        file, "JPEG", quality=quality
    )
    read = np.asarray(Image.open(file))
    return read[None] if gray else read.transpose(2, 0, 1)


def whole_frame(images: np.ndarray, train: np.ndarray, block: int = 500) -> np.ndarray:
    """Euclidean distance of the pixels to those of the nearest training image [n]."""
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())
    index = faiss.IndexFlatL2(int(np.prod(train.shape[1:])))
    index.add(train.reshape(len(train), -1).astype(np.float32) / 255)
    parts = [images[at : at + block] for at in range(0, len(images), block)]
    found = [index.search(part.reshape(len(part), -1).astype(np.float32) / 255, 1)[0][:, 0] for part in parts]
    return np.sqrt(np.maximum(np.concatenate(found), 0))


def row(
    method: str,
    scores: list[np.ndarray],
    limit: np.ndarray,
    labels: np.ndarray,
    chosen: np.ndarray,
    parts: Parts,
    seconds: float,
) -> Row:
    planted, fresh = scores
    caught, called = planted <= limit[labels[chosen]], fresh <= limit[labels[parts.fresh]]
    worst = max(called[labels[parts.fresh] == name].mean() for name in np.unique(labels[parts.fresh]))
    margin = float((limit[labels[chosen]] / np.maximum(planted, 1e-9)).min())
    return Row(method, 100 * caught.mean(), 100 * called.mean(), 100 * worst, margin, seconds)


def report(count: int, tables: list[list[Row]], classes: int) -> None:
    print(f"\n{count:,} training images of each of {classes} classes, {len(tables)} draws: mean (lowest to highest)")
    lines = []
    for rows in zip(*tables, strict=True):
        cells = [[getattr(row, name) for row in rows] for name in Row._fields[1:]]
        lines.append([rows[0].method, *(f"{np.mean(c):.2f} ({min(c):.2f} to {max(c):.2f})" for c in cells)])
    head = ["", "planted, caught, %", "held out, called copies, %", "worst class, %", "margin", "seconds"]
    print(tabulate(lines, head))
    ours = [rows[0] for rows in tables]
    goal("every planted copy is caught", all(r.caught == 100 for r in ours), f"{min(r.caught for r in ours):.0f} %")
    most = max(r.wrong for r in ours)
    goal("at most 2 % of held-out images are called copies", most <= 2, f"{most:.2f} % in the worst draw")


if __name__ == "__main__":
    main()
