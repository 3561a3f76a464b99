"""Samples of an export: the label of each, where it comes from, and its split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from ...models.errors import InvalidInput
from ..data.field_access import with_all_fields
from ..data.internals import root_dataset
from ..data.label_text import or_none
from ..data.labels import REJECTED, SYNTHETIC
from ..data.provenance import RUN_KEY, Reviewed, provenance_paths
from ..data.status import Status
from ..display.tables import counted

NO_LABEL, NO_SPLIT, IS_SYNTHETIC = "without a label", "in none of the splits", "synthetic"  # why left out


class Origin(StrEnum):
    """Where a label comes from: `labels` of export_dataset, and synthetic ones."""

    LABELLED = "labelled"  # by the user, or imported
    REVIEWED = "reviewed"  # written by a review, seen or corrected by a person
    ACCEPTED = "accepted"  # a suggestion that auto_label accepted, or a review in bulk
    UNSEEN = "unseen"  # up for review, and accepted by force
    SYNTHETIC = "synthetic"


ORIGINS = {  # of a label that a review wrote
    Reviewed.SEEN: Origin.REVIEWED,
    Reviewed.CORRECTED: Origin.REVIEWED,
    Reviewed.UNSEEN: Origin.UNSEEN,
}
UNWANTED = {  # why a sample is left out whose label `labels` does not name
    Origin.LABELLED: "with a label of your own",
    Origin.REVIEWED: "with a reviewed suggestion",
    Origin.ACCEPTED: "accepted in bulk",
    Origin.UNSEEN: "accepted unseen although up for review",
}
WANTED = (Origin.LABELLED, Origin.REVIEWED, Origin.ACCEPTED, Origin.UNSEEN)  # what `labels` may name


@dataclass(frozen=True)
class Request:
    """What is exported."""

    label_field: str
    wanted: tuple[str, ...]  # of WANTED
    suggestions: str | None  # field of auto_label whose accepted suggestions count; None: none
    suggested_by: str | None  # run that wrote it
    splits: tuple[str, ...]  # tags that become folders; empty: no folders
    include_synthetic: bool


class Row(NamedTuple):
    """A sample of the export."""

    id: str
    path: str
    label: str
    origin: str
    confidence: float | None
    split: str  # "" without splits
    run: str | None  # that gave the label, or made the sample


class Selection(NamedTuple):
    """The rows, and the number of samples that are left out by reason."""

    rows: list[Row]
    left_out: dict[str, int]


def read_wanted(labels: str | Sequence[str]) -> tuple[str, ...]:
    """The kinds of labels in a text with commas, or a list.

    Raises:
        ValueError: another word, or none
    """
    names = tuple(dict.fromkeys(_listed(labels)))
    if not names or not set(names) <= {str(name) for name in WANTED}:
        raise InvalidInput(f"labels has to be some of {', '.join(WANTED)}, not {', '.join(map(repr, names)) or 'none'}")
    return names


def read_splits(splits: str | Sequence[str]) -> tuple[str, ...]:
    """The tags in a text with commas, or a list; "none" and an empty list mean no folders.

    Raises:
        ValueError: a text without any
    """
    names = tuple(dict.fromkeys(_listed(splits)))
    if not isinstance(splits, str):
        return names
    if not names:
        raise InvalidInput(f"splits has to be tags with commas, or none, not {splits!r}")
    return () if names == ("none",) else names


def _listed(values: str | Sequence[str]) -> list[str]:
    parts = [part.strip() for part in values.split(",")] if isinstance(values, str) else list(values)
    return [part for part in parts if part]


def select(samples: Any, request: Request) -> Selection:
    """Chooses the samples.

    Raises:
        ValueError: there is none, or one has two of the splits' tags
    """
    field, more = request.label_field, request.suggestions
    columns = ["id", "filepath", "tags", f"{field}.label", f"{field}.confidence", *provenance_paths(field)[:2]]
    columns += [f"{more}.{name}" for name in ("label", "confidence", "status")] if more else []
    has_synthetic = bool(root_dataset(samples).has_field(f"{SYNTHETIC}.run"))
    columns += [f"{SYNTHETIC}.run"] if has_synthetic else []
    rows: list[Row] = []
    left_out: Counter[str] = Counter()
    for values in zip(*with_all_fields(samples).values(columns), strict=True):
        sample_id, path, tags, *label = values
        maker = label.pop() if has_synthetic else None
        row = _row(sample_id, path, label, request)
        if SYNTHETIC in (tags or ()):
            is_usable = REJECTED not in tags and or_none(label[0]) is not None
            if not request.include_synthetic or not is_usable:
                left_out[IS_SYNTHETIC] += 1
                continue
            row = Row(sample_id, path, label[0], Origin.SYNTHETIC, None, "", maker)
        if row is None or (row.origin in UNWANTED and row.origin not in request.wanted):
            left_out[UNWANTED[Origin(row.origin)] if row else NO_LABEL] += 1
            continue
        own = [tag for tag in request.splits if tag in (tags or ())]
        if own[1:]:
            raise InvalidInput(
                f"sample {sample_id} has the tags {' and '.join(map(repr, own))} of splits: remove one of them"
            )
        if request.splits and not own:
            left_out[NO_SPLIT] += 1
            continue
        rows.append(row._replace(split=own[0] if own else ""))
    if not rows:
        raise InvalidInput(_why_none(samples, request, left_out))
    return Selection(rows, dict(left_out))


def _row(sample_id: str, path: str, label: list[Any], request: Request) -> Row | None:
    """The row of a real sample, of whatever origin; None where it has no label.

    Args:
        label: text, confidence, run and review of the label, and text, confidence and status of the suggestion
    """
    text, confidence, run, review, *suggested = label
    if or_none(text) is not None:
        is_own = not (isinstance(run, str) and RUN_KEY.fullmatch(run))
        origin = Origin.LABELLED if is_own else ORIGINS.get(review, Origin.ACCEPTED)
        return Row(sample_id, path, text, origin, confidence, "", None if is_own else run)
    if suggested and Origin.ACCEPTED in request.wanted:
        text, confidence, status = suggested
        if status == Status.ACCEPTED and or_none(text) is not None:
            return Row(sample_id, path, text, Origin.ACCEPTED, confidence, "", request.suggested_by)
    return None


def _why_none(samples: Any, request: Request, left_out: Counter[str]) -> str:
    name = root_dataset(samples).name
    if left_out[NO_SPLIT]:
        count = counted(left_out[NO_SPLIT], "sample")
        return (
            f"none of the {count} of {name!r} with a label has a tag of splits ({', '.join(request.splits)}): "
            "evenset.split_dataset gives them, or leave splits out"
        )
    return (
        f"no sample of {name!r} has a label in {request.label_field!r} that is {' or '.join(request.wanted)}: "
        f"name other labels ({', '.join(WANTED)}), or label some first"
    )
