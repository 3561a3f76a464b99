"""Errors in labelled boxes beside a detector's predictions: find_mistakes, cleanlab's object_detection scores,
FiftyOne Brain's mistakenness, and ten lines on overlaps and confidences, by average precision.
`objects.py --part detector` runs it.

Data: BCCD. Of the labels 5 % are removed (missing), 3 % added (spurious: half beside a cell, half anywhere), 4 % moved
by 15 to 50 % of their sides, and 4 % have another class. The detector is simulated, so that it is known which of its
boxes are right: it misses about 6 %, says another class for about 3 %, and adds a false positive for every 8 cells,
half of them beside a cell. Its boxes lie the better and its confidence is the higher, the clearer a cell is to it;
false positives have lower confidences that overlap those of cells. Settings were chosen on the draws 100 and 101.
Evenset sees the pixels of the labels' crops (16 px), as vectors, and no ResNet is trained.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from measure import goal
from tabulate import tabulate

KINDS = ("missing", "spurious", "moved", "label")
LEAD = 0.02
CROP_PX = 16
PEERS = ("cleanlab", "Brain")
MATCH_IOU = 0.5  # of the ten lines
Boxes = np.ndarray  # left, top, width and height [N, 4]


class Drawn(NamedTuple):
    """Boxes of all images."""

    images: np.ndarray  # index of the image of each [N]
    classes: np.ndarray  # [N]
    boxes: Boxes
    kinds: np.ndarray  # of a label: its error; of a prediction: "missing" where its cell has no label [N]
    confidence: np.ndarray  # of a prediction [N]


def run(table: Any, folder: Path, seeds: list[int]) -> None:
    """Prints a table of average precisions, and the goals.

    Args:
        table: the labelled boxes, as `objects.read` reads them
    """
    rows = [row for seed in seeds for row in measure(table, folder, seed)]
    print(tabulate(rows, "keys", floatfmt=".3f", missingval="-"), flush=True)
    for kind in KINDS:
        own = [row for row in rows if row["kind"] == kind]
        leads = [row["Evenset"] - max(row.get(peer) or 0 for peer in PEERS) for row in own]
        goal(f"{kind}: average precision of the better peer + {LEAD}", np.mean(leads) >= LEAD, f"{np.mean(leads):+.3f}")


def measure(table: Any, folder: Path, seed: int) -> list[dict[str, Any]]:
    """A row for each kind of error: average precision of each method, and the flags of that kind."""
    from sklearn.metrics import average_precision_score

    labels, predictions, names = simulate(table, seed)
    dataset, label_ids, prediction_ids = as_dataset(table, folder, labels, predictions, names)
    ours, flags = by_evenset(dataset, label_ids, prediction_ids)
    methods = {"Evenset": ours, "cleanlab": by_cleanlab(table, labels, predictions, len(names))}
    methods["Brain"] = by_brain(dataset, label_ids, prediction_ids)
    methods["ten lines"] = by_overlaps(labels, predictions)
    rows = []
    for kind in KINDS:
        truth = (predictions if kind == "missing" else labels).kinds == kind
        row: dict[str, Any] = {"seed": seed, "kind": kind, "errors": int(truth.sum())}
        row |= {
            name: float(average_precision_score(truth, scores[kind]))
            for name, scores in methods.items()
            if kind in scores
        }
        rows.append({**row, "flags": int(flags[kind].sum()), "of these errors": int((flags[kind] & truth).sum())})
    dataset.delete()
    return rows


def simulate(table: Any, seed: int) -> tuple[Drawn, Drawn, list[str]]:
    """Labels with errors, predictions of a detector, and the names of the classes."""
    rng, usable = np.random.default_rng(seed), (table.boxes[:, 2:] > 0).all(axis=1)
    names, classes = np.unique(table.labels[usable], return_inverse=True)
    images = np.unique(table.sample_ids, return_inverse=True)[1][usable]
    cells = Drawn(images, classes, table.boxes[usable], np.full(usable.sum(), "", dtype="U8"), np.zeros(usable.sum()))
    order = rng.permutation(len(images))
    counts = [round(rate * len(order)) for rate in (0.05, 0.04, 0.04)]
    removed, moved, swapped = np.split(order[: sum(counts)], np.cumsum(counts)[:-1])
    labels = mislabel(rng, cells, removed, moved, swapped, len(names))
    return labels, detect(rng, cells, removed, len(names)), names.tolist()


def mislabel(
    rng: np.random.Generator, cells: Drawn, removed: np.ndarray, moved: np.ndarray, swapped: np.ndarray, classes: int
) -> Drawn:
    """The labels with planted errors."""
    boxes, own, kinds = cells.boxes.copy(), cells.classes.copy(), cells.kinds.copy()
    angle, distance = rng.uniform(0, 2 * np.pi, len(moved)), rng.uniform(0.15, 0.5, len(moved))
    boxes[moved, :2] += np.stack([np.cos(angle), np.sin(angle)], axis=1) * distance[:, None] * boxes[moved, 2:]
    own[swapped] = (own[swapped] + rng.integers(1, classes, len(swapped))) % classes
    kinds[moved], kinds[swapped] = "moved", "label"
    kept = np.setdiff1d(np.arange(len(own)), removed)
    count = round(0.015 * len(own))
    beside, anywhere = rng.choice(kept, count), rng.integers(0, len(own), count)
    added = np.concatenate([jitter(rng, cells.boxes[beside], np.full(count, 0.12)), scatter(rng, cells, anywhere)])
    rows = np.concatenate([kept, beside, anywhere])
    images = np.concatenate([cells.images[kept], cells.images[beside], rng.choice(cells.images, count)])
    kinds = np.concatenate([kinds[kept], np.full(2 * count, "spurious")])
    return Drawn(images, own[rows], np.concatenate([boxes[kept], added]), kinds, np.zeros(len(rows)))


def detect(rng: np.random.Generator, cells: Drawn, removed: np.ndarray, classes: int) -> Drawn:
    """Predictions: cells as clear as a hidden number says, and false positives."""
    count = len(cells.classes)
    clarity = rng.normal(0, 1, count) - 0.5 * (cells.classes == np.bincount(cells.classes).argmax())
    found = np.flatnonzero(rng.random(count) < sigmoid(3 + clarity))
    boxes = jitter(rng, cells.boxes, 0.045 * np.exp(-0.4 * clarity))
    confused = rng.random(count) < sigmoid(-4 - clarity)
    own = np.where(confused, (cells.classes + rng.integers(1, classes, count)) % classes, cells.classes)
    confidence = sigmoid(2 + 1.1 * clarity + rng.normal(0, 0.5, count))
    false = round(0.06 * count)
    anywhere, beside = rng.integers(0, count, (2, false))
    kinds = np.where(np.isin(np.arange(count), removed), "missing", "")
    return Drawn(
        np.concatenate([cells.images[found], rng.choice(cells.images, false), cells.images[beside]]),
        np.concatenate([own[found], cells.classes[anywhere], cells.classes[beside]]),
        np.concatenate(
            [boxes[found], scatter(rng, cells, anywhere), jitter(rng, cells.boxes[beside], np.full(false, 0.18))]
        ),
        np.concatenate([kinds[found], np.full(2 * false, "")]),
        np.concatenate([confidence[found], sigmoid(rng.normal(-0.5, 1.2, false)), sigmoid(rng.normal(0, 1, false))]),
    )


def sigmoid(values: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-values)))


def jitter(rng: np.random.Generator, boxes: Boxes, scale: np.ndarray) -> Boxes:
    """Boxes whose centres and sides vary, within the image.

    Args:
        scale: standard deviation, as a fraction of the side [N]
    """
    centres = boxes[:, :2] + boxes[:, 2:] / 2 + boxes[:, 2:] * rng.normal(0, 1, (len(boxes), 2)) * scale[:, None]
    sides = boxes[:, 2:] * np.exp(rng.normal(0, 1, (len(boxes), 2)) * scale[:, None])
    low, high = np.clip(centres - sides / 2, 0, 1), np.clip(centres + sides / 2, 0, 1)
    return np.concatenate([low, np.maximum(high - low, 0.005)], axis=1)


def scatter(rng: np.random.Generator, cells: Drawn, rows: np.ndarray) -> Boxes:
    """Boxes of the size of these cells, anywhere."""
    sides = cells.boxes[rows, 2:]
    return np.concatenate([rng.random(sides.shape) * (1 - sides), sides], axis=1)


def as_dataset(
    table: Any, folder: Path, labels: Drawn, predictions: Drawn, names: list[str]
) -> tuple[Any, np.ndarray, np.ndarray]:
    """The dataset, and the ids of labels and predictions in the order of their rows."""
    import fiftyone as fo

    files, dataset, ids, samples = np.unique(table.sample_ids), fo.Dataset(), [], []
    fields = []
    for drawn in (labels, predictions):
        boxes = [
            fo.Detection(label=names[k], bounding_box=box, **({"confidence": p} if drawn is predictions else {}))
            for k, box, p in zip(drawn.classes.tolist(), drawn.boxes.tolist(), drawn.confidence.tolist(), strict=True)
        ]
        ids.append(np.array([box.id for box in boxes]))
        fields.append([[boxes[i] for i in np.flatnonzero(drawn.images == n).tolist()] for n in range(len(files))])
    for name, own, predicted in zip(files.tolist(), *fields, strict=True):
        sample = fo.Sample(filepath=str(folder / "JPEGImages" / f"{name}.jpg"))
        sample["ground_truth"], sample["detector"] = fo.Detections(detections=own), fo.Detections(detections=predicted)
        samples.append(sample)
    dataset.add_samples(samples, progress=False)
    return dataset, ids[0], ids[1]


def by_evenset(
    dataset: Any, label_ids: np.ndarray, prediction_ids: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Scores of all boxes for each kind, as the run computes them before it flags; and the flags that it writes."""
    import evenset
    from evenset.workflows.data import items
    from evenset.workflows.data.predicted_boxes import id_of_missing
    from evenset.workflows.mistakes import detector_flags

    kept: list[Any] = []
    score = detector_flags.score

    def keep(detector: Any, *others: Any) -> Any:
        kept.append((detector.detected, score(detector, *others)))
        return kept[-1][1]

    detector_flags.score = keep
    try:
        vectors = crop_pixels(dataset)
        evenset.find_mistakes(dataset, "ground_truth", predictions="detector", embeddings=vectors, progress=False)
    finally:
        detector_flags.score = score
    ((detected, found),) = kept
    scores = {name: by_id(label_ids, detected.labels.ids, getattr(found, name)) for name in ("spurious", "moved")}
    scores["missing"] = by_id(prediction_ids, detected.predictions.ids, found.missing)
    paths = ["id", *(f"mistake.{name}" for name in ("kind", "is_issue", "mistakenness"))]
    ids, kinds, is_issue, mistakenness = (np.array(column) for column in items.values(dataset, paths))
    of_label = np.where(np.isin(kinds, ("label", None)), mistakenness, 0).astype(float)
    scores["label"] = by_id(label_ids, ids, np.nan_to_num(of_label))
    others = np.array([id_of_missing(i) for i in prediction_ids])
    flags = {kind: np.isin(label_ids, ids[(kinds == kind) & (is_issue == True)]) for kind in KINDS}  # noqa: E712
    return scores, flags | {"missing": np.isin(others, ids[kinds == "missing"])}


