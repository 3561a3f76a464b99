"""The labels of a balance, as its run first saw them."""

from __future__ import annotations

from typing import Any

from ..data.checks import check_images, check_label_field
from ..data.internals import root_dataset
from ..data.labels import Labels, read_labels, require_classes
from ..runs.arguments import Classes
from ..runs.label_snapshot import frozen


def read_labels_once(
    samples: Any, label_field: str, classes: Classes, group_field: str | None, resume: str | None
) -> Labels:
    """Reads the labels; a resumed run takes those of its snapshot.

    Raises:
        ValueError: the field cannot be used, or has fewer than two classes
    """
    check_images(samples)
    check_label_field(samples, label_field)
    labels = frozen(root_dataset(samples), resume) if resume else None
    if labels is None:
        labels = read_labels(samples, label_field, classes=classes, group_field=group_field)
        require_classes(labels, label_field, group_field)
    return labels
