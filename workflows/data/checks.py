"""Checks of samples and fields, before a run begins."""

from __future__ import annotations

import re
from typing import Any

from ...models.errors import InvalidInput, InvalidType
from .document_size import check_room
from .field_access import require_visible
from .internals import is_collection, is_generated, is_of_frames, reload_dataset, root_dataset, stages_of
from .items import has_boxes, has_tags, leaf


def check_images(samples: Any) -> None:
    """Checks that `samples` are images.

    Raises:
        TypeError: neither a dataset nor a view
        ValueError: empty, video, 3D, grouped, or a view of patches or frames
    """
    if not is_collection(samples):
        raise InvalidType(f"samples has to be a dataset or a view of FiftyOne, not {type(samples).__name__}")
    reload_dataset(root_dataset(samples))  # another process may have renamed or removed a field
    name = root_dataset(samples).name
    kind = samples.media_type
    if kind == "group" and root_dataset(samples).media_type != "group":
        raise InvalidInput(_grouped_view(samples))
    if kind == "group":
        slices = [slice_ for slice_, media in root_dataset(samples).group_media_types.items() if media == "image"]
        if not slices:
            raise InvalidInput(f"{name!r} is a grouped dataset, and no slice of it has images: Evenset works on images")
        raise InvalidInput(
            f"{name!r} is a grouped dataset: name a slice with images, as group_slice={slices[0]!r}, or pass "
            f"dataset.select_group_slices({slices[0]!r})"
        )
    if is_generated(samples) and is_of_frames(samples):
        raise InvalidInput(_frames_view(name) if kind == "image" else _video(name))
    if is_generated(samples):
        raise InvalidInput(
            f"a view of patches, frames or clips of {name!r} has no samples to write to: use its samples"
        )
    if is_empty(samples):
        whole = is_empty(root_dataset(samples))
        raise InvalidInput(f"{name!r} is empty" if whole else f"the view of {name!r} has no samples")
    if kind == "video":
        raise InvalidInput(_video(name))
    if kind != "image":
        raise InvalidInput(f"{name!r} holds media of type {kind!r}: Evenset works on images")


def _video(name: str) -> str:
    return (
        f"{name!r} holds media of type 'video': Evenset works on images. Its frames are images in a dataset of their "
        "own: frames = dataset.to_frames(sample_frames=True).clone('another name')"
    )


def _frames_view(name: str) -> str:
    """A sentence on a view by `to_frames`, which has no runs and saved views of its own."""
    return (
        f"a view of the frames of {name!r} has no place for runs and views: work on a copy, "
        "frames = view.clone('another name'), and write its labels back with view.set_values(field, "
        "dict(zip(*frames.values(['id', field]))), key_field='id')"
    )


def _grouped_view(samples: Any) -> str:
    """A sentence on a view by `group_by`, whose samples are groups."""
    from fiftyone.core.stages import GroupBy

    (by,) = [stage.field_or_expr for stage in stages_of(samples) if isinstance(stage, GroupBy)][-1:] or [None]
    field = f" by {by!r}" if isinstance(by, str) else ""
    return (
        f"the view of {root_dataset(samples).name!r} is grouped{field}: pass view.flatten(), which has its samples, "
        "or the dataset"
    )


def count(samples: Any) -> int:
    """Number of samples. `len` of a dataset is MongoDB's fast count, which is wrong after an unclean end."""
    return int(samples.count("id"))


def is_empty(samples: Any) -> bool:
    """Whether there are no samples, in constant time."""
    return not samples.limit(1).count("id")


def check_label_field(samples: Any, label_field: str, *, boxes: bool = False, tags: bool = False) -> None:
    """Raises ValueError where the field is missing or does not hold labels.

    Args:
        boxes: `fo.Detections` and `fo.Polylines` are allowed beside `fo.Classification`
        tags: `fo.Classifications` is allowed
    """
    import fiftyone as fo

    dataset = root_dataset(samples)
    kinds = {name: getattr(item, "document_type", type(item)) for name, item in dataset.get_field_schema().items()}
    if label_field not in kinds:
        fits = [name for name, kind in kinds.items() if kind is fo.Classification]
        others = [name for name in kinds if boxes and has_boxes(dataset, name)]
        raise InvalidInput(
            f"{dataset.name!r} has no field {label_field!r}: its fields of fo.Classification are "
            f"{', '.join(fits) or 'none'}" + (f", and of boxes {', '.join(others)}" if others else "")
        )
    kind = kinds[label_field]
    if has_boxes(dataset, label_field):
        if not boxes:
            raise InvalidInput(
                f"the field {label_field!r} holds {kind.__name__}: this needs one fo.Classification a sample; "
                "boxes are for auto_label, find_mistakes, their reviews and audits, split_dataset, export_dataset, "
                "train_resnet, train_gcn, compare_methods, and balance_classes with source='paste'"
            )
    elif has_tags(dataset, label_field):
        if not tags:
            raise InvalidInput(
                f"the field {label_field!r} holds {kind.__name__}: this needs one fo.Classification a sample; several "
                "tags a sample are for auto_label, find_mistakes, review_labels, split_dataset and export_dataset"
            )
    elif kind is not fo.Classification:
        instead = ", or boxes (fo.Detections, fo.Polylines)" if boxes else ""
        raise InvalidInput(
            f"the field {label_field!r} holds {kind.__name__}: Evenset needs one fo.Classification a sample{instead}"
        )
    require_visible(samples, label_field, leaf(samples, f"{label_field}.label"))


def check_output_field(samples: Any, output_field: str, *inputs: str | None, name: str = "output_field") -> None:
    """Checks the name of a new field.

    Args:
        name: of the argument

    Raises:
        ValueError: not an identifier, reserved by FiftyOne, or the name of an input; or a sample has no room for it
    """
    import fiftyone as fo
    from fiftyone.core.odm import Document

    if not isinstance(output_field, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{,99}", output_field):
        raise InvalidInput(f"{name} {output_field!r}: a field's name has letters, digits and _, a letter first")
    if hasattr(fo.Sample, output_field) or hasattr(Document, output_field):
        raise InvalidInput(f"{name} {output_field!r} is a name that FiftyOne needs for itself: choose another")
    if output_field in inputs:
        raise InvalidInput(f"{name} {output_field!r} is an input: choose a field of its own, so that nothing is lost")
    for field in filter(None, inputs):
        check_room(samples, field)


def require_fields(dataset: Any, *names: str) -> None:
    """Raises ValueError where one of the fields was removed since it was shown."""
    for name in names:
        if not dataset.has_sample_field(name):
            raise InvalidInput(
                f"the field {name!r} of {dataset.name!r} was removed or renamed meanwhile: nothing was changed"
            )
