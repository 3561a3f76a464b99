"""The slice of a grouped dataset that a call works on.

FiftyOne reads a grouped dataset by its active slice alone, so that a call makes its own slice the active one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from bson import ObjectId

from ...models.errors import InvalidInput
from .internals import all_stages_of, is_collection, root_dataset, sample_collection

GROUP, IMAGE = "group", "image"  # FiftyOne's media types
FIRST = 1_000  # samples of a run that are looked up for their slice


def is_grouped(samples: Any) -> bool:
    return bool(root_dataset(samples).media_type == GROUP)


def image_slices(dataset: Any) -> list[str]:
    """Slices of a grouped dataset that hold images; none for another dataset."""
    return [name for name, media in dataset.group_media_types.items() if media == IMAGE] if is_grouped(dataset) else []


@contextlib.contextmanager
def active(samples: Any, group_slice: str | None = None) -> Iterator[Any]:
    """The images of a slice as a view, while it is the active one; another dataset or view as it is.

    Args:
        group_slice: None: that which the view selects

    Raises:
        ValueError: there is no such slice, it holds no images, or the view has several
    """
    if not is_collection(samples) or not is_grouped(samples):
        if group_slice is not None:
            raise InvalidInput(f"group_slice is for grouped datasets, and {_name(samples)} is none: leave it out")
        yield samples
        return
    dataset, own = root_dataset(samples), _slices_of(samples)
    name = group_slice or next(iter(own), None)
    if name is None:
        yield samples  # of which checks.check_images says what to pass
        return
    _check(dataset, name, own)
    before, dataset.group_slice = dataset.group_slice, name
    try:
        yield on_slice(samples, name)
    finally:
        with contextlib.suppress(ValueError):  # it was deleted meanwhile
            dataset.group_slice = before


def on_slice(samples: Any, name: str) -> Any:
    """The images of a slice in groups of samples; a view that has them already as it is."""
    return samples.select_group_slices(name) if samples.media_type == GROUP else samples


def _name(samples: Any) -> str:
    return repr(root_dataset(samples).name) if is_collection(samples) else "this"


def _slices_of(samples: Any) -> list[str]:
    """Slices that a flat view of a grouped dataset selects; none for the dataset, or a view of groups."""
    media = root_dataset(samples).group_media_types
    if samples.media_type == GROUP:
        return []
    stages = [stage for stage in all_stages_of(samples.view()) if type(stage).__name__ == "SelectGroupSlices"]
    if not stages:
        return []
    chosen, kinds = stages[0].slices, stages[0].media_type
    if kinds is not None:
        kinds = [kinds] if isinstance(kinds, str) else list(kinds)
        return [name for name, kind in media.items() if kind in kinds]
    return list(media) if chosen is None else [chosen] if isinstance(chosen, str) else list(chosen)


def _check(dataset: Any, name: str, own: Sequence[str]) -> None:
    """Raises ValueError where a view has several slices or another one, or the slice holds no images."""
    media, images = dataset.group_media_types, ", ".join(map(repr, image_slices(dataset))) or "none"
    if own[1:]:
        raise InvalidInput(
            f"the view has the slices {', '.join(map(repr, own))} of {dataset.name!r}: pass one, as group_slice="
            f"{own[0]!r} with the dataset, or a copy with all of them, view.clone('another name')"
        )
    if own and own[0] != name:
        raise InvalidInput(f"group_slice is {name!r}, and the view has the slice {own[0]!r}: leave one of them out")
    if name not in media:
        raise InvalidInput(f"{dataset.name!r} has no slice {name!r}: its slices with images are {images}")
    if media[name] != IMAGE:
        raise InvalidInput(
            f"the slice {name!r} of {dataset.name!r} holds media of type {media[name]!r}: Evenset works on images, "
            f"and its slices with images are {images}"
        )


def of_samples(dataset: Any, ids: Sequence[str]) -> str | None:
    """The slice of some samples; None where the dataset is not grouped, or they were deleted."""
    if not is_grouped(dataset):
        return None
    path = f"{dataset.group_field}.name"
    row = sample_collection(dataset).find_one({"_id": {"$in": [ObjectId(i) for i in ids[:FIRST]]}}, {path: 1})
    return None if row is None else str(row[dataset.group_field]["name"])


def flat(dataset: Any) -> Any:
    """The images of the active slice; a dataset without groups, or a view of a slice, as it is."""
    return dataset.select_group_slices(dataset.group_slice) if dataset.media_type == GROUP else dataset


def flattened(view: Any) -> Any:
    """The same view on the images of the active slice, so that it shows them whichever slice is active later."""
    if not is_grouped(view) or _slices_of(view):
        return view
    again = flat(root_dataset(view))
    for stage in all_stages_of(view.view()):
        again = again.add_stage(stage)
    return again
