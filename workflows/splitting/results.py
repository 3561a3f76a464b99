"""Results of a split: counts of each class, and what could not be as it was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...models.settings import SplitSettings
from ..data import items
from ..data.labels import Labels
from ..display.charts import Chart, bars
from ..display.results import Part, RunResults
from ..display.tables import counted, left_out
from .assignment import SOURCE_HELD_OUT, Assignment, leaking_groups
from .tags import tags_of

UNLABELLED = "(no label)"  # row of the table
MAX_DEVIATION = 0.03  # of a part's fraction, beyond which a note says so
MAX_NAMED = 10  # classes in a note
LARGE_GROUP = 0.1  # fraction of the samples in one group, beyond which a note names it


@dataclass(repr=False)
class SplitResults(RunResults):
    """Counts of each class in each part. `str` prints them as a table."""

    run_key: str
    label_field: str
    tags: dict[str, str]  # of each part
    counts: dict[str, int]  # samples of each part
    added: int  # samples that got a tag
    rows: list[dict[str, Any]]  # a class: its samples, or boxes, in each part, and how many of those are synthetic
    missing: dict[str, str]  # class: the parts that lack it, and why
    groups: int  # of two samples or more, each on one side
    skipped: dict[str, str]  # sample id: why it cannot be read
    notes: list[str] = field(default_factory=list)

    def parts(self) -> list[Part]:
        tags = ", ".join(f"{count:,} {self.tags[part]}" for part, count in self.counts.items())
        head = f"{self.label_field}: {counted(self.added, 'sample', 'is', 'are')} tagged ({tags})"
        return [head, "", self.rows, *self.notes, *left_out(len(self.skipped))]

    def charts(self) -> dict[str, Chart]:
        return {"parts": bars(self.rows, "Samples in each part", "class", *self.counts)}


def summarize(run_key: str, label_field: str, split: Assignment, settings: SplitSettings) -> SplitResults:
    """Counts the parts."""
    names, labels, parts, first = list(tags_of(settings)), split.labels, split.parts, split.is_first
    missing = _missing(split, names)
    return SplitResults(
        run_key=run_key,
        label_field=label_field,
        tags=tags_of(settings),
        counts={name: int((first & (parts == part)).sum()) for part, name in enumerate(names)},
        added=int((first & (parts >= 0) & (split.kept < 0)).sum()),
        rows=_rows(labels, parts, names),
        missing=missing,
        groups=int((np.unique(split.groups[first & (parts >= 0)], return_counts=True)[1] > 1).sum()),
        skipped={str(labels.sample_ids[i]): reason for i, reason in split.errors.items()},
        notes=[*_notes(split, settings), *_missing_note(missing), *labels.notes],
    )


def _rows(labels: Labels, parts: np.ndarray, names: list[str]) -> list[dict[str, Any]]:
    """A row for each class, and one for samples without a label that got a tag."""
    rows, has_synthetic = [], bool((labels.synthetic_mask & (parts >= 0)).any())
    for class_id, title in [*enumerate(labels.names), (-1, UNLABELLED)]:
        own = (labels.class_ids == class_id) & (parts >= 0)
        counts: dict[str, Any] = {name: int((own & (parts == part)).sum()) for part, name in enumerate(names)}
        if has_synthetic:
            counts["synthetic"] = int((own & labels.synthetic_mask).sum())
        if class_id >= 0 or own.any():
            rows.append({"class": title, **counts})
    return rows


def _missing(split: Assignment, names: list[str]) -> dict[str, str]:
    """Classes that a part lacks, and why."""
    missing = {}
    for class_id, title in enumerate(split.labels.names):
        own = (split.labels.class_ids == class_id) & split.tagged_real
        lacking = [name for part, name in enumerate(names) if not (own & (split.parts == part)).any()]
        if lacking:
            noun = "real sample" if split.labels.noun == items.SAMPLE else split.labels.noun
            why = _why(int(own.sum()), len(np.unique(split.groups[own])), noun)
            missing[title] = f"none in {' and '.join(lacking)}: {why}"
    return missing


def _why(number: int, groups: int, noun: str) -> str:
    if groups == number:
        return f"it has {counted(number, noun)} that can be read"
    stay = "stays" if groups == 1 else "each stay"
    return f"its {counted(number, noun)} are in {counted(groups, 'group')}, which {stay} on one side"


def _missing_note(missing: dict[str, str]) -> list[str]:
    if not missing:
        return []
    named = "; ".join(f"{title} ({why})" for title, why in list(missing.items())[:MAX_NAMED])
    more = f"; and {len(missing) - MAX_NAMED} more, in results.missing" if len(missing) > MAX_NAMED else ""
    return [f"Not in every part: {named}{more}. Label more of them, then keep=True extends this split."]


def _notes(split: Assignment, settings: SplitSettings) -> Iterator[str]:
    first = split.tagged_real & split.is_first
    if stay := int((split.is_first & (split.kept >= 0)).sum()):
        yield f"{counted(stay, 'sample')} kept the part of an earlier split."
    yield from _group_notes(split.groups[first], split.parts[first])
    real = split.parts[split.tagged_real]
    fractions = {name: float((real == part).mean()) for part, name in enumerate(tags_of(settings)) if len(real)}
    if any(abs(fraction - getattr(settings, name)) > MAX_DEVIATION for name, fraction in fractions.items()):
        shown = ", ".join(f"{name} {fraction:.2f}" for name, fraction in fractions.items())
        yield f"The parts are {shown}: groups stay together, and each class is in every part if it can."
    yield from _synthetic_notes(split.labels, split.parts)


def _group_notes(groups: np.ndarray, parts: np.ndarray) -> Iterator[str]:
    """Sentences on groups of the real samples that have a part."""
    sizes = np.unique(groups, return_counts=True)[1]
    if (sizes > 1).any():
        together = counted(int(sizes[sizes > 1].sum()), "sample", "is", "are")
        yield f"{together} in {counted(int((sizes > 1).sum()), 'group')} of near-duplicates or the like, on one side."
        if sizes.max() > max(2, LARGE_GROUP * len(groups)):
            yield (
                f"The largest group has {sizes.max():,} of {counted(len(groups), 'sample')}: look whether they belong "
                "together. By vectors, a higher min_similarity joins fewer."
            )
    if leaks := leaking_groups(groups, parts):
        yield (
            f"{counted(leaks, 'group', 'has', 'have')} samples on several sides by the split that was kept: "
            "delete that split and make another, to mend it."
        )


def _synthetic_notes(labels: Labels, parts: np.ndarray) -> Iterator[str]:
    if count := int((parts == SOURCE_HELD_OUT).sum()):
        yield (
            f"{counted(count, 'synthetic sample')} got no tag: the real sample that each was made from, or is nearest "
            "to, is held out."
        )
    if (labels.synthetic_mask & (parts >= 0)).any():
        yield (
            "Synthetic samples are in train alone. A generator learned from all samples that it was given, also from "
            "those that are held out now: for an unbiased test, split first, and balance the view of train."
        )
