"""Estimate of a run's duration: its stages, at this machine's speed, corrected by runs that have ended."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from ...models.regular_files import regular
from ...models.settings import (
    AutoLabelSettings,
    BalanceSettings,
    CompareSettings,
    CopySettings,
    DrawingSettings,
    ExportSettings,
    GCNSettings,
    GeneratorSettings,
    ImageGraphSettings,
    ImageSettings,
    MistakeSettings,
    ResNetSettings,
    SamplingSettings,
    Settings,
    SplitSettings,
    TrainGeneratorSettings,
    TuningSettings,
)
from ..data import items
from ..data.internals import root_dataset
from ..data.label_text import or_none
from ..embeddings import store
from ..runs import records
from ..runs.pace import Pace, Stage
from .auto_embeddings import AUTO, BASE, MIN_FINE_TUNING_LABELS, RESNET, SMALL, SMALL_PX, Candidate, likely_choice
from .machine import Machine
from .stage_costs import MATRIX, NETWORK, PHOTO, Facts, Work
from .work import ENCODING, stages

MAX_FEW_LABELS = 5_000  # with more, find_mistakes trains ResNets
WORKER_SECONDS = 8.0  # that a worker takes to start
MIN_NETWORK_SECONDS = 5.0  # of training, from which the speed of networks is measured first
SAMPLED_FILES, READ_FILES = 25, 5  # first files of a dataset, and those of them whose size is read
DEFAULTS = (  # of equal names, the last counts
    GCNSettings, ImageGraphSettings, CopySettings, ExportSettings, SplitSettings, ImageSettings, SamplingSettings,
    TuningSettings, DrawingSettings, GeneratorSettings, ResNetSettings, TrainGeneratorSettings, AutoLabelSettings,
    BalanceSettings, CompareSettings, MistakeSettings,
)  # fmt: skip
# durations that are shown: seconds, and minutes
SECONDS = (2, 5, 10, 20, 30)
MINUTES = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 480, 720, 1440)


@dataclass(frozen=True)
class Estimate:
    """The expected stages of a run."""

    workflow: str
    works: list[Work]
    machine: Machine

    @property
    def stages(self) -> list[Stage]:
        return self.machine.expect(self.workflow, self.works)

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)

    @property
    def is_learned(self) -> bool:
        """Whether finished runs correct it."""
        return self.machine.knows(self.workflow, self.works)

    def learn(self, pace: Pace) -> None:
        """Corrects later estimates by the times of a finished run."""
        Machine().learn(self.workflow, self.works, pace)  # another run may have ended since


def sentence(samples: Any, workflow: str, label_field: str | None, overrides: Mapping[str, Any]) -> str:
    """The estimate in words; "" for an unknown workflow.

    Args:
        samples: a dataset or a view
        overrides: settings and arguments that differ from their defaults
    """
    result = estimate(samples, workflow, {**overrides, "label_field": label_field})
    if not result.works:
        return ""
    by = "going by earlier runs" if result.is_learned else "by a measurement of this machine"
    return f"Takes {words(result.seconds + WORKER_SECONDS)}, {by}"


def sentence_of_rest(dataset: Any, run_key: str) -> str:
    """The estimate for the whole of a run that is resumed; "" for an unknown workflow."""
    record = records.read_record(dataset, run_key)
    overrides = {**record.inputs, **record.settings}
    label_field = overrides.get("label_field")
    if label_field and not dataset.has_field(label_field):
        overrides["label_field"] = None
    result = estimate(dataset.limit(record.samples), record.method, overrides)
    return (
        f"The whole run takes {words(result.seconds + WORKER_SECONDS)}. Finished work is kept" if result.works else ""
    )


def estimate(samples: Any, workflow: str, overrides: Mapping[str, Any], trains: bool = False) -> Estimate:
    """The stages of a workflow on this machine, whose speed is measured where it is not known.

    Args:
        overrides: settings and arguments that differ from their defaults
        trains: torch is loaded anyway, so that the speed of networks can be measured
    """
    facts = read_facts(samples, overrides.get("label_field"))
    facts, overrides = _with_embeddings(samples, workflow, facts, overrides)
    facts, overrides = _with_judge(samples, workflow, facts, overrides)
    return estimate_of(workflow, facts, overrides, trains)


def estimate_of(workflow: str, facts: Facts, overrides: Mapping[str, Any], trains: bool = False) -> Estimate:
    """As `estimate`, of facts that are known."""
    works = stages_of(workflow, facts, overrides)
    machine = Machine()
    machine.measure(MATRIX, PHOTO)
    if trains and sum(work.seconds for work in works if work.scaled_by == NETWORK) > MIN_NETWORK_SECONDS:
        machine.measure(NETWORK)
    return Estimate(workflow, works, machine)


def stages_of(workflow: str, facts: Facts, overrides: Mapping[str, Any]) -> list[Work]:
    """The stages on the reference machine."""
    return stages(workflow, facts, {**_defaults(workflow, overrides.get("graph")), **overrides})


def measuring_seconds(settings: Mapping[str, Any]) -> float:
    """Seconds of the small networks that measure the benefit of synthetic images."""
    values = {**settings, "measure_benefit": True, "added": 1}
    stages = estimate_of("balance_classes", Facts(0, (1,)), values).stages
    return sum(stage.seconds for stage in stages if stage.phase.startswith("measuring"))


def encoding_seconds(candidate: Candidate, images: int) -> float:
    """Seconds that an encoder takes for some images."""
    facts = Facts(0, (), to_encode=images, encoder_seconds=candidate.milliseconds / 1000)
    return sum(stage.seconds for stage in estimate_of("auto_label", facts, {}).stages if stage.phase == ENCODING)


def words(seconds: float) -> str:
    """A rounded duration: "about 20 seconds", "about 3 minutes", "about 2 hours"."""
    if seconds < 45:
        return f"about {min(SECONDS, key=lambda step: abs(step - seconds))} seconds"
    minutes = min(MINUTES, key=lambda step: abs(step - seconds / 60) / step)
    if minutes >= 90:
        return f"about {minutes / 60:g} hours" if seconds < 36 * 3600 else "more than a day"
    return "about a minute" if minutes == 1 else f"about {minutes} minutes"


def read_facts(samples: Any, label_field: str | None) -> Facts:
    """Counts of items and labels, and the size of a few files."""
    counts: dict[str, int] = {}
    samples = items.source(samples, label_field)
    if label_field and samples.has_field(label_field):  # class names and a text encoder do without
        counts = samples.count_values(items.leaf(samples, f"{label_field}.label"))
    path = items.root_of(samples, label_field) if label_field and items.has_boxes(samples, label_field) else "id"
    number = samples.count(path)
    side_px, megapixels = file_sizes(samples.limit(SAMPLED_FILES).values("filepath"))
    labelled = [count for name, count in counts.items() if or_none(name) is not None]
    return Facts(number, tuple(labelled), side_px, megapixels)


def file_sizes(paths: Sequence[str]) -> tuple[int, float]:
    """Median longer side of a few images, px, and median megapixels; those of a small image where none can be read."""
    from PIL import Image

    sizes = []
    for path in paths[:: -(-len(paths) // READ_FILES)] if paths else ():
        with contextlib.suppress(Exception), Image.open(regular(Path(path))) as image:  # of any damaged file
            sizes.append(image.size)
    return (
        int(median(max(size) for size in sizes)) if sizes else 32,
        median(width * height / 1e6 for width, height in sizes) if sizes else 0.001,
    )


def _with_embeddings(
    samples: Any, workflow: str, facts: Facts, overrides: Mapping[str, Any]
) -> tuple[Facts, Mapping[str, Any]]:
    """The facts with the images that an encoder reads, and the arguments with the embeddings that "auto" may choose.

    "trains_resnet" among them says whether a ResNet takes part beside vectors, or beside few labels.
    """
    name, classes = overrides.get("embeddings"), max(len(facts.counts), 1)
    is_auto = workflow in ("auto_label", "find_mistakes") and overrides.get("embeddings", AUTO) == AUTO
    if is_auto and (
        overrides.get("members") == "resnet" or any(overrides.get(n) for n in ("run", "validation", "after"))
    ):
        return facts, {**overrides, "embeddings": None}
    if is_auto:
        fine_tunes = facts.labelled >= MIN_FINE_TUNING_LABELS * classes or facts.labelled > MAX_FEW_LABELS
        name = likely_choice(samples).name
        overrides = {"trains_resnet": fine_tunes, **overrides, "embeddings": name}
    candidates = {candidate.name: candidate for candidate in (SMALL, BASE, RESNET)}
    if isinstance(name, str) and name in candidates:
        stored = store.counts(root_dataset(samples)).get(name, 0)
        facts = facts._replace(
            to_encode=max(0, facts.samples - stored), encoder_seconds=candidates[name].milliseconds / 1000
        )
    return facts, overrides


def _with_judge(
    samples: Any, workflow: str, facts: Facts, overrides: Mapping[str, Any]
) -> tuple[Facts, Mapping[str, Any]]:
    """The facts with the time of the encoder that may judge new images, and "judges_by_encoder" among the arguments."""
    judge = overrides.get("judge")
    if workflow not in ("balance_classes", "compare_methods") or judge == "small cnn":
        return facts, overrides
    candidate = next((it for it in (SMALL, BASE, RESNET) if it.is_here), None)
    if judge is None and (candidate is None or facts.side_px <= SMALL_PX):
        return facts, overrides
    candidate = candidate or SMALL
    stored = store.counts(root_dataset(samples)).get(candidate.name, 0)
    facts = facts._replace(to_judge=max(0, facts.labelled - stored), encoder_seconds=candidate.milliseconds / 1000)
    return facts, {**overrides, "judges_by_encoder": True}


def _defaults(workflow: str, graph: str | None) -> dict[str, Any]:
    is_gcn = workflow == "train_gcn" and graph != "image"  # its epochs are other than a ResNet's
    kinds: tuple[type[Settings], ...] = (*DEFAULTS, *((GCNSettings,) if is_gcn else ()))
    return {name: value for kind in kinds for name, value in vars(kind()).items()}
