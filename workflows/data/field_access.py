"""Checks that fields are visible in a view, and writable."""

from __future__ import annotations

from typing import Any

from ...models.errors import InvalidInput
from . import items
from .internals import root_dataset, stages_of


def require_visible(samples: Any, *paths: str | None) -> None:
    """Raises ValueError where the view hides a field that the dataset has."""
    dataset = root_dataset(samples)
    for path in paths:
        if path is not None and dataset.has_field(path) and not samples.has_field(path):
            raise InvalidInput(
                f"the view of {dataset.name!r} hides the field {path!r}: leave out its select_fields and "
                "exclude_fields, or pass the dataset"
            )


def with_all_fields(samples: Any) -> Any:
    """The same samples with all fields, also attributes that the view hides and Evenset reads."""
    from fiftyone.core.stages import ExcludeFields, SelectFields

    stages = stages_of(samples.view())
    shown = [stage for stage in stages if not isinstance(stage, (ExcludeFields, SelectFields))]
    if len(shown) == len(stages):
        return samples
    view = root_dataset(samples).view()
    for stage in shown:
        view = view.add_stage(stage)
    return view


def require_writable(dataset: Any, *paths: str | None) -> None:
    """Raises ValueError where the user made a field read-only."""
    for path in paths:
        for own in (path, items.leaf(dataset, f"{path}.label")) if path is not None else ():
            field = dataset.get_field(own)
            if field is not None and field.read_only:
                raise InvalidInput(
                    f"the field {own!r} of {dataset.name!r} is read-only, and would be written: set read_only of "
                    f"dataset.get_field({own!r}) to False, and save it"
                )