def crop_pixels(dataset: Any) -> dict[str, np.ndarray]:
    """The pixels of each label's crop, by its id."""
    from evenset.models.images.reader import Images
    from evenset.models.settings import ImageSettings
    from evenset.workflows.ui import item_images

    ids, paths, _ = item_images.values(dataset, "ground_truth", ["id", "filepath", "ground_truth.label"])
    images = Images(paths, ImageSettings(), CROP_PX, 3)
    rows = (
        (int(i), pixels) for indices, block in images.batches(256) for i, pixels in zip(indices, block, strict=True)
    )
    return {ids[i]: pixels.ravel() / 255 for i, pixels in rows}


def by_id(ids: np.ndarray, of: np.ndarray, values: np.ndarray) -> np.ndarray:
    known = dict(zip(of.tolist(), values.tolist(), strict=True))
    return np.array([known.get(i, 0.0) for i in ids.tolist()])


def by_cleanlab(table: Any, labels: Drawn, predictions: Drawn, classes: int) -> dict[str, np.ndarray]:
    """One minus cleanlab's scores of overlooked, badly located and swapped boxes; it has none of spurious ones."""
    from cleanlab.object_detection import rank

    sizes = np.array(
        [table.sizes_px[np.flatnonzero(table.sample_ids == name)[0]] for name in np.unique(table.sample_ids)]
    )
    scores = {kind: np.zeros(len(labels.images)) for kind in ("moved", "label")}
    scores["missing"] = np.zeros(len(predictions.images))
    given, predicted, rows_of = [], [], []
    for image, size in enumerate(sizes):
        own, rows = np.flatnonzero(labels.images == image), np.flatnonzero(predictions.images == image)
        given.append({"bboxes": corners(labels.boxes[own], size), "labels": labels.classes[own]})
        rows = rows[np.argsort(predictions.classes[rows], kind="stable")]
        of_image = np.column_stack([corners(predictions.boxes[rows], size), predictions.confidence[rows]])
        predicted.append(
            np.array([*(of_image[predictions.classes[rows] == k] for k in range(classes)), None], dtype=object)[:-1]
        )
        rows_of.append((own, rows))
    for kind, compute in (
        ("missing", rank.compute_overlooked_box_scores),
        ("moved", rank.compute_badloc_box_scores),
        ("label", rank.compute_swap_box_scores),
    ):
        for (own, rows), found in zip(rows_of, compute(labels=given, predictions=predicted), strict=True):
            scores[kind][rows if kind == "missing" else own] = np.nan_to_num(1 - np.asarray(found, dtype=float))
    return scores


