"""The only reader of labels: ids, files, classes, trust and groups of samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...models.errors import InvalidInput
from ..display.tables import counted
from .checks import check_images, check_label_field, count
from .field_access import with_all_fields
from .groups import check_group_field, group_names, join_parents, require_groups, ungrouped_note
from .internals import root_dataset
from .label_text import blank_note, has_label, or_none, spelling_note
from .provenance import provenance_paths, trusted

PARENT = "synthetic.nearest_real_id"
SYNTHETIC, REJECTED = "synthetic", "rejected"  # tags of generated samples, and of those that the filters rejected


@dataclass
class Labels:
    """The labels of a field: ids, files and class of every sample, labelled or not."""

    ids: np.ndarray  # sample ids, text [N]
    paths: np.ndarray  # files, text [N]
    class_ids: np.ndarray  # index into names, -1 where unlabelled [N]
    names: list[str]  # [K]
    trusted: np.ndarray  # may calibrate and score: see provenance.trusted [N]
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
        classes: names in order, or `{name: [synonyms]}`; None: the existing names, sorted
        group_field: a field whose equal values stay on one side of a split
        include_synthetic: with the labelled samples that Evenset generated, marked in `synthetic_mask`

    Raises:
        ValueError: the field is missing or of another type, it has no label, or a label is not in `classes`
    """
    check_images(samples)
    check_label_field(samples, label_field)
    check_group_field(samples, group_field, label_field)
    samples = with_all_fields(samples)
    real, left_out = (_trainable(samples, label_field), 0) if include_synthetic else real_samples(samples)
    columns = ["id", "filepath", "tags", f"{label_field}.label"]
    parents = real.values(PARENT) if include_synthetic and real.has_field(PARENT) else []
    columns += provenance_paths(label_field)  # imported labels may have them undeclared
    values = real.values([*columns, *([group_field] if group_field else [])])
    ids, paths, tags, texts = values[:4]
    labels = [or_none(text) for text in texts]
    synthetic_mask = np.array([include_synthetic and SYNTHETIC in own for own in tags], dtype=bool)
    groups = group_names(ids, values[-1], group_field) if group_field else [""] * len(ids)
    join_parents(groups, ids, parents)

    names, index = name_index(labels, classes)
    blank = sum(text is not None and label is None for text, label in zip(texts, labels, strict=True))
    class_ids = _class_ids(labels, ids, index, label_field)
    counts = dict(zip(names, np.bincount(class_ids[class_ids >= 0], minlength=len(names)).tolist(), strict=True))
    notes = [*blank_note(blank, label_field), *spelling_note(counts, label_field)]
    notes += ungrouped_note([group for label, group in zip(labels, groups, strict=True) if label], group_field)
    return Labels(
        ids=np.array(ids, dtype=str),
        paths=np.array(paths, dtype=str),
        class_ids=class_ids,
        names=names,
        trusted=trusted(*values[4:7]) & ~synthetic_mask,
        groups=np.array(groups, dtype=str),
        synthetic_left_out=left_out,
        synthetic_mask=synthetic_mask,
        notes=notes,
    )


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
        raise InvalidInput(f"no sample has a label in {label_field!r}{blank}: {remedy}")
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
