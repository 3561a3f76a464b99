"""Evens out the classes with images that are made, judged, and shown to be worth adding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..models.errors import InvalidInput
from ..models.quality.paired_gain import ADD, Verdict
from ..models.settings import BALANCE_SETTINGS, BalanceSettings
from ..models.settings import split as split_settings
from .balancing import benefit, image_sources, rejection_sampling
from .balancing import generator as generating
from .balancing import plan as balance_plan
from .balancing.benefit import Benefit
from .balancing.dry_run import preview
from .balancing.generator import Generator
from .balancing.plan import Plan, Target
from .balancing.rejection_sampling import class_grid
from .balancing.results import BalanceResults, DryRun, class_rows, fell_short, refusals, verdict_rows
from .data import locks, saved_views, synthetic
from .data.checks import check_images, check_label_field
from .data.internals import root_dataset
from .data.labels import REJECTED, Labels, read_labels, require_classes
from .data.synthetic import Made
from .runs import lifecycle
from .runs.arguments import Classes, Progress, Samples, public
from .runs.label_snapshot import freeze, frozen
from .runs.run import Run
from .training.image_survey import ImageStats
from .training.partition import Split

WITH = "synthetic images"  # the arm of the measurement
NOT_MEASURED = "not measured"


@public
def balance_classes(
    samples: Samples,
    label_field: str,
    *,
    generator: str | Path | None = None,
    target: Target = "majority",
    dry_run: bool = False,
    group_field: str | None = None,
    classes: Classes = None,
    progress: Progress = None,
    resume: str | None = None,
    **settings: Any,
) -> BalanceResults | DryRun:
    """Adds synthetic samples to the classes that have too few; undo with `delete_run`.

    The plan says how many each class gets. A generator draws them (or real images are changed at random), filters
    refuse what is unlike its class or a copy of a real image, and small networks, trained with and without the new
    images, say on held-out real images what each class gains. The samples are tagged `synthetic`, have their label in
    the label field, and in `synthetic` all that is known of them. They never score or calibrate, and train only where
    `include_synthetic=True` asks for it.

    Args:
        label_field: a field of `fo.Classification`; samples without a label count for nothing
        generator: key of a `train_generator` run, or its folder; None: one is trained now
        target: "majority" (as many as the largest class), "median", a number of images, or {class: number}
        dry_run: return the plan, an estimate of the time and a preview, and write nothing
        group_field: samples with the same value (patient, video, product) stay on one side, as do near-duplicates
        classes: names in order, or `{name: [synonyms]}`
        progress: None for a bar, False for silence, or a function of (phase, done, total, note)
        resume: key of a stopped run to go on with
        settings: fields of BalanceSettings, ImageSettings, GeneratorSettings,
            SamplingSettings, FilterSettings and TrainGeneratorSettings

    Raises:
        ValueError: a bad argument; nothing was written
        TypeError: `samples` is no dataset or view, or there is no such setting
        FloatingPointError: the training of a generator diverged
    """
    found = split_settings(settings, *BALANCE_SETTINGS)
    choices = found[0]
    generating.check(found[1], found[-1], choices.measure_benefit)
    check_images(samples)
    dataset = root_dataset(samples)
    check_label_field(samples, label_field)
    labels = frozen(dataset, resume) if resume else None
    if labels is None:
        labels = read_labels(samples, label_field, classes=classes, group_field=group_field)
        require_classes(labels, label_field, group_field)
    synthetic.check_field(dataset)
    plan = balance_plan.plan_for(labels, synthetic.count(samples, label_field, labels.names), target, choices.max_ratio)
    ready = generating.find(dataset, generator, labels.names) if generator is not None else None
    found = generating.as_trained(ready, found)
    if dry_run:
        return preview(labels, plan, ready, found)
    inputs = dict(
        label_field=label_field, generator=ready.source if ready else None, target=target, group_field=group_field
    )
    with (
        locks.lock_field(
            dataset, f"synthetic images of {label_field}"
        ),  # two that add at once would both fill the plan
        lifecycle.start(
            samples,
            lifecycle.RunRequest("balance_classes", settings=found, inputs={**inputs, "classes": classes}),
            progress=progress,
            resume=resume,
        ) as run,
    ):
        labels = freeze(run, labels)
        plan = _same_plan(run, labels, samples, label_field, target, choices)
        if not plan.add.any():
            return run.finish(_results(run, labels, plan, [], None, choices, {}, None, {}))
        stats = generating.look_at_images(run, labels, found[1])
        split_ids = generating.split_for(run, labels, stats, ready, found[-1], choices.measure_benefit)
        plan = plan.only(labels.class_ids[split_ids == Split.TRAIN])
        skipped = {str(labels.ids[i]): reason for i, reason in stats.errors.items()}
        return run.finish(_balance(run, labels, plan, stats, split_ids, ready, found, label_field, skipped))


def _same_plan(
    run: Run, labels: Labels, samples: Any, label_field: str, target: Target, choices: BalanceSettings
) -> Plan:
    """The plan by the synthetic samples that were there when the run began: what it added itself was taken back.

    Raises:
        ValueError: another run has added some since
    """
    counts = run.remember("synthetic", synthetic.count(samples, label_field, labels.names).tolist)
    runs_now = synthetic.runs_of(run.dataset, label_field)
    others = sorted(set(runs_now) - {*run.remember("synthetic_of", lambda: runs_now), run.key})
    if others:
        raise InvalidInput(
            f"{', '.join(others)} added synthetic samples to {label_field!r} since {run.key} began, so that its plan "
            "is too large: delete them, or this one"
        )
    return balance_plan.plan_for(labels, np.array(counts), target, choices.max_ratio)


def _balance(
    run: Run,
    labels: Labels,
    plan: Plan,
    stats: ImageStats,
    split_ids: np.ndarray,
    ready: Generator | None,
    settings: tuple[Any, ...],
    label_field: str,
    skipped: dict[str, str],
) -> BalanceResults:
    """Trains a generator if there is none, makes images, measures what they are worth, and adds them."""
    choices, image_settings, generator_settings = settings[:3]
    if not plan.add.any():
        return _results(run, labels, plan, [], None, choices, skipped, ready, {})
    if ready is None and choices.source == "generate":
        ready = generating.train(run, labels, stats, split_ids, image_settings, generator_settings)
    if ready is not None:
        stats = stats._replace(size_px=ready.size_px, channels=ready.channels)
    problem = benefit.read(run, labels, stats, split_ids, image_settings)
    made = image_sources.make(run, choices.source, plan, problem, ready, settings)
    worth, some = None, any(one.kept for one in made)
    if choices.measure_benefit and some:
        probe = image_sources.probe_settings(choices, generator_settings)
        worth = benefit.measure(run, problem, {WITH: made}, probe, choices.verdict_seeds)
    added = is_added(worth.verdicts[WITH] if worth else None, choices.add)
    kept = [one for one in made if one.kept]
    saved = _write(run, label_field, kept if added else [], _refused(made, choices))
    return _results(run, labels, plan, made, worth, choices, skipped, ready, saved)


def is_added(found: Verdict | None, when: str) -> bool:
    """Whether images are added, `when` the verdict (None: nothing was measured) says what it says.

    "unless it loses" asks for the mean too: where held-out images are too few to decide, a fall of it is a loss.
    """
    if found is None:
        return when != "if it gains"
    return when == "always" or found.decision == ADD or (when == "unless it loses" and found.total[0] >= 0)


def _refused(made: list[Made], choices: BalanceSettings) -> list[Made]:
    """Images that the filters refused, where they are kept."""
    return [one for one in made if choices.keep_rejected and not one.kept and one.notes["reason"] != synthetic.SPARE]


def _write(run: Run, label_field: str, kept: list[Made], refused: list[Made]) -> dict[str, str]:
    """Adds the samples, and saves the views of them."""
    if not kept and not refused:
        return {}
    synthetic.add(run, label_field, kept + refused)
    of_run, saved = synthetic.of_run(run.dataset, run.key), {}
    for name, some, is_refused in (("synthetic", kept, False), ("rejected", refused, True)):
        if some:
            saved[name] = saved_views.save(run, f"{label_field}: {name}", of_run.match_tags(REJECTED, bool=is_refused))
    return saved


def _results(
    run: Run,
    labels: Labels,
    plan: Plan,
    made: list[Made],
    worth: Benefit | None,
    choices: BalanceSettings,
    skipped: dict[str, str],
    ready: Generator | None,
    saved: dict[str, str],
) -> BalanceResults:
    found = worth.verdicts[WITH] if worth else None
    decision = found.decision if found else NOT_MEASURED
    kept = [one for one in made if one.kept]
    added = bool(kept) and is_added(found, choices.add)
    notes = plan.notes + fell_short(plan, made, choices.max_draws_per_image)
    notes += [ready.warning] if ready and ready.warning else []
    if kept and not added:
        notes.append(f"The images stay in {run.images_folder}: add='always' adds them whatever the verdict says.")
    return BalanceResults(
        run_key=run.key,
        names=labels.names,
        added=len(kept) if added else 0,
        decision=decision,
        rows=class_rows(plan, made, added),
        refused=refusals(made),
        verdict=verdict_rows(worth, found, labels.names, WITH) if worth and found else [],
        arms=worth.arms if worth else [],
        gain=list(found.total) if found else [],
        best=worth.best if worth else "",
        generator=ready.source if ready else None,
        picture=class_grid(run.folder / "synthetic.png", labels.names, kept) if kept else None,
        notes=notes,
        views=saved,
        skipped=skipped,
        synthetic=labels.synthetic_left_out,
        refused_picture=rejection_sampling.refused_picture(run),
    )
