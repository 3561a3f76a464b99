"""Results of an export."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..display.charts import Chart, bars
from ..display.results import Part, RunResults
from ..display.tables import counted, left_out
from .selection import UNWANTED, Row

ALL = "images"  # column of an export without splits


@dataclass(repr=False)
class ExportResults(RunResults):
    """What an export holds. `str` prints a table of classes and splits."""

    run_key: str
    folder: str
    format: str
    label_field: str
    images: int
    origins: dict[str, int]  # labels of each origin
    rows: list[dict[str, Any]]  # a class: its images in each split
    left_out: dict[str, int]  # why samples are not in it, and how many
    skipped: dict[str, str]  # sample id: why its image cannot be read
    labels: list[str] = field(default_factory=list)  # of export_dataset
    notes: list[str] = field(default_factory=list)

    def parts(self) -> list[Part]:
        origins = ", ".join(f"{count:,} {origin}" for origin, count in self.origins.items())
        title = f"{counted(self.images, 'image', 'is', 'are')} in {self.folder} ({self.format}): {origins}"
        left = left_out_lines(self.left_out, self.labels)
        return [title, "", self.rows, *left, *self.notes, *left_out(len(self.skipped))]

    def charts(self) -> dict[str, Chart]:
        splits = [name for name in (self.rows[0] if self.rows else ()) if name != "class"]
        return {"images": bars(self.rows, "Exported images", "class", *splits)}


def left_out_lines(reasons: Mapping[str, int], labels: Sequence[str]) -> list[str]:
    """A sentence for each reason to leave samples out, with the argument that exports them, if there is one.

    Args:
        labels: kinds of labels that were exported
    """
    origins = {reason: origin.value for origin, reason in UNWANTED.items()}
    return [
        f"{counted(count, 'sample')} left out: {reason}"
        + (f" (labels='{', '.join([*labels, origins[reason]])}' exports them too)." if reason in origins else ".")
        for reason, count in reasons.items()
    ]


def count_classes(rows: Sequence[Row], copied: Iterable[int], splits: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each class, with its images in each split."""
    counts = Counter((rows[index].label, rows[index].split) for index in copied)
    labels = sorted({label for label, _ in counts})
    columns = splits or ("",)
    return [{"class": label, **{split or ALL: counts[label, split] for split in columns}} for label in labels]


def count_origins(rows: Sequence[Row], copied: Iterable[int]) -> dict[str, int]:
    counts = Counter(str(rows[index].origin) for index in copied)
    return dict(sorted(counts.items()))
