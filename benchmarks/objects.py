"""Wrong boxes: planted errors of geometry that find_mistakes' rules find, beside FiftyOne's find_duplicates.

    python benchmarks/objects.py --folder BCCD
    python benchmarks/objects.py --part tags
    python benchmarks/objects.py --part labels --folder BCCD

Data: BCCD, 4,888 blood cells in 364 images (VOC annotations). Planted: doubled boxes (moved by at most 2 % of their
sides, half of them with another class), boxes that reach out of the image by 1 % of it or more, boxes without an area,
and boxes of a fifth to a third of their width.
The flags of untouched boxes are the false ones; flags without any planted error are of the data's own boxes.
"""

from __future__ import annotations

import argparse
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import detector
import few_boxes
import numpy as np
import tags
from measure import goal, own_database
from tabulate import tabulate

RATES = {"duplicate": 0.03, "outside": 0.02, "no area": 0.01, "shape": 0.003}
MIN_IOU = 0.9
PEER = "find_duplicates"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("geometry", "detector", "tags", "labels"), default="geometry")
    parser.add_argument("--folder", type=Path, help="of boxes, BCCD: Annotations and JPEGImages")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2], help="draws of the planted errors")
    parser.add_argument("--splits", type=int, default=20, help="of tags: draws of the held-out samples")
    parser.add_argument("--cache", type=Path, help="of labels: file that keeps the vectors between calls (.npz)")
    options = parser.parse_args(arguments)
    if options.part == "tags":
        with own_database() as folder:
            tags.run(folder, options.seeds, options.splits)
        return
    if options.folder is None:
        parser.error("--folder is needed for boxes")
    with own_database():
        if options.part == "labels":
            few_boxes.run(options.folder, options.seeds, options.cache)
            return
        table = read(options.folder)
        if options.part == "detector":
            detector.run(table, options.folder, options.seeds)
            return
        clean = flags(table)
        rows = [measure(table, clean, seed) for seed in options.seeds]
    report(table, clean, rows)


def read(folder: Path) -> Any:
    """The boxes as find_mistakes reads them."""
    from evenset.workflows.mistakes.box_table import KINDS, BoxTable

    rows = []
    for file in sorted(folder.glob("Annotations/*.xml")):
        tree = ET.parse(file)
        sides = [float(tree.findtext(f"size/{name}", "0")) for name in ("width", "height")]
        for box in tree.iter("object"):
            left, top, right, low = (float(box.findtext(f"bndbox/{x}", "0")) for x in ("xmin", "ymin", "xmax", "ymax"))
            scaled = np.array([left, top, right - left, low - top]) / [*sides, *sides]
            rows.append((file.stem, box.findtext("name", ""), scaled, sides))
    samples, labels, boxes, sizes = zip(*rows, strict=True)
    ids = np.array([f"{i:06d}" for i in range(len(rows))])
    none = np.zeros((len(rows), len(KINDS)), dtype=bool)
    return BoxTable(ids, np.array(samples), np.array(labels), np.array(boxes), np.array(sizes), none)


def flags(table: Any) -> np.ndarray:
    """Kind of the flag of each box, "" without one; classes are not judged [M]."""
    from evenset.workflows.mistakes.box_flags import find_flags

    nothing = np.zeros(len(table.ids))
    return np.asarray(find_flags(table, nothing, nothing.astype(bool), MIN_IOU).kinds)


