"""Results of an export."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..data import items
from ..display.charts import Chart, bars
from ..display.results import Part, RunResults
from ..display.tables import counted, left_out
from .selection import UNWANTED, Row

ALL = {items.SAMPLE: "images", items.BOX: "boxes", items.TAG: "tags"}  # column of an export without splits


@dataclass(repr=False)
class ExportResults(RunResults):
    """What an export holds. `str` prints a table of classes and splits."""

    run_key: str
    folder: str
    format: str
    label_field: str
    images: int
    origins: dict[str, int]  # labels of each origin
    rows: list[dict[str, Any]]  # a class: its images, boxes or tags in each split
    left_out: dict[str, int]  # why samples, boxes or tags are not in it, and how many
    skipped: dict[str, str]  # sample id: why its image cannot be read
    labels: list[str] = field(default_factory=list)  # of export_dataset
    notes: list[str] = field(default_factory=list)
    boxes: int | None = None  # None: the labels are not of boxes
    tags: int | None = None  # None: the labels are no tags

    def parts(self) -> list[Part]:
        origins = ", ".join(f"{count:,} {origin}" for origin, count in self.origins.items())
        title = f"{exported(vars(self), 'is', 'are')} in {self.folder} ({self.format}): {origins}"
        left = left_out_lines(self.left_out, self.labels, noun_of(vars(self)))
        return [title, "", self.rows, *left, *self.notes, *left_out(len(self.skipped))]

    def charts(self) -> dict[str, Chart]:
        splits = [name for name in (self.rows[0] if self.rows else ()) if name != "class"]
        counts = ALL[noun_of(vars(self))]
        return {counts: bars(self.rows, f"Exported {counts}", "class", *splits)}


def noun_of(results: Mapping[str, Any]) -> str:
    """Noun of the items of an export, from the fields of its results."""
    several = {items.BOX: "boxes", items.TAG: "tags"}
    return next((noun for noun, name in several.items() if results.get(name) is not None), items.SAMPLE)


def exported(results: Mapping[str, Any], one: str, several: str) -> str:
    """ "3 images are", or "12 boxes of 3 images are"."""
    images, noun = counted(results["images"], "image"), noun_of(results)
    number = results["images"] if noun == items.SAMPLE else results[ALL[noun]]
    verb = one if number == 1 else several
    return f"{images} {verb}" if noun == items.SAMPLE else f"{counted(number, noun)} of {images} {verb}"


def left_out_lines(reasons: Mapping[str, int], labels: Sequence[str], noun: str = items.SAMPLE) -> list[str]:
    """A sentence for each reason to leave items out, with the argument that exports them, if there is one.

    Args:
        labels: kinds of labels that were exported
    """
    origins = {reason: origin.value for origin, reason in UNWANTED.items()}
    return [
        f"{counted(count, noun)} left out: {reason}"
        + (f" (labels='{', '.join([*labels, origins[reason]])}' exports them too)." if reason in origins else ".")
        for reason, count in reasons.items()
    ]


def count_classes(rows: Sequence[Row], splits: Sequence[str], noun: str) -> list[dict[str, Any]]:
    """A row for each class, with its items in each split."""
    counts = Counter((row.label, row.split) for row in rows)
    labels = sorted({label for label, _ in counts})
    columns = splits or ("",)
    return [{"class": label, **{split or ALL[noun]: counts[label, split] for split in columns}} for label in labels]


def count_origins(rows: Iterable[Row]) -> dict[str, int]:
    """Labels of each origin."""
    counts = Counter(str(row.origin) for row in rows if not row.is_untagged)
    return dict(sorted(counts.items()))
