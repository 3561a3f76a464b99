"""compare_methods(task="generation"): what evens out uneven classes best, on held-out images of the user's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...models.errors import InvalidInput
from ...models.settings import BALANCE_SETTINGS
from ...models.settings import split as split_settings
from ..data.checks import check_images, check_label_field
from ..data.internals import root_dataset
from ..data.labels import Labels, read_labels, require_classes
from ..data.synthetic import Made
from ..display.tables import counted, left_out, table
from ..runs import lifecycle
from ..runs.arguments import Classes, Progress, Samples
from ..runs.label_snapshot import freeze, frozen
from ..runs.run import Run
from ..training.image_survey import ImageStats
from ..training.partition import Split
from . import benefit, image_sources
from . import generator as generating
from . import plan as balance_plan
from .benefit import Benefit
from .generator import Generator
from .plan import Plan, Target
from .results import verdict_rows

AUGMENTED, DRAWN = "changed images", "drawn images"
KIND = {  # what each way to train is called elsewhere
    "logit adjustment": "logit adjustment (Menon 2021)",
    "balanced sampler": "oversampling",
    "both": "oversampling and logit adjustment",
    benefit.AUGMENTED: "augmentation of every batch",
}


@dataclass
class GenerationResults:
    """What `compare_methods(task="generation")` returns. `str` prints it as tables."""

    run_key: str
    names: list[str]
    rows: list[dict[str, Any]]  # a way to train: balanced accuracy on held-out real images
    verdicts: dict[str, list[dict[str, Any]]]  # "changed images" and "drawn images": what each class gains
    gains: dict[str, list[float]]  # of balanced accuracy over the best of the others, and its interval
    decisions: dict[str, str]
    best: str  # of the ways without new images
    generator: str
    notes: list[str]
    skipped: dict[str, str] = field(default_factory=dict)  # sample id: why its image could not be used
    synthetic: int = 0  # samples left out because Evenset generated them
    views: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        split_ids = [f"{self.run_key}: ways to even out {counted(len(self.names), 'class')}", "", table(self.rows)]
        for name, (gain, low, high) in self.gains.items():
            split_ids += [
                "",
                f"{name}: {100 * gain:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}) over {self.best}",
            ]
            split_ids += [table(self.verdicts[name])]
        left = list(self.notes)
        left += left_out(len(self.skipped), self.synthetic)
        return "\n".join([*split_ids, *left])


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
    """Trains the same small network in every way; nothing is written to the samples. Arguments as `balance_classes`."""
    found = split_settings(settings, *BALANCE_SETTINGS)
    generating.check(found[1], found[-1], measured=True)
    choices = found[0]
    check_images(samples)
    check_label_field(samples, label_field)
    labels = frozen(root_dataset(samples), resume) if resume else None
    if labels is None:
        labels = read_labels(samples, label_field, classes=classes, group_field=group_field)
        require_classes(labels, label_field, group_field)
    _plan(labels, target, choices.max_ratio)  # refuses a bad target before anything is written
    ready = generating.find(root_dataset(samples), generator, labels.names) if generator is not None else None
    found = generating.as_trained(ready, found)
    image_settings, generator_settings = found[1:3]
    inputs = dict(label_field=label_field, task="generation", generator=ready.source if ready else None, target=target)
    with lifecycle.start(
        samples,
        lifecycle.RunRequest(
            "compare_methods", settings=found, inputs={**inputs, "group_field": group_field, "classes": classes}
        ),
        progress=progress,
        resume=resume,
    ) as run:
        labels = freeze(run, labels)
        stats = generating.look_at_images(run, labels, image_settings)
        split_ids = generating.split_for(run, labels, stats, ready, found[-1], measured=True)
        plan = _plan(labels, target, choices.max_ratio).only(labels.class_ids[split_ids == Split.TRAIN])
        ready = ready or generating.train(run, labels, stats, split_ids, image_settings, generator_settings)
        stats = stats._replace(size_px=ready.size_px, channels=ready.channels)
        problem = benefit.read(run, labels, stats, split_ids, image_settings)
        made = {
            name: image_sources.make(run, source, plan, problem, ready, found, part=source)
            for name, source in ((AUGMENTED, "augment"), (DRAWN, "generate"))
        }
        made = {name: images for name, images in made.items() if any(one.kept for one in images)}
        probe = image_sources.probe_settings(choices, generator_settings)
        worth = benefit.measure(run, problem, made, probe, choices.verdict_seeds)
        return run.finish(_results(run, labels, stats, plan, ready, made, worth))


def _results(
    run: Run,
    labels: Labels,
    stats: ImageStats,
    plan: Plan,
    ready: Generator,
    made: dict[str, list[Made]],
    worth: Benefit,
) -> GenerationResults:
    counts = [f"{name}: {sum(one.kept for one in images):,}" for name, images in made.items()]
    notes = [*plan.notes, f"Made and kept: {', '.join(counts) or 'none'}."]
    return GenerationResults(
        run_key=run.key,
        names=labels.names,
        rows=[{**row, "training set": KIND.get(row["training set"], row["training set"])} for row in worth.arms],
        verdicts={name: verdict_rows(worth, one, labels.names, name) for name, one in worth.verdicts.items()},
        gains={name: list(one.total) for name, one in worth.verdicts.items()},
        decisions={name: one.decision for name, one in worth.verdicts.items()},
        best=KIND.get(worth.best, worth.best),
        generator=ready.source,
        notes=[*notes, ready.warning] if ready.warning else notes,
        skipped={str(labels.ids[i]): reason for i, reason in stats.errors.items()},
        synthetic=labels.synthetic_left_out,
    )


def _plan(labels: Labels, target: Target, max_ratio: float | None) -> Plan:
    plan = balance_plan.plan_for(labels, np.zeros(len(labels.names), dtype=int), target, max_ratio)
    if not plan.add.any():
        raise InvalidInput(f"nothing to compare: {plan.notes[-1]}")
    return plan
