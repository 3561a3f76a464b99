"""Kinds of problems: their names, what to do about each, and the samples that have them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...models.images.measure import Measurements
from ...models.settings import CheckSettings
from ..data.labels import Labels
from . import groups, quality
from .duplicates import Duplicates


class Kind(NamedTuple):
    """A kind of problem."""

    title: str  # of its row, and of its view
    remedy: str
    sort_by: str = "group"  # field of the document that sorts its view
    reverse: bool = False


DELETE = "Delete the redundant ones of each group."
KINDS = {  # by the name that samples carry
    "unreadable": Kind("unreadable", "Restore the files, or delete the samples: reason says why.", "reason"),
    "exact duplicate": Kind("exact duplicates", DELETE),
    "near duplicate": Kind("near duplicates", DELETE),
    "label conflict": Kind("same image, different labels", "Correct the labels, or delete all but one of each group."),
    "split leak": Kind("leaks between splits", "Move each group into one split: held-out scores are too high."),
    "dark": Kind("very dark", "Brighten or delete them, if nothing can be seen.", "brightness"),
    "bright": Kind("very bright", "Check the exposure, and delete them if nothing can be seen.", "brightness", True),
    "low contrast": Kind("low contrast", "Delete what shows nothing.", "contrast"),
    "blurred": Kind("blurred", "Delete them, if the class cannot be told.", "sharpness"),
    "tiny": Kind("tiny", "Look for the originals, or delete thumbnails and icons.", "short_side_px"),
    "odd shape": Kind("odd shapes", "Crop them to what matters: models see squares.", "aspect_ratio", True),
    "label spelling": Kind("spellings of one label", "Write one spelling: each counts as a class of its own.", ""),
}
GROUPED = ("exact duplicate", "near duplicate", "label conflict", "split leak")  # kinds of whole groups
ATTRIBUTES = {
    "group": "IntField",
    "redundant": "BooleanField",
    "brightness": "FloatField",
    "contrast": "FloatField",
    "sharpness": "FloatField",
    "short_side_px": "IntField",
    "aspect_ratio": "FloatField",
    "reason": "StringField",
}


class Found(NamedTuple):
    """Problems by kind; only kinds that were looked for."""

    masks: dict[str, np.ndarray]  # samples that have the problem [N]
    limits: dict[str, str]  # by which an image counts, in words
    groups: np.ndarray  # of duplicates, numbered from 1; 0 where alone [N]
    columns: dict[str, list[Any]]  # values of ATTRIBUTES, None where there is none [N]
    spellings: list[str]  # of one name, with counts


def collect(
    labels: Labels,
    images: Measurements,
    duplicates: Duplicates,
    splits: dict[str, frozenset[str]],
    settings: CheckSettings,
    *,
    has_labels: bool,
) -> Found:
    """The samples of each kind of problem.

    Args:
        splits: of each sample by id; empty where they are not compared
    """
    judged = quality.judge(images, settings)
    misspelled, sentences = groups.misspelled(labels)
    masks = {
        "unreadable": ~images.is_readable,
        "exact duplicate": duplicates.is_exact,
        "near duplicate": duplicates.is_near,
        **({"label conflict": groups.conflicts(duplicates.groups, labels)} if has_labels else {}),
        **({"split leak": groups.leaks(duplicates.groups, labels.ids, splits)} if splits else {}),
        **{name: found.mask for name, found in judged.items()},
        **({"label spelling": misspelled} if has_labels else {}),
    }
    limits = {"near duplicate": f"similarity from {duplicates.limit:.3f}"}
    limits |= {name: found.limit for name, found in judged.items()}
    numbers = np.unique(duplicates.groups, return_inverse=True)[1] + (duplicates.groups >= 0).all()
    return Found(masks, limits, numbers, _columns(labels, images, duplicates, numbers), sentences)


def _columns(labels: Labels, images: Measurements, duplicates: Duplicates, numbers: np.ndarray) -> dict[str, list[Any]]:
    """The values of ATTRIBUTES for each sample."""
    redundant = groups.redundant(duplicates.groups, labels, images)
    values = {
        "group": np.where(numbers > 0, numbers, np.nan),
        "redundant": redundant,
        "brightness": images.brightness,
        "contrast": images.contrast,
        "sharpness": images.sharpness,
        "short_side_px": quality.short_side_px(images),
        "aspect_ratio": quality.aspect_ratio(images),
    }
    columns: dict[str, list[Any]] = {}
    for name, column in values.items():
        kind = {"IntField": int, "BooleanField": bool, "FloatField": float}[ATTRIBUTES[name]]
        readable = zip(column.tolist(), images.is_readable.tolist(), strict=True)
        columns[name] = [kind(value) if is_readable and value == value else None for value, is_readable in readable]
    return {**columns, "reason": [reason or None for reason in images.reasons.tolist()]}
