"""Networks of a judge, one for each repetition of an arm, trained by workers at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..runs.cached_arrays import Arrays
from ..runs.kept_shards import Kept, by_workers
from ..runs.run import Run
from ..runs.shards import Executor
from .benefit import MEASURING, Arm, RealImages, Recipe, Trainer


class Repetition(NamedTuple):
    """A network to train."""

    recipe: Recipe
    number: int
    extra: Any  # what `Judge.read` returned, or None


def ahead(
    run: Run,
    judge: str,
    real: RealImages,
    arms: Mapping[str, Arm],
    repetitions: int,
    trainer: Trainer,
    executor: Executor | None,
) -> dict[tuple[str, int], np.ndarray]:
    """Classes of the held-out images, by arm and repetition; empty without workers.

    Args:
        judge: its name
        trainer: trains one network, and can be pickled
    """
    if executor is None or not arms:
        return {}
    keys = [(name, number) for name in arms for number in range(repetitions)]
    given = [Repetition(arms[name].recipe, number, arms[name].extra) for name, number in keys]
    ids = np.concatenate([real.train_ids, real.held_out_ids])
    kept = Kept([f"benefit {judge} {name} {number}" for name, number in keys], [ids] * len(keys))
    arrays = by_workers(run, given, train_on_worker, executor, kept, f"{MEASURING[judge]}: {', '.join(arms)}", trainer)
    return {key: own["classes"] for key, own in zip(keys, arrays, strict=True)}


def train_on_worker(repetition: Repetition, trainer: Trainer) -> Arrays:
    return {"classes": trainer.train(*repetition, lambda: None)}
