"""Loads the saved results of a run."""

from __future__ import annotations

from typing import Any

from .data.durable_writes import refresh
from .data.internals import root_dataset
from .runs.arguments import Samples, public
from .runs.lookup import read_results


@public
def load_results(dataset: Samples, run_key: str) -> dict[str, Any]:
    """The saved results of a run as a dict: metrics, curves, log; its table under "text".

    Raises:
        ValueError: the run does not exist, or is not done
    """
    dataset = root_dataset(dataset)
    refresh(dataset)
    return read_results(dataset, run_key)
