"""The only reader and writer of tags: which classes each sample has, in a field of `fo.Classifications`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from bson import ObjectId

from ...models.errors import InvalidInput
from ..display.tables import counted
from . import items, tag_ids
from .checks import check_images, check_label_field
from .durable_writes import write_durably
from .field_access import with_all_fields
from .fields import DB_BATCH, declare, plain, write_values
from .groups import check_group_field, group_names, join_items, ungrouped_note
from .label_text import or_none, spelling_note
from .labels import Labels, name_index, real_samples
from .provenance import PROVENANCE, trusted
from .writer import Writer

TAGGED, ABSENT, UNKNOWN = 1, 0, -1  # values of a tag
ACTION = "action"  # attribute of a suggested tag
ADD, REMOVE = "add", "remove"  # its values
NO_TAG = "(no tag)"  # class of a sample whose field holds no tag


@dataclass
class Tags:
    """The tags of a field: which classes every sample has."""

    ids: np.ndarray  # of the samples, text [N]
    paths: np.ndarray  # files, text [N]
    names: list[str]  # classes [K]
    values: np.ndarray  # TAGGED, ABSENT, or UNKNOWN where the field is None [N, K]
    trusted: np.ndarray  # all tags of the sample may calibrate: see provenance.trusted [N]
    groups: np.ndarray  # samples of one group stay on one side of a split, text, "" where alone [N]
    synthetic_left_out: int = 0  # synthetic samples that were not read
    notes: list[str] = field(default_factory=list)  # sentences on blank and repeated tags

    @property
    def is_known(self) -> np.ndarray:
        """Whether the field of each sample has a value [N]."""
        return np.asarray((self.values != UNKNOWN).any(axis=1))

    def take(self, rows: np.ndarray) -> Tags:
        """The tags of some samples alone."""
        columns = {name: value[rows] for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return replace(self, **columns)

    def as_labels(self) -> Labels:
        """A label a sample, for what works on whole images: its rarest tag, NO_TAG, or none where nothing is known."""
        counts = (self.values == TAGGED).sum(axis=0)
        rarity = np.where(self.values == TAGGED, counts, np.iinfo(np.int64).max)
        rarest = np.where((self.values == TAGGED).any(axis=1), rarity.argmin(axis=1), len(self.names))
        return Labels(
            ids=self.ids,
            paths=self.paths,
            class_ids=np.where(self.is_known, rarest, -1),
            names=[*self.names, NO_TAG],
            trusted=self.trusted,
            groups=self.groups,
            synthetic_left_out=self.synthetic_left_out,
        )

    def as_items(self) -> Labels:
        """A label for each tag, NO_TAG for samples without any, none where nothing is known; a sample is a group."""
        has = self.values == TAGGED
        rows, class_ids = np.nonzero(np.hstack([has, ~has.any(axis=1, keepdims=True)]))
        class_ids = np.where(self.is_known[rows], class_ids, -1)
        names = [*self.names, NO_TAG] if (class_ids == len(self.names)).any() else self.names
        texts = [*names, ""]  # the last is for -1
        ids = [tag_ids.tag_id(i, texts[k]) for i, k in zip(self.ids[rows].tolist(), class_ids.tolist(), strict=True)]
        return Labels(
            ids=np.array(ids, dtype=str),
            paths=self.paths[rows],
            class_ids=class_ids,
            names=names,
            trusted=self.trusted[rows],
            groups=join_items(self.groups[rows].tolist(), self.ids[rows]),
            synthetic_left_out=self.synthetic_left_out,
            notes=self.notes,
            sample_ids=self.ids[rows],
        )


def read_tags(
    samples: Any,
    label_field: str,
    *,
    classes: Sequence[str] | dict[str, Sequence[str]] | None = None,
    group_field: str | None = None,
) -> Tags:
    """Reads the tags of all real samples in one query; the same tag twice in a sample counts once.

    Args:
        classes: names in order, or `{name: [synonyms]}`; None: the existing names, sorted
        group_field: samples with the same value stay on one side of a split

    Raises:
        ValueError: the field is missing or of another type, or a tag is not in `classes`
    """
    check_images(samples)
    check_label_field(samples, label_field, tags=True)
    check_group_field(samples, group_field, label_field)
    real, left_out = real_samples(with_all_fields(samples))
    paths = [f"{label_field}.{name}" for name in ("label", *PROVENANCE)]
    columns = ["id", "filepath", *(items.leaf(samples, path) for path in paths)]
    columns += [group_field] if group_field else []
    ids, files, lists, *others = real.values(columns)
    provenance = others[:3]
    groups = group_names(ids, others[3], group_field) if group_field else [""] * len(ids)
    texts = [[or_none(text) for text in own or ()] for own in lists]
    names, index = name_index([name for own in texts for name in own], classes)
    values = np.full((len(ids), len(names)), UNKNOWN, dtype=np.int8)
    for row, own in enumerate(texts):
        if lists[row] is not None:
            values[row] = ABSENT
            values[row, _class_ids(own, index, ids[row], label_field)] = TAGGED
    counts = dict(zip(names, (values == TAGGED).sum(axis=0).tolist(), strict=True))
    notes = [*_notes(texts, label_field), *spelling_note(counts, label_field)]
    known = [group for group, own in zip(groups, lists, strict=True) if own is not None]
    return Tags(
        ids=np.array(ids, dtype=str),
        paths=np.array(files, dtype=str),
        names=names,
        values=values,
        trusted=np.array([_is_trusted(own) for own in zip(*provenance, strict=True)], dtype=bool),
        groups=np.array(groups, dtype=str),
        synthetic_left_out=left_out,
        notes=[*notes, *ungrouped_note(known, group_field)],
    )


def _class_ids(names: list[str | None], index: dict[str, int], sample_id: str, label_field: str) -> list[int]:
    for name in names:
        if name is not None and name not in index:
            raise InvalidInput(
                f"classes lacks the tag {name!r} of {label_field!r}, as of sample {sample_id}: add it to classes as a "
                "name or as a synonym"
            )
    return [index[name] for name in names if name is not None]


def _is_trusted(provenance: tuple[list[Any] | None, ...]) -> bool:
    """Whether all tags of a sample may calibrate."""
    return bool(trusted(*(own or [] for own in provenance)).all())


def _notes(texts: list[list[str | None]], label_field: str) -> list[str]:
    blank = sum(name is None for own in texts for name in own)
    doubled = Counter(name for own in texts for name in own if name is not None and own.count(name) > 1)
    notes = []
    if blank:
        notes.append(f"{counted(blank, 'tag')} of {label_field!r} without a name left out.")
    if doubled:
        listed = ", ".join(repr(name) for name, _ in doubled.most_common(3))
        notes.append(f"Samples have the same tag of {label_field!r} twice, which counts once: {listed}.")
    return notes


def declare_tags(run: Writer, name: str, attributes: dict[str, type]) -> None:
    """Adds a field of `fo.Classifications` whose attributes the App's sidebar can filter by."""
    import fiftyone as fo

    root = f"{name}.{items.TAGS['Classifications']}"
    inner = {f"{root}.{key}": kind for key, kind in attributes.items()}
    declare(run, name, fo.EmbeddedDocumentField, inner, embedded_doc_type=fo.Classifications)
    item = dict(description=items.IS_ITEM)
    write_durably(run.dataset, lambda: run.dataset.add_sample_field(f"{root}.{items.ITEM}", fo.StringField, **item))


def write_tags(run: Writer, name: str, sample_ids: np.ndarray, columns: dict[str, Iterable[Any]]) -> None:
    """Writes tags into a field that `declare_tags` added, in batches of whole samples.

    Args:
        sample_ids: of each tag; those of a sample follow each other [n]
        columns: label, confidence and attributes of each tag [n]; None or NaN where a value is missing
    """
    import fiftyone as fo

    empty = fo.Classification().to_dict()
    values = {key: [plain(value) for value in column] for key, column in columns.items()}
    lists: dict[str, list[dict[str, Any]]] = {}
    for row, sample_id in enumerate(sample_ids.tolist()):
        attributes = {key: column[row] for key, column in values.items()}
        item = tag_ids.tag_id(sample_id, attributes["label"])
        lists.setdefault(sample_id, []).append({**empty, "_id": ObjectId(), **attributes, items.ITEM: item})
    ids = list(lists)
    for first in range(0, len(ids), DB_BATCH):
        batch = ids[first : first + DB_BATCH]
        documents = {i: {"_cls": "Classifications", "classifications": lists[i]} for i in batch}
        write_values(run, name, documents, expand_schema=False, validate=False)
        run.report("writing tags", first + len(batch), len(ids))
