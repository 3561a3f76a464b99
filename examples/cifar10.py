"""All of Evenset on real photographs: label, find mistakes, even out, compare.

python examples/cifar10.py DIR            DIR has a folder of images for each class, as CIFAR-10's train/airplane/...
python examples/cifar10.py DIR --images 5000 --labels 500 --minutes 20 --keep
python examples/cifar10.py DIR --embeddings clip-vit-base32-torch      with pretrained embeddings of FiftyOne's zoo

CIFAR-10 is balanced and its labels are correct. So the script makes the trouble itself, and knows the answer: it hides
most labels, makes some of the others wrong, and reduces the last two classes to a tenth.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}
NAME = "evenset-example"


def main() -> None:
    options = parse()
    import fiftyone as fo

    warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated")  # torch-geometric's own call, on import
    if fo.dataset_exists(NAME):
        fo.delete_dataset(NAME)
    dataset = build(Path(options.folder), options)
    print(f"{len(dataset):,} images of {', '.join(dataset.distinct('truth.label'))}")
    for title, step in (("Label", label), ("Find mistakes", mistakes), ("Even out", even_out), ("Compare", compare)):
        timed(title, step, dataset, options)
    if options.keep:
        dataset.persistent = True
        print(f"\nThe dataset {NAME!r} is kept: fiftyone app launch {NAME}")
    else:
        dataset.delete()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="of class folders")
    parser.add_argument("--images", type=int, default=3000, help="drawn at random")
    parser.add_argument("--labels", type=int, default=300, help="that are not hidden, drawn at random")
    parser.add_argument("--wrong", type=float, default=0.1, help="fraction of the labels that is made wrong")
    parser.add_argument("--minutes", type=float, default=5.0, help="that the generator trains")
    parser.add_argument(
        "--embeddings", help="in place of ResNets: a model of the zoo, or an .npy file [N, D] of all files, by path"
    )
    parser.add_argument("--epochs", type=int, help="of each ResNet; None: its default")
    parser.add_argument("--steps", type=int, default=800, help="updates of the networks that measure the benefit")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", action="store_true", help="keeps the dataset for the App")
    return parser.parse_args()


def timed(
    title: str, step: Callable[[Any, argparse.Namespace], None], dataset: Any, options: argparse.Namespace
) -> None:
    print(f"\n{title}\n{'=' * len(title)}", flush=True)
    start = time.monotonic()
    step(dataset, options)
    print(f"({time.monotonic() - start:.0f} s)", flush=True)


def build(folder: Path, options: argparse.Namespace) -> Any:
    import fiftyone as fo

    files = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in SUFFIXES)
    if len({path.parent.name for path in files}) < 4:
        sys.exit(f"{folder} has to hold a folder of images for each of four classes or more")
    dataset = fo.Dataset(NAME)
    drawn = np.random.default_rng(options.seed).permutation(len(files))[: options.images]
    paths = [files[i] for i in drawn]
    dataset.add_samples(
        [fo.Sample(filepath=str(path.resolve()), truth=fo.Classification(label=path.parent.name)) for path in paths],
        progress=False,
    )
    if (options.embeddings or "").endswith(".npy"):
        vectors = np.load(options.embeddings)
        if len(vectors) != len(files):
            sys.exit(f"{options.embeddings} has {len(vectors):,} rows, and {folder} {len(files):,} images")
        dataset.set_values("vector", list(vectors[drawn]), progress=False)
        options.embeddings = "vector"
    return dataset


def write_labels(dataset: Any, field: str, labels: list[str | None]) -> None:
    """Writes a new field of labels, in the order of the samples."""
    import fiftyone as fo

    dataset.add_sample_field(field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    dataset.set_values(field, [None if name is None else fo.Classification(label=name) for name in labels])


def method_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Embeddings, if they are given, or the epochs of a ResNet."""
    if options.embeddings:
        return {"embeddings": options.embeddings}
    return {"epochs": options.epochs, "min_updates": 1} if options.epochs else {}


def label(dataset: Any, options: argparse.Namespace) -> None:
    """Hides all labels but a few; the samples are in random order, so that the first are a random draw."""
    import evenset

    truth = dataset.values("truth.label")
    write_labels(dataset, "few", [name if i < options.labels else None for i, name in enumerate(truth)])
    print(evenset.auto_label(dataset, "few", random_labels=True, seed=options.seed, **method_settings(options)))
    columns = zip(*dataset.values(["auto_label.status", "auto_label.label", "truth.label"]), strict=True)
    suggested = [(status, name == true) for status, name, true in columns if status != "labelled" and name]
    accepted = [correct for status, correct in suggested if status == "accepted"]
    print(f"\nhidden labels: {np.mean([correct for _, correct in suggested]):.1%} of all suggestions are right", end="")
    print(f", {np.mean(accepted):.1%} of the {len(accepted):,} accepted" if accepted else ", nothing was accepted")


def mistakes(dataset: Any, options: argparse.Namespace) -> None:
    """Makes some labels wrong."""
    import evenset

    truth, rng = dataset.values("truth.label"), np.random.default_rng(options.seed)
    names = sorted(set(truth))
    wrong = rng.random(len(truth)) < options.wrong
    noisy = [
        str(rng.choice([other for other in names if other != name])) if bad else name
        for name, bad in zip(truth, wrong, strict=True)
    ]
    write_labels(dataset, "noisy", noisy)
    print(evenset.find_mistakes(dataset, "noisy", seed=options.seed, **method_settings(options)))
    columns = zip(*dataset.values(["mistake.is_issue", "noisy.label", "truth.label", "mistake.label"]), strict=True)
    flagged = [(label != true, suggested == true) for is_issue, label, true, suggested in columns if is_issue]
    hits = sum(bad for bad, _ in flagged)
    print(f"\n{wrong.sum():,} labels were made wrong; of the {len(flagged):,} flagged {hits:,} are, ", end="")
    print(f"and for {sum(good for bad, good in flagged if bad):,} of these the suggestion is the true label")


def even_out(dataset: Any, options: argparse.Namespace) -> None:
    """Reduces the last two classes to a tenth of their labels."""
    import evenset

    truth = dataset.values("truth.label")
    rare = sorted(set(truth))[-2:]
    seen: dict[str, int] = {}
    uneven: list[str | None] = []
    for name in truth:
        seen[name] = seen.get(name, 0) + 1
        uneven.append(None if name in rare and seen[name] % 10 else name)
    write_labels(dataset, "uneven", uneven)
    print(f"{' and '.join(rare)} are taken down to a tenth")
    generator = evenset.train_generator(dataset, "uneven", minutes=options.minutes, seed=options.seed)
    print(generator)
    print(
        evenset.balance_classes(
            dataset, "uneven", generator=generator.run_key, verdict_updates=options.steps, seed=options.seed
        )
    )


def compare(dataset: Any, options: argparse.Namespace) -> None:
    """Compares methods on the true labels: each trains on a part, and is scored on the others."""
    import evenset

    methods = ["hog + svm", "k-nn", "gcn", "laplace", "ensemble"]
    settings = method_settings(options)
    if not options.embeddings:  # epochs are the ResNet's, in the ensemble too, and not the GCN's
        settings = {"settings_of": {"resnet": settings}}
    print(evenset.compare_methods(dataset, "truth", methods=methods, seeds=2, seed=options.seed, **settings))


if __name__ == "__main__":
    main()
