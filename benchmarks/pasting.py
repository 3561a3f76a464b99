"""Pasted objects: what a training gains on held-out crops, by the verdict of balance_classes.

Of the images 120 are drawn: red cells are 85 % of the boxes, so that white cells and platelets are pasted.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from measure import goal
from tabulate import tabulate

IMAGES = 120


def run(folder: Path, seeds: list[int]) -> None:
    """A row for each seed: boxes pasted, balanced accuracy of the best baseline and with them, and the gain."""
    rows = []
    for seed in seeds:
        results = measure(folder, seed)
        print(results, flush=True)
        gain, low, high = (100 * value for value in results.gain)
        accuracy = {row["training_set"]: row["balanced_accuracy"] for row in results.arms}
        rows.append(
            dict(
                seed=seed,
                pasted=results.added,
                baseline=results.best,
                without=accuracy.get(results.best),
                gain=gain,
                low=low,
                high=high,
                verdict=results.decision,
            )
        )
    print(tabulate(rows, "keys", floatfmt=".3f"))
    goal("the verdict never adds what loses .3 points", not any(_loses(row) for row in rows), "see the table")


def _loses(row: dict[str, object]) -> bool:
    return row["verdict"] == "add" and float(str(row["gain"])) < -0.3


def measure(folder: Path, seed: int):
    """Results of a balance on some of the images."""
    import evenset
    import fiftyone as fo

    every = fo.Dataset.from_dir(
        dataset_type=fo.types.VOCDetectionDataset,
        data_path=str(folder / "JPEGImages"),
        labels_path=str(folder / "Annotations"),
        label_field="ground_truth",
        progress=False,
    )
    ids = np.random.default_rng(seed).permutation(every.values("id"))[:IMAGES].tolist()
    dataset = every.select(ids).clone()
    dataset.compute_metadata(progress=False)
    try:
        options = dict(source="paste", seed=seed, progress=False, add="if it gains")
        return evenset.balance_classes(dataset, "ground_truth", target="majority", **options)
    finally:
        dataset.delete()
        every.delete()