def corners(boxes: Boxes, size_px: np.ndarray) -> np.ndarray:
    """Left, top, right and bottom in px [N, 4]."""
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1) * np.tile(size_px, 2)


def by_brain(dataset: Any, label_ids: np.ndarray, prediction_ids: np.ndarray) -> dict[str, np.ndarray]:
    """Scores of FiftyOne Brain: whether a prediction is possibly missing and a label spurious, and mistakenness."""
    import fiftyone.brain as fob

    fob.compute_mistakenness(dataset, "detector", label_field="ground_truth", progress=False)

    def read(ids: np.ndarray, field: str, name: str) -> np.ndarray:
        paths = [f"{field}.detections.id", f"{field}.detections.{name}"]
        own, values = (sum((row or [] for row in column), []) for column in dataset.values(paths))
        return by_id(ids, np.array(own), np.array([float(value or 0) for value in values]))

    return {
        "missing": read(prediction_ids, "detector", "possible_missing"),
        "spurious": read(label_ids, "ground_truth", "possible_spurious"),
        "moved": read(label_ids, "ground_truth", "mistakenness_loc"),
        "label": read(label_ids, "ground_truth", "mistakenness"),
    }


def by_overlaps(labels: Drawn, predictions: Drawn) -> dict[str, np.ndarray]:
    """Ten lines: the confidence where no label overlaps, and how far the best overlap is from 1."""
    from evenset.models.quality.box_geometry import overlaps

    scores = {kind: np.zeros(len(labels.images)) for kind in ("spurious", "moved", "label")}
    scores["missing"] = predictions.confidence.copy()
    for image in np.unique(labels.images):
        own, others = np.flatnonzero(labels.images == image), np.flatnonzero(predictions.images == image)
        iou, confidence = overlaps(labels.boxes[own], predictions.boxes[others]), predictions.confidence[others]
        best, is_other = iou.max(axis=1, initial=0), labels.classes[own, None] != predictions.classes[others]
        scores["missing"][others] *= iou.max(axis=0) < MATCH_IOU
        scores["spurious"][own] = 1 - best
        scores["moved"][own] = (1 - best) * (best > MATCH_IOU / 2)  # what is spurious overlaps less
        scores["label"][own] = (confidence * is_other * (iou > MATCH_IOU)).max(axis=1, initial=0)
    return scores
