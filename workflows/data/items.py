"""Items: what gets one label, a sample, a box or a tag of a sample. This file alone knows the kinds of label fields.

The paths of items are those of samples: "gt.label" is the label of a sample, or of each box or tag in `gt`. The id of a
tag is made of its sample's and its class, since a tag that is missing has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

from ...models.errors import InvalidInput
from ..display.tables import counted
from .box_kinds import KIND, BoxKind
from .collector import paused
from .group_slices import flat
from .internals import is_generated, read_values, root_dataset, stages_of
from .tag_ids import tag_id, tag_of

BOXES = {"Detections": "detections", "Polylines": "polylines"}  # kinds of fields of boxes: their list
TAGS = {"Classifications": "classifications"}  # of tags
LISTS = BOXES | TAGS
SHAPES = {"detections": "bounding_box", "polylines": "points"}  # the attribute that says where a label is
GEOMETRY = ("bounding_box", "mask", "mask_path", "points", "closed", "filled", "index", "instance")
ITEM = "item"  # attribute of a box or tag that a run wrote: id of the label that it speaks of
IS_ITEM = "id of the label that this one is about"  # its description, which tells it from a user's own attribute
SAMPLE, BOX, TAG = "sample", "box", "tag"  # nouns of items
SAMPLE_ID = "$sample_id"  # path of the sample's id: no field, as frames of a video have one called sample_id
IDS = ("id", SAMPLE_ID)
MAX_IDS = 300_000  # in a query, of 16 MB at most; with more, each label of a sample is compared with all others of it
FEW_SAMPLES = 1_000  # of a view: what it hides is looked for in these, and not in the whole dataset
FILTERS = ("FilterLabels", "SelectLabels", "ExcludeLabels", "LimitLabels", "FilterField")  # stages that hide labels

Attribute = Callable[[str], Any]  # name of an attribute -> its expression of FiftyOne


def list_of(samples: Any, field: str) -> str:
    """Name of the list of labels in a field of boxes or tags; "" for another field, or none."""
    kind = getattr(root_dataset(samples).get_field(field), "document_type", None)
    return LISTS.get(kind.__name__, "") if kind else ""


def has_boxes(samples: Any, field: str | None) -> bool:
    """Whether a field holds boxes, several a sample."""
    return field is not None and list_of(samples, field) in BOXES.values()


def has_tags(samples: Any, field: str | None) -> bool:
    """Whether a field holds tags, several classes a sample."""
    return field is not None and list_of(samples, field) in TAGS.values()


def has_several(samples: Any, field: str | None) -> bool:
    """Whether a field holds several labels a sample."""
    return field is not None and bool(list_of(samples, field))


def noun(samples: Any, field: str | None) -> str:
    return BOX if has_boxes(samples, field) else TAG if has_tags(samples, field) else SAMPLE


def boxes(number: int) -> str:
    """ "1 box was", "1,200 boxes were"."""
    return counted(number, "box", "was", "were")


def root_of(samples: Any, field: str) -> str:
    """Path of the labels in a field: "gt", or "gt.detections"."""
    labels = list_of(samples, field)
    return f"{field}.{labels}" if labels else field


def leaf(samples: Any, path: str) -> str:
    """FiftyOne's path of an attribute: "gt.label", or "gt.detections.label"."""
    field, dot, attribute = path.partition(".")
    return f"{root_of(samples, field)}.{attribute}" if dot else path


def path_of(samples: Any, leaf: str) -> str:
    """Path of an attribute from FiftyOne's, the inverse of `leaf`."""
    field, _, rest = leaf.partition(".")
    labels = list_of(samples, field)
    return f"{field}.{rest.removeprefix(f'{labels}.')}" if labels else leaf


def shape_of(samples: Any, field: str) -> str:
    """The attribute that says where a box is."""
    return SHAPES[list_of(samples, field)]


def key_of(samples: Any, field: str) -> str:
    """The attribute of a box that holds the item's id: its own, or that of the label that it speaks of."""
    declared = root_dataset(samples).get_field(leaf(samples, f"{field}.{ITEM}"))
    return ITEM if declared is not None and declared.description == IS_ITEM else "id"


