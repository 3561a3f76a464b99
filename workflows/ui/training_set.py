"""What the last steps of the work would take: labels outside the split, and changes since the export."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from ...models.settings import SplitSettings
from ..data import items, synthetic
from ..data.label_text import count_labels
from ..data.labels import PARENT, REJECTED, SYNTHETIC
from ..data.provenance import REVIEWED, Reviewed
from ..runs import lookup
from ..runs.records import RunRecord

CHANGES = ("review_labels", "balance_classes", "split_dataset")  # what a folder that was exported before them lacks


@dataclass(frozen=True)
class TrainingSet:
    """State of the split and of the export."""

    unsplit: int = 0  # labelled items without a tag of the newest split
    train_tag: str = ""  # of the newest split; "" without one
    extend: dict[str, Any] | None = None  # arguments that extend the newest split
    is_exported: bool = False  # and nothing has changed since
    export: dict[str, Any] | None = None  # values of the form that exports all that is there


def training_set(dataset: Any, label_field: str, done: dict[str, RunRecord], *, has_synthetic: bool) -> TrainingSet:
    """Looks at the newest runs on the labels.

    Args:
        done: newest finished run of each workflow
        has_synthetic: whether there are generated samples
    """
    split, exported = done.get("split_dataset"), done.get("export_dataset")
    changes = [done[name].started for name in CHANGES if name in done]
    return TrainingSet(
        unsplit=_unsplit(dataset, label_field, split) + _unsplit_copies(dataset, label_field, split) if split else 0,
        train_tag=train_tag(done),
        extend=_extend(split) if split else None,
        is_exported=exported is not None and exported.started > max(changes, default=0.0),
        export=_export(dataset, label_field) | ({"include_synthetic": True} if has_synthetic else {}),
    )


def train_tag(done: dict[str, RunRecord]) -> str:
    """Tag of the images that even out the classes, since copies of held-out ones would leak; "" without a split."""
    split = done.get("split_dataset")
    return str(split.settings["train_tag"]) if split and split.settings.get("train_tag") else ""


def tagged(dataset: Any, tag: str) -> Any:
    """View of the samples with a tag; the dataset without one."""
    return dataset.match_tags(tag) if tag else dataset


def _unsplit_copies(dataset: Any, label_field: str, split: RunRecord) -> int:
    """Synthetic samples without a tag whose real samples are in train."""
    tags = [tag for name, tag in split.settings.items() if name.endswith("_tag")]
    if not dataset.has_field(PARENT):
        return 0
    copies = dataset.match_tags(SYNTHETIC).match_tags([*tags, REJECTED], bool=False)
    parents = [own for own in synthetic.parents(copies, label_field).values() if own]
    known = list(set().union(*parents))
    train = set(tagged(dataset.select(known), split.settings["train_tag"]).values("id")) if known else set()
    return sum(own <= train for own in parents)


def _unsplit(dataset: Any, label_field: str, split: RunRecord) -> int:
    """Labelled items without a tag, apart from generated ones and those that the split could not read."""
    tags = [tag for name, tag in split.settings.items() if name.endswith("_tag")]
    view = dataset.match_tags([*tags, SYNTHETIC], bool=False)
    skipped = list(lookup.read_results(dataset, split.key).get("skipped", {}))
    return count_labels(view, label_field) - (count_labels(view.select(skipped), label_field) if skipped else 0)


def _extend(split: RunRecord) -> dict[str, Any]:
    names = {item.name for item in fields(SplitSettings)}
    settings = {name: value for name, value in split.settings.items() if name in names}
    group_field = split.inputs.get("group_field")
    return {**settings, "keep": True, **({"group_field": group_field} if group_field else {})}


def _export(dataset: Any, label_field: str) -> dict[str, Any]:
    """With labels that were accepted in bulk, where there are any."""
    path = items.leaf(dataset, f"{label_field}.{REVIEWED}")
    has_bulk = dataset.has_field(path) and dataset.match({path: Reviewed.BULK.value}).limit(1).count()
    return {"labels": "labelled, reviewed, accepted"} if has_bulk else {}
