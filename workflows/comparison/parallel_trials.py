"""Networks of a comparison, each trained by a worker; `run_trial` then reads what the run has kept."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...models import processes
from ...models.settings import ResNetSettings
from ..data.labels import Labels
from ..runs.cached_arrays import Arrays
from ..runs.detached import detached_run
from ..runs.kept_shards import Kept, by_workers
from ..runs.shards import Executor
from ..runs.shared_files import SharedFiles, share
from ..training import resnet
from ..training.image_survey import ImageStats
from ..training.training_set import TrainingSet
from . import methods
from .table_rows import Row
from .trials import CompareConfig, Comparison, TrialSplit

NETWORKS = ("resnet", "image gcn")  # methods that read images alone, and take long
PHASE = "training networks"


@dataclass(frozen=True)
class TrialShard:
    """A network in one repetition."""

    method: str
    settings: dict[str, Any]
    split: TrialSplit
    precision: str

    @property
    def place(self) -> str:
        return methods.place_of(self.method, self.settings, self.split.seed)


@dataclass(frozen=True)
class TrialWork:
    """What workers need for all networks."""

    labels: Labels
    stats: ImageStats
    config: CompareConfig
    files: SharedFiles


def train_networks(comparison: Comparison, rows: Sequence[Row], splits: Sequence[TrialSplit]) -> None:
    """Trains the networks of all rows and repetitions, those that the run does not have yet."""
    config, labels, stats = comparison.config, comparison.labels, comparison.stats
    if not config.workers.workers or stats is None or processes.is_distributed():
        return
    given = _shards(comparison, rows, splits)
    ids = [labels.ids[np.concatenate([shard.split.train, shard.split.test])] for shard in given]
    needs_gpu = any(shard.settings.get("device") == "cuda" for shard in given)
    work = TrialWork(labels, stats, config, share(labels.paths.tolist(), config.workers.ship_images))
    kept = Kept([shard.place for shard in given], ids)
    by_workers(comparison.run, given, train_network, Executor(config.workers.workers, needs_gpu), kept, PHASE, work)


def train_network(shard: TrialShard, work: TrialWork) -> Arrays:
    """The arrays of `run_trial`, on a worker.

    Raises:
        ValueError: a file is missing here
    """
    with tempfile.TemporaryDirectory(prefix="evenset-trial-") as folder:
        labels = replace(work.labels, paths=np.array(work.files.local_paths(Path(folder)), dtype=str))
        run = detached_run(Path(folder), **{f"precision of {shard.place}": shard.precision})
        comparison = Comparison(run, labels, work.stats, work.config, None, np.zeros(0), [])
        return methods.run_trial(comparison, shard.method, shard.settings, shard.split)


def _shards(comparison: Comparison, rows: Sequence[Row], splits: Sequence[TrialSplit]) -> list[TrialShard]:
    """Each network once; an ensemble on images has a ResNet."""
    wanted: dict[str, tuple[str, dict[str, Any]]] = {}
    for row in rows:
        method, own = row.method, row.settings
        if method == "ensemble" and comparison.source is None:
            method, own = "resnet", methods.own_settings("resnet", own)
        if method in NETWORKS:
            wanted.setdefault(methods.place_of(method, own, 0), (method, own))
    given = []
    for method, own in wanted.values():
        precision = _precision(comparison, own)
        given += [TrialShard(method, own, split, precision) for split in splits]
    return given


def _precision(comparison: Comparison, settings: dict[str, Any]) -> str:
    """One precision for all repetitions, timed here."""
    names = ResNetSettings.__dataclass_fields__
    resnet_settings = ResNetSettings(**{name: value for name, value in settings.items() if name in names})
    assert comparison.stats is not None
    data = TrainingSet(comparison.labels, comparison.config.images, comparison.stats, np.zeros(0))
    branch = comparison.run.subrun(methods.place_of("precision", settings, 0), is_separate=True)
    return resnet.precision_once(branch, data, resnet_settings)
