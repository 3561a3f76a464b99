"""Loads the saved results of a run."""

from __future__ import annotations

from dataclasses import fields

from ..models.errors import InvalidInput
from .data.durable_writes import refresh
from .data.internals import root_dataset
from .display.results import RunResults
from .runs.arguments import Samples, public
from .runs.lookup import read_results, sdk_function


@public
def load_results(dataset: Samples, run_key: str) -> RunResults:
    """The saved results of a run, of the class that its call returned, with its log.

    Raises:
        ValueError: the run does not exist, is not done, or was saved by an earlier version
    """
    dataset = root_dataset(dataset)
    refresh(dataset)
    values = read_results(dataset, run_key)
    try:
        kind = sdk_function(values["kind"])
        if not issubclass(kind, RunResults):
            raise TypeError
        names = {item.name for item in fields(kind)}
        results: RunResults = kind(**{name: value for name, value in values.items() if name in names})
    except (AttributeError, TypeError):
        raise InvalidInput(
            f"the results of {run_key} were saved by an earlier version, or edited: run it again, or delete it"
        ) from None
    return results
