"""The only reader of labels: ids, files, classes, trust and groups of items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...models.errors import InvalidInput
from ...models.settings import BoxSettings
from ..display.tables import counted
from . import items, tag_ids
from .boxes import read_boxes
from .checks import check_images, check_label_field, count
from .collector import paused
from .field_access import with_all_fields
from .groups import check_group_field, join_items, read_groups, require_groups, video_field
from .internals import root_dataset
from .label_text import blank_note, has_label, or_none, spelling_note
from .provenance import provenance_paths, trusted

PARENT = "synthetic.nearest_real_id"
SOURCE_IMAGE = "synthetic.source_image"  # a real sample from which an image was drawn
SIZE = ("metadata.width", "metadata.height")  # of a sample's image, where it is known
SYNTHETIC, REJECTED = "synthetic", "rejected"  # tags of generated samples, and of those that the filters rejected


@dataclass
class Labels:
    """The labels of a field: ids, files and class of every sample, labelled or not."""

    ids: np.ndarray  # of the items: of samples, or of boxes, text [N]
    paths: np.ndarray  # files, or their regions (models/images/region.py), text [N]
    class_ids: np.ndarray  # index into names, -1 where unlabelled [N]
    names: list[str]  # [K]
    trusted: np.ndarray  # may calibrate and score: see provenance.trusted [N]
    groups: np.ndarray  # samples of one group stay on one side of a split, text, "" where alone [N]
    synthetic_left_out: int  # synthetic samples that were not read
    synthetic_mask: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))  # only train [N]
    notes: list[str] = field(default_factory=list)  # sentences on blank labels, and on spellings of one name
    sample_ids: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=str))  # of the items' samples, text [N]
    too_small: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))  # never accepted [N]
    box_fields: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=str))  # of proposed boxes, else "" [N]

    def __post_init__(self) -> None:
        if not len(self.synthetic_mask):
            self.synthetic_mask = np.zeros(len(self.ids), dtype=bool)
        if not len(self.sample_ids):
            self.sample_ids = self.ids
        if not len(self.too_small):
            self.too_small = np.zeros(len(self.ids), dtype=bool)
        if not len(self.box_fields):
            self.box_fields = np.full(len(self.ids), "")

    def take(self, rows: np.ndarray) -> Labels:
        """The labels of some items alone."""
        columns = {name: value[rows] for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return replace(self, **columns)

    @property
    def noun(self) -> str:
        """What the items are."""
        if not (self.ids != self.sample_ids).any():
            return items.SAMPLE
        return items.TAG if tag_ids.is_tag(str(self.ids[0])) else items.BOX

    @property
    def has_boxes(self) -> bool:
        """Whether the items are boxes of samples."""
        return self.noun == items.BOX

    @property
    def is_labelled(self) -> np.ndarray:
        """Whether each sample has a label and is not synthetic [N]."""
        return np.asarray((self.class_ids >= 0) & ~self.synthetic_mask)

    @property
    def labelled_indices(self) -> np.ndarray:
        """Indices of the labelled samples."""
        return np.flatnonzero(self.class_ids >= 0)


def real_samples(samples: Any) -> tuple[Any, int]:
    """The samples that Evenset did not generate, and how many were left out."""
    if SYNTHETIC not in root_dataset(samples).get_field_schema():
        return samples, 0
    real = samples.match_tags(SYNTHETIC, bool=False)
    return real, count(samples) - count(real)


@dataclass(frozen=True)
class Reading:
    """How items are read."""

    boxes: BoxSettings | None = None  # None: boxes are refused
    unlabelled: str | None = None  # a name that counts as no label
    names_count: bool = True  # False: every label counts as none


@paused()
def read_labels(
    samples: Any,
    label_field: str,
    *,
    classes: Sequence[str] | dict[str, Sequence[str]] | None = None,
    group_field: str | None = None,
    include_synthetic: bool = False,
    reading: Reading = Reading(),
) -> Labels:
    """Reads ids, files and labels of all items in one query.

    Args:
        classes: names in order, or `{name: [synonyms]}`; None: the existing names, sorted
        group_field: a field of the samples whose equal values stay on one side of a split; boxes of one sample do
        include_synthetic: with the labelled samples that Evenset generated, marked in `synthetic_mask`

    Raises:
        ValueError: the field is missing or of another type, it has no label, or a label is not in `classes`
    """
    check_images(samples)
    check_label_field(samples, label_field, boxes=reading.boxes is not None)
    check_group_field(samples, group_field, label_field)
    has_boxes = items.has_boxes(samples, label_field)
    if has_boxes and include_synthetic:
        raise InvalidInput("include_synthetic is for labels of samples: boxes of new images are copies of real ones")
    samples = with_all_fields(samples)
    real, left_out = (_trainable(samples, label_field), 0) if include_synthetic else real_samples(samples)
    columns = ["id", items.SAMPLE_ID, "filepath", f"{label_field}.label", *provenance_paths(label_field)]
    by = group_field or video_field(samples)
    columns += [by] if by else []  # imported labels may have their provenance undeclared
    columns += [path for path in ("tags", PARENT, SOURCE_IMAGE) if include_synthetic and real.has_field(path)]
    columns += [f"{label_field}.{items.shape_of(samples, label_field)}", *SIZE] if has_boxes else []
    read = dict(zip(columns, items.values(real, columns), strict=True))
    notes, too_small = _read_regions(read, label_field, reading) if has_boxes else ([], np.zeros(0, dtype=bool))
    ids, texts = read["id"], read[f"{label_field}.label"] if reading.names_count else [None] * len(read["id"])
    known = {text: or_none(text) for text in set(texts)}
    labels = [None if text == reading.unlabelled else known[text] for text in texts]
    synthetic_mask = np.array([SYNTHETIC in own for own in read.get("tags", [()] * len(ids))], dtype=bool)
    values, is_labelled = read[by] if by else None, [bool(label) for label in labels]
    groups, group_notes = read_groups(ids, values, group_field, _parents(read), is_labelled)

    names, index = name_index(labels, classes)
    blank = sum(known[text] is None for text in texts if text is not None)
    class_ids = _class_ids(labels, ids, index, label_field)
    counts = dict(zip(names, np.bincount(class_ids[class_ids >= 0], minlength=len(names)).tolist(), strict=True))
    notes += [*blank_note(blank, label_field), *spelling_note(counts, label_field)]
    notes += group_notes
    item_ids = np.array(ids, dtype=str)
    sample_ids = np.array(read[items.SAMPLE_ID], dtype=str) if has_boxes else item_ids
    return Labels(
        ids=item_ids,
        paths=np.array(read["filepath"], dtype=str),
        class_ids=class_ids,
        names=names,
        trusted=trusted(*(read[path] for path in provenance_paths(label_field))) & ~synthetic_mask,
        groups=join_items(groups, sample_ids) if has_boxes else np.array(groups, dtype=str),
        synthetic_left_out=left_out,
        synthetic_mask=synthetic_mask,
        notes=notes,
        sample_ids=sample_ids,
        too_small=too_small,
    )


def _read_regions(read: dict[str, list[Any]], label_field: str, reading: Reading) -> tuple[list[str], np.ndarray]:
    """Replaces files by the regions of boxes, in place, without those that cannot be cropped.

    Returns:
        sentences on boxes, and whether each is too small [N]
    """
    assert reading.boxes is not None
    shapes = next(column for path, column in read.items() if path.rpartition(".")[2] in items.SHAPES.values())
    sizes = list(zip(*(read[path] for path in SIZE), strict=True))
    boxes = read_boxes(label_field, read["id"], read["filepath"], shapes, sizes, reading.boxes)
    if len(boxes.rows) < len(shapes):
        read.update({path: [column[i] for i in boxes.rows.tolist()] for path, column in read.items()})
    read["filepath"] = boxes.paths
    if not boxes.paths:
        raise InvalidInput(f"no box of {label_field!r} can be cropped: {' '.join(boxes.notes) or 'there is none'}")
    return boxes.notes, boxes.too_small


def _parents(read: dict[str, list[Any]]) -> list[str | None]:
    """The real sample that each synthetic one comes from, or is nearest to; empty where no column says it."""
    nearest = read.get(PARENT, [])
    return [source or near for source, near in zip(read.get(SOURCE_IMAGE, nearest), nearest, strict=True)]


def _class_ids(labels: list[str | None], ids: list[str], index: dict[str, int], label_field: str) -> np.ndarray:
    """Class of each label, -1 where there is none [N].

    Raises:
        ValueError: a label is not in `index`
    """
    unknown = [(i, label) for i, label in zip(ids, labels, strict=True) if label is not None and label not in index]
    if unknown:
        sample_id, label = unknown[0]
        raise InvalidInput(
            f"classes lacks {counted(len(unknown), 'label')} of {label_field!r}, the first is {label!r} of sample "
            f"{sample_id}: add it to classes as a name or as a synonym, or leave those samples out of the view"
        )
    return np.array([-1 if label is None else index[label] for label in labels], dtype=np.int64)


def _trainable(samples: Any, label_field: str) -> Any:
    """Real samples, and synthetic ones that the filters kept and that have a label."""
    from fiftyone import ViewField as F

    usable = has_label(label_field) | ~F("tags").contains(SYNTHETIC)
    return samples.match_tags(REJECTED, bool=False).match(usable)


def read_ids(samples: Any, classes: Sequence[str] | dict[str, Sequence[str]] | None) -> Labels:
    """Reads ids and files of samples as unlabelled."""
    check_images(samples)
    names, _ = name_index([], classes)
    real, left_out = real_samples(samples)
    ids, paths = real.values(["id", "filepath"])
    return Labels(
        ids=np.array(ids),
        paths=np.array(paths),
        class_ids=np.full(len(ids), -1, dtype=np.int64),
        names=names,
        trusted=np.zeros(len(ids), dtype=bool),
        groups=np.full(len(ids), ""),
        synthetic_left_out=left_out,
    )


def count_classes(labels: Labels) -> int:
    """Number of classes that have a label."""
    return len(np.unique(labels.class_ids[labels.labelled_indices]))


def require_classes(
    labels: Labels, label_field: str, group_field: str | None = None, remedy: str = "label a few of each class first"
) -> None:
    """Raises ValueError where nothing can be learned: no label, one class, or one group of all labels.

    Args:
        remedy: where there is no label
    """
    used = np.unique(labels.class_ids[labels.labelled_indices])
    if not len(used):
        blank = f" ({labels.notes[0].rstrip('.')})" if labels.notes else ""
        raise InvalidInput(f"no {labels.noun} has a label in {label_field!r}{blank}: {remedy}")
    if len(used) < 2:
        raise InvalidInput(
            f"all labels of {label_field!r} are {labels.names[used[0]]!r}: at least two classes are needed"
        )
    if group_field is not None:
        require_groups(labels.groups[labels.is_labelled], group_field)


def label_notes(labels: Labels) -> list[str]:
    """Sentences on labels: classes with a single one, and `labels.notes`."""
    counts = np.bincount(labels.class_ids[labels.labelled_indices], minlength=len(labels.names))
    names = [name for name, count in zip(labels.names, counts, strict=True) if count == 1]
    more = f" and {len(names) - 5} more" if names[5:] else ""
    single = (
        f"Classes with one label: used for training, not validated: {', '.join(names[:5])}{more}. Label more of them."
    )
    return [*([single] if names else []), *labels.notes]


def name_index(
    labels: list[str | None], classes: Sequence[str] | dict[str, Sequence[str]] | None
) -> tuple[list[str], dict[str, int]]:
    """Names [K], and the index of each name and synonym."""
    if classes is None:
        names = sorted({label for label in labels if label is not None})
        return names, {name: i for i, name in enumerate(names)}
    names = list(classes)
    index = {name: i for i, name in enumerate(names)}
    if any(isinstance(name, str) and or_none(name) is None for name in names):
        raise InvalidInput("classes has a blank name: labels that are blank text count as unlabelled")
    if len(index) < len(names):
        raise InvalidInput(f"classes names {Counter(names).most_common(1)[0][0]!r} twice")
    for name, synonyms in classes.items() if isinstance(classes, dict) else ():
        for other in synonyms:
            if index.setdefault(other, index[name]) != index[name]:
                raise InvalidInput(f"classes gives {other!r} to two classes")
    return names, index
