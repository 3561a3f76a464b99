"""The only reader and writer of sample fields."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .runs import Run

CHUNK = 20_000  # samples a write
PARENT = "synthetic.nearest_real_id"
SYNTHETIC, REJECTED = "synthetic", "rejected"  # tags of what Evenset made, and of what its filters refused
PROVENANCE = ("source", "review", "selection")  # of a label that Evenset wrote into the user's field


@dataclass
class Labels:
    """What a label field holds."""

    ids: np.ndarray  # sample ids, text [N]
    paths: np.ndarray  # files, text [N]
    classes: np.ndarray  # index into names, -1 where there is no label [N]
    names: list[str]  # [K]
    trusted: np.ndarray  # may calibrate and score: given by a person, and not chosen by a queue [N]
    groups: np.ndarray  # samples of one group stay on one side of a split, text, "" where alone [N]
    synthetic: int  # samples left out because Evenset generated them
    made: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))  # by Evenset: trains, and no more [N]

    def __post_init__(self) -> None:
        if not len(self.made):
            self.made = np.zeros(len(self.ids), dtype=bool)

    @property
    def given(self) -> np.ndarray:
        """Whether each sample has a label and is no synthetic one [N]."""
        return np.asarray((self.classes >= 0) & ~self.made)

    @property
    def known(self) -> np.ndarray:
        """Indices of the labelled samples."""
        return np.flatnonzero(self.classes >= 0)


def check_images(samples: Any) -> None:
    """Refuses what is not a set of images.

    Raises:
        TypeError: neither a dataset nor a view
        ValueError: empty, video, 3D, grouped, or a view of patches or frames
    """
    if not hasattr(samples, "_root_dataset"):
        raise TypeError(f"samples has to be a dataset or a view of FiftyOne, not {type(samples).__name__}")
    name = samples._root_dataset.name
    kind = samples.media_type
    if kind == "group":
        raise ValueError(
            f"{name!r} is a grouped dataset: pick the images of one slice, as samples.select_group_slices('left')"
        )
    if samples._is_generated:
        raise ValueError(f"a view of patches, frames or clips of {name!r} has no samples to write to: use its samples")
    if len(samples) == 0:
        raise ValueError(f"the view of {name!r} has no samples" if len(samples._root_dataset) else f"{name!r} is empty")
    if kind != "image":
        raise ValueError(f"{name!r} holds media of type {kind!r}: Evenset works on images")


def check_label_field(samples: Any, label_field: str) -> None:
    """Refuses a field that holds no `fo.Classification`.

    Raises:
        ValueError: the field is missing or of another type
    """
    import fiftyone as fo

    dataset = samples._root_dataset
    kinds = {name: getattr(item, "document_type", type(item)) for name, item in dataset.get_field_schema().items()}
    if label_field not in kinds:
        fits = [name for name, kind in kinds.items() if kind is fo.Classification]
        raise ValueError(
            f"{dataset.name!r} has no field {label_field!r}: "
            f"its fields of fo.Classification are {', '.join(fits) or 'none'}"
        )
    if kinds[label_field] is not fo.Classification:
        raise ValueError(
            f"the field {label_field!r} holds {kinds[label_field].__name__}: "
            "Evenset needs one fo.Classification a sample"
        )


def check_output_field(samples: Any, output_field: str, *inputs: str | None, name: str = "output_field") -> None:
    """Refuses what cannot be a new field.

    Args:
        name: of the argument

    Raises:
        ValueError: no identifier, a name that FiftyOne needs, or that of an input
    """
    import fiftyone as fo
    from fiftyone.core.odm import Document

    if not isinstance(output_field, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{,99}", output_field):
        raise ValueError(f"{name} {output_field!r}: a field's name has letters, digits and _, a letter first")
    if hasattr(fo.Sample, output_field) or hasattr(Document, output_field):
        raise ValueError(f"{name} {output_field!r} is a name that FiftyOne needs for itself: choose another")
    if output_field in inputs:
        raise ValueError(f"{name} {output_field!r} is an input: choose a field of its own, so that nothing is lost")


def real_samples(samples: Any) -> tuple[Any, int]:
    """The samples that Evenset did not generate, and how many were left out."""
    if SYNTHETIC not in samples._root_dataset.get_field_schema():
        return samples, 0
    real = samples.match_tags(SYNTHETIC, bool=False)
    return real, len(samples) - len(real)


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
    if group_field is not None and not samples.has_field(group_field):
        raise ValueError(f"{samples._root_dataset.name!r} has no field {group_field!r} to group by")
    real, synthetic = (_trainable(samples, label_field), 0) if include_synthetic else real_samples(samples)
    columns = ["id", "filepath", "tags", f"{label_field}.label"]
    parents = real.values(PARENT) if include_synthetic and real.has_field(PARENT) else []
    extra = [f"{label_field}.{name}" for name in PROVENANCE if real.has_field(f"{label_field}.{name}")]
    values = real.values([*columns, *extra, *([group_field] if group_field else [])])
    ids, paths, tags, labels = values[:4]
    marks = dict(zip((name.rsplit(".", 1)[1] for name in extra), values[4:], strict=False))
    made = np.array([include_synthetic and SYNTHETIC in found for found in tags], dtype=bool)
    groups = ["" if value is None else str(value) for value in values[-1]] if group_field else [""] * len(ids)
    _join_parents(groups, ids, parents)

    names, index = name_index(labels, classes)
    unknown = [(i, label) for i, label in enumerate(labels) if label is not None and label not in index]
    if unknown:
        place, label = unknown[0]
        raise ValueError(
            f"{len(unknown)} labels of {label_field!r} are not in classes, "
            f"the first is {label!r} of sample {ids[place]}: "
            "add it to classes as a name or as a synonym, or leave those samples out of the view"
        )
    return Labels(
        ids=np.array(ids, dtype=str),
        paths=np.array(paths, dtype=str),
        classes=np.array([-1 if label is None else index[label] for label in labels], dtype=np.int64),
        names=names,
        trusted=_trusted(marks, len(ids)) & ~made,
        groups=np.array(groups, dtype=str),
        synthetic=synthetic,
        made=made,
    )


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

    some = F(f"{label_field}.label").exists() | ~F("tags").contains(SYNTHETIC)
    return samples.match_tags(REJECTED, bool=False).match(some)


def read_ids(samples: Any, names: list[str]) -> Labels:
    """Reads ids and files of samples whose labels have no part in the work."""
    check_images(samples)
    real, synthetic = real_samples(samples)
    ids, paths = real.values(["id", "filepath"])
    none, alone = np.full(len(ids), -1, dtype=np.int64), np.full(len(ids), "")
    return Labels(np.array(ids), np.array(paths), none, names, np.zeros(len(ids), dtype=bool), alone, synthetic)


def require_classes(known: Labels, label_field: str) -> None:
    """Refuses labels that nothing can be learned from.

    Raises:
        ValueError: no label, or one class
    """
    used = np.unique(known.classes[known.known])
    if not len(used):
        raise ValueError(f"no sample has a label in {label_field!r}: label a few of each class first")
    if len(used) < 2:
        raise ValueError(f"all labels of {label_field!r} are {known.names[used[0]]!r}: at least two classes are needed")


def single_labels(known: Labels) -> list[str]:
    """A sentence on the classes with a single label, if there are any: they are learned from, but not checked."""
    counts = np.bincount(known.classes[known.known], minlength=len(known.names))
    names = [name for name, count in zip(known.names, counts, strict=True) if count == 1]
    if not names:
        return []
    more = f" and {len(names) - 5} more" if names[5:] else ""
    return [f"One label alone, so learned from but not checked: {', '.join(names[:5])}{more}. Label more of them."]


def require_fields(dataset: Any, *names: str) -> None:
    """Raises ValueError where somebody removed one of the fields since they were shown."""
    for name in names:
        if not dataset.has_sample_field(name):
            raise ValueError(f"the field {name!r} of {dataset.name!r} was removed meanwhile: nothing was changed")


FROM_LABELS = "learned from labels by "  # so begins the description of a field of such vectors


def read_vectors(samples: Any, ids: np.ndarray, field: str) -> np.ndarray:
    """Reads a field of vectors for the samples `ids` -> float32 [N, D].

    Raises:
        ValueError: a sample has no vector, one of another length, or one that is not finite
    """
    found = dict(zip(*samples.values(["id", field]), strict=True))
    vectors: list[Any] = [found.get(i) for i in ids]
    missing = [i for i, vector in zip(ids, vectors, strict=True) if vector is None]
    if missing:
        raise ValueError(
            f"{len(missing)} samples have no vector in {field!r}, the first is {missing[0]}: compute it first"
        )
    lengths = {len(vector) for vector in vectors}
    if len(lengths) > 1:
        raise ValueError(f"the vectors of {field!r} differ in length: {sorted(lengths)}")
    array = np.asarray(vectors, dtype=np.float32)
    bad = np.flatnonzero(~np.isfinite(array).all(1))
    if len(bad):
        raise ValueError(f"{len(bad)} vectors of {field!r} hold NaN or infinity, the first is of sample {ids[bad[0]]}")
    return array


def declare_classification(run: Run, name: str, attributes: dict[str, type]) -> None:
    """Adds a field of `fo.Classification` whose attributes the App's sidebar can filter by."""
    import fiftyone as fo

    run.wrote("fields", name)
    run.dataset.add_sample_field(
        name, fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification, description=f"written by {run.key}"
    )
    for attribute, kind in attributes.items():
        run.dataset.add_sample_field(f"{name}.{attribute}", kind)


