"""Split of the labelled images: those that train a generator, and held-out ones that measure its benefit."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...models.errors import InvalidInput
from ...models.settings import ImageSettings, TrainGeneratorSettings
from ..data.internals import dataset_id
from ..data.labels import Labels
from ..runs.run import Run
from ..training.image_survey import ImageStats, groups_of_all, survey_images
from ..training.partition import Draw, Split, keep_aside, set_aside
from .generator import Generator

SMALLEST_PX, LARGEST_PX = 8, 128  # sides that can be drawn
MAX_AUTO_PX = 64  # largest side that is chosen automatically


def check_settings(images: ImageSettings, held_out: TrainGeneratorSettings, measured: bool) -> None:
    """Rejects settings that cannot work, before work starts.

    Raises:
        ValueError: a size that cannot be drawn, or a benefit to measure without held-out images
    """
    size = images.size_px
    if size and not SMALLEST_PX <= size <= LARGEST_PX:
        raise InvalidInput(
            f"size_px {size}: a generator draws from {SMALLEST_PX} to {LARGEST_PX} px; None chooses from the images"
        )
    if measured and not held_out.held_out_fraction:
        raise InvalidInput(
            "the benefit is measured on held-out images: raise held_out_fraction, or give measure_benefit=False"
        )


def survey_at_drawable_size(run: Run, labels: Labels, settings: ImageSettings) -> ImageStats:
    """Surveys the images; a size that is chosen automatically is at most MAX_AUTO_PX."""
    stats = survey_images(run, labels, settings)
    return stats if settings.size_px else stats._replace(size_px=min(stats.size_px, MAX_AUTO_PX))


def hold_out(
    run: Run, labels: Labels, stats: ImageStats, settings: TrainGeneratorSettings, generator: Generator | None = None
) -> np.ndarray:
    """Split.TRAIN, Split.HELD_OUT, or 0 for a sample without label or image [N]; drawn once a run.

    Args:
        generator: trained on another dataset; its training files and their near-duplicates are not held out
    """

    def compute() -> dict[str, np.ndarray]:
        split_ids, groups, candidates = _all_train(labels, stats), groups_of_all(labels, stats.groups), labels
        if generator and generator.saw:
            training_files = np.isin(file_digests(run, labels.paths, split_ids == Split.TRAIN), generator.saw)
            candidates = replace(labels, trusted=labels.trusted & ~np.isin(groups, groups[training_files]))
        set_aside(split_ids, Split.HELD_OUT, candidates, groups, Draw(settings.held_out_fraction, settings.seed))
        return {"parts": split_ids}

    return run.cached_arrays("parts", compute, labels.ids, ("parts",))["parts"]


def split_for(
    run: Run,
    labels: Labels,
    stats: ImageStats,
    generator: Generator | None,
    settings: TrainGeneratorSettings,
    measured: bool,
) -> np.ndarray:
    """Split.TRAIN and Split.HELD_OUT of each sample [N]. Samples held out from a generator stay held out.

    A class without a training image has no held-out images either.

    Args:
        generator: an existing one
        measured: the held-out part must not be empty

    Raises:
        ValueError: it is empty
    """
    if generator is None or generator.dataset != str(dataset_id(run.dataset)):
        split_ids = hold_out(run, labels, stats, settings, generator)
    else:
        split_ids, groups = _all_train(labels, stats), groups_of_all(labels, stats.groups)
        unseen = _unseen(run, labels, split_ids == Split.TRAIN, groups, generator)
        keep_aside(split_ids, {Split.HELD_OUT: unseen}, labels, groups)
    trained = np.isin(labels.class_ids, labels.class_ids[split_ids == Split.TRAIN])
    split_ids[(split_ids == Split.HELD_OUT) & ~trained] = Split.NONE
    if measured and not (split_ids == Split.HELD_OUT).any():
        raise InvalidInput(f"{_nothing_held_out(generator)}, or give measure_benefit=False")
    return split_ids


def _nothing_held_out(generator: Generator | None) -> str:
    if generator and (generator.held_out or generator.saw):
        return (
            f"the generator of {generator.source!r} saw every image whose label can be trusted, so that its images "
            "cannot be measured: train one with a held-out part (held_out_fraction)"
        )
    return "no image can be held out to measure the benefit: label more by hand, or in more groups"


def _all_train(labels: Labels, stats: ImageStats) -> np.ndarray:
    """Split.TRAIN for every sample with a label and an image, else 0 [N]."""
    split_ids = np.zeros(len(labels.ids), dtype=np.int64)
    split_ids[[i for i in labels.labelled_indices if i not in stats.errors]] = Split.TRAIN
    return split_ids


def _unseen(run: Run, labels: Labels, usable: np.ndarray, groups: np.ndarray, generator: Generator) -> set[str]:
    """Ids of the samples held out from a generator, without those in a group with one of its training files."""
    held_out = np.isin(labels.ids, generator.held_out)
    mates = usable & ~held_out & np.isin(groups, groups[held_out])
    training_files = mates & np.isin(file_digests(run, labels.paths, mates), generator.saw)
    return set(labels.ids[held_out & ~np.isin(groups, groups[training_files])].tolist())


def file_digests(run: Run, paths: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Digests of the files where `rows` is true, "" elsewhere [N]: they identify a file wherever it lies."""
    digests = np.full(len(paths), "", dtype="U16")
    for number, i in enumerate(np.flatnonzero(rows).tolist()):
        digests[i] = hashlib.blake2b(Path(paths[i]).read_bytes(), digest_size=8).hexdigest()
        run.report("listing the training images", number + 1, int(rows.sum()))
    return digests
