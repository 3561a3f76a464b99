"""compare_methods(task="generation"): ways to even out the classes, on held-out images of the user's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...models.errors import InvalidInput
from ...models.settings import BalanceSettings
from ...models.synthetic import Origin
from ..data.internals import root_dataset
from ..data.labels import Labels, Reading
from ..data.synthetic import SyntheticImage
from ..display.charts import Chart, intervals
from ..display.results import Part, RunResults
from ..display.tables import counted, left_out
from ..runs.arguments import Progress, Samples, check
from ..runs.label_snapshot import freeze
from ..runs.lifecycle import RunRequest
from ..runs.run import Run
from ..training import timed
from ..training.image_survey import ImageStats
from ..training.partition import Split
from .benefit import AUGMENTED, MIXED, SMALL_CNN, Benefit, read_images
from .config import BalanceConfig
from .generator import Generator
from .generator_split import check_settings, split_for, survey_at_drawable_size
from .generator_training import train_once
from .image_sources import make_images
from .inputs import Inputs, Prepared, read_labels_once, with_generator
from .judges import check_judge, measure_by_judges
from .plan import Plan, Target, plan_for_labels
from .results import judged, other_tables, verdict_rows
from .starting_point import check_base
from .text_scores import check_text_encoder

ARMS = {"changed images": Origin.AUGMENT, "drawn images": Origin.GENERATE}
METHODS = {  # baselines by their names in papers
    "logit adjustment": "logit adjustment (Menon 2021)",
    "balanced sampler": "oversampling",
    "both": "oversampling and logit adjustment",
    AUGMENTED: "augmentation of every batch",
    MIXED: "MixUp (Zhang 2018) and CutMix (Yun 2019)",
}


@dataclass(repr=False)
class GenerationResults(RunResults):
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
    judge: str = SMALL_CNN  # that rows, verdicts and gains are by
    other_judges: list[dict[str, Any]] = field(default_factory=list)  # their arms and verdicts, an entry an arm

    def parts(self) -> list[Part]:
        lines: list[Part] = [f"{self.run_key}: ways to even out {counted(len(self.names), 'class')}", "", self.rows]
        for arm, (gain, low, high) in self.gains.items():
            points = f"{100 * gain:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f})"
            lines += ["", f"{arm}: {points} over {self.best}, by the {self.judge}", self.verdicts[arm]]
        return [*lines, *other_tables(self.other_judges), *self.notes, *left_out(len(self.skipped), self.synthetic)]

    def charts(self) -> dict[str, Chart]:
        ends = ("balanced_accuracy", "lowest", "highest")
        verdicts = {
            arm: intervals(rows, f"Gain in recall by {arm}", "class", "gain") for arm, rows in self.verdicts.items()
        }
        return {"methods": intervals(self.rows, "Balanced accuracy", "training_set", *ends), **verdicts}


def compare_generation(
    samples: Samples, label_field: str, group_field: str | None, progress: Progress, resume: str | None, **settings: Any
) -> GenerationResults:
    """Trains the same small CNN in every way; nothing is written to the samples.

    Args:
        settings: generator, target and classes, as of `balance_classes`, and its settings
    """
    arguments = check(Inputs, settings)
    config = BalanceConfig.read({name: value for name, value in settings.items() if name not in arguments})
    prepared = _read(samples, Inputs(label_field, group_field=group_field, **arguments), config, resume)
    inputs = {"label_field": label_field, "task": "generation", **vars(prepared.inputs)}
    request = RunRequest("compare_methods", prepared.config.parts, inputs)
    with timed.start(samples, request, progress=progress, resume=resume) as run:
        return run.finish(_compare(run, freeze(run, prepared.labels), prepared))


def _read(samples: Samples, inputs: Inputs, config: BalanceConfig, resume: str | None) -> Prepared:
    """Checks the arguments, and reads labels, plan and generator. Nothing is written.

    Raises:
        ValueError: a bad argument
    """
    check_settings(config.images, config.held_out, measured=True)
    if inputs.generator is None:
        check_base(root_dataset(samples), config.tuning, config.images)
    labels = read_labels_once(samples, inputs, resume, Reading())
    check_judge(samples, labels.paths.tolist(), config.with_measurement(), resume)
    check_text_encoder(config, resume)
    return with_generator(samples, inputs, config, labels, _plan(labels, inputs.target, config.balance))


def _plan(labels: Labels, target: Target, settings: BalanceSettings) -> Plan:
    """The plan as if no synthetic sample existed.

    Raises:
        ValueError: a bad target, or nothing to add
    """
    plan = plan_for_labels(labels, np.zeros(len(labels.names), dtype=int), target, settings.max_ratio)
    plan = plan.for_source(settings)
    if not plan.add.any():
        raise InvalidInput(f"nothing to compare: {plan.notes[-1]}")
    return plan


def _compare(run: Run, labels: Labels, prepared: Prepared) -> GenerationResults:
    """Trains a generator if there is none, makes images in both ways, and measures all arms."""
    config, generator = prepared.config, prepared.generator
    plan = _plan(labels, prepared.inputs.target, config.balance)
    stats = survey_at_drawable_size(run, labels, config.images)
    split_ids = split_for(run, labels, stats, generator, config.held_out, measured=True)
    config = config.with_flips(stats)
    plan = plan.for_trained_classes(labels.class_ids[split_ids == Split.TRAIN])
    generator = generator or train_once(run, labels, stats, split_ids, config)
    stats = generator.seen_by_filters(stats)
    real = read_images(run, labels, stats, split_ids, config.images)
    images = {
        arm: make_images(run, plan, real, generator, config.with_source(source), part=str(source))
        for arm, source in ARMS.items()
    }
    accepted = {arm: drawn for arm, drawn in images.items() if any(image.accepted for image in drawn)}
    benefit = measure_by_judges(run, real, accepted, config)
    notes = [*plan.notes, f"Made and kept: {_counts(accepted)}.", *filter(None, [generator.warning])]
    return _results(run, labels, stats, generator, benefit, notes)


def _counts(accepted: dict[str, list[SyntheticImage]]) -> str:
    counts = [f"{arm}: {sum(image.accepted for image in images):,}" for arm, images in accepted.items()]
    return ", ".join(counts) or "none"


def _named(benefit: Benefit) -> list[dict[str, Any]]:
    """The arms, baselines by their names in papers."""
    return [{**row, "training_set": METHODS.get(row["training_set"], row["training_set"])} for row in benefit.arms]


def _results(
    run: Run, labels: Labels, stats: ImageStats, generator: Generator, benefit: Benefit, notes: list[str]
) -> GenerationResults:
    return GenerationResults(
        run_key=run.key,
        names=labels.names,
        rows=_named(benefit),
        verdicts={arm: verdict_rows(benefit, arm, labels.names) for arm in benefit.verdicts},
        gains={arm: list(verdict.total) for arm, verdict in benefit.verdicts.items()},
        decisions={arm: verdict.decision for arm, verdict in benefit.verdicts.items()},
        best=METHODS.get(benefit.best, benefit.best),
        judge=benefit.judge,
        other_judges=[
            {**part, "arms": _named(other), "best": METHODS.get(other.best, other.best)}
            for other in benefit.others
            for part in [judged(other, arm, labels.names) for arm in other.verdicts]
        ],
        generator=generator.source,
        notes=notes,
        skipped={str(labels.ids[i]): reason for i, reason in stats.errors.items()},
        synthetic=labels.synthetic_left_out,
    )
