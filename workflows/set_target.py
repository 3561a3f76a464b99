"""Applies another target precision to a finished run of auto_label."""

from __future__ import annotations

from .data.internals import root_dataset
from .labeling.retarget import TargetResults, retarget
from .runs.arguments import Samples, public
from .runs.lookup import slice_of


@public
def set_target(dataset: Samples, run_key: str, target_precision: float, *, dry_run: bool = False) -> TargetResults:
    """Applies another target precision to a run of `auto_label`; the old target undoes it.

    Nothing is trained: the run's own rule chooses thresholds from the same held-out labels. Samples that have a label
    by now, or were rejected, stay as they are. Choosing among several targets weakens the promise, as the notes say.

    Args:
        run_key: of a finished run of `auto_label`
        target_precision: fraction of the accepted labels that has to be correct
        dry_run: only count, and write nothing

    Raises:
        ValueError: a target out of range; or the run is not done, is not of `auto_label`, or held out no label
    """
    with slice_of(root_dataset(dataset), run_key):
        return retarget(dataset, run_key, target_precision, dry_run)
