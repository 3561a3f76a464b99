"""Fields that a workflow reads or writes: neither hidden by the view, nor read-only."""

from __future__ import annotations

from typing import Any

from ...models.errors import InvalidInput
from .internals import root_dataset, stages_of


def require_visible(samples: Any, *paths: str | None) -> None:
    """Refuses fields that the dataset has and the view hides.

    Raises:
        ValueError: one is hidden
    """
    dataset = root_dataset(samples)
    for path in paths:
        if path is not None and dataset.has_field(path) and not samples.has_field(path):
            raise InvalidInput(
                f"the view of {dataset.name!r} hides the field {path!r}: leave out its select_fields and "
                "exclude_fields, or give the dataset"
            )


def with_all_fields(samples: Any) -> Any:
    """The same samples with the fields that the view hides: attributes that Evenset reads may be among them."""
    from fiftyone.core.stages import ExcludeFields, SelectFields

    stages = stages_of(samples.view())
    kept = [stage for stage in stages if not isinstance(stage, (ExcludeFields, SelectFields))]
    if len(kept) == len(stages):
        return samples
    view = root_dataset(samples).view()
    for stage in kept:
        view = view.add_stage(stage)
    return view


def require_writable(dataset: Any, *paths: str | None) -> None:
    """Refuses fields that the user made read-only, where they would be written.

    Raises:
        ValueError: one is read-only
    """
    for path in paths:
        for own in (path, f"{path}.label") if path is not None else ():
            field = dataset.get_field(own)
            if field is not None and field.read_only:
                raise InvalidInput(
                    f"the field {own!r} of {dataset.name!r} is read-only, and would be written: set read_only of "
                    f"dataset.get_field({own!r}) to False, and save it"
                )
