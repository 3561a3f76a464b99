"""Data sets of the benchmarks with few labels: vectors of photos, cells and clothes, in classes of uneven size."""

from __future__ import annotations

import argparse
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pictures

DATA = ("cifar", "bccd", "fashion-mnist")
IMAGES = 3_800
RATIO = {"cifar": 7.0, "fashion-mnist": 50.0}  # of the largest class to the smallest


def read(options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Vectors and classes of the data set, uneven."""
    if options.cache and options.cache.exists():
        with np.load(options.cache) as kept:
            return kept["vectors"], kept["truth"]
    with tempfile.TemporaryDirectory() as folder:
        vectors, truth = READERS[options.data](options, Path(folder))
    if options.cache:
        np.savez(options.cache, vectors=vectors, truth=truth)
    return vectors, truth


def read_folders(options: argparse.Namespace, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    import frozen

    drawn = pictures.read(options.folder, None, 0, folder)
    truth = np.unique(drawn.labels, return_inverse=True)[1]
    kept = uneven(truth, RATIO["cifar"])
    return frozen.vectors([drawn.paths[i] for i in kept]), truth[kept]


def read_fashion(options: argparse.Namespace, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    pixels, names = pictures._fashion_mnist(Path(options.folder) if options.folder else pictures.LOCAL_COPY)
    truth = np.unique(names, return_inverse=True)[1]
    kept = uneven(truth, RATIO["fashion-mnist"])
    return pixels[kept].reshape(len(kept), -1).astype(np.float32) / 255, truth[kept]


def read_cells(options: argparse.Namespace, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Crops of the boxes, as they are: 85 % of them are red cells."""
    import frozen

    paths, names = crops(Path(options.folder), folder)
    return frozen.vectors(paths), np.unique(names, return_inverse=True)[1]


def crops(data: Path, folder: Path) -> tuple[list[str], list[str]]:
    """Files of the crops, which are written into `folder`, and their classes."""
    from PIL import Image

    paths, names = [], []
    for file in sorted(data.glob("Annotations/*.xml")):
        image = Image.open(data / "JPEGImages" / f"{file.stem}.jpg").convert("RGB")
        for box in ET.parse(file).iter("object"):
            corners = [int(float(box.findtext(f"bndbox/{name}", "0"))) for name in ("xmin", "ymin", "xmax", "ymax")]
            if min(corners[2] - corners[0], corners[3] - corners[1]) >= 2:
                paths.append(str(folder / f"{len(paths)}.png"))
                names.append(box.findtext("name", ""))
                image.crop(tuple(corners)).save(paths[-1])
    return paths, names


READERS = {"cifar": read_folders, "fashion-mnist": read_fashion, "bccd": read_cells}


def uneven(truth: np.ndarray, ratio: float) -> np.ndarray:
    """Indices of IMAGES samples whose classes fall geometrically in size, in random order."""
    rng, classes = np.random.default_rng(0), truth.max() + 1
    shares = ratio ** (-np.arange(classes) / (classes - 1))
    counts = np.round(IMAGES * shares / shares.sum()).astype(int)
    order = rng.permutation(classes)
    return rng.permutation(
        np.concatenate([rng.permutation(np.flatnonzero(truth == i))[:n] for i, n in zip(order, counts, strict=True)])
    )
