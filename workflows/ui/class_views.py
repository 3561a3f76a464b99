"""The view of one class's flagged labels: saved when somebody opens it, and removed with the run."""

from __future__ import annotations

from typing import Any

from ...models.errors import InvalidInput
from ..data import saved_views
from ..runs import records
from ..runs.run import Run

NOTE = "class_views"  # pairs of a class and its view's name: a key of MongoDB could not be any class


def view_of_class(dataset: Any, run_key: str, name: str) -> str:
    """Name of the saved view of a class's undecided flags, the most suspicious first; saved by the first call.

    Args:
        run_key: a finished run of `find_mistakes`

    Raises:
        ValueError: the run does not exist, its field was removed, or no label of the class is flagged
    """
    from fiftyone import ViewExpression
    from fiftyone import ViewField as F

    record = records.read_record(dataset, run_key)
    field, label_field = record.inputs["output_field"], record.inputs["label_field"]
    views = dict(record.notes.get(NOTE, []))
    if dataset.has_saved_view(views.get(name, "")):
        return str(views[name])
    if not dataset.has_sample_field(f"{field}.is_issue"):
        raise InvalidInput(f"the field {field!r} of {run_key} was removed: find the mistakes again")
    of_class = dataset.match({f"{field}.is_issue": True}).match(
        F(f"{label_field}.label") == ViewExpression.literal(name)
    )
    if not of_class.limit(1).count():
        raise InvalidInput(f"no label {name!r} of {label_field!r} is flagged any more")
    run = Run(dataset, record, None)
    views[name] = saved_views.save(run, f"{field}: mistakes of {name}", of_class.sort_by(f"{field}.rank"))
    record.notes[NOTE] = [[*pair] for pair in views.items()]
    run.save()
    return str(views[name])
