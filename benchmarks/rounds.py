"""A next round of auto_label (after=) beside a new run on the same labels: accuracy, coverage, precision, seconds.

A first run learns from random labels. Then the first samples of the review queue get their true labels, and both runs
learn from all labels.
"""

from __future__ import annotations

import argparse
import time
from statistics import mean
from typing import Any

import pictures
from measure import goal, own_database
from tabulate import tabulate

NEXT, NEW = "next round", "new run"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fashion-mnist", help=pictures.HELP)
    parser.add_argument("--images", type=int, default=3000, help="drawn at random")
    parser.add_argument("--labels", type=int, default=300, help="drawn at random; half are held out")
    parser.add_argument("--reviewed", type=int, default=100, help="labels that the review adds")
    parser.add_argument("--size-px", type=int, help="side of the images; default: chosen from them")
    parser.add_argument("--target", type=float, default=0.9, help="target precision")
    parser.add_argument("--seeds", type=int, default=3, help="draws of images and labels")
    options = parser.parse_args(arguments)
    with own_database() as folder:
        rows = [row for seed in range(options.seeds) for row in one_seed(options, seed, folder)]
    print(tabulate(rows, headers="keys", floatfmt=".3f"))
    lead = average(rows, NEXT, "accuracy") - average(rows, NEW, "accuracy")
    ratio = average(rows, NEXT, "seconds") / average(rows, NEW, "seconds")
    goal("a next round is as accurate within 1 point", lead >= -0.01, f"{100 * lead:+.2f} points")
    goal("and takes at most half the time", ratio <= 0.5, f"{ratio:.2f} of a new run's")


def average(rows: list[dict[str, Any]], method: str, name: str) -> float:
    return mean(float(row[name]) for row in rows if row["method"] == method)


def one_seed(options: argparse.Namespace, seed: int, folder: Any) -> list[dict[str, Any]]:
    """Both methods on the labels that the seed draws."""
    import evenset
    import fiftyone as fo
    from evenset.workflows.ui import review_order

    image_folder = folder / str(seed)
    image_folder.mkdir()
    drawn = pictures.read(options.data, options.images, seed, image_folder)
    dataset = fo.Dataset()
    dataset.add_samples([fo.Sample(filepath=path) for path in drawn.paths], progress=False)
    ids = dataset.values("id")
    truth = dict(zip(ids, drawn.labels, strict=True))

    def write_labels(labelled: list[str]) -> None:
        dataset.set_values("truth", {i: fo.Classification(label=truth[i]) for i in labelled}, key_field="id")

    settings = dict(
        random_labels=True, target_precision=options.target, size_px=options.size_px, seed=seed, progress=False
    )
    write_labels(ids[: options.labels])
    first = evenset.auto_label(dataset, "truth", **settings)
    reviewed = review_order.most_informative(dataset, "auto_label", "truth", options.reviewed)
    write_labels(reviewed)
    unlabelled = [i for i in ids[options.labels :] if i not in set(reviewed)]
    rows = []
    for method, field, extra in ((NEW, "new", {}), (NEXT, "next", {"after": first.run_key})):
        start = time.perf_counter()
        results = evenset.auto_label(dataset, "truth", output_field=field, **settings, **extra)
        seconds = time.perf_counter() - start
        predicted = dict(zip(*dataset.values(["id", f"{field}.label"]), strict=True))
        status = dict(zip(*dataset.values(["id", f"{field}.status"]), strict=True))
        accepted = [i for i in unlabelled if status[i] == "accepted"]
        correct = [predicted[i] == truth[i] for i in accepted]
        rows.append(
            {
                "seed": seed,
                "method": method,
                "accuracy": mean(predicted[i] == truth[i] for i in unlabelled),
                "coverage": results.coverage,
                "precision": mean(correct) if correct else float("nan"),
                "seconds": seconds,
            }
        )
        print(rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    main()
