"""Labelled images, surveyed and split: the training set of a ResNet or an image GCN."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...models.images.reader import Images
from ...models.settings import ImageSettings
from ..data.labels import Labels
from ..runs.run import Run
from .image_survey import ImageStats, survey_images
from .partition import Split, SplitRule, split_parts


@dataclass(frozen=True)
class TrainingSet:
    """All samples with their labels, and the Split of each."""

    labels: Labels
    image_settings: ImageSettings
    stats: ImageStats
    split_ids: np.ndarray  # [N]

    def open_images(self) -> Images:
        """The images of all samples, decoded on demand."""
        return Images(self.labels.paths.tolist(), self.image_settings, self.stats.size_px, self.stats.channels)


def prepare(
    run: Run, labels: Labels, image_settings: ImageSettings, named: dict[Split, set[str]], rule: SplitRule
) -> TrainingSet:
    """Surveys the labelled images and splits them; computed once a run.

    Args:
        named: ids that the user named for a split
    """
    stats = survey_images(run, labels, image_settings)
    return TrainingSet(labels, image_settings, stats, split_parts(run, labels, stats, named, rule))