def write_classifications(
    run: Run, name: str, ids: np.ndarray, columns: dict[str, Iterable[Any]], phase: str = "writing labels"
) -> None:
    """Writes one label a sample, in chunks.

    Args:
        columns: label, confidence and attributes, each of [N]; None (or NaN) where a value is missing
    """
    import fiftyone as fo
    from bson import ObjectId

    plain = {key: [_plain(value) for value in values] for key, values in columns.items()}
    empty = fo.Classification().to_dict()  # FiftyOne's own form; filled in here, since its objects take 2-3 x the write
    for first in range(0, len(ids), CHUNK):
        rows = range(first, min(first + CHUNK, len(ids)))
        labels = {str(ids[i]): {**empty, "_id": ObjectId(), **{key: v[i] for key, v in plain.items()}} for i in rows}
        run.dataset.set_values(name, labels, key_field="id", expand_schema=False, validate=False, progress=False)
        run.report(phase, rows.stop, len(ids))


def _plain(value: Any) -> Any:
    """A value that MongoDB takes: no numpy types, None for NaN."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and value != value else value


def name_index(
    labels: list[str | None], classes: Sequence[str] | dict[str, Sequence[str]] | None
) -> tuple[list[str], dict[str, int]]:
    """Names [K], and the index of each name and synonym."""
    if classes is None:
        names = sorted({label for label in labels if label is not None})
        return names, {name: i for i, name in enumerate(names)}
    names = list(classes)
    index = {name: i for i, name in enumerate(names)}
    if len(index) < len(names):
        raise ValueError(f"classes names {Counter(names).most_common(1)[0][0]!r} twice")
    for name, synonyms in classes.items() if isinstance(classes, dict) else ():
        for other in synonyms:
            if index.setdefault(other, index[name]) != index[name]:
                raise ValueError(f"classes gives {other!r} to two classes")
    return names, index


def _trusted(marks: dict[str, list[Any]], count: int) -> np.ndarray:
    """Original labels, and seen or corrected ones that were drawn at random [N]."""
    source = marks.get("source", [None] * count)
    review = marks.get("review", [None] * count)
    selection = marks.get("selection", [None] * count)
    return np.array(
        [
            s is None or (r in ("seen", "corrected") and d == "random")
            for s, r, d in zip(source, review, selection, strict=True)
        ],
        dtype=bool,
    )