@paused()
def values(samples: Any, paths: Sequence[str]) -> list[list[Any]]:
    """A list for each path, with a row for each item; like `samples.values` for samples.

    With a field of boxes among the paths, "id" is the label's, and a path of the sample repeats for its boxes. Rows are
    those of the first field of the user's own; what a run wrote on an item is joined by its id. An item whose
    suggestion the view hides has no row. Missing boxes that a run proposes follow those of their sample, unless the
    view hides boxes of the user's field. Of tags the rows are those that a run wrote, if there are any.
    """
    fields = dict.fromkeys(path.partition(".")[0] for path in paths)
    keys = {field: key_of(samples, field) for field in fields if has_several(samples, field)}
    if not keys:
        return list(samples.values(["id" if path == SAMPLE_ID else path for path in paths]))
    own_tags = [field for field, key in keys.items() if key == "id" and has_tags(samples, field)]
    first = ITEM if own_tags else "id"  # a suggested tag may be missing in the user's field
    base = next((field for field, key in keys.items() if key == first), next(iter(keys)))
    proposes = [field for field, key in keys.items() if ITEM == key != keys[base] and kind_paths(samples, field)]
    wanted = [path for path in dict.fromkeys([*paths, *(f"{field}.{KIND}" for field in proposes)]) if path not in IDS]
    of_boxes = {
        field: [f"{field}.{key}", *(path for path in wanted if path.startswith(f"{field}."))]
        for field, key in keys.items()
    }
    of_samples = [path for path in wanted if path.partition(".")[0] not in keys]
    names = ["id", *of_samples, *chain.from_iterable(of_boxes.values()), *(f"{field}.label" for field in own_tags)]
    names = [*dict.fromkeys(names)]
    read = dict(
        zip(names, read_values(samples, [leaf(samples, name) for name in names], as_is=SHAPES.values()), strict=True)
    )
    for field in own_tags:
        read[f"{field}.id"] = [
            [tag_id(i, name) for name in own or ()] for i, own in zip(read["id"], read[f"{field}.label"], strict=True)
        ]

    in_sample = [[*(own or ())] for own in read[of_boxes[base][0]]]
    for field in () if proposes and _hidden(samples, {base: in_sample}, read["id"]) else proposes:
        _add_missing(in_sample, read[of_boxes[field][0]], read[f"{field}.{KIND}"])
    ids, counts = _flat(in_sample), [*map(len, in_sample)]
    rows = {"id": ids, **{path: _repeated(read[path], counts) for path in of_samples}}
    rows[SAMPLE_ID] = _repeated(read["id"], counts)
    for field, own in of_boxes.items():
        flat = {path: _flat(read[path]) for path in own}
        rows |= flat if field == base and len(flat[own[0]]) == len(ids) else _joined(ids, flat, own[0])
    others = {field: read[own[0]] for field, own in of_boxes.items() if field != base and field not in own_tags}
    hidden = _hidden(samples, others, read["id"])
    shown = [i for i, item in enumerate(ids) if item not in hidden] if hidden else None
    return [rows[path] if shown is None else [rows[path][i] for i in shown] for path in paths]


def _flat(lists: Iterable[list[Any] | None]) -> list[Any]:
    return list(chain.from_iterable(values or () for values in lists))


def kind_paths(samples: Any, field: str, *names: str) -> list[str]:
    """Paths of those attributes of flags of boxes that a run wrote into the field; without names, of their kind."""
    paths = [f"{field}.{name}" for name in names or (KIND,)] if has_several(samples, field) else []
    return [path for path in paths if samples.has_field(leaf(samples, path))]


def _add_missing(
    in_sample: list[list[str]], proposed: list[list[str] | None], kinds: list[list[str | None] | None]
) -> None:
    """Adds the missing boxes that a run proposes to the ids of each sample, in place."""
    for own, others, of in zip(in_sample, proposed, kinds, strict=True):
        known = set(own)
        pairs = zip(others or (), of or (), strict=True)
        own += [item for item, kind in pairs if kind == BoxKind.MISSING and item not in known]


def _repeated(column: Iterable[Any], counts: Iterable[int]) -> list[Any]:
    return [value for value, count in zip(column, counts, strict=True) for _ in range(count)]


def _joined(ids: Sequence[str], columns: dict[str, list[Any]], key: str) -> dict[str, list[Any]]:
    """Columns with a row for each of `ids`, None where it is not in the column `key`."""
    place = {item: row for row, item in enumerate(columns[key])}
    rows = [place.get(item) for item in ids]
    return {path: [None if row is None else column[row] for row in rows] for path, column in columns.items()}


def _hidden(samples: Any, shown: dict[str, list[Any]], sample_ids: Sequence[str]) -> set[str]:
    """Items whose label in one of the fields is hidden by the view.

    Args:
        shown: ids of the items by field, as the view has them
        sample_ids: of the view
    """
    if not any(type(stage).__name__ in FILTERS for stage in stages_of(samples.view())):
        return set()
    dataset = root_dataset(samples)
    dataset = dataset.select(list(sample_ids)) if len(sample_ids) <= FEW_SAMPLES else dataset
    return {
        item
        for field, ids in shown.items()
        for item in set(_flat(dataset.values(leaf(dataset, f"{field}.{key_of(dataset, field)}")))) - set(_flat(ids))
    }


