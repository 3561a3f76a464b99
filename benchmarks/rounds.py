"""A next round of auto_label (after=) beside a new run on the same labels: accuracy, what is accepted, and seconds.

A first run learns from random labels. Then the samples that the review queue puts first get their true label, and both
learn from all that there are.
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
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--labels", type=int, default=300, help="random ones, of which half are held out")
    parser.add_argument("--reviewed", type=int, default=100, help="labels that the review adds")
    parser.add_argument("--size", type=int, default=0, help="side to which images are reduced; 0: as they are")
    parser.add_argument("--target", type=float, default=0.9, help="precision")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args(arguments)
    with own_database() as folder:
        rows = [row for seed in range(options.seeds) for row in one(options, seed, folder)]
    print(tabulate(rows, headers="keys", floatfmt=".3f"))
    lead = average(rows, NEXT, "accuracy") - average(rows, NEW, "accuracy")
    share = average(rows, NEXT, "seconds") / average(rows, NEW, "seconds")
    goal("a next round is as accurate within 1 point", lead >= -0.01, f"{100 * lead:+.2f} points")
    goal("and takes half of the time at the most", share <= 0.5, f"{share:.2f} of a new run's")


def average(rows: list[dict[str, Any]], how: str, name: str) -> float:
    return mean(float(row[name]) for row in rows if row["how"] == how)


def one(options: argparse.Namespace, seed: int, folder: Any) -> list[dict[str, Any]]:
    """The two ways, on labels drawn by the seed."""
    import evenset
    import fiftyone as fo
    from evenset.workflows.ui import review_order

    own = folder / str(seed)
    own.mkdir()
    drawn = pictures.read(options.data, options.images, seed, own)
    dataset = fo.Dataset()
    dataset.add_samples([fo.Sample(filepath=path) for path in drawn.paths], progress=False)
    ids = dataset.values("id")
    truth = dict(zip(ids, drawn.labels, strict=True))

    def tell(some: list[str]) -> None:
        dataset.set_values("truth", {i: fo.Classification(label=truth[i]) for i in some}, key_field="id")

    usual = dict(random_labels=True, target_precision=options.target, size_px=options.size, seed=seed, progress=False)
    tell(ids[: options.labels])
    first = evenset.auto_label(dataset, "truth", **usual)
    reviewed = review_order.most_informative(dataset, "auto_label", "truth", options.reviewed)
    tell(reviewed)
    open_ = [i for i in ids[options.labels :] if i not in set(reviewed)]
    rows = []
    for how, field, more in ((NEW, "new", {}), (NEXT, "next", {"after": first.run_key})):
        began = time.perf_counter()
        results = evenset.auto_label(dataset, "truth", output_field=field, **usual, **more)
        took = time.perf_counter() - began
        said = dict(zip(*dataset.values(["id", f"{field}.label"]), strict=True))
        state = dict(zip(*dataset.values(["id", f"{field}.status"]), strict=True))
        taken = [i for i in open_ if state[i] == "accepted"]
        right = [said[i] == truth[i] for i in taken]
        rows.append(
            {
                "seed": seed,
                "how": how,
                "accuracy": mean(said[i] == truth[i] for i in open_),
                "coverage": results.coverage,
                "precision": mean(right) if right else float("nan"),
                "seconds": took,
            }
        )
        print(rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    main()
