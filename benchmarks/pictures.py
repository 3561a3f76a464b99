"""Images for the benchmarks: Fashion-MNIST, digits, shapes drawn here, or a tree of class folders."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import NamedTuple

import numpy as np

LOCAL_COPY = Path("/usr/share/datasets/fashion-mnist")  # Debian's package dataset-fashion-mnist
CLOTHES = ("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
FORMATS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")
HELP = "fashion-mnist, digits, shapes, or a folder: class folders of images, or Fashion-MNIST's .gz files"


class Pictures(NamedTuple):
    """Files and their classes, in random order."""

    paths: list[str]
    labels: list[str]


def read(data: str, count: int | None, seed: int, folder: Path) -> Pictures:
    """Draws `count` images at random, or all (None). Arrays are written to the folder as PNG files.

    Raises:
        ValueError: the folder has no images
    """
    rng = np.random.default_rng(seed)
    if data not in ("fashion-mnist", "digits", "shapes") and not list(Path(data).glob("*-ubyte.gz")):
        files = sorted(path for path in Path(data).glob("*/*") if path.suffix.lower() in FORMATS)
        if not files:
            raise ValueError(f"{data} has no folders of images: --data takes {HELP}")
        drawn = [files[i] for i in rng.permutation(len(files))[:count]]
        return Pictures([str(path) for path in drawn], [path.parent.name for path in drawn])

    pixels, labels = _arrays(data, count, rng)
    order = rng.permutation(len(pixels))[:count]
    paths = [str(folder / f"{number:06d}.png") for number in range(len(order))]
    write(paths, pixels[order])
    return Pictures(paths, [labels[i] for i in order])


def write(paths: list[str], pixels: np.ndarray) -> None:
    """Writes uint8 images [N, H, W] or [N, H, W, 3]."""
    from PIL import Image

    for path, image in zip(paths, pixels, strict=True):
        Image.fromarray(image).save(path)


def _arrays(data: str, count: int | None, rng: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    if data == "digits":
        from sklearn.datasets import load_digits

        pixels, digits = load_digits(return_X_y=True)
        return (pixels.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8), [str(digit) for digit in digits]
    if data == "shapes":
        return _shapes(count or 3000, rng)
    return _fashion_mnist(LOCAL_COPY if data == "fashion-mnist" else Path(data))


def _fashion_mnist(folder: Path) -> tuple[np.ndarray, list[str]]:
    """All 70,000 images, from the folder of .gz files if it exists, else from torchvision's download."""
    pixels, classes = zip(*(_part_of_fashion_mnist(folder, part) for part in ("train", "t10k")), strict=True)
    return np.concatenate(pixels), [CLOTHES[i] for i in np.concatenate(classes)]


def _part_of_fashion_mnist(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    if not folder.is_dir():
        import torch.hub
        from torchvision.datasets import FashionMNIST

        dataset = FashionMNIST(str(Path(torch.hub.get_dir()) / "datasets"), train=part == "train", download=True)
        return dataset.data.numpy(), dataset.targets.numpy()
    pixels = gzip.decompress((folder / f"{part}-images-idx3-ubyte.gz").read_bytes())[16:]
    classes = gzip.decompress((folder / f"{part}-labels-idx1-ubyte.gz").read_bytes())[8:]
    return np.frombuffer(pixels, np.uint8).reshape(-1, 28, 28), np.frombuffer(classes, np.uint8)


def _shapes(count: int, rng: np.random.Generator, size_px: int = 96) -> tuple[np.ndarray, list[str]]:
    """Discs, boxes and triangles in random colours on a shaded ground, with camera-like noise."""
    from PIL import Image, ImageDraw

    names = rng.choice(["disc", "box", "triangle"], count).tolist()
    pixels = np.empty((count, size_px, size_px, 3), dtype=np.uint8)
    for number, name in enumerate(names):
        corners = rng.integers(0, 256, (2, 2, 3), dtype=np.uint8)
        image = Image.fromarray(corners).resize((size_px, size_px), Image.Resampling.BILINEAR)
        x, y, r = *rng.integers(30, 66, 2).tolist(), int(rng.integers(12, 30))
        box, colour = (x - r, y - r, x + r, y + r), tuple(rng.integers(0, 256, 3).tolist())
        draw = ImageDraw.Draw(image)
        if name == "disc":
            draw.ellipse(box, fill=colour)
        elif name == "box":
            draw.rectangle(box, fill=colour)
        else:
            draw.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=colour)
        noisy = np.asarray(image) + rng.normal(0, 8, (size_px, size_px, 3))
        pixels[number] = noisy.clip(0, 255).astype(np.uint8)
    return pixels, names


def reduced(pixels: np.ndarray, fold: int) -> np.ndarray:
    """Means of squares of `fold` pixels [N, C, S / fold, S / fold]."""
    count, channels, side = pixels.shape[:3]
    squares = pixels.reshape(count, channels, side // fold, fold, side // fold, fold)
    return squares.mean(axis=(3, 5)).round().astype(np.uint8)
