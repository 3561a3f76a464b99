"""Data sets of samples and of boxes that a test treats alike: their paths, ids and views are those of items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pytest
from evenset.workflows.data import items
from evenset.workflows.runs import lifecycle

KINDS = (items.SAMPLE, items.BOX)
BOXES_SLOW = [items.SAMPLE, pytest.param(items.BOX, marks=pytest.mark.slow)]  # parameters of the fixture `noun`
BOXES = 8  # in an image


@dataclass
class Kind:
    """A data set whose label field `ground_truth` holds one kind of items, with a vector each."""

    dataset: Any
    noun: str
    spread: float = 1.0  # of the vectors of boxes around their class

    @cached_property
    def vectors(self) -> dict[str, np.ndarray]:
        """By item, as `embeddings` takes them."""
        if self.noun == items.SAMPLE:
            return dict(zip(*self.dataset.values(["id", "vector"]), strict=True))
        centres = 4 * np.eye(8)[[int(name[-1]) for name in self.truth()]]
        return dict(zip(self.ids(), np.random.default_rng(0).normal(centres, self.spread), strict=True))

    def read(self, path: str, ids: Sequence[str] | None = None) -> list[Any]:
        """Values of a path, as "ground_truth.label", of all items or of these."""
        rows = self._rows(path)
        return [*rows.values()] if ids is None else [rows[i] for i in ids]

    def _rows(self, path: str) -> dict[str, Any]:
        every = items.values(self.dataset, ["id", "ground_truth.label", path])
        return dict(zip(every[0], every[2], strict=True))

    def ids(self, path: str = "", *values: Any) -> list[str]:
        """Items whose value of a path is one of these; without a path all."""
        return [i for i, own in self._rows(path or "ground_truth.label").items() if not path or own in values]

    def truth(self, ids: Sequence[str] | None = None) -> list[str]:
        return self.read("truth" if self.noun == items.SAMPLE else "ground_truth.truth", ids)

    def wrong(self) -> set[str]:
        """Items whose label is not the truth."""
        rows = zip(self.ids(), self.read("ground_truth.label"), self.truth(), strict=True)
        return {i for i, label, truth in rows if label not in (None, truth)}

    def select(self, ids: Sequence[str], field: str = "auto_label") -> Any:
        """A view of these items: of boxes as patches."""
        return items.select(self.dataset, field, ids)

    def shown(self, view: str) -> list[str]:
        """Items of a saved view in its order."""
        loaded = self.dataset.load_saved_view(view)
        return loaded.values("id" if self.noun == items.SAMPLE else f"{loaded.patches_field}.{items.ITEM}")

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
        else:
            self.set_labels({item: label})

    def edit_suggestion(self, item: str, label: str, field: str = "auto_label") -> None:
        """Changes the label of a suggestion, beside Evenset."""
        if self.noun == items.SAMPLE:
            self.dataset.set_values(f"{field}.label", {item: label}, key_field="id")
            return
        (own,) = items.label_of(self.dataset, item, field)
        line = dict(sample_id=own["sample_id"], label_id=own["label_id"], value=label)
        self.dataset.set_label_values(f"{field}.detections.label", [line])

    def remove_suggestion(self, item: str, field: str = "auto_label") -> None:
        if self.noun == items.SAMPLE:
            self.dataset.set_values(field, {item: None}, key_field="id")
        else:
            (own,) = items.label_of(self.dataset, item, field)
            self.dataset.delete_labels(ids=own["label_id"], fields=field)

    def delete(self, item: str) -> None:
        if self.noun == items.SAMPLE:
            self.dataset.delete_samples([item])
        else:
            self.dataset.delete_labels(ids=item, fields="ground_truth")

    def set_truth(self, names: dict[str, str]) -> None:
        if self.noun == items.SAMPLE:
            self.dataset.set_values("truth", names, key_field="id")
        else:
            self.set_labels(names, "truth")

    def set_labels(self, labels: dict[str, str | None], name: str = "label") -> None:
        """Changes labels that are there, or another attribute of them."""
        if self.noun == items.SAMPLE:
            self.dataset.set_values(f"ground_truth.{name}", labels, key_field="id")
            return
        samples = self._rows(items.SAMPLE_ID)
        lines = [dict(sample_id=samples[i], label_id=i, value=value) for i, value in labels.items()]
        self.dataset.set_label_values(f"ground_truth.detections.{name}", lines)


def make_kind(
    noun: str, clusters: Callable[..., Any], boxed_digits: Callable[..., Any], n: int, labelled: int, spread: float
) -> Kind:
    """Items of three classes around centres that `spread` blurs."""
    if noun == items.SAMPLE:
        return Kind(clusters(n, labelled, spread=spread), noun, spread)
    dataset = boxed_digits(images=n // BOXES, boxes=BOXES, labelled=labelled)
    for name in ("label", "truth"):
        given = zip(*(dataset.values(f"ground_truth.detections.{of}") for of in (name, "truth")), strict=True)
        names = [[own and f"class {int(digit) % 3}" for own, digit in zip(*pair, strict=True)] for pair in given]
        dataset.set_values(f"ground_truth.detections.{name}", names)
    return Kind(dataset, noun, spread)


def suggest_boxes(
    make_dataset: Callable[..., Any], suggested: Sequence[str], labels: Sequence[str | None], flagged: bool = False
) -> Kind:
    """As the fixture `suggestions`, of boxes: two in a sample, without files."""
    import fiftyone as fo
    from evenset.models.settings import AutoLabelSettings
    from evenset.workflows.data import saved_views
    from evenset.workflows.data.label_fields import declare_labels, write_labels
    from evenset.workflows.data.labels import Labels

    method, field = ("find_mistakes", "mistake") if flagged else ("auto_label", "auto_label")
    dataset = make_dataset([f"/nowhere/{i}.png" for i in range((len(suggested) + 1) // 2)])
    boxes = [fo.Detection(label=label, bounding_box=[i % 2 / 2, 0, 0.5, 1]) for i, label in enumerate(labels)]
    for number, sample in enumerate(dataset.iter_samples(autosave=True)):
        sample["ground_truth"] = fo.Detections(detections=boxes[2 * number : 2 * number + 2])
    ids, sample_ids = map(np.array, items.values(dataset, ["id", items.SAMPLE_ID, "ground_truth.label"])[:2])
    none, rows = np.full(len(ids), ""), np.arange(len(ids))
    own = Labels(ids, none, np.full(len(ids), -1), [], none == "", none, 0, sample_ids=sample_ids)
    inputs = dict(label_field="ground_truth", output_field=field)
    request = lifecycle.RunRequest(method, settings=(AutoLabelSettings(),), inputs=inputs)
    with lifecycle.start(dataset, request, progress=False) as run:
        kinds = {"is_issue": fo.BooleanField, "mistakenness": fo.FloatField} if flagged else {"status": fo.StringField}
        values = {"is_issue": True, "mistakenness": 0.9} if flagged else {"status": "accepted"}
        declare_labels(run, field, "ground_truth", kinds)
        columns = {name: [value] * len(ids) for name, value in values.items()}
        write_labels(run, field, "ground_truth", own, rows, {"label": suggested, **columns})
        saved_views.save(run, f"{field}: view", dataset.to_patches(field))
    return Kind(dataset, items.BOX)


def corrupt(kind: Kind, count: int = 24) -> Kind:
    """Makes the labels of the first items wrong: class 0 as 1, 1 as 2, 2 as 0."""
    ids = kind.ids()[:count]
    kind.set_labels({i: next_class(name) for i, name in zip(ids, kind.truth(ids), strict=True)})
    return kind


def next_class(name: str, step: int = 1) -> str:
    return f"class {(int(name[-1]) + step) % 3}"
