"""compare_methods(task="generation"): ways to even out the classes, on held-out images of the user's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...models.errors import InvalidInput
from ...models.synthetic import Origin
from ..data.internals import root_dataset
from ..data.labels import Labels
from ..data.synthetic import SyntheticImage
from ..display.tables import counted, left_out, table
from ..runs import lifecycle
from ..runs.arguments import Classes, Progress, Samples
from ..runs.label_snapshot import freeze
from ..runs.run import Run
from ..training.image_survey import ImageStats
from ..training.partition import Split
from .benefit import AUGMENTED, Benefit, measure, read_images
from .config import BalanceConfig
from .generator import Generator, find_generator
from .generator_split import check_settings, split_for, survey_at_drawable_size
from .generator_training import train_once
from .image_sources import make_images
from .inputs import read_labels_once
from .plan import Plan, Target, plan_for_labels
from .results import verdict_rows

ARMS = {"changed images": Origin.AUGMENT, "drawn images": Origin.GENERATE}
METHODS = {  # baselines by their names in papers
    "logit adjustment": "logit adjustment (Menon 2021)",
    "balanced sampler": "oversampling",
    "both": "oversampling and logit adjustment",
    AUGMENTED: "augmentation of every batch",
}


@dataclass
class GenerationResults:
    """Results of `compare_methods(task="generation")`. `str` prints them as tables."""

    run_key: str
    names: list[str]
    rows: list[dict[str, Any]]  # an arm: balanced accuracy on held-out real images
    verdicts: dict[str, list[dict[str, Any]]]  # of "changed images" and "drawn images": the gain of each class
    gains: dict[str, list[float]]  # of balanced accuracy over the best baseline, and its interval
    decisions: dict[str, str]
    best: str  # baseline, without new images
    generator: str
    notes: list[str]
    skipped: dict[str, str] = field(default_factory=dict)  # sample id: why its image could not be used
    synthetic: int = 0  # earlier synthetic samples, left out
    views: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"{self.run_key}: ways to even out {counted(len(self.names), 'class')}", "", table(self.rows)]
        for arm, (gain, low, high) in self.gains.items():
            points = f"{100 * gain:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f})"
            lines += ["", f"{arm}: {points} over {self.best}", table(self.verdicts[arm])]
        return "\n".join([*lines, *self.notes, *left_out(len(self.skipped), self.synthetic)])


def compare_generation(
    samples: Samples,
    label_field: str,
    *,
    generator: str | Path | None = None,
    target: Target = "majority",
    group_field: str | None = None,
    classes: Classes = None,
    progress: Progress = None,
    resume: str | None = None,
    **settings: Any,
) -> GenerationResults:
    """Trains the same small CNN in every way; nothing is written to the samples. Arguments as `balance_classes`."""
    config = BalanceConfig.read(settings)
    check_settings(config.images, config.held_out, measured=True)
    labels = read_labels_once(samples, label_field, classes, group_field, resume)
    max_ratio = config.balance.max_ratio
    _plan(labels, target, max_ratio)  # rejects a bad target before anything is written
    trained = find_generator(root_dataset(samples), generator, labels.names) if generator is not None else None
    config = config.for_generator(trained)
    source = trained.source if trained else None
    inputs = dict(label_field=label_field, task="generation", generator=source, target=target)
    with lifecycle.start(
        samples,
        lifecycle.RunRequest(
            "compare_methods",
            settings=config.parts,
            inputs={**inputs, "group_field": group_field, "classes": classes},
        ),
        progress=progress,
        resume=resume,
    ) as run:
        labels = freeze(run, labels)
        return run.finish(_compare(run, labels, _plan(labels, target, max_ratio), trained, config))


def _plan(labels: Labels, target: Target, max_ratio: float | None) -> Plan:
    """The plan as if no synthetic sample existed.

    Raises:
        ValueError: a bad target, or nothing to add
    """
    plan = plan_for_labels(labels, np.zeros(len(labels.names), dtype=int), target, max_ratio)
    if not plan.add.any():
        raise InvalidInput(f"nothing to compare: {plan.notes[-1]}")
    return plan


def _compare(
    run: Run, labels: Labels, plan: Plan, generator: Generator | None, config: BalanceConfig
) -> GenerationResults:
    """Trains a generator if there is none, makes images in both ways, and measures all arms."""
    stats = survey_at_drawable_size(run, labels, config.images)
    split_ids = split_for(run, labels, stats, generator, config.held_out, measured=True)
    plan = plan.for_trained_classes(labels.class_ids[split_ids == Split.TRAIN])
    generator = generator or train_once(run, labels, stats, split_ids, config.images, config.generator)
    stats = stats._replace(size_px=generator.size_px, channels=generator.channels)
    real = read_images(run, labels, stats, split_ids, config.images)
    images = {
        arm: make_images(run, plan, real, generator, config.with_source(source), part=str(source))
        for arm, source in ARMS.items()
    }
    accepted = {arm: some for arm, some in images.items() if any(image.accepted for image in some)}
    benefit = measure(run, real, accepted, config.small_cnn, config.balance.verdict_seeds)
    notes = [*plan.notes, f"Made and kept: {_counts(accepted)}.", *filter(None, [generator.warning])]
    return _results(run, labels, stats, generator, benefit, notes)


def _counts(accepted: dict[str, list[SyntheticImage]]) -> str:
    counts = [f"{arm}: {sum(image.accepted for image in images):,}" for arm, images in accepted.items()]
    return ", ".join(counts) or "none"


def _results(
    run: Run, labels: Labels, stats: ImageStats, generator: Generator, benefit: Benefit, notes: list[str]
) -> GenerationResults:
    return GenerationResults(
        run_key=run.key,
        names=labels.names,
        rows=[{**row, "training set": METHODS.get(row["training set"], row["training set"])} for row in benefit.arms],
        verdicts={arm: verdict_rows(benefit, arm, labels.names) for arm in benefit.verdicts},
        gains={arm: list(verdict.total) for arm, verdict in benefit.verdicts.items()},
        decisions={arm: verdict.decision for arm, verdict in benefit.verdicts.items()},
        best=METHODS.get(benefit.best, benefit.best),
        generator=generator.source,
        notes=notes,
        skipped={str(labels.ids[i]): reason for i, reason in stats.errors.items()},
        synthetic=labels.synthetic_left_out,
    )
