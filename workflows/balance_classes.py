"""Evens out the classes with synthetic images, which are filtered, and measured before they are added."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..models.devices import check_device
from ..models.errors import InvalidInput
from ..models.flips import resolve_flips
from ..models.images.first_images import photo_kind
from ..models.settings import BoxSettings
from .balancing.augmented_files import AugmentedFiles
from .balancing.benefit import read_images
from .balancing.config import BalanceConfig
from .balancing.dry_run import preview
from .balancing.generator_split import check_settings, split_for, survey_at_drawable_size
from .balancing.generator_training import train_once
from .balancing.image_sources import make_images
from .balancing.inputs import Inputs, Prepared, read_labels_once, with_generator
from .balancing.judges import check_judge, measure_by_judges
from .balancing.measurement import is_enough
from .balancing.outcome import ARM, Balance, add_images, results_of
from .balancing.pasteable import check_source, for_training
from .balancing.pasted_crops import hold_out_crops, measure_pasted
from .balancing.pasting import paste
from .balancing.plan import Plan, Target, plan_for_labels
from .balancing.real_or_synthetic import real_or_synthetic
from .balancing.rejection_sampling import keep_all
from .balancing.results import (
    BalanceResults,
    DryRun,
    note_too_few,
)
from .balancing.starting_point import check_base, earlier_generator, prompts_of
from .balancing.text_scores import check_text_encoder
from .data import items, locks, synthetic
from .data.internals import root_dataset
from .data.labels import Labels, Reading
from .reviewing import undecided
from .runs.arguments import Classes, Progress, Samples, public
from .runs.label_snapshot import freeze
from .runs.lifecycle import RunRequest
from .runs.run import Run
from .training import timed
from .training.partition import Split


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
    unlabelled: str | None = None,
    progress: Progress = None,
    resume: str | None = None,
    group_slice: str | None = None,
    **settings: Any,
) -> BalanceResults | DryRun:
    """Adds synthetic samples to the classes that have too few; undo with `delete_run`.

    The plan sets how many images each class gets, and names undecided mistakes in these classes. A generator draws
    them, filters reject images unlike their class and copies of real ones, and small networks, trained with and without
    them, measure each class's gain on held-out real images. A class of fewer than 10 real images gets none from a
    generator. With `source="augment"`, real images are changed at random instead, in their own size and format, without
    filters and measurement unless they are asked for. The samples are tagged `synthetic`, with their label in the label
    field, and their origin in `synthetic`. They never score or calibrate, and train only with `include_synthetic=True`.

    Boxes need `source="paste"`: objects of small classes are cut out, and pasted into copies of other images, where the
    class may be and no object is. The plan counts boxes, also those that a copy has from its host; hosts are images
    with few boxes of the other classes. Samples held out by a split are neither hosts nor sources.

    Args:
        label_field: a field of `fo.Classification`, or of `fo.Detections`; samples without a label do not count
        generator: key of a `train_generator` run, or its folder; None: one is trained now
        target: "majority" (as many as the largest class), "median", a number of images, or {class: number}
        dry_run: return the plan, an estimate of the time and a preview, and write nothing
        group_field: samples with the same value (patient, video, product) stay on one side, as do near-duplicates
        classes: names in order, or `{name: [synonyms]}`
        unlabelled: a name that counts as no label, as "object" in proposals of boxes
        progress: None for a bar, False for silence, or a function of (phase, done, total, note)
        resume: key of a stopped run to resume
        group_slice: of a grouped dataset, the slice whose images are meant; None: the view has one
        settings: fields of BalanceSettings, ImageSettings, GeneratorSettings, TuningSettings, SamplingSettings,
            DrawingSettings, AugmentSettings, FilterSettings and TrainGeneratorSettings

    Raises:
        ValueError: a bad argument; nothing was written
        TypeError: `samples` is not a dataset or view, or a setting is unknown
        FloatingPointError: the training of a generator diverged
    """
    inputs = Inputs(label_field, generator, target, group_field, classes, unlabelled)
    config = BalanceConfig.read(settings)
    samples = items.source(samples, label_field) if items.has_boxes(samples, label_field) else samples
    check_source(samples, label_field, config)
    samples, notes = for_training(samples) if config.pastes else (samples, [])
    prepared = _read(samples, inputs, config, resume).noted([] if resume else notes)
    if dry_run:
        return preview(root_dataset(samples), prepared)
    request = RunRequest("balance_classes", prepared.config.parts, vars(prepared.inputs))
    lock = locks.lock_field(root_dataset(samples), f"synthetic images of {label_field}")  # two would both fill the plan
    added = int(prepared.plan.add.sum())
    with lock, timed.start(samples, request, progress=progress, resume=resume, added=added) as run:
        return run.finish(_balance(_begin(run, samples, prepared), samples))


def _read(samples: Samples, inputs: Inputs, config: BalanceConfig, resume: str | None) -> Prepared:
    """Checks the arguments, and reads labels, plan and generator. Nothing is written.

    Raises:
        ValueError: a bad argument
    """
    check_settings(config.images, config.held_out, bool(config.balance.measure_benefit))
    check_device(config.generator.device)
    reading = Reading(BoxSettings(min_box_px=1) if config.pastes else None, inputs.unlabelled)
    labels = read_labels_once(samples, inputs, resume, reading)
    synthetic.check_field(root_dataset(samples))
    check_judge(samples, labels.paths.tolist(), config, resume)
    check_text_encoder(config, resume)
    if config.generates and inputs.generator is None:
        check_base(root_dataset(samples), config.tuning, config.images)
        prompts_of(labels.names, config.tuning)
    existing = synthetic.count(samples, inputs.label_field, labels.names)
    plan = _plan(root_dataset(samples), inputs, config, labels, existing)[0]
    return with_generator(samples, inputs, config, labels, plan)


def _plan(
    dataset: Any, inputs: Inputs, config: BalanceConfig, labels: Labels, existing: np.ndarray
) -> tuple[Plan, dict[str, int]]:
    """The plan, and the undecided mistakes in classes that get images."""
    plan = plan_for_labels(labels, existing, inputs.target, config.balance.max_ratio).for_source(config.balance)
    mistakes = undecided.multiplied(undecided.undecided_mistakes(dataset, inputs.label_field), plan.to_add)
    return replace(plan, notes=[*undecided.warning(mistakes), *plan.notes]), mistakes


def _begin(run: Run, samples: Samples, prepared: Prepared) -> Balance:
    """The balance as its run first saw it, once no other run can write."""
    inputs, config, labels = prepared.inputs, prepared.config, freeze(run, prepared.labels)
    existing = _existing_at_start(run, samples, inputs.label_field, labels.names)
    plan, mistakes = _plan(run.dataset, inputs, config, labels, existing)
    generator = prepared.generator if plan.add.any() else None  # it draws nothing then, and the results do not name it
    return Balance(run, labels, inputs.label_field, config, plan, generator, mistakes)


def _existing_at_start(run: Run, samples: Any, label_field: str, names: list[str]) -> np.ndarray:
    """Synthetic samples of each class when the run began [K]: a resumed run has removed those that it added itself.

    Raises:
        ValueError: another run has added some since
    """
    counts = run.remember("synthetic", synthetic.count(samples, label_field, names).tolist)
    runs_now = synthetic.runs_of(run.dataset, label_field)
    others = sorted(set(runs_now) - {*run.remember("synthetic_of", lambda: runs_now), run.key})
    if others:
        raise InvalidInput(
            f"{', '.join(others)} added synthetic samples to {label_field!r} since {run.key} began, so that its plan "
            "is too large: delete them, or this one"
        )
    return np.array(counts)


def _balance(balance: Balance, samples: Samples) -> BalanceResults:
    """Trains a generator if there is none, makes images, measures their benefit, and adds them."""
    run, labels, config = balance.run, balance.labels, balance.config
    if not balance.plan.add.any():
        return results_of(balance, {}, [], None, {})
    if config.pastes:
        return _paste(balance, samples)
    if config.only_augments:
        return _augment(balance)
    stats = survey_at_drawable_size(run, labels, config.images)
    skipped = {str(labels.ids[i]): reason for i, reason in stats.errors.items()}
    must_measure = bool(config.balance.measure_benefit)
    known = balance.generator or earlier_generator(run.dataset, config.tuning)
    split_ids = split_for(run, labels, stats, known, config.held_out, must_measure)
    balance.config = config = config.with_flips(stats)
    balance.plan = balance.plan.for_trained_classes(labels.class_ids[split_ids == Split.TRAIN])
    if not balance.plan.add.any():
        return results_of(balance, skipped, [], None, {})
    if balance.generator is None and config.generates:
        balance.generator = train_once(run, labels, stats, split_ids, config)
    if balance.generator is not None:
        stats = balance.generator.seen_by_filters(stats)
    real = replace(read_images(run, labels, stats, split_ids, config.images), doubtful_ids=_doubtful(balance))
    images = make_images(run, balance.plan, real, balance.generator, config)
    benefit = None
    can_measure = must_measure or is_enough(real)
    if config.measures and can_measure and any(image.accepted for image in images):
        benefit = measure_by_judges(run, real, {ARM: images}, config)
        balance.told_apart = real_or_synthetic(run, real, images, config.small_cnn)
    results = results_of(balance, skipped, images, benefit, add_images(balance, images, benefit))
    if config.measures and not can_measure:
        note_too_few(results, real)
    return results


def _doubtful(balance: Balance) -> tuple[str, ...]:
    """Ids of samples with an undecided mistake, as the run first saw them."""
    run, label_field = balance.run, balance.label_field
    return tuple(run.remember("doubtful", lambda: sorted(undecided.undecided_labels(run.dataset, label_field))))


def _augment(balance: Balance) -> BalanceResults:
    """Augments real images and adds them, unfiltered and not measured: in seconds."""
    run, labels, config = balance.run, balance.labels, balance.config
    rows = labels.labelled_indices
    flips = resolve_flips(config.augment.flips, *photo_kind(labels.paths[rows].tolist()))
    config = replace(config, augment=replace(config.augment, flips=flips))
    files = AugmentedFiles(run, labels.paths[rows], labels.ids[rows], labels.class_ids[rows], config)
    readable = files.readable_classes(np.flatnonzero(balance.plan.add))
    balance.plan = balance.plan.for_trained_classes(np.array(readable, dtype=int))
    first_number = run.remember("first_number", lambda: synthetic.next_number(run.dataset))
    images = keep_all(run, balance.plan, files.write, first_number)
    views = add_images(balance, images, None)
    return results_of(balance, files.errors, images, None, views)


def _paste(balance: Balance, samples: Samples) -> BalanceResults:
    """Pastes objects into copies of images and adds them, unfiltered, and measured on crops where it is asked for."""
    run, labels, config = balance.run, balance.labels, balance.config
    crops = hold_out_crops(run, labels, config) if config.measures else None
    pasting = paste(run, samples, labels, balance.plan, config, () if crops is None else crops.held_out.tolist())
    benefit = measure_pasted(run, crops, pasting.images, ARM) if crops else None
    views = add_images(balance, pasting.images, benefit)
    errors = {**(crops.errors if crops else {}), **pasting.errors}
    results = results_of(balance, errors, pasting.images, benefit, views)
    results.notes[:0] = pasting.notes
    if crops and pasting.images and benefit is None:
        note_too_few(results, crops.real)
    return results
