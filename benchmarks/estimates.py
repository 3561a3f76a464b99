"""Estimated and measured seconds of short, varied runs, on a machine that was measured and has run nothing before.

Each estimate is made before its run: "first" by the measurement of the machine alone, as before any run, and "next"
with what the runs above it have taught.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from measure import goal, own_database
from tabulate import tabulate

FACTOR, GOAL = 2.0, 0.9  # an estimate is good within this factor, and so many have to be
ROOT = Path(__file__).parents[1]
QUICK = dict(epochs=4, min_updates=20, weights="none")
SHORT_SECONDS = 1.0  # shorter runs are printed, and not counted: a form rounds both figures to the same words
SHOWN = ("embeddings", "members", "source", "minutes", "methods", "epochs", "max_updates", "size_px")
Run = tuple[str, Any, dict[str, Any]]  # workflow, dataset, arguments


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processor-time", action="store_true", help="where others use the machine: one thread")
    parser.add_argument("--runs", type=int, help="the first runs alone")
    parser.add_argument("--only", help="runs of this function alone")
    parser.add_argument("--stages", action="store_true", help="also prints each stage of each run")
    options = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    with own_database() as folder:
        if options.processor_time:
            use_processor_time()
        for number, run in enumerate(runs(folder)):
            if number == options.runs:
                break
            if options.only in (None, run[0]):
                rows.append(measure(*run, stages=options.stages))
                print(rows[-1], flush=True)
    report(rows)


def use_processor_time() -> None:
    from evenset.models import speed
    from evenset.workflows.runs.pace import Pace

    Pace.__init__.__defaults__ = (time.process_time,)  # type: ignore[attr-defined]
    speed.CLOCK = time.process_time


def measure(workflow: str, dataset: Any, arguments: dict[str, Any], stages: bool) -> dict[str, Any]:
    """Estimates as the App's form does, runs, and reads what the run took."""
    import evenset
    from evenset.workflows.runs import records
    from evenset.workflows.training import duration

    estimate = duration.estimate(dataset, workflow, arguments, trains=True)
    after_others = estimate.seconds
    estimate.machine.ratios.clear()
    first = estimate.seconds
    results = getattr(evenset, workflow)(dataset, progress=False, **arguments)
    taken = records.read_record(dataset, results.run_key).notes["stages"]
    if stages:
        print(tabulate(taken, headers=("stage", "expected", "taken"), floatfmt=".2f"))
    what = ", ".join(f"{key}={value}" for key, value in arguments.items() if key in SHOWN)
    measured = sum(seconds for *_, seconds in taken)
    return {
        "run": f"{workflow}({what})",
        "data": dataset.name,
        "measured": measured,
        "first": first,
        "next": after_others,
    }


def runs(folder: Path) -> Iterator[Run]:
    """Short runs on digits of 8 px, and on scenes of photographs of 96 px."""
    photos, digits = make_photos(folder), make_digits(folder)
    labels = dict(label_field="ground_truth")
    yield "check_dataset", photos, labels
    yield "check_dataset", digits, labels
    yield "auto_label", photos, dict(labels, embeddings="vectors")
    yield "auto_label", digits, dict(labels, members="graph", embeddings=None)
    yield "auto_label", digits, dict(labels, output_field="by_resnet", embeddings=None, **QUICK)
    yield "find_mistakes", photos, dict(labels, embeddings="vectors")
    yield "find_mistakes", digits, labels
    yield "train_gcn", digits, labels
    yield "train_resnet", photos, dict(labels, size_px=64, output_field="resnet", **QUICK)
    yield "split_dataset", photos, dict(labels, embeddings="vectors")
    yield "export_dataset", photos, dict(labels, folder=str(folder / "export"))
    yield "preprocess_images", photos, {}
    yield "balance_classes", photos, dict(labels, source="augment")
    yield "train_generator", digits, dict(labels, minutes=None, max_updates=60)
    yield "balance_classes", digits, dict(labels, generator="evenset_train_generator_1", target=60, verdict_updates=60)
    yield "balance_classes", make_photos(folder / "more"), dict(labels, minutes=0.3, size_px=32, verdict_updates=60)
    yield "compare_methods", digits, dict(labels, methods=["k-nn", "laplace", "gcn"], seeds=1)


def make_photos(folder: Path) -> Any:
    """Scenes of photographs with vectors; those of some tiles have labels."""
    import fiftyone as fo

    sys.path.insert(0, str(ROOT / "examples"))
    from demo_photos import scenes

    dataset = fo.Dataset(f"photos in {folder.name}")
    samples = []
    for scene in scenes(folder / "photos"):
        sample = fo.Sample(filepath=str(scene.path), vectors=scene.vector)
        if scene.has_label:
            sample["ground_truth"] = fo.Classification(label=scene.label)
        samples.append(sample)
    dataset.add_samples(samples, progress=False)
    return dataset


def make_digits(folder: Path) -> Any:
    """scikit-learn's digits, 400 of them with a label."""
    import fiftyone as fo
    from PIL import Image
    from sklearn.datasets import load_digits

    digits, dataset, samples = load_digits(), fo.Dataset("digits"), []
    (folder / "digits").mkdir()
    order = np.random.default_rng(0).permutation(len(digits.target))
    for number, i in enumerate(order.tolist()):
        path = folder / "digits" / f"{number:04d}.png"
        Image.fromarray((digits.images[i] * 15.9).astype("uint8")).save(path)
        sample = fo.Sample(filepath=str(path))
        if number < 400:
            sample["ground_truth"] = fo.Classification(label=str(digits.target[i]))
        samples.append(sample)
    dataset.add_samples(samples, progress=False)
    return dataset


def report(rows: list[dict[str, Any]]) -> None:
    print(tabulate(rows, headers="keys", floatfmt=".1f"))
    for name in ("first", "next"):
        good = [1 / FACTOR <= row[name] / row["measured"] <= FACTOR for row in rows if row["measured"] >= SHORT_SECONDS]
        figure = f"{sum(good)} of {len(good)} within a factor of {FACTOR:g}"
        goal(f"{GOAL:.0%} of the estimates ({name})", np.mean(good) >= GOAL, figure)


if __name__ == "__main__":
    main()
