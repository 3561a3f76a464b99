"""Survey of the labelled images: size, channels, statistics, near-duplicates and unreadable files."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...models.images.survey import Survey, survey
from ...models.settings import ImageSettings
from ..data.labels import Labels
from ..runs.run import Run

MOST_NOTED = 5  # images; the results of a run would be long else
MORE_NOTED = "More images are to be looked at: preprocess_images lists them all, in results.doubtful."


class ImageStats(NamedTuple):
    """What the labelled images look like."""

    size_px: int
    channels: int
    mean: np.ndarray  # 0..1 [C]
    std: np.ndarray  # 0..1 [C]
    groups: np.ndarray  # of the labelled samples; near-duplicates share one [n]
    errors: dict[int, str]  # index of the sample: why it cannot be read


def survey_images(run: Run, labels: Labels, settings: ImageSettings) -> ImageStats:
    """Decodes the labelled images once: sizes, statistics, near-duplicates, and which are damaged."""
    from ...models.splits import join, near_duplicates

    def compute() -> dict[str, np.ndarray]:
        found: Survey = survey(
            labels.paths[labels.labelled_indices].tolist(),
            settings,
            lambda done, total: run.report("looking at images", done, total),
        )
        note_images(run, found.notes)
        groups = join(near_duplicates(found.thumbnails), labels.groups[labels.labelled_indices])
        return dict(
            size_px=np.array(found.size_px(settings)),
            gray=np.array(found.gray or settings.grayscale),
            mean=found.mean,
            std=found.std,
            groups=groups_of_all(labels, groups),
            **unreadable(labels.ids[labels.labelled_indices], found.errors),
        )

    kept = run.cached_arrays("survey", compute, labels.ids, ("groups",))
    errors = errors_of(kept, labels.ids)
    channels = 1 if kept["gray"] else 3
    mean, std = (np.atleast_1d(kept[name])[:channels] for name in ("mean", "std"))
    return ImageStats(int(kept["size_px"]), channels, mean, std, kept["groups"][labels.labelled_indices], errors)


def unreadable(ids: np.ndarray, errors: dict[int, str]) -> dict[str, np.ndarray]:
    """Errors by index, as arrays to keep; they go by id, as samples may be deleted before they are read again."""
    return dict(bad=ids[list(errors)], reasons=np.array(list(errors.values()), dtype=str))


def errors_of(kept: dict[str, np.ndarray], ids: np.ndarray) -> dict[int, str]:
    """Errors by index of the samples `ids`, of what `unreadable` gave."""
    reasons = dict(zip(kept["bad"].tolist(), kept["reasons"].tolist(), strict=True))
    return {i: reasons[name] for i, name in enumerate(ids.tolist()) if name in reasons}


def groups_of_all(labels: Labels, groups: np.ndarray) -> np.ndarray:
    """The group of every sample, by those of the labelled ones [n]; -1 without a label [N]."""
    found = np.full(len(labels.ids), -1)
    found[labels.labelled_indices] = groups
    return found


def note_images(run: Run, sentences: dict[int, str]) -> None:
    """Keeps what is to be known of images that were used all the same: `run.finish` adds it to the results' notes."""
    kept = run.remember("images", list)
    new = [sentence for sentence in sentences.values() if sentence not in kept]
    more = [MORE_NOTED] if len(kept) + len(new) > MOST_NOTED and MORE_NOTED not in kept else []
    kept.extend([*new[: max(0, MOST_NOTED - len(kept))], *more])
    if new:
        run.save()
