"""Items of an export: the label of each, where it comes from, and its split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np

from ...models.errors import InvalidInput
from ...models.quality import box_geometry
from ..data import items
from ..data.boxes import check_boxes
from ..data.checks import count
from ..data.field_access import with_all_fields
from ..data.internals import root_dataset
from ..data.label_text import or_none
from ..data.labels import REJECTED, SYNTHETIC
from ..data.provenance import RUN_KEY, Reviewed, provenance_paths
from ..data.status import Status
from ..data.tag_ids import is_tag, tag_of
from ..display.tables import counted
from . import tag_rows

NO_LABEL, NO_SPLIT, IS_SYNTHETIC = "without a label", "in none of the splits", "synthetic"  # why left out
CLIPPED = 1e-4  # fraction of the image's side: a box that reaches farther out is counted


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
UNWANTED = {  # why an item is left out whose label `labels` does not name
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
    unlabelled: str | None = None  # a name that counts as no label


class Place(NamedTuple):
    """Where an item is: the first columns of its row."""

    id: str  # of the sample, the box or the tag
    sample_id: str
    path: str
    box: tuple[float, ...] | None  # left, top, width and height, as fractions of the image; None: the item is no box


class Row(NamedTuple):
    """An item of the export."""

    id: str
    sample_id: str
    path: str
    box: tuple[float, ...] | None
    label: str
    origin: str
    confidence: float | None
    run: str | None  # that gave the label, or made the sample
    split: str = ""  # "" without splits

    @property
    def is_untagged(self) -> bool:
        """Whether it stands for a sample whose list of tags is empty."""
        return is_tag(self.id) and not tag_of(self.id)[1]


class Selection(NamedTuple):
    """The rows, and what is left out."""

    rows: list[Row]
    left_out: dict[str, int]  # items by reason
    notes: list[str]  # sentences on boxes


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
    """Chooses the items.

    Raises:
        ValueError: there is none, boxes are in pixels, or a sample has two of the splits' tags
    """
    read = _read(samples, request)
    places = _places(samples, request.label_field, read)
    rows: list[Row] = []
    left_out: Counter[str] = Counter()
    partial: set[str] = set()  # samples of which an item is left out
    for place, problem, tags, maker, *label in zip(*places, *read.values(), strict=True):
        row = _row(place, label, request)
        if SYNTHETIC in (tags or ()):
            row = Row(place.id, place.sample_id, place.path, place.box, label[0], Origin.SYNTHETIC, None, maker)
        reason = _why_left_out(row, tags or (), request) or problem
        if row is None or reason:
            left_out[reason] += 1
            partial.add(place.sample_id)
            continue
        rows.append(row._replace(split=next((tag for tag in request.splits if tag in (tags or ())), "")))
    if not rows:
        raise InvalidInput(_why_none(samples, request, left_out))
    if not items.has_several(samples, request.label_field):
        return Selection(rows, dict(left_out), [])
    empty = count(samples) - len({place.sample_id for place in places[0]})
    has_boxes = items.has_boxes(samples, request.label_field)
    rows, notes = _clip(rows) if has_boxes else (rows, [])
    images = len({row.sample_id for row in rows} & partial)
    return Selection(rows, dict(left_out), [*notes, *(_box_notes if has_boxes else _tag_notes)(images, empty)])


def _read(samples: Any, request: Request) -> dict[str, list[Any]]:
    """Columns with a row for each item: ids, file and box, then tags, maker, and its label."""
    field, more = request.label_field, request.suggestions
    maker = f"{SYNTHETIC}.run" if root_dataset(samples).has_field(f"{SYNTHETIC}.run") else ""
    where = ["id", items.SAMPLE_ID, "filepath"]
    boxed = [name for name in (field, more) if name and items.has_boxes(samples, name)]
    where += [f"{name}.{items.shape_of(samples, name)}" for name in boxed]
    label = [f"{field}.label", f"{field}.confidence", *provenance_paths(field)[:2]]
    label += [f"{more}.{name}" for name in ("label", "confidence", "status")] if more else []
    columns = [*where, "tags", *([maker] if maker else []), *label]
    if items.has_tags(samples, field):
        of_sample = columns[2 : -len(label)]
        read = tag_rows.read_columns(with_all_fields(samples), field, more, of_sample, columns)
    else:
        read = dict(zip(columns, items.values(with_all_fields(samples), columns), strict=True))
    makers = read[maker] if maker else [None] * len(read["id"])
    return {name: read[name] for name in [*where, "tags"]} | {"maker": makers} | {name: read[name] for name in label}


def _places(samples: Any, field: str, read: dict[str, list[Any]]) -> tuple[list[Place], list[str]]:
    """Where each item is, and why it cannot be exported, "" where it can; takes their columns out of `read`."""
    ids, sample_ids, paths = (read.pop(name) for name in ("id", items.SAMPLE_ID, "filepath"))
    if not items.has_boxes(samples, field):
        return [Place(*row, None) for row in zip(ids, sample_ids, paths, strict=True)], [""] * len(ids)
    columns = [read.pop(path) for path in list(read) if path.rpartition(".")[2] == items.shape_of(samples, field)]
    shapes = [next(filter(None, own), None) for own in zip(*columns, strict=True)]  # of a suggested box its own
    boxes, problems = check_boxes(field, ids, shapes)
    rows = zip(ids, sample_ids, paths, map(tuple, boxes.tolist()), strict=True)
    return [Place(*row) for row in rows], problems.tolist()


def _why_left_out(row: Row | None, tags: Sequence[str], request: Request) -> str:
    """Why an item is left out; "" where it is exported.

    Raises:
        ValueError: its sample has two of the splits' tags
    """
    if row is None:
        return NO_LABEL
    if row.origin == Origin.SYNTHETIC:
        if not request.include_synthetic or REJECTED in tags or or_none(row.label) is None:
            return IS_SYNTHETIC
    elif row.origin not in request.wanted:
        return UNWANTED[Origin(row.origin)]
    own = [tag for tag in request.splits if tag in tags]
    if own[1:]:
        raise InvalidInput(
            f"sample {row.sample_id} has the tags {' and '.join(map(repr, own))} of splits: remove one of them"
        )
    return NO_SPLIT if request.splits and not own else ""


def _clip(rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """The rows with their boxes inside the images, and a sentence on those that reached out."""
    boxes = np.array([row.box for row in rows])
    clipped = box_geometry.clip(boxes)
    outside = int((np.abs(clipped - boxes).max(axis=1) > CLIPPED).sum())
    notes = [f"{counted(outside, 'box', 'reaches', 'reach')} out of the image, and {_is(outside)} clipped to it."]
    inside = zip(rows, map(tuple, clipped.tolist()), strict=True)
    return [row._replace(box=box) for row, box in inside], notes if outside else []


def _tag_notes(images: int, empty: int) -> list[str]:
    """Sentences on images of which some tags are left out, and on those whose field is None."""
    notes = []
    if images:
        notes.append(
            f"{counted(images, 'image', 'has', 'have')} tags that are left out, absent to a model: review them, or "
            "leave those images out of the view."
        )
    if empty:
        notes.append(f"{counted(empty, 'image')} not tagged yet {_is(empty)} left out.")
    return notes


def _box_notes(images: int, empty: int) -> list[str]:
    """Sentences on images of which some boxes are left out, and on images without any."""
    notes = []
    if images:
        notes.append(
            f"{counted(images, 'image', 'has', 'have')} boxes that are left out, background to a detector: "
            "label or delete them, or leave those images out of the view."
        )
    if empty:
        notes.append(f"{counted(empty, 'image', 'has', 'have')} no box, and {_is(empty)} left out.")
    return notes


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def _row(place: Place, label: list[Any], request: Request) -> Row | None:
    """The row of a real item, of whatever origin; None where it has no label.

    Args:
        label: text, confidence, run and review of the label, and text, confidence and status of the suggestion
    """
    text, confidence, run, review, *suggested = label
    if or_none(text) is not None and text != request.unlabelled:
        is_own = not (isinstance(run, str) and RUN_KEY.fullmatch(run))
        origin = Origin.LABELLED if is_own else ORIGINS.get(review, Origin.ACCEPTED)
        return Row(*place, text, origin, confidence, None if is_own else run)
    if suggested and Origin.ACCEPTED in request.wanted:
        text, confidence, status = suggested
        if status == Status.ACCEPTED and or_none(text) is not None:
            return Row(*place, text, Origin.ACCEPTED, confidence, request.suggested_by)
    return None


def _why_none(samples: Any, request: Request, left_out: Counter[str]) -> str:
    name, noun = root_dataset(samples).name, items.noun(samples, request.label_field)
    if left_out[NO_SPLIT]:
        number = counted(left_out[NO_SPLIT], noun)
        return (
            f"none of the {number} of {name!r} with a label has a tag of splits ({', '.join(request.splits)}): "
            "evenset.split_dataset gives them, or leave splits out"
        )
    return (
        f"no {noun} of {name!r} has a label in {request.label_field!r} that is {' or '.join(request.wanted)}: "
        f"name other labels ({', '.join(WANTED)}), or label some first"
    )
