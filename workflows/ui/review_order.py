"""The order of the review queue: active learning by uncertainty and diversity, and the nearest labelled samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...models.vectors import unit_rows
from ..data import items
from ..data.box_kinds import KIND, BoxKind
from ..data.internals import root_dataset
from ..data.label_text import is_known, labelled, or_none, unlabelled
from ..data.labels import SYNTHETIC
from ..data.status import REJECTED, Status
from ..data.tag_ids import tag_of
from ..runs import lookup
from ..runs.lookup import writer_of
from . import item_images, tag_suggestions
from .item_vectors import vectors_of

MAX_CANDIDATES = 400  # the most uncertain samples, among which diverse ones are chosen
NEIGHBOURS = 5  # shown of a sample
MAX_LABELLED = 5_000  # labelled items to compare with


def waiting(dataset: Any, field: str, label_field: str) -> Any:
    """The samples in review without a label, and not rejected; not for boxes and tags."""
    suggested = {f"{field}.status": Status.REVIEW.value, f"{field}.label": {"$nin": [None, REJECTED]}}
    return dataset.match({**suggested, "tags": {"$ne": SYNTHETIC}, **unlabelled(label_field)})


def read_waiting(
    dataset: Any, field: str, label_field: str, paths: Sequence[str] = (), ids: Sequence[str] | None = None
) -> list[list[Any]]:
    """Ids and the values of `paths` of the items in review without a label, and not rejected.

    Args:
        ids: of these items alone
    """
    if items.has_tags(dataset, label_field):
        view = tag_suggestions.waiting_for_review(dataset, field, label_field, ids)
        return items.values(view, [f"{field}.label", "id", *paths])[1:]
    if not items.has_boxes(dataset, label_field):
        view = waiting(dataset, field, label_field)
        return list((view if ids is None else view.select(list(ids))).values(["id", *paths]))
    suggested, open_ = _waiting_boxes(dataset, field, label_field)
    if ids is not None:
        suggested &= items.has_id(dataset, field, ids)
        open_ &= items.has_id(dataset, label_field, ids)
    tables, kind = [], items.kind_paths(dataset, field)
    for name, condition in ((field, suggested), (label_field, open_)):
        columns = [f"{name}.{items.key_of(dataset, name)}", *(path for path in paths if path.startswith(f"{name}."))]
        columns += kind if name == field else []
        read = items.values(dataset.filter_labels(name, condition), columns)
        tables.append({row[0]: dict(zip(columns, row, strict=True)) for row in zip(*read, strict=True)})
    first, second = tables
    lacking = {i for i, own in first.items() if kind and own[kind[0]] == BoxKind.MISSING}  # the label field
    rows = {i: own | second.get(i, {}) for i, own in first.items() if i in second or i in lacking}
    return [[*rows], *([row.get(path) for row in rows.values()] for path in paths)]


def _waiting_boxes(dataset: Any, field: str, label_field: str) -> tuple[Any, Any]:
    """Expressions on a suggestion that is in review and not rejected, and on a label that is none."""
    from fiftyone import ViewField as F

    unlabelled = lookup.unlabelled_name(dataset, field)
    return (F("status") == Status.REVIEW.value) & is_known(F("label")), ~is_known(F("label"), unlabelled)


def count_waiting(dataset: Any, field: str, label_field: str) -> int:
    """Items in review without a label, and not rejected."""
    if items.has_tags(dataset, label_field):
        view = tag_suggestions.waiting_for_review(dataset, field, label_field)
        return int(view.count(items.root_of(dataset, field)))
    if not items.has_boxes(dataset, label_field):
        return len(waiting(dataset, field, label_field))
    from fiftyone import ViewField as F

    suggested, open_ = _waiting_boxes(dataset, field, label_field)
    names = ((field, suggested, F(items.ITEM)), (label_field, open_, F("_id").to_string()))
    first, second = (F(items.root_of(dataset, name)).filter(fits).map(item) for name, fits, item in names)
    in_review = dataset.match({items.leaf(dataset, f"{field}.status"): Status.REVIEW.value})
    waiting_there = int(in_review.sum(first.intersection(second).length()) or 0)
    if not items.kind_paths(dataset, field):
        return waiting_there
    lacking = F(items.root_of(dataset, field)).filter(suggested & (F(KIND) == BoxKind.MISSING.value)).length()
    return waiting_there + int(in_review.sum(lacking) or 0)


def most_informative(dataset: Any, field: str, label_field: str, count: int = 50) -> list[str]:
    """Ids of the items whose label is worth most, the most informative first.

    A run without labels has written its own order. Else uncertain ones (by confidence, margin and agreement) come
    first, of these the ones far from labelled and earlier samples; without embeddings, the uncertain ones of each class
    in turn.

    Args:
        field: output field of `auto_label`
        label_field: where labels go
        count: upper limit of ids
    """
    dataset = root_dataset(dataset)
    if dataset.has_field(items.leaf(dataset, f"{field}.review_rank")):
        ranked = zip(*read_waiting(dataset, field, label_field, [f"{field}.review_rank"]), strict=True)
        return [i for i, rank in sorted(ranked, key=lambda row: (row[1] is not None, row[1]))[:count]]
    paths = [f"{field}.{name}" for name in ("confidence", "margin", "agreement")]
    paths = [path for path in paths if dataset.has_field(items.leaf(dataset, path))]
    read = read_waiting(dataset, field, label_field, [f"{field}.label", *paths])
    uncertainty = _uncertainty(read[2:], len(read[0]))
    candidates = np.argsort(-uncertainty, kind="stable")[: max(MAX_CANDIDATES, count)]
    ids, classes = (np.array(column, dtype=str)[candidates] for column in read[:2])
    run_key = writer_of(dataset, field, "auto_label").key
    vectors = vectors_of(dataset, run_key, ids.tolist())
    if vectors is None or np.isnan(vectors).all():
        order = _round_robin(classes)
    else:
        labelled_ids, _ = _labelled(dataset, label_field, lookup.unlabelled_name(dataset, field))
        labelled = vectors_of(dataset, run_key, labelled_ids)
        order = _farthest_first(vectors, labelled, uncertainty[candidates], count)
    return [str(i) for i in ids[order[:count]]]


def _uncertainty(scores: list[list[float | None]], count: int) -> np.ndarray:
    """One minus the mean score of each suggestion, 1 without scores [N]."""
    values = np.array(scores, dtype=np.float64).reshape(len(scores), count)  # None becomes NaN
    total = (~np.isnan(values)).sum(axis=0)
    return np.asarray(np.where(total, np.nansum(1 - values, axis=0) / np.maximum(total, 1), 1.0))


def _round_robin(classes: np.ndarray) -> np.ndarray:
    """Places of the first of each class, then of the second of each, and so on [N]."""
    turns, counts = np.zeros(len(classes), dtype=np.int64), dict.fromkeys(classes, 0)
    for i, name in enumerate(classes):
        turns[i] = counts[name]
        counts[name] += 1
    return np.argsort(turns, kind="stable")


def _farthest_first(
    vectors: np.ndarray, labelled: np.ndarray | None, uncertainty: np.ndarray, count: int
) -> np.ndarray:
    """Greedy k-center by uncertainty times cosine distance to labelled and chosen samples.

    Args:
        vectors, uncertainty: of the candidates [N, D], [N]
        labelled: vectors of the labelled samples [M, D]
    """
    labelled = np.zeros((0, vectors.shape[1])) if labelled is None else labelled
    unit, references = (unit_rows(np.nan_to_num(rows)) for rows in (vectors, labelled))  # NaN: similar to none
    similarity = (unit @ references.T).max(axis=1) if len(references) else np.zeros(len(unit))
    order: list[int] = []
    for _ in range(min(count, len(unit))):
        value = uncertainty * np.maximum(1 - similarity, 1e-6)  # among copies, the more uncertain
        value[order] = -1
        order.append(int(value.argmax()))
        similarity = np.maximum(similarity, unit @ unit[order[-1]])
    return np.array(order, dtype=np.int64)


def _labelled(dataset: Any, label_field: str, unlabelled: str | None) -> tuple[list[str], list[str]]:
    """Ids and labels of the labelled items, at most about MAX_LABELLED of them, drawn at random; of tagged samples ids.

    Args:
        unlabelled: a name that counts as no label
    """
    paths = ["id", f"{label_field}.label"]
    if items.has_tags(dataset, label_field):
        ids = tag_suggestions.tagged(dataset, label_field, MAX_LABELLED)
        return ids, [""] * len(ids)
    if not items.has_boxes(dataset, label_field):
        view = dataset.match({"tags": {"$ne": SYNTHETIC}, **labelled(label_field)})
        ids, labels = view.limit(MAX_LABELLED + 1).values(paths)
        return (ids, labels) if len(ids) <= MAX_LABELLED else view.take(MAX_LABELLED, seed=0).values(paths)
    has_one = {items.root_of(dataset, label_field): {"$elemMatch": {"label": {"$ne": None}}}}
    view = dataset.match(has_one)
    samples, boxes = len(view), view.count(items.leaf(dataset, f"{label_field}.label"))
    if boxes > MAX_LABELLED:
        view = view.take(max(samples * MAX_LABELLED // boxes, 1), seed=0)
    rows = zip(*items.values(view, paths), strict=True)
    known = [(i, label) for i, label in rows if label != unlabelled and or_none(label) is not None]
    return [i for i, _ in known], [label for _, label in known]


def neighbours(
    dataset: Any, field: str, label_field: str, item_id: str, without: str | None = None
) -> list[dict[str, str]]:
    """The labelled items nearest to one, the nearest first: id, path and label of each. Of a tag, tagged samples.

    Args:
        field: output of auto_label or find_mistakes
        without: a class whose items are left out
    """
    ids, labels = _labelled(dataset, label_field, lookup.unlabelled_name(dataset, field))
    others = [i for i, label in zip(ids, labels, strict=True) if label != without]
    return _nearest(root_dataset(dataset), field, label_field, item_id, others)


def _nearest(dataset: Any, field: str, label_field: str, item_id: str, others: list[str]) -> list[dict[str, str]]:
    """Those of the others that are nearest to an item, described."""
    run_key = writer_of(dataset, field, "auto_label", "find_mistakes").key
    vectors = vectors_of(dataset, run_key, [item_id, *others])
    if vectors is None or np.isnan(vectors[0]).any():
        return []
    unit = unit_rows(np.nan_to_num(vectors))
    similarity = np.where(np.isnan(vectors[1:]).any(axis=1), -np.inf, unit[1:] @ unit[0])
    order = [int(i) for i in np.argsort(-similarity, kind="stable") if np.isfinite(similarity[i])]
    own = (item_id, tag_of(item_id)[0])
    near = [others[i] for i in order[: NEIGHBOURS + len(own)] if others[i] not in own]
    return item_images.describe(dataset, label_field, near[:NEIGHBOURS])


def contradictions(dataset: Any, field: str, label_field: str, row: dict[str, Any]) -> list[dict[str, str]]:
    """Items that contradict a flagged label: its near-duplicate, then the nearest ones with another label.

    Of a tag: the nearest samples that have it where this one lacks it, or lack it where this one has it.

    Args:
        field: output field of `find_mistakes`
        row: of `flagged_page`
    """
    if items.has_tags(dataset, label_field):
        is_missing = row["given"] is None
        others = tag_suggestions.tagged(dataset, label_field, MAX_LABELLED, row["suggestion"], has=is_missing)
        return _nearest(root_dataset(dataset), field, label_field, row["id"], others)
    near = neighbours(dataset, field, label_field, row["id"], without=row["given"])
    duplicate = item_images.describe(dataset, label_field, [row["contradicted_by"]] if row["contradicted_by"] else [])
    return [*duplicate, *[item for item in near if item not in duplicate]][:NEIGHBOURS]
