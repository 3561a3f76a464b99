"""Whether the benefit of new images can be measured, and what it takes, in words."""

from __future__ import annotations

import numpy as np

from ...models.quality.paired_gain import MIN_HELD_OUT
from ..display.tables import counted
from ..training import duration
from ..training.auto_embeddings import SMALL_PX
from .benefit import BOTH, ENCODER, RESNET, RIVALS, RealImages
from .config import BalanceConfig
from .small_cnn_judge import MAX_MEASURED_PX

TOO_FEW = "too few to measure"  # in place of a decision
REGRESSION = "a regression on the vectors of an encoder"


def is_enough(real: RealImages) -> bool:
    """Whether a class has the held-out images that a verdict needs."""
    return int(np.bincount(real.held_out_labels, minlength=1).max()) >= MIN_HELD_OUT


def too_few(largest: int) -> str:
    """A sentence on a benefit that is not measured.

    Args:
        largest: held-out images of the largest class
    """
    return (
        f"Too few to measure: the largest class has {counted(largest, 'held-out image')}, and a verdict needs "
        f"{MIN_HELD_OUT}. Label more, or give measure_benefit=True, which measures anyway."
    )


def describe(config: BalanceConfig, largest_class: int) -> str:
    """What a balance will measure, and how long that takes.

    Args:
        largest_class: real images of the largest class
    """
    balance = config.balance
    if not config.measures:
        judged = "no network is trained" if config.only_augments else "only the filters are trained"
        return f"Nothing is measured: {judged}."
    held_out = int(largest_class * config.held_out.held_out_fraction)
    if held_out < MIN_HELD_OUT and balance.measure_benefit is None:
        return too_few(held_out)
    seconds = duration.measuring_seconds(vars(balance))
    photos = f" Photos over {SMALL_PX} px are judged by {REGRESSION} too, if its weights are on this machine."
    sentence = f"The benefit is measured by {_judges(config)}: {duration.words(seconds)}."
    return sentence if balance.judge else sentence + photos


def _judges(config: BalanceConfig) -> str:
    balance = config.balance
    networks = (len(RIVALS) + 1) * balance.verdict_seeds  # and the one with new images
    if balance.judge == RESNET:
        return f"{counted(networks, 'ResNet-18')}, tuned from ImageNet's weights"
    small = f"{counted(networks, 'small network')} on images of at most {MAX_MEASURED_PX} px"
    by_setting = {ENCODER: REGRESSION, BOTH: f"{REGRESSION}, which decides, and by {small}"}
    return by_setting.get(balance.judge or "", small)
