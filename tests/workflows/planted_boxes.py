"""Boxes of two classes with a detector's predictions, and planted errors."""

from __future__ import annotations

import numpy as np

SIDE = 12 / 48


def vectors_of(dataset):
    rng = np.random.default_rng(0)
    rows = [(box.id, box.truth) for sample in dataset for box in sample.ground_truth.detections]
    return {i: rng.normal(6 * np.eye(8)["ab".index(truth)], 1.0) for i, truth in rows}


def two_classes(boxed_digits):
    """72 boxes of two classes, all of one size, and predictions almost at their places."""
    import fiftyone as fo

    dataset = boxed_digits(images=18, boxes=4, labelled=72)
    rng = np.random.default_rng(0)
    for sample in dataset.iter_samples(autosave=True):
        own = []
        for box in sample.ground_truth.detections:
            box.label = box.truth = "ab"[rng.integers(2)]
            shape = np.array(box.bounding_box) + rng.normal(0, 0.02 * SIDE, 4)
            own.append(fo.Detection(label=box.label, bounding_box=shape.tolist(), confidence=rng.uniform(0.8, 0.99)))
        sample["detector"] = fo.Detections(detections=own)
    return dataset


def free_cell(sample):
    """A cell of the image without a digit."""
    taken = {tuple(np.round(box.bounding_box[:2], 3)) for box in sample.ground_truth.detections}
    places = [(int(4 + 15.6 * (cell % 3)) / 48, int(4 + 15.6 * (cell // 3)) / 48) for cell in range(9)]
    return next([*place, SIDE, SIDE] for place in places if tuple(np.round(place, 3)) not in taken)


def plant(dataset):
    """Labels are removed (2), added (1) and moved (1); a false positive is added. Returns the ids of labels by kind."""
    import fiftyone as fo

    samples = list(dataset)
    removed = [samples[number].ground_truth.detections.pop() for number in (0, 1)]
    extra = fo.Detection(label="a", truth="a", bounding_box=free_cell(samples[2]))
    samples[2].ground_truth.detections.append(extra)
    moved = samples[3].ground_truth.detections[0]
    moved.bounding_box = [moved.bounding_box[0] + 0.4 * SIDE, *moved.bounding_box[1:]]
    wrong = fo.Detection(label="a", bounding_box=free_cell(samples[4]), confidence=0.2)
    samples[4].detector.detections.append(wrong)
    for sample in samples:
        sample.save()
    return {"removed": [box.bounding_box for box in removed], "spurious": extra.id, "moved": moved.id}
