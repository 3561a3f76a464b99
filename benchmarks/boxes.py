"""Boxes, read, written and shown as patches, beside FiftyOne's own bulk calls with the same values."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import mean
from typing import Any

import numpy as np
from measure import goal, own_database, seconds
from tabulate import tabulate

NAMES = [f"class {number}" for number in range(10)]
LIMIT = 1.3  # of FiftyOne's time
FIELD, OURS, THEIRS = "ground_truth", "ours", "theirs"
Turn = tuple[str, Callable[[], Any], Callable[[], Any]]  # what, FiftyOne's and Evenset's


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--boxes", type=int, default=10, help="in an image")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args(arguments)
    with own_database():
        dataset = make(options.images, options.boxes)
        rows = compare(dataset, options.rounds)
    print(f"\n{options.images * options.boxes:,} boxes in {options.images:,} images")
    print(tabulate(rows, "keys", floatfmt=".2f"))
    for row in rows:
        goal(f"{row['']}: at most {LIMIT} x FiftyOne's time", row["ratio"] <= LIMIT, f"{row['ratio']:.2f}")


def make(images: int, boxes: int) -> Any:
    """A dataset of images that need not exist: their sizes are known, and nothing decodes them."""
    import fiftyone as fo

    rng, dataset = np.random.default_rng(0), fo.Dataset()
    metadata = fo.ImageMetadata(width=640, height=480)
    samples = []
    for number in range(images):
        places, names = rng.uniform(0, 0.8, (boxes, 2)), rng.integers(0, len(NAMES), boxes)
        own = [
            fo.Detection(label=NAMES[name], bounding_box=[*place, 0.1, 0.1])
            for place, name in zip(places.tolist(), names.tolist(), strict=True)
        ]
        detections = fo.Detections(detections=own)
        samples.append(fo.Sample(filepath=f"/nowhere/{number:06d}.jpg", metadata=metadata, ground_truth=detections))
    dataset.add_samples(samples, progress=False)
    return dataset


def compare(dataset: Any, rounds: int) -> list[dict[str, Any]]:
    """A row for each kind of work: mean seconds of both, and their ratio; medians would hide the collector's pauses."""
    from evenset.workflows.runs import lifecycle

    request = lifecycle.RunRequest("auto_label", settings=(), inputs=dict(label_field=FIELD), fields=(OURS, THEIRS))
    with lifecycle.start(dataset, request, progress=False) as run:
        turns = [reading(dataset), writing(run, dataset), showing(dataset)]
        times: dict[str, list[tuple[float, float]]] = {name: [] for name, *_ in turns}
        for number in range(rounds):
            for name, theirs, ours in turns:
                pair = {
                    place: seconds(work) for place, work in sorted(enumerate((theirs, ours)), reverse=number % 2 == 1)
                }
                times[name].append((pair[0], pair[1]))
    return [
        {
            "": name,
            "FiftyOne, s": mean(theirs),
            "Evenset, s": mean(ours),
            "ratio": mean(ours) / mean(theirs),
            "ratio in a round": f"{min(ratios):.2f} to {max(ratios):.2f}",
        }
        for name, pairs in times.items()
        for theirs, ours in [zip(*pairs, strict=True)]
        for ratios in [[own / other for other, own in pairs]]
    ]


def reading(dataset: Any) -> Turn:
    """Ids, labels, boxes, provenance and sizes of images: one call of `values`, and the labels that workflows read."""
    from evenset.models.settings import BoxSettings
    from evenset.workflows.data.labels import Reading, read_labels
    from evenset.workflows.data.provenance import provenance_paths

    own = ["id", "label", "bounding_box", *(path.rpartition(".")[2] for path in provenance_paths(FIELD))]
    paths = ["id", "filepath", "metadata.width", "metadata.height"]
    paths += [f"{FIELD}.detections.{name}" for name in own]
    return (
        "reading",
        lambda: dataset.values(paths),
        lambda: read_labels(dataset, FIELD, reading=Reading(BoxSettings())),
    )


def writing(run: Any, dataset: Any) -> Turn:
    """Labels with the attributes of auto_label: `set_values` of ready labels, and Evenset's writer."""
    import fiftyone as fo
    from evenset.models.settings import BoxSettings
    from evenset.workflows.data.label_fields import declare_labels, write_labels
    from evenset.workflows.data.labels import Reading, read_labels
    from evenset.workflows.labeling.output_field import ATTRIBUTES

    labels, rng = read_labels(dataset, FIELD, reading=Reading(BoxSettings())), np.random.default_rng(1)
    count, names = len(labels.ids), np.array(NAMES, dtype=object)
    columns = {"label": names[labels.class_ids], "confidence": rng.random(count)}
    for name, kind in ATTRIBUTES.items():
        columns[name] = names[rng.integers(0, 10, count)] if kind == "StringField" else rng.random(count)
    kinds = {name: getattr(fo, kind) for name, kind in ATTRIBUTES.items()}
    for field in (OURS, THEIRS):
        declare_labels(run, field, FIELD, kinds)
    values = {name: column.tolist() for name, column in columns.items()}
    shapes = iter(range(count))
    ready = []
    for own in dataset.values(f"{FIELD}.detections"):
        built = []
        for box in own:
            row = next(shapes)
            attributes = {name: column[row] for name, column in values.items()}
            built.append(fo.Detection(bounding_box=box.bounding_box, item=box.id, **attributes))
        ready.append(fo.Detections(detections=built))
    rows = np.arange(count)
    return (
        "writing",
        lambda: dataset.set_values(THEIRS, ready),
        lambda: write_labels(run, OURS, FIELD, labels, rows, columns),
    )


def showing(dataset: Any) -> Turn:
    """The boxes of low confidence as patches, the least certain first."""
    from evenset.workflows.data import items
    from fiftyone import ViewField as F

    def theirs() -> int:
        view = dataset.filter_labels(THEIRS, F("confidence") < 0.1).to_patches(THEIRS)
        return len(view.sort_by(f"{THEIRS}.confidence").limit(100).values("id"))

    def ours() -> int:
        view = items.matching(dataset, OURS, lambda at: at("confidence") < 0.1, "confidence")
        return len(view.limit(100).values("id"))

    return "view of patches", theirs, ours


if __name__ == "__main__":
    main()