def plant(table: Any, clean: np.ndarray, seed: int) -> tuple[Any, np.ndarray]:
    """The boxes with errors, doubled ones at the end, and the kind of each error [M]."""
    from dataclasses import replace

    rng = np.random.default_rng(seed)
    rows, names = rng.permutation(np.flatnonzero(clean == "")), np.unique(table.labels)
    boxes, kinds, start = table.boxes.copy(), np.full(len(table.ids), "", dtype="U9"), 0
    chosen = {}
    for kind, rate in RATES.items():
        chosen[kind] = rows[start : start + round(rate * len(table.ids))]
        start += len(chosen[kind])
        if kind != "duplicate":
            kinds[chosen[kind]] = kind
    width = boxes[chosen["outside"], 2]
    beyond = np.maximum(width * rng.uniform(0.05, 0.6, len(width)), 0.01)
    boxes[chosen["outside"], 0] = np.where(rng.random(len(width)) < 0.5, -beyond, 1 + beyond - width)
    boxes[chosen["no area"], 2 + rng.integers(2)] = 0
    boxes[chosen["shape"], 2] *= rng.uniform(0.2, 0.35, len(chosen["shape"]))
    twins = boxes[chosen["duplicate"]]
    twins[:, :2] += twins[:, 2:] * rng.uniform(-0.02, 0.02, (len(twins), 2))
    labels = table.labels[chosen["duplicate"]].copy()
    other = rng.random(len(labels)) < 0.5
    labels[other] = names[(np.searchsorted(names, labels[other]) + 1) % len(names)]
    own = dict(ids=[f"copy {i}" for i in range(len(twins))], sample_ids=table.sample_ids[chosen["duplicate"]])
    own |= dict(labels=labels, boxes=twins, sizes_px=table.sizes_px[chosen["duplicate"]])
    own["dismissed"] = table.dismissed[: len(twins)]
    joined = {name: np.concatenate([getattr(table, name), value]) for name, value in own.items()}
    joined["boxes"] = np.concatenate([boxes, twins])
    return replace(table, **joined), np.concatenate([kinds, np.full(len(twins), "duplicate")])


def measure(table: Any, clean: np.ndarray, seed: int) -> dict[str, Any]:
    """Planted errors found by their kind, and untouched boxes that are flagged though they were not before."""
    planted, kinds = plant(table, clean, seed)
    found = flags(planted)
    row: dict[str, Any] = {"seed": seed}
    for kind in RATES:
        row[kind] = int(((found == kind) & (kinds == kind)).sum()), int((kinds == kind).sum())
    before = np.concatenate([clean, np.full(len(kinds) - len(clean), "")])
    row["false"] = int(((kinds == "") & (found != "") & (before == "")).sum())
    row[PEER] = len(find_duplicates(planted) & set(planted.ids[kinds == "duplicate"].tolist())), row["duplicate"][1]
    return row


def find_duplicates(table: Any) -> set[str]:
    """Boxes that FiftyOne's own function calls duplicates."""
    import fiftyone as fo
    import fiftyone.utils.iou as foui

    dataset = fo.Dataset()
    samples, names = [], {}
    usable = (table.boxes[:, 2:] > 0).all(axis=1)
    for sample in np.unique(table.sample_ids):
        own = []
        for row in np.flatnonzero((table.sample_ids == sample) & usable).tolist():
            own.append(fo.Detection(label=str(table.labels[row]), bounding_box=table.boxes[row].tolist()))
            names[own[-1].id] = str(table.ids[row])
        samples.append(fo.Sample(filepath=f"/nowhere/{sample}.jpg", boxes=fo.Detections(detections=own)))
    dataset.add_samples(samples, progress=False)
    found = foui.find_duplicates(dataset, "boxes", iou_thresh=MIN_IOU, method="simple", progress=False)
    dataset.delete()
    return {names[i] for i in found}


def report(table: Any, clean: np.ndarray, rows: list[dict[str, Any]]) -> None:
    names, counts = np.unique(clean[clean != ""], return_counts=True)
    listed = ", ".join(f"{count} {name}" for name, count in zip(names.tolist(), counts.tolist(), strict=True))
    print(f"flags of the {len(clean):,} boxes as they are: {listed}")
    shown = [{name: "{} of {}".format(*v) if isinstance(v, tuple) else v for name, v in row.items()} for row in rows]
    print(tabulate(shown, "keys"), flush=True)
    for kind in ("duplicate", "outside", "no area"):
        met = all(row[kind][0] == row[kind][1] for row in rows)
        goal(f"{kind}: all planted are found", met, " ".join("{}/{}".format(*row[kind]) for row in rows))
    guessed = np.isin(clean, ("shape", "place")).mean()
    goal("shape and place: at most 1 % of the boxes as they are", guessed <= 0.01, f"{100 * guessed:.2f} %")
    false = max(row["false"] for row in rows) / len(clean)
    goal("at most 1 % of the untouched boxes are flagged", false <= 0.01, f"{100 * false:.2f} %")


if __name__ == "__main__":
    main()
