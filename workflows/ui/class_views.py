"""Views of one class: its labels and suggestions, and its flagged labels, which are saved until the run is removed."""

from __future__ import annotations

from typing import Any

from ...models.errors import InvalidInput
from ..data import items, saved_views
from ..data.checks import is_empty
from ..data.label_text import is_known
from ..data.labels import SYNTHETIC
from ..data.status import Status
from ..runs import lookup, records
from ..runs.run import Run
from . import tag_suggestions

SUGGESTED = (Status.ACCEPTED.value, Status.REVIEW.value)
NOTE = "class_views"  # pairs of a class and its view's name: a key of MongoDB could not be any class


def view_of_class(dataset: Any, run_key: str, name: str) -> str:
    """Name of the saved view of a class's undecided flags, the most suspicious first; saved by the first call.

    Args:
        run_key: a finished run of `find_mistakes`

    Raises:
        ValueError: the run does not exist, its field was removed, or no label of the class is flagged
    """
    record = records.read_record(dataset, run_key)
    field, label_field = record.inputs["output_field"], record.inputs["label_field"]
    views = dict(record.notes.get(NOTE, []))
    if dataset.has_saved_view(views.get(name, "")):
        return str(views[name])
    if not dataset.has_field(items.leaf(dataset, f"{field}.is_issue")):
        raise InvalidInput(f"the field {field!r} of {run_key} was removed: find the mistakes again")
    of_class = items.matching(dataset, field, lambda at: _is_flagged(dataset, field, label_field, name, at), "rank")
    if is_empty(of_class):
        raise InvalidInput(f"no label {name!r} of {label_field!r} is flagged any more")
    run = Run(dataset, record, None)
    views[name] = saved_views.save(run, f"{field}: mistakes of {name}", of_class)
    record.notes[NOTE] = [[*pair] for pair in views.items()]
    run.save()
    return str(views[name])


def _is_flagged(dataset: Any, field: str, label_field: str, name: str, at: items.Attribute) -> Any:
    """Expression on a suggestion: the label is of the class, and flagged."""
    from fiftyone import ViewExpression

    if items.has_tags(dataset, field):
        return (at("is_issue") == True) & (at("label") == ViewExpression.literal(name))  # noqa: E712
    is_of_class = items.also(dataset, field, label_field, lambda of: of("label") == ViewExpression.literal(name))
    return (at("is_issue") == True) & is_of_class  # noqa: E712


def in_class(dataset: Any, label_field: str, suggestions: str | None, name: str) -> Any:
    """View of the items of a class, labelled, or suggested and without a label; of boxes patches, of tags samples."""
    from fiftyone import ViewExpression

    if items.has_tags(dataset, label_field):
        return tag_suggestions.of_class(dataset, label_field, suggestions, name)
    literal, unlabelled = ViewExpression.literal(name), lookup.unlabelled_name(dataset, suggestions)

    def is_suggested(of: items.Attribute) -> Any:
        return (of("label") == literal) & of("status").is_in(SUGGESTED)

    def is_in_class(at: items.Attribute) -> Any:
        if suggestions is None:
            return at("label") == literal
        suggested = items.also(dataset, label_field, suggestions, is_suggested)
        return (at("label") == literal) | (is_open(at, unlabelled) & suggested)

    return items.matching(dataset, label_field, is_in_class)


def disagreeing(dataset: Any, label_field: str, suggestions: str, resnet: str, gcn: str) -> Any:
    """View of the items without a label that ResNet and GCN assign to these classes; of boxes as patches."""
    from fiftyone import ViewExpression

    def is_in_cell(of: items.Attribute) -> Any:
        pairs = (("resnet_label", resnet), ("gcn_label", gcn))
        first, second = (of(attribute) == ViewExpression.literal(name) for attribute, name in pairs)
        return first & second

    in_cell, unlabelled = (
        items.also(dataset, label_field, suggestions, is_in_cell),
        lookup.unlabelled_name(dataset, suggestions),
    )
    return items.matching(dataset, label_field, lambda at: is_open(at, unlabelled) & in_cell)


def is_open(at: items.Attribute, unlabelled: str | None = None) -> Any:
    """Expression on a label: there is none, and Evenset did not generate its sample.

    Args:
        unlabelled: a name that counts as no label
    """
    from fiftyone import ViewField as F

    return ~is_known(at("label"), unlabelled) & ~F("$tags").contains(SYNTHETIC)
