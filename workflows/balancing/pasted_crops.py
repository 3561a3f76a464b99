"""Benefit of pasted objects, measured on the crops of real boxes of images that take no part in the pasting."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..data.labels import Labels
from ..data.synthetic import SyntheticImage
from ..runs.run import Run
from ..training.partition import Split
from .benefit import Benefit, RealImages, read_images
from .config import BalanceConfig
from .generator_split import split_for, survey_at_drawable_size
from .judges import measure_by_judges
from .measurement import is_enough


class Crops(NamedTuple):
    """Crops of real boxes that train and score."""

    real: RealImages
    held_out: np.ndarray  # ids of the samples whose boxes score: neither hosts nor sources, text
    errors: dict[str, str]  # id of a box: why its image cannot be read
    config: BalanceConfig  # with automatic flips resolved for the crops


def hold_out_crops(run: Run, labels: Labels, config: BalanceConfig) -> Crops:
    """Holds out the boxes of some images, and reads the crops of all."""
    stats = survey_at_drawable_size(run, labels, config.images)
    split_ids = split_for(run, labels, stats, None, config.held_out, bool(config.balance.measure_benefit))
    real = read_images(run, labels, stats, split_ids, config.images)
    errors = {str(labels.ids[i]): reason for i, reason in stats.errors.items()}
    held_out = np.unique(labels.sample_ids[split_ids == Split.HELD_OUT])
    return Crops(real, held_out, errors, config.with_flips(stats))


def measure_pasted(run: Run, crops: Crops, images: list[SyntheticImage], arm: str) -> Benefit | None:
    """The gain of pasted objects; None where there are too few crops, or no object."""
    config, new = crops.config, [item for image in images for item in image.new_items]
    if not new or not (config.balance.measure_benefit or is_enough(crops.real)):
        return None
    notes = images[0].notes
    objects = [SyntheticImage(path, label, notes, accepted=True) for label, path in new]
    return measure_by_judges(run, crops.real, {arm: objects}, config)
