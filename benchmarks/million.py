"""Many samples: time and memory of auto_label and of what follows it, beside FiftyOne's own bulk calls.

Each size is a process of its own. Its samples have no files, and vectors of 64 numbers that vary along 12 directions
around the centre of their class; 4,000 have a label, and all after the review. The lower bound is what cannot be
avoided: FiftyOne's `values` of ids, paths and labels, the graph (faiss), and `set_values` of ready labels with as many
attributes. Memory is anonymous memory (RssAnon) beyond that at the start of a stage: pages of mapped files are the
system's to reclaim.

    python benchmarks/million.py --samples 10000 100000 1000000
    python benchmarks/million.py --samples 100000 --classes 10 200 1000
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from measure import goal, own_database, seconds
from tabulate import tabulate

DIMENSIONS, FACTORS, LABELS, BATCH = 64, 12, 4_000, 20_000
MAX_BYTES = 3 * 2**30
MAX_RATIO = 3.0  # of the lower bound
TARGET, OTHER_TARGET = 0.9, 0.95


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--classes", type=int, nargs="+", default=[10])
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        with own_database():
            print(json.dumps(measure(options.samples[0], options.classes[0])))
        return
    rows = [_in_process(samples, classes) for classes in options.classes for samples in options.samples]
    columns = [[name, *(row[name] for row in rows)] for name in rows[0]]
    print(tabulate(columns, floatfmt=",.1f", intfmt=","))
    for classes in options.classes:
        of_classes = sorted((row for row in rows if row["classes"] == classes), key=lambda row: row["samples"])
        _judge(of_classes[-1])
        _growth(of_classes[0], of_classes[-1])


def _judge(row: dict[str, Any]) -> None:
    name = f"{row['samples']:,} samples, {row['classes']:,} classes"
    peak = max(value for column, value in row.items() if column.endswith(", MB"))
    goal(f"{name}: at most 3 GiB", peak * 1e6 <= MAX_BYTES, f"{peak / 1e3:.2f} GB")
    ratio = row["auto_label"] / row["lower bound"]
    goal(f"{name}: auto_label within 3 x the lower bound", ratio <= MAX_RATIO, f"{ratio:.2f}")


def _in_process(samples: int, classes: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", "--samples", samples, "--classes", classes]
    done = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(row, flush=True)
    return row


def _growth(first: dict[str, Any], last: dict[str, Any]) -> None:
    """Exponents of time and memory from the smallest to the largest size."""
    factor = np.log(last["samples"] / first["samples"])
    for column, limit in (("auto_label", 1.1), ("auto_label, MB", 1.0)) if factor else ():
        exponent = np.log(last[column] / first[column]) / factor
        goal(f"{column} grows by an exponent of at most {limit}", exponent <= limit, f"{exponent:.2f}")


def measure(samples: int, classes: int) -> dict[str, Any]:
    """Seconds of each stage, the lower bound, and the peak of memory."""
    import evenset
    import faiss  # noqa: F401
    import sklearn.decomposition  # noqa: F401
    import torch  # noqa: F401  imports are not what is measured

    dataset, vectors, truth = make(samples, classes)
    row: dict[str, Any] = {"samples": samples, "classes": classes, "lower bound": lower_bound(dataset, vectors)}
    options = dict(embeddings=vectors, random_labels=True, target_precision=TARGET)
    quiet = dict(progress=False)
    stages: dict[str, Callable[[], Any]] = {
        "auto_label": lambda: evenset.auto_label(dataset, "ground_truth", **options, **quiet),
        "set_target": lambda: evenset.set_target(dataset, "evenset_auto_label_1", OTHER_TARGET),
        "audit_labels": lambda: evenset.audit_labels(dataset, "auto_label", **quiet),
        "review_labels": lambda: evenset.review_labels(dataset, "auto_label", force=True, **quiet),
        "find_mistakes": lambda: evenset.find_mistakes(dataset, "ground_truth", embeddings=vectors, **quiet),
        "balance's plan": lambda: evenset.balance_classes(dataset, "ground_truth", dry_run=True, **quiet),
    }
    for name in ("find_mistakes", "review_labels", "audit_labels", "auto_label"):
        stages[f"delete {name}"] = lambda name=name: evenset.delete_run(dataset, f"evenset_{name}_1")
    for name, stage in stages.items():
        with memory() as peak:
            row[name] = seconds(stage)
        row[f"{name}, MB"] = peak[0] / 1e6
        print(f"{samples:,}: {name} {row[name]:.1f} s, {row[f'{name}, MB']:,.0f} MB", file=sys.stderr, flush=True)
    assert not dataset.list_runs() and not dataset.has_field("auto_label")
    return row


def make(samples: int, classes: int) -> tuple[Any, np.ndarray, np.ndarray]:
    """A dataset, its vectors [N, D] and true classes [N]. The documents are those of FiftyOne, written in batches."""
    import fiftyone as fo
    from bson import ObjectId

    rng = np.random.default_rng(0)
    centres, truth = rng.normal(size=(classes, DIMENSIONS)).astype("float32"), rng.integers(0, classes, samples)
    mixing = rng.normal(size=(FACTORS, DIMENSIONS)).astype("float32") / FACTORS**0.5
    vectors = centres[truth] + rng.normal(size=(samples, FACTORS)).astype("float32") @ mixing
    vectors += 0.1 * rng.normal(size=vectors.shape).astype("float32")
    is_labelled = np.zeros(samples, dtype=bool)
    is_labelled[rng.permutation(samples)[: min(LABELS, samples // 5)]] = True
    dataset = fo.Dataset()
    dataset.add_sample(fo.Sample(filepath="/nowhere/0.jpg", ground_truth=fo.Classification(label="0")))
    collection = dataset._sample_collection
    template = collection.find_one_and_delete({})
    for first in range(0, samples, BATCH):
        rows = range(first, min(first + BATCH, samples))
        collection.insert_many(
            {
                **template,
                "_id": ObjectId(),
                "filepath": f"/nowhere/{i:07d}.jpg",
                "ground_truth": {**template["ground_truth"], "_id": ObjectId(), "label": f"class {truth[i]}"}
                if is_labelled[i]
                else None,
                "created_at": datetime.now(UTC),
            }
            for i in rows
        )
    dataset.reload()
    return dataset, vectors, truth


def lower_bound(dataset: Any, vectors: np.ndarray) -> float:
    """Seconds of reading, of the graph, and of writing as many labels."""
    import fiftyone as fo
    from evenset.models.graphs import nearest_neighbours
    from evenset.models.settings import GraphSettings

    total = seconds(lambda: dataset.values(["id", "filepath", "ground_truth.label"]))
    total += seconds(lambda: nearest_neighbours.build(vectors, GraphSettings()))
    names = ("status", "gcn_label", "resnet_label")
    numbers = ("gcn_confidence", "resnet_confidence", "agreement", "margin")
    ids = dataset.values("id")
    for first in range(0, len(ids), BATCH):
        values = {
            i: fo.Classification(label="a", confidence=0.5, **dict.fromkeys(names, "a"), **dict.fromkeys(numbers, 0.5))
            for i in ids[first : first + BATCH]
        }
        total += seconds(lambda values=values: dataset.set_values("theirs", values, key_field="id"))
    dataset.delete_sample_field("theirs")
    return total


@contextmanager
def memory() -> Iterator[list[float]]:
    """The peak of anonymous memory beyond that of the start, in bytes."""
    start, ended = _anonymous(), threading.Event()
    peak = [0.0]

    def watch() -> None:
        while not ended.wait(0.01):
            peak[0] = max(peak[0], _anonymous() - start)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def _anonymous() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


if __name__ == "__main__":
    main()
