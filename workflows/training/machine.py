"""Speed of this machine: measured once in about a second, kept beside the runs, and corrected by the runs that end."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from ...models import speed
from ...models.files import write_text
from ...models.regular_files import regular
from ..runs.pace import Pace, Stage
from .auto_embeddings import NVIDIA
from .stage_costs import LIMIT, MATRIX, NETWORK, PHOTO, Work

FILE = "machine.json"
# seconds where stage_costs.py was timed, on one core of an AMD EPYC
REFERENCE = {MATRIX: 3.1e-4, PHOTO: 1.05e-3, NETWORK: 0.039}
MEASURES: dict[str, Callable[[], float]] = {
    MATRIX: speed.matrix_seconds,
    PHOTO: speed.photo_seconds,
    NETWORK: speed.network_seconds,
}
GPU_SPEED = 20.0  # of a network, relative to what the matrix product lets expect, until it is measured
KEPT_RUNS = 5  # the last ones correct the next
MIN_SECONDS = 0.3  # shorter stages say little
MAX_RATIO = 30.0


class Machine:
    """The measurements of this machine, and the ratios of measured to estimated seconds in finished runs."""

    def __init__(self) -> None:
        import fiftyone as fo

        self.path = Path(fo.config.default_dataset_dir) / "evenset" / FILE
        self.all: dict[str, dict[str, Any]] = {}
        with contextlib.suppress(OSError, ValueError, AttributeError):  # not there, or edited by hand
            stored = json.loads(regular(self.path).read_text(encoding="utf-8")).items()
            self.all = {host: dict(values.items()) for host, values in stored}
        own = self.all.setdefault(socket.gethostname(), {})  # several machines may share the folder
        self.measured: dict[str, float] = own.setdefault("measured", {})
        self.ratios: dict[str, dict[str, list[float]]] = own.setdefault("ratios", {})

    def measure(self, *kinds: str) -> None:
        """Measures what is not known yet, and keeps it."""
        missing = [kind for kind in kinds if kind not in self.measured]
        for kind in missing:
            self.measured[kind] = MEASURES[kind]()
        if missing:
            self._save()

    def expect(self, workflow: str, works: Sequence[Work]) -> list[Stage]:
        """The stages of a run with their seconds on this machine."""
        return [Stage(work.phase, self._seconds(work) * self._ratio(workflow, work)) for work in works]

    def knows(self, workflow: str, works: Sequence[Work]) -> bool:
        """Whether finished runs of the workflow correct most of the estimate."""
        seconds = {True: 0.0, False: 0.0}
        for work in works:
            seconds[work.phase in self.ratios.get(workflow, {})] += self._seconds(work)
        return seconds[True] > seconds[False]

    def learn(self, workflow: str, works: Sequence[Work], pace: Pace) -> None:
        """Keeps the ratio of measured to estimated seconds of each stage of a finished run."""
        ratios = self.ratios.setdefault(workflow, {})
        for phase in dict.fromkeys(work.phase for work in works if work.scaled_by != LIMIT):
            estimate = sum(self._seconds(work) for work in works if work.phase == phase)
            taken = sum(sum(times) for name, times in pace.taken.items() if name.startswith(phase))
            if taken and estimate and max(taken, estimate) >= MIN_SECONDS:
                ratio = min(max(taken / estimate, 1 / MAX_RATIO), MAX_RATIO)
                ratios[phase] = [*ratios.get(phase, []), ratio][-KEPT_RUNS:]
        self._save()

    def _seconds(self, work: Work) -> float:
        return work.seconds * self._factor(work.scaled_by)

    def _factor(self, kind: str) -> float:
        """Seconds of a measurement, relative to the reference machine."""
        if kind in self.measured:
            return self.measured[kind] / REFERENCE[kind]
        if kind == NETWORK:  # forms load no torch to measure it
            return self._factor(MATRIX) / (GPU_SPEED if NVIDIA.exists() else 1.0)
        return 1.0

    def _ratio(self, workflow: str, work: Work) -> float:
        """The correction by finished runs of the workflow, or of others with the same stage."""
        if work.scaled_by == LIMIT:
            return 1.0
        phase = work.phase
        own = self.ratios.get(workflow, {}).get(phase)
        others = [ratio for phases in self.ratios.values() for ratio in phases.get(phase, [])]
        return median(own or others or [1.0])

    def _save(self) -> None:
        with contextlib.suppress(OSError):  # an estimate is not worth a failed run
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self.path, json.dumps(self.all))
