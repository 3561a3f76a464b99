"""Data sets of samples and of boxes that a test treats alike: their paths, ids and views are those of items."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from evenset.workflows.data import items

KINDS = (items.SAMPLE, items.BOX)


@dataclass
class Kind:
    """A data set whose label field `ground_truth` holds one kind of items, with a vector each."""

    dataset: Any
    noun: str
    embeddings: Any  # as auto_label takes them

    def read(self, path: str, ids: list[str] | None = None) -> list[Any]:
        """Values of a path, as "ground_truth.label", of all items or of these."""
        rows = self._rows(path)
        return [*rows.values()] if ids is None else [rows[i] for i in ids]

    def _rows(self, path: str) -> dict[str, Any]:
        return dict(zip(*items.values(self.dataset, ["id", path]), strict=True))

    def ids(self, path: str, value: Any) -> list[str]:
        """Items whose value of a path is this."""
        return [i for i, own in self._rows(path).items() if own == value]

    def select(self, ids: list[str], field: str = "auto_label") -> Any:
        """A view of these items: of boxes as patches."""
        return items.select(self.dataset, field, ids)

    def left(self, everything: dict[str, Any]) -> dict[str, Any]:
        """All that a run can change, and names of views, whose patches a review renews."""
        return {**everything, "views": [*everything["views"]]} if self.noun == items.BOX else everything

    def set_label(self, item: str, label: str) -> None:
        """Writes a label as a person would, beside Evenset."""
        import fiftyone as fo

        if self.noun == items.SAMPLE:
            sample = self.dataset[item]
            sample.ground_truth = fo.Classification(label=label)
            sample.save()
            return
        (own,) = items.label_of(self.dataset, item, "ground_truth")
        line = dict(sample_id=own["sample_id"], label_id=item, value=label)
        self.dataset.set_label_values("ground_truth.detections.label", [line])


def make_kind(noun: str, clusters: Callable[..., Any], boxed_digits: Callable[..., Any], spread: float) -> Kind:
    """240 items of three classes, half of them labelled, around centres that `spread` blurs."""
    if noun == items.SAMPLE:
        return Kind(clusters(240, 120, spread=spread), noun, "vector")
    dataset, rng = boxed_digits(images=48, boxes=5, labelled=120), np.random.default_rng(0)
    labels, digits = (dataset.values(f"ground_truth.detections.{name}") for name in ("label", "truth"))
    truth = [[int(digit) % 3 for digit in own] for own in digits]
    names = [
        [label and f"class {k}" for label, k in zip(own, classes, strict=True)]
        for own, classes in zip(labels, truth, strict=True)
    ]
    dataset.set_values("ground_truth.detections.label", names)
    return Kind(dataset, noun, vectors_of(dataset, rng, truth, spread))


def vectors_of(dataset: Any, rng: np.random.Generator, truth: list[list[int]], spread: float) -> dict[str, np.ndarray]:
    ids = [i for own in dataset.values("ground_truth.detections.id") for i in own]
    classes = [k for own in truth for k in own]
    return {i: rng.normal(4 * np.eye(8)[k], spread) for i, k in zip(ids, classes, strict=True)}
