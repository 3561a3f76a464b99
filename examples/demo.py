"""The demo: real images with a few labels; the rest is labelled, and the promise is checked. Then a class is reduced
to a tenth, a generator learns to draw it, and the benefit is measured. The App opens on the results.

sh scripts/demo                         scikit-learn's digits, 300 labels drawn at random
sh scripts/demo --labels 30             too few to promise anything: it says so
sh scripts/demo --data fashion-mnist    clothes: a local copy where there is one, else torchvision's download
sh scripts/demo --data DIR              your own tree of class folders (and a folder `unlabelled`, or --labels N)
sh scripts/demo --minutes 0             without the generator; more minutes: a better one
sh scripts/demo --no-app                the tables alone
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

LOCAL_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")  # Debian's package dataset-fashion-mnist
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
UNLABELLED = "unlabelled"
CLOTHES = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]


def main() -> None:
    options = parse()
    if not options.no_app:
        offer_plugin()
    import evenset
    import fiftyone as fo

    warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated")  # torch-geometric's own call, on import
    name = f"evenset-demo-{Path(options.data).name}"
    folder = Path(fo.config.default_dataset_dir) / name
    files = collect(options.data, folder, options.samples)
    dataset = build(name, files, options.labels)
    print(f"{len(dataset):,} images of {options.data}, {dataset.count('ground_truth'):,} with a label\n")

    settings: dict[str, Any] = {"epochs": options.epochs, "min_updates": 1} if options.epochs else {}
    results = evenset.auto_label(
        dataset,
        "ground_truth",
        random_labels=options.labels is not None,
        target_precision=options.target_precision,
        weights="auto" if options.data not in ("digits", "fashion-mnist") else "none",
        **settings,
    )
    print(f"\n{results}\n")
    check(dataset, results)
    if options.minutes:
        even_out(dataset, options)
    if not options.no_app:
        show(dataset, results)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits", help="digits, fashion-mnist, or a tree of class folders")
    parser.add_argument("--labels", type=int, help="labels to keep, drawn at random; the others are hidden")
    parser.add_argument("--samples", type=int, help="maximum number of images, drawn at random")
    parser.add_argument("--target-precision", type=float, default=0.95)
    parser.add_argument("--epochs", type=int, help="passes over the labelled images")
    parser.add_argument("--minutes", type=float, default=2.0, help="that the generator trains; 0: no generator")
    parser.add_argument("--no-app", action="store_true", help="prints the tables alone")
    options = parser.parse_args()
    if options.labels is None and options.data in ("digits", "fashion-mnist"):
        options.labels = 300
    if options.samples is None and options.data == "fashion-mnist":
        options.samples = 3000
    return options


def offer_plugin() -> None:
    """Lets the App of this process load this plugin, unless FIFTYONE_PLUGINS_DIR is set."""
    root = Path(__file__).resolve().parents[1]
    plugins = root / ".venv" / "plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    if not (plugins / "evenset").exists():
        (plugins / "evenset").symlink_to(root, target_is_directory=True)
    os.environ.setdefault("FIFTYONE_PLUGINS_DIR", str(plugins))


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
        sys.exit(f"--data {root}: there is no such folder; give digits, fashion-mnist, or a folder of class folders")
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


def build(name: str, files: list[tuple[Path, str | None]], labels: int | None) -> Any:
    """A new dataset: `truth` where it is known, and `ground_truth` for the labels that are not hidden.

    The files come in random order, so the first labels are a random draw.
    """
    import fiftyone as fo

    if fo.dataset_exists(name):
        print(f"the dataset {name!r} of an earlier demo is replaced")
        fo.delete_dataset(name)
    dataset = fo.Dataset(name, persistent=True)
    for field in ("ground_truth", "truth"):
        dataset.add_sample_field(field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    samples, shown = [], 0
    for path, label in files:
        sample = fo.Sample(filepath=str(path))
        if label is not None:
            sample["truth"] = fo.Classification(label=label)
            if labels is None or shown < labels:
                sample["ground_truth"] = fo.Classification(label=label)
                shown += 1
        samples.append(sample)
    dataset.add_samples(samples, progress=False)
    return dataset


def check(dataset: Any, results: Any) -> None:
    """Compares the suggestions with the hidden labels and the promise."""
    columns = dataset.values(["auto_label.status", "auto_label.label", "truth.label"])
    hidden = [(status, label == truth) for status, label, truth in zip(*columns, strict=True) if truth and label]
    suggested = [correct for status, correct in hidden if status != "labelled"]
    accepted = [correct for status, correct in hidden if status == "accepted"]
    if not suggested:
        print("No label is hidden, so there is nothing to compare with: --labels N hides all but N.")
        return
    print("Compared with the hidden labels, which no step has seen")
    print(f"  accuracy of all {len(suggested):,} suggestions   {np.mean(suggested):7.1%}")
    if accepted:
        kept = "kept" if np.mean(accepted) >= results.target_precision else "broken"
        word = "promised" if results.promise == "promise" else "estimated"
        promise = f"({word}: at least {results.target_precision:.0%}, {kept})"
        print(f"  precision of the {len(accepted):,} accepted   {np.mean(accepted):7.1%}   {promise}")
    else:
        print("  nothing was accepted, and nothing promised")


def even_out(dataset: Any, options: argparse.Namespace) -> None:
    """Reduces one class to a tenth of its labels, generates images of it, and prints their benefit."""
    import evenset
    import fiftyone as fo

    labels = dict(zip(*dataset.exists("truth").values(["id", "truth.label"]), strict=True))
    rare = sorted(set(labels.values()))[-1]
    of_rare = [i for i, label in labels.items() if label == rare]
    dropped = set(of_rare[max(len(of_rare) // 10, 2) :])
    dataset.add_sample_field("uneven", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    kept = {i: fo.Classification(label=label) for i, label in labels.items() if i not in dropped}
    dataset.set_values("uneven", kept, key_field="id", progress=False)
    left = f"{len(of_rare) - len(dropped)} of {len(of_rare)}"
    print(f"\nThe labels of {rare!r} are taken down to {left}, in the field 'uneven'\n")
    results = evenset.balance_classes(
        dataset, "uneven", minutes=options.minutes, max_ratio=None, verdict_updates=options.epochs or 400
    )
    print(f"\n{results}")


def show(dataset: Any, results: Any) -> None:
    """Opens the App on the accepted samples, or on those that wait for a review where none is."""
    import fiftyone as fo

    view = dataset.load_saved_view(results.views["accepted" if results.accepted else "review"])
    session = fo.launch_app(view)
    print("\nThe App is open. Press ` in it and type a word, as 'label', to find Evenset's operators. Ctrl+C ends it.")
    with contextlib.suppress(KeyboardInterrupt):
        session.wait(-1)


if __name__ == "__main__":
    main()
