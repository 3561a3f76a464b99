"""A method's task in a comparison: it sees the labels that train it, and no others."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ...models.errors import InvalidInput
from ...models.settings import AttackSettings, CompareSettings, ImageSettings, split
from ..data.labels import Labels
from ..display.tables import counted
from ..runs.run import Run
from ..training.embedding_source import EmbeddingSource
from ..training.image_survey import ImageStats
from ..training.partition import Draw, Split, set_aside

T = TypeVar("T")


@dataclass
class Material:
    """What all methods of a comparison work on."""

    run: Run
    known: Labels
    look: ImageStats | None  # None: no method looks at images
    image_settings: ImageSettings
    source: EmbeddingSource | None  # None: vectors are made from the images
    rules: np.ndarray  # class that the rules give, -1 where none matches [N]
    attack: AttackSettings | None  # None: nothing is attacked
    made: dict[str, Any] = field(default_factory=dict)  # that several trials share


class Cut(NamedTuple):
    """One repetition: which samples train, and which are predicted."""

    seed: int
    train: np.ndarray  # indices of the samples [M]
    test: np.ndarray  # [n]


@dataclass
class Trial:
    """One method in one repetition, with its own settings."""

    material: Material
    run: Run
    cut: Cut
    given: dict[str, Any]  # settings
    earlier_seconds: float = 0.0  # that others took for what it uses
    kept: dict[str, np.ndarray] = field(default_factory=dict)  # beside its probabilities

    @property
    def names(self) -> list[str]:
        return self.material.known.names

    @property
    def labels(self) -> np.ndarray:
        """Class of each training sample, -1 for all others [N]."""
        labels = np.full(len(self.material.known.ids), -1, dtype=np.int64)
        labels[self.cut.train] = self.material.known.class_ids[self.cut.train]
        return labels

    @property
    def log_prior(self) -> np.ndarray:
        """Log of each class's share of the training part [K]; a class without a sample counts as half a one."""
        counts = np.bincount(self.labels[self.cut.train], minlength=len(self.names))
        return np.asarray(np.log(np.maximum(counts, 0.5) / len(self.cut.train)))

    def settings(self, *kinds: type[Any]) -> tuple[Any, ...]:
        """Settings of the classes `kinds`, with this repetition's seed."""
        return tuple(replace(part, seed=self.cut.seed) for part in split(self.given, *kinds))

    def seen(self) -> Labels:
        """The training samples with their labels, and behind them those to predict, without."""
        known, rows = self.material.known, np.concatenate([self.cut.train, self.cut.test])
        columns = {name: getattr(known, name)[rows] for name in ("ids", "paths", "trusted", "groups", "made")}
        return replace(known, class_ids=self.labels[rows], **columns)

    def shared(self, name: str, compute: Callable[[], T]) -> T:
        """What several trials use: made once, and its seconds count for each."""
        material, started = self.material, time.monotonic()
        if name not in material.made:
            material.made[name] = compute()
            material.run.remember(f"seconds of {name}", lambda: time.monotonic() - started)
        seconds = material.run.remember(f"seconds of {name}", lambda: 0.0)
        self.earlier_seconds += seconds - (time.monotonic() - started)
        return material.made[name]  # type: ignore[no-any-return]


def alike(labels: Labels, stats: ImageStats | None) -> np.ndarray:
    """Group of each sample that stays on one side, -1 where it has no label [N]: near-duplicates (or the same file,
    where no image is looked at), and the user's groups."""
    from ...models.splits import join

    groups = np.full(len(labels.ids), -1, dtype=np.int64)
    same_file = np.unique(labels.paths[labels.labelled_indices], return_inverse=True)[1]
    groups[labels.labelled_indices] = (
        join(same_file, labels.groups[labels.labelled_indices]) if stats is None else stats.groups
    )
    return groups


def cut_labels(
    labels: Labels,
    groups: np.ndarray,
    given: dict[Split, set[str]],
    choices: CompareSettings,
    seed: int,
    stats: ImageStats | None = None,
) -> Cut:
    """Cuts the labels in those that train and those that score, which are trusted ones.

    Raises:
        ValueError: no label is left to score, or fewer than two classes to train
    """
    split_ids = np.zeros(len(labels.ids), dtype=np.int64)
    usable = np.array([i for i in labels.labelled_indices if stats is None or i not in stats.errors], dtype=np.int64)
    split_ids[usable] = Split.TRAIN
    if Split.TEST in given:
        named = np.isin(labels.ids, list(given[Split.TEST])) & (split_ids == Split.TRAIN)
        split_ids[np.isin(groups, groups[named])] = 0  # what is like a test sample does not train
        split_ids[named & labels.trusted] = Split.HELD_OUT
    else:
        set_aside(split_ids, Split.HELD_OUT, labels, groups, Draw(choices.test_fraction, seed))
    train, test = np.flatnonzero(split_ids == Split.TRAIN), np.flatnonzero(split_ids == Split.HELD_OUT)
    if not len(test):
        raise InvalidInput(_nothing_scores(labels, given))
    if len(np.unique(labels.class_ids[train])) < 2:
        raise InvalidInput("after the held-out labels are set aside, fewer than two classes are left to train")
    return Cut(seed, train, test)


def _nothing_scores(labels: Labels, given: dict[Split, set[str]]) -> str:
    if Split.TEST in given:
        return (
            f"none of the {counted(len(given[Split.TEST]), 'sample')} given as test has an image and a label that may score: "
            "one that a person gave, and no queue chose"
        )
    if (labels.groups != "").any():
        return (
            "the groups leave no label to score: each class needs samples of two groups or more, one to learn from and "
            "one to score; name the test samples with test=, or use smaller groups"
        )
    return "no label is left to score: label two samples of each class or more, or name the test samples with test="
