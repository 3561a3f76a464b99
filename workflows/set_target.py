"""Applies another target precision to a finished run of auto_label."""

from __future__ import annotations

from typing import Any

from .data import items
from .data.internals import root_dataset
from .labeling.retarget import TargetResults, preview, retarget
from .runs import records
from .runs.arguments import Samples, public
from .runs.lookup import slice_of
from .tagging.retarget import preview_tags, retarget_tags


@public
def set_target(dataset: Samples, run_key: str, target_precision: float, *, dry_run: bool = False) -> TargetResults:
    """Applies another target precision to a run of `auto_label`; the old target undoes it.

    Nothing is trained: the run's own rule chooses thresholds from the same held-out labels, of tags one for each class.
    Those that have a label by now, or were rejected, stay as they are. Choosing among several targets weakens the
    promise, as the notes say.

    Args:
        run_key: of a finished run of `auto_label`
        target_precision: fraction of the accepted labels that has to be correct
        dry_run: only count, and write nothing

    Raises:
        ValueError: a target out of range; or the run is not done, is not of `auto_label`, or held out no label
    """
    with slice_of(root_dataset(dataset), run_key):
        return apply_target(root_dataset(dataset), run_key, target_precision, dry_run)


def apply_target(dataset: Any, run_key: str, target_precision: float, dry_run: bool = False) -> TargetResults:
    """Another target for a run on samples, boxes or tags."""
    return (retarget_tags if _is_of_tags(dataset, run_key) else retarget)(dataset, run_key, target_precision, dry_run)


def preview_target(dataset: Any, run_key: str, target_precision: float) -> TargetResults:
    """The dry run, on a dataset as this process knows it."""
    return (preview_tags if _is_of_tags(dataset, run_key) else preview)(dataset, run_key, target_precision)


def _is_of_tags(dataset: Any, run_key: str) -> bool:
    inputs = records.read_record(dataset, run_key).inputs
    return items.has_tags(dataset, inputs.get("output_field"))
