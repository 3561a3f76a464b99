"""Survey of the labelled images: size, channels, statistics, near-duplicates and unreadable files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...models.flips import resolve_flips
from ...models.images.survey import Measured, measure, survey
from ...models.processes import is_distributed
from ...models.settings import ImageSettings
from ..data.labels import Labels
from ..runs import shards
from ..runs.run import Run
from ..runs.shards import Executor, Lazy
from ..runs.shared_files import SharedFiles, share

MIN_SHARED, SHARD_IMAGES = 2_000, 256  # files that are worth the start of workers; in a shard
MAX_IMAGE_NOTES = 5  # bounds the length of a run's results
MORE_NOTED = "More images are to be looked at: preprocess_images lists them all, in results.doubtful."


class ImageStats(NamedTuple):
    """Statistics of the labelled images."""

    size_px: int
    channels: int
    mean: np.ndarray  # 0..1 [C]
    std: np.ndarray  # 0..1 [C]
    groups: np.ndarray  # of the labelled samples; near-duplicates share one [n]
    errors: dict[int, str]  # index of the sample: why it cannot be read
    side_px: int = 0  # median of the files' longer sides

    def flips(self, flips: str) -> str:
        """The setting, with "auto" resolved for these images."""
        return resolve_flips(flips, self.side_px, self.channels)


def survey_images(run: Run, labels: Labels, settings: ImageSettings) -> ImageStats:
    """Decodes the labelled images once a run."""
    from ...models.splits import join, near_duplicates

    rows = labels.labelled_indices

    def compute() -> dict[str, np.ndarray]:
        paths = labels.paths[rows].tolist()
        images = survey(
            paths,
            settings,
            lambda done, total: run.report("looking at images", done, total),
            looked_at_by_workers(run, paths, settings),
        )
        note_images(run, images.notes)
        groups = join(near_duplicates(images.thumbnails), labels.groups[rows])
        return dict(
            size_px=np.array(images.size_px(settings)),
            side_px=np.array(images.side_px),
            gray=np.array(images.gray or settings.grayscale),
            mean=images.mean,
            std=images.std,
            groups=groups_of_all(labels, groups),
            **unreadable(labels.ids[rows], images.errors),
        )

    kept = run.cached_arrays("survey", compute, labels.ids, ("groups",))
    errors = errors_of(kept, labels.ids)
    channels = 1 if kept["gray"] else 3
    mean, std = (np.atleast_1d(kept[name])[:channels] for name in ("mean", "std"))
    return ImageStats(int(kept["size_px"]), channels, mean, std, kept["groups"][rows], errors, int(kept["side_px"]))


def looked_at_by_workers(run: Run, paths: list[str], settings: ImageSettings) -> Iterator[list[Measured]] | None:
    """Statistics of files by workers; None where there are none, or too few files to wait for them."""
    workers = run.record.settings.get("workers")
    if not workers or len(paths) < MIN_SHARED or is_distributed():
        return None
    firsts, ship = range(0, len(paths), SHARD_IMAGES), bool(run.record.settings["ship_images"])
    made = Lazy(len(firsts), lambda place: share(paths[firsts[place] : firsts[place] + SHARD_IMAGES], ship))
    done = shards.results(made, look_at, Executor(workers), run.check_stop, settings)
    return ([(firsts[place] + index, stats) for index, stats in block] for place, block in done)


def look_at(files: SharedFiles, settings: ImageSettings) -> list[Measured]:
    """Statistics of a shard's files, on a worker.

    Raises:
        ValueError: a file is missing here
    """
    with tempfile.TemporaryDirectory(prefix="evenset-survey-") as folder:
        paths, found = files.local_paths(Path(folder)), []
        for index, stats in chain.from_iterable(measure(paths, settings)):
            if isinstance(stats, str):
                stats = files.original(paths, stats, index)
            elif stats.note:
                stats = stats._replace(note=files.original(paths, stats.note, index))
            found.append((index, stats))
    return found


def without_images(labels: Labels, errors: dict[int, str]) -> ImageStats:
    """Stands in for a survey where vectors take the place of images: samples of one file share a group."""
    from ...models.splits import join

    same_file = np.unique(labels.paths, return_inverse=True)[1]
    groups = join(same_file, labels.groups)[labels.labelled_indices]
    return ImageStats(size_px=0, channels=0, mean=np.zeros(0), std=np.zeros(0), groups=groups, errors=errors)


def unreadable(ids: np.ndarray, errors: dict[int, str]) -> dict[str, np.ndarray]:
    """Errors by index as arrays by id, since samples may be deleted before they are read again."""
    return dict(bad=ids[list(errors)], reasons=np.array(list(errors.values()), dtype=str))


def errors_of(kept: dict[str, np.ndarray], ids: np.ndarray) -> dict[int, str]:
    """Errors by index of the samples `ids`; the inverse of `unreadable`."""
    reasons = dict(zip(kept["bad"].tolist(), kept["reasons"].tolist(), strict=True))
    return {i: reasons[name] for i, name in enumerate(ids.tolist()) if name in reasons}


def errors_by_id(labels: Labels, errors: dict[int, str]) -> dict[str, str]:
    """Errors by sample id, as results list them."""
    return {str(labels.ids[i]): reason for i, reason in errors.items()}


def groups_of_all(labels: Labels, groups: np.ndarray) -> np.ndarray:
    """The group of every sample from those of the labelled ones [n]; -1 without a label [N]."""
    of_all = np.full(len(labels.ids), -1)
    of_all[labels.labelled_indices] = groups
    return of_all


def note_images(run: Run, sentences: dict[int, str]) -> None:
    """Keeps warnings about images that were used; `run.finish` adds them to the results' notes."""
    kept = run.remember("images", list)
    new = [sentence for sentence in sentences.values() if sentence not in kept]
    more = [MORE_NOTED] if len(kept) + len(new) > MAX_IMAGE_NOTES and MORE_NOTED not in kept else []
    kept.extend([*new[: max(0, MAX_IMAGE_NOTES - len(kept))], *more])
    if new:
        run.save()
