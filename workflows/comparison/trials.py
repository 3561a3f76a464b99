"""A trial of a comparison: one method in one repetition, which sees the training labels alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ...models.settings import AttackSettings, BoxSettings, CompareSettings, ImageSettings, WorkerSettings
from ...models.settings import split as split_settings
from ..data.labels import Labels
from ..runs.config import Config
from ..runs.run import Run
from ..training.embedding_source import EmbeddingSource
from ..training.image_survey import ImageStats

T = TypeVar("T")


@dataclass(frozen=True)
class CompareConfig(Config):
    """Settings of compare_methods, without those of the methods."""

    images: ImageSettings
    boxes: BoxSettings
    compare: CompareSettings
    attack: AttackSettings
    workers: WorkerSettings


@dataclass
class Comparison:
    """Inputs that all methods of a comparison share."""

    run: Run
    labels: Labels
    stats: ImageStats | None  # None: no method reads images
    config: CompareConfig
    source: EmbeddingSource | None  # of the vectors; None: they are computed from the images
    rules: np.ndarray  # class by the user's rules, -1 where none matches [N]
    rule_notes: list[str]  # sentences on rules without effect
    shared: dict[str, Any] = field(default_factory=dict)  # results that several trials use


class TrialSplit(NamedTuple):
    """The samples of one repetition."""

    seed: int
    train: np.ndarray  # indices [M]
    test: np.ndarray  # indices [n]


@dataclass
class Trial:
    """One method in one repetition, with its own settings."""

    comparison: Comparison
    run: Run
    split: TrialSplit
    values: dict[str, Any]  # settings of its row
    earlier_seconds: float = 0.0  # spent by other trials on shared results
    extras: dict[str, np.ndarray] = field(default_factory=dict)  # kept beside its probabilities

    @property
    def names(self) -> list[str]:
        return self.comparison.labels.names

    @property
    def labels(self) -> np.ndarray:
        """Class of each training sample, -1 for all others [N]."""
        class_ids = self.comparison.labels.class_ids
        return np.where(np.isin(np.arange(len(class_ids)), self.split.train), class_ids, -1)

    @property
    def log_prior(self) -> np.ndarray:
        """Log class prior of the training part [K]; an empty class counts as half a sample."""
        counts = np.bincount(self.labels[self.split.train], minlength=len(self.names))
        return np.asarray(np.log(np.maximum(counts, 0.5) / len(self.split.train)))

    def settings(self, *kinds: type[Any]) -> tuple[Any, ...]:
        """Settings of the classes `kinds`, with this repetition's seed."""
        return tuple(replace(part, seed=self.split.seed) for part in split_settings(self.values, *kinds))

    def train_then_test(self) -> Labels:
        """The training samples with their labels, then the test samples without."""
        rows = np.concatenate([self.split.train, self.split.test])
        return replace(self.comparison.labels.take(rows), class_ids=self.labels[rows])

    def shared(self, name: str, compute: Callable[[], T]) -> T:
        """A result that several trials use: computed once, and its seconds count for each."""
        run, shared, started = self.comparison.run, self.comparison.shared, time.monotonic()
        if name not in shared:
            shared[name] = compute()
            run.remember(f"seconds of {name}", lambda: time.monotonic() - started)
        seconds = run.remember(f"seconds of {name}", lambda: 0.0)
        self.earlier_seconds += seconds - (time.monotonic() - started)
        return shared[name]  # type: ignore[no-any-return]
