"""The only reader and writer of sample fields."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...models.errors import InvalidInput
from ..display.tables import counted
from .checks import check_images, check_label_field, count
from .field_access import require_visible, with_all_fields
from .internals import root_dataset
from .label_text import blank_note, has_label, or_none, spelling_note

PARENT = "synthetic.nearest_real_id"
SYNTHETIC, REJECTED = "synthetic", "rejected"  # tags of what Evenset made, and of what its filters refused
PROVENANCE = (
    "evenset_run",
    "evenset_review",
    "evenset_selection",
)  # of a label that Evenset wrote into the user's field
RUN_KEY = re.compile(r"evenset_[a-z_]+_[0-9]+")  # without one of this form in `evenset_run`, a label is the user's own


@dataclass
class Labels:
    """The labels of a field: ids, files and class of every sample, labelled or not."""

    ids: np.ndarray  # sample ids, text [N]
    paths: np.ndarray  # files, text [N]
    class_ids: np.ndarray  # index into names, -1 where there is no label [N]
    names: list[str]  # [K]
    trusted: np.ndarray  # may calibrate and score: given by a person, and not chosen by a queue [N]
    groups: np.ndarray  # samples of one group stay on one side of a split, text, "" where alone [N]
    synthetic_left_out: int  # synthetic samples that were not read
    synthetic_mask: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))  # only train [N]
    notes: list[str] = field(default_factory=list)  # sentences on blank labels, and on spellings of one name

    def __post_init__(self) -> None:
        if not len(self.synthetic_mask):
            self.synthetic_mask = np.zeros(len(self.ids), dtype=bool)

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


def read_labels(
    samples: Any,
    label_field: str,
    *,
    classes: Sequence[str] | dict[str, Sequence[str]] | None = None,
    group_field: str | None = None,
    include_synthetic: bool = False,
) -> Labels:
    """Reads ids, files and labels in one query.

    Args:
        classes: names in order, or `{name: [synonyms]}`; None: the names that are there, sorted
        group_field: a field whose equal values stay on one side of a split
        include_synthetic: with the samples that Evenset generated, marked as `made`, as far as they have a label

    Raises:
        ValueError: the field is missing or of another type, it has no label, or a label is not in `classes`
    """
    check_images(samples)
    check_label_field(samples, label_field)
    _check_group_field(samples, group_field, label_field)
    samples = with_all_fields(samples)
    real, synthetic = (_trainable(samples, label_field), 0) if include_synthetic else real_samples(samples)
    columns = ["id", "filepath", "tags", f"{label_field}.label"]
    parents = real.values(PARENT) if include_synthetic and real.has_field(PARENT) else []
    marks = [f"{label_field}.{name}" for name in PROVENANCE]  # imported labels may have them undeclared
    values = real.values([*columns, *marks, *([group_field] if group_field else [])])
    ids, paths, tags, texts = values[:4]
    labels = [or_none(text) for text in texts]
    made = np.array([include_synthetic and SYNTHETIC in found for found in tags], dtype=bool)
    groups = _groups(ids, values[-1], group_field) if group_field else [""] * len(ids)
    _join_parents(groups, ids, parents)

    names, index = name_index(labels, classes)
    unknown = [(i, label) for i, label in enumerate(labels) if label is not None and label not in index]
    if unknown:
        place, label = unknown[0]
        raise InvalidInput(
            f"classes lacks {counted(len(unknown), 'label')} of {label_field!r}, "
            f"the first is {label!r} of sample {ids[place]}: "
            "add it to classes as a name or as a synonym, or leave those samples out of the view"
        )
    alone = sum(label is not None and not group for label, group in zip(labels, groups, strict=True))
    blank = sum(text is not None and label is None for text, label in zip(texts, labels, strict=True))
    class_ids = np.array([-1 if label is None else index[label] for label in labels], dtype=np.int64)
    counts = dict(zip(names, np.bincount(class_ids[class_ids >= 0], minlength=len(names)).tolist(), strict=True))
    return Labels(
        ids=np.array(ids, dtype=str),
        paths=np.array(paths, dtype=str),
        class_ids=class_ids,
        names=names,
        trusted=_trusted(*values[4:7]) & ~made,
        groups=np.array(groups, dtype=str),
        synthetic_left_out=synthetic,
        synthetic_mask=made,
        notes=[*blank_note(blank, label_field), *spelling_note(counts, label_field), *_alone(alone, group_field)],
    )


def _alone(count: int, group_field: str | None) -> list[str]:
    """A sentence on labelled samples without a group, if there are any."""
    if group_field is None or not count:
        return []
    return [f"{counted(count, 'labelled sample', 'has', 'have')} no value in {group_field!r}: a group each."]


NOT_GROUPS = ("EmbeddedDocumentField", "ListField", "DictField", "VectorField", "ArrayField", "FrameSupportField")
ONE_VALUE = "it needs one value a sample, a text or a number"


def _check_group_field(samples: Any, group_field: str | None, label_field: str) -> None:
    """Refuses a field that cannot group: one that is not there, that the view hides, or the labels themselves."""
    if group_field is None:
        return
    if not root_dataset(samples).has_field(group_field):
        raise InvalidInput(f"{root_dataset(samples).name!r} has no field {group_field!r} to group by")
    require_visible(samples, group_field)
    kind = type(root_dataset(samples).get_field(group_field))
    if kind.__name__ in NOT_GROUPS:
        raise InvalidInput(f"group_field {group_field!r} holds {kind.__name__}: {ONE_VALUE}")
    if group_field in (label_field, f"{label_field}.label"):
        raise InvalidInput(
            f"group_field {group_field!r} holds the labels: each class would be one group, and none could be held "
            "out; give a field of what belongs together (patient, video, product), or leave group_field out"
        )


def _groups(ids: list[str], values: list[Any], group_field: str) -> list[str]:
    """The group of each sample as text, "" where it has none.

    Raises:
        ValueError: a value is a list, a document or an array
    """
    for i, value in zip(ids, values, strict=True):
        if isinstance(value, (list, tuple, dict, np.ndarray)) or hasattr(value, "to_dict"):
            raise InvalidInput(f"group_field {group_field!r} holds {type(value).__name__} in sample {i}: {ONE_VALUE}")
    return ["" if value is None or value != value else or_none(str(value)) or "" for value in values]


def _join_parents(groups: list[str], ids: list[str], parents: list[str | None]) -> None:
    """Puts what Evenset made into the group of the real sample that it was made of or is most like, in place: where
    that one is held out, its likeness does not train.

    Args:
        parents: id of that real sample, None for real ones; may be empty
    """
    place = {name: i for i, name in enumerate(ids)}
    for child, parent in enumerate(parents):
        if parent is not None:
            of = [child, place[parent]] if parent in place else [child]
            name = groups[of[-1]] or f"like {parent}"
            for i in of:
                groups[i] = name


def _trainable(samples: Any, label_field: str) -> Any:
    """The samples without those that the filters refused, and without synthetic ones that lost their label."""
    from fiftyone import ViewField as F

    usable = has_label(label_field) | ~F("tags").contains(SYNTHETIC)
    return samples.match_tags(REJECTED, bool=False).match(usable)


def read_ids(samples: Any, names: list[str]) -> Labels:
    """Reads ids and files of samples whose labels have no part in the work."""
    check_images(samples)
    real, synthetic = real_samples(samples)
    ids, paths = real.values(["id", "filepath"])
    none, alone = np.full(len(ids), -1, dtype=np.int64), np.full(len(ids), "")
    return Labels(np.array(ids), np.array(paths), none, names, np.zeros(len(ids), dtype=bool), alone, synthetic)


def require_classes(labels: Labels, label_field: str, group_field: str | None = None) -> None:
    """Refuses labels that nothing can be learned from.

    Raises:
        ValueError: no label, one class, or one group of all labels
    """
    used = np.unique(labels.class_ids[labels.labelled_indices])
    if not len(used):
        blank = f" ({labels.notes[0].rstrip('.')})" if labels.notes else ""
        raise InvalidInput(f"no sample has a label in {label_field!r}{blank}: label a few of each class first")
    if len(used) < 2:
        raise InvalidInput(
            f"all labels of {label_field!r} are {labels.names[used[0]]!r}: at least two classes are needed"
        )
    groups = np.unique(labels.groups[labels.is_labelled])
    if group_field is not None and len(groups) == 1:
        one = (
            f"one value, {str(groups[0])!r}, for all labelled samples: they stay together, so that none can be held out"
        )
        none = "no value for any labelled sample"
        raise InvalidInput(
            f"group_field {group_field!r} has {one if groups[0] else none}; give a field with several values, or leave "
            "group_field out"
        )


def label_notes(labels: Labels) -> list[str]:
    """Sentences on labels: classes with a single one, which are learned from but not checked, and `known.notes`."""
    counts = np.bincount(labels.class_ids[labels.labelled_indices], minlength=len(labels.names))
    names = [name for name, count in zip(labels.names, counts, strict=True) if count == 1]
    more = f" and {len(names) - 5} more" if names[5:] else ""
    single = f"One label alone, so learned from but not checked: {', '.join(names[:5])}{more}. Label more of them."
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


def _trusted(run_keys: list[Any], reviews: list[Any], selections: list[Any]) -> np.ndarray:
    """Original labels, and seen or corrected ones that were selected at random [N].

    The run may be one of another dataset, which the labels were cloned or imported from, or one that was deleted since.
    """
    return np.array(
        [
            not (isinstance(key, str) and RUN_KEY.fullmatch(key))
            or (review in ("seen", "corrected") and selection == "random")
            for key, review, selection in zip(run_keys, reviews, selections, strict=True)
        ],
        dtype=bool,
    )
