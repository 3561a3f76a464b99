"""Data of the demo: scenes of photographs, digits, clothes, or the user's own class folders."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from demo_photos import scenes

BUILT_IN = ("photos", "digits", "fashion-mnist")
LOCAL_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")  # Debian's package dataset-fashion-mnist
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
UNLABELLED = "unlabelled"
WRONG_LABELS = 9  # of the photos
CLOTHES = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]


def collect(data: str, folder: Path, samples: int | None) -> list[tuple[Path, str | None]]:
    """Image files and their classes, in random order; None is the class of an image in `unlabelled`."""
    if data == "digits":
        from sklearn.datasets import load_digits

        digits = load_digits()
        pixels, names = (digits.images * (255 / 16)).round().astype("uint8"), [str(digit) for digit in digits.target]
    elif data == "fashion-mnist":
        pixels, classes = fashion_mnist(folder)
        names = [CLOTHES[i] for i in classes]
    else:
        return shuffled(class_folders(Path(data)), samples)
    return shuffled(write_images(folder / "images", pixels, names), samples)


def shuffled(files: Iterable[tuple[Path, str | None]], samples: int | None) -> list[tuple[Path, str | None]]:
    files = list(files)
    return [files[i] for i in np.random.default_rng(0).permutation(len(files))[:samples]]


def write_images(folder: Path, pixels: np.ndarray, names: list[str]) -> Iterable[tuple[Path, str]]:
    """Writes gray images [N, H, W] as PNG files, once."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for i, (image, name) in enumerate(zip(pixels, names, strict=True)):
        path = folder / f"{i:05d}.png"
        if not path.exists():
            Image.fromarray(image).save(path)
        yield path, name


def fashion_mnist(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The training images [60000, 28, 28] and classes of Fashion-MNIST (Xiao et al., 2017)."""
    if LOCAL_FASHION_MNIST.is_dir():
        import gzip

        def read(name: str, header: int) -> np.ndarray:
            return np.frombuffer(gzip.decompress((LOCAL_FASHION_MNIST / name).read_bytes()), "uint8", offset=header)

        return read("train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28), read("train-labels-idx1-ubyte.gz", 8)
    from torchvision.datasets import FashionMNIST

    try:
        data = FashionMNIST(folder / "download", download=True)
    except (OSError, RuntimeError) as error:
        sys.exit(f"Fashion-MNIST cannot be downloaded ({error}): try --data digits, or a folder of your own")
    return data.data.numpy(), data.targets.numpy()


def class_folders(root: Path) -> list[tuple[Path, str | None]]:
    """The files of a tree of class folders; those in `unlabelled` have no class."""
    if not root.is_dir():
        sys.exit(f"--data {root}: there is no such folder; give {', '.join(BUILT_IN)}, or a folder of class folders")
    files = [
        (path.resolve(), None if folder.name == UNLABELLED else folder.name)
        for folder in sorted(root.iterdir())
        if folder.is_dir()
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in IMAGE_SUFFIXES
    ]
    if len({name for _, name in files} - {None}) < 2:
        sys.exit(
            f"--data {root}: it takes at least two class folders with images, as {root}/cat/1.jpg, {root}/dog/2.jpg"
        )
    return files


def build(name: str, folder: Path, data: str, labels: int | None, most: int | None) -> Any:
    """A new dataset: `truth` where it is known, and `ground_truth` for the labels that are not hidden.

    The files come in random order, so the first labels are a random draw.

    Args:
        data: one of BUILT_IN, or a tree of class folders
        most: maximum number of images; None is all
    """
    import fiftyone as fo

    samples, shown = [], 0
    for path, label in collect(data, folder, most):
        sample = fo.Sample(filepath=str(path))
        if label is not None:
            sample["truth"] = fo.Classification(label=label)
            if labels is None or shown < labels:
                sample["ground_truth"] = fo.Classification(label=label)
                shown += 1
        samples.append(sample)
    return new_dataset(name, samples)


def build_photos(name: str, folder: Path, labels: int) -> Any:
    """A new dataset of scenes with a vector each; some of the labels are wrong."""
    import fiftyone as fo

    rng, cut = np.random.default_rng(0), list(scenes(folder / "images"))
    names = sorted({scene.label for scene in cut})
    shown = rng.permutation([i for i, scene in enumerate(cut) if scene.has_label])[:labels]
    given = {i: cut[i].label for i in shown.tolist()}
    for i in shown[: min(WRONG_LABELS, labels // 20)].tolist():
        given[i] = str(rng.choice([name for name in names if name != cut[i].label]))
    samples = []
    for i, scene in enumerate(cut):
        sample = fo.Sample(filepath=str(scene.path), tile=scene.tile, vectors=scene.vector)
        sample["truth"] = fo.Classification(label=scene.label)
        if i in given:
            sample["ground_truth"] = fo.Classification(label=given[i])
        samples.append(sample)
    return new_dataset(name, [samples[i] for i in rng.permutation(len(samples))])


def new_dataset(name: str, samples: list[Any]) -> Any:
    import fiftyone as fo

    if fo.dataset_exists(name):
        print(f"the dataset {name!r} of an earlier demo is replaced")
        fo.delete_dataset(name)
    dataset = fo.Dataset(name, persistent=True)
    for field in ("ground_truth", "truth"):
        dataset.add_sample_field(field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    dataset.add_samples(samples, progress=False)
    return dataset