def source(samples: Any, *fields: str | None) -> Any:
    """The samples of a view of patches, with these boxes alone; any other collection as it is.

    Args:
        fields: that are read. Of the labels alone: patches of what a run wrote stand for these. Of suggestions, and the
            labels or None: patches of either

    Raises:
        ValueError: the patches are of another field
    """
    field = getattr(samples, "patches_field", None)
    if fields[0] is None or field is None or not is_generated(samples) or not has_boxes(samples, field):
        return samples
    dataset, key, ids = root_dataset(samples), key_of(samples, field), samples.values("id")
    if key == ITEM and field not in fields and len(fields) == 1:
        ids, field = samples.values(f"{field}.{ITEM}"), fields[0]
    elif field not in fields and (key == ITEM or None not in fields):
        names = " or ".join(repr(name) for name in fields if name)
        raise InvalidInput(f"the view has patches of {field!r}, not of {names}: make patches of that field")
    return flat(dataset).select(list(set(samples.values("sample_id")))).filter_labels(field, _has_id(ids))


def selected(dataset: Any, labels: Sequence[dict[str, str]], *fields: str | None) -> Any:
    """The samples of the labels that are selected in the App, with these of one of the fields alone; None without."""
    for field in filter(None, fields):
        ids = [label["label_id"] for label in labels if label["field"] == field]
        if ids and has_boxes(dataset, field):
            samples = {label["sample_id"] for label in labels if label["field"] == field}
            return flat(dataset).select(list(samples)).filter_labels(field, _has_id(ids))
    return None


def matching(dataset: Any, field: str, condition: Callable[[Attribute], Any], sort_by: str = "") -> Any:
    """A view of the items whose label fits: boxes as patches, tags as their samples with these tags alone.

    Args:
        condition: expression of FiftyOne from attributes, as `lambda at: at("status") == "review"`
        sort_by: an attribute
    """
    from fiftyone import ViewField as F

    if has_tags(dataset, field):
        view = dataset.filter_labels(field, condition(F))
        return view.sort_by(F(leaf(dataset, f"{field}.{sort_by}")).min()) if sort_by else view
    if has_boxes(dataset, field):
        view = flat(dataset).filter_labels(field, condition(F)).to_patches(field)
    else:
        view = dataset.match(condition(lambda name: F(f"{field}.{name}")))
    return view.sort_by(f"{field}.{sort_by}") if sort_by else view


def select(dataset: Any, field: str, ids: Sequence[str]) -> Any:
    """A view of these items in their order; of boxes as patches, in that of their samples."""
    view = holding(flat(dataset), field, ids)
    return view.to_patches(field) if has_boxes(dataset, field) else view


def holding(dataset: Any, field: str, ids: Sequence[str]) -> Any:
    """The samples of these items: in their order, or of boxes and suggested tags, with these alone."""
    if not has_several(dataset, field):
        return dataset.select(list(ids), ordered=True)
    if has_tags(dataset, field) and key_of(dataset, field) == "id":
        return dataset.select(list(dict.fromkeys(tag_of(i)[0] for i in ids)), ordered=True)
    return dataset.filter_labels(field, has_id(dataset, field, ids))


def has_id(dataset: Any, field: str, ids: Sequence[str]) -> Any:
    """Expression on a label of boxes: it is one of these items."""
    from fiftyone import ViewField as F

    return _has_id(ids) if key_of(dataset, field) == "id" else F(ITEM).is_in(list(ids))


def label_of(dataset: Any, item: str | None, *fields: str) -> list[dict[str, str]]:
    """The label of a box as the App selects it, from the first of the fields that has it; empty where none does."""
    for field in fields:
        view = holding(dataset, field, [item] if item else [])
        for sample_id, (label_id, *_) in zip(*view.values(["id", leaf(dataset, f"{field}.id")]), strict=True):
            return [dict(label_id=label_id, sample_id=sample_id, field=field)]
    return []


def _has_id(ids: Sequence[str]) -> Any:
    from bson import ObjectId
    from fiftyone import ViewField as F

    return F("_id").is_in([ObjectId(i) for i in ids])


def also(dataset: Any, field: str, other: str, condition: Callable[[Attribute], Any]) -> Any:
    """Expression on a label of `field`: that of the same item in the field `other` fits; of boxes, fits now.

    Args:
        condition: as of `matching`
    """
    from fiftyone import ViewExpression
    from fiftyone import ViewField as F

    if not has_boxes(dataset, field):
        return condition(lambda name: F(f"{other}.{name}"))
    own, theirs = (F(ITEM) if key_of(dataset, name) == ITEM else F("_id").to_string() for name in (field, other))
    fitting = values(dataset.filter_labels(other, condition(F)), [f"{other}.{key_of(dataset, other)}"])[0]
    if len(fitting) <= MAX_IDS:
        return ViewExpression({"$setIsSubset": [[own], fitting]})  # MongoDB hashes a constant set
    return F(f"${root_of(dataset, other)}").filter(condition(F)).map(theirs).contains([own])
