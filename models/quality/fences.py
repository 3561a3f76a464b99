"""Limits beyond which a value is unusual for its dataset (Tukey, 1977), and past a bound that holds for any dataset."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MIN_VALUES = 20  # fewer have no quartiles worth the name
STRIKING = 0.5  # of the bound: where three quarters of the images keep the bound, such a value needs no fence
EPS = 1e-6

Values = NDArray[np.float64]


def lower_fence(values: Values, iqr: float) -> float | None:
    """`iqr` interquartile ranges below the lower quartile; None for fewer than MIN_VALUES.

    Args:
        values: NaN where there is none [N]
    """
    values = values[np.isfinite(values)]
    if len(values) < MIN_VALUES:
        return None
    low, high = np.quantile(values, [0.25, 0.75])
    return float(low - iqr * (high - low))


def lower_limit(values: Values, bound: float, iqr: float) -> float:
    """Limit for positive values: below `bound`, and unusual by their logarithm, or striking.

    A dataset of which more than a quarter is below the bound is like that: there the fence alone decides.
    """
    fence = lower_fence(np.log(np.maximum(values, EPS)), iqr)
    if fence is None:
        return bound
    is_rare = np.nanquantile(values, 0.25) > bound
    return min(bound, max(float(np.exp(fence)), STRIKING * bound if is_rare else 0.0))


def upper_limit(values: Values, bound: float, iqr: float) -> float:
    """The same for values above `bound`."""
    return 1 / max(lower_limit(1 / np.maximum(values, EPS), 1 / bound, iqr), EPS)


def fraction_limits(values: Values, low: float, high: float, iqr: float) -> tuple[float, float]:
    """Lower and upper limit of fractions, 0..1, by their odds."""
    odds = _odds(values)
    limits = lower_limit(odds, float(_odds(low)), iqr), upper_limit(odds, float(_odds(high)), iqr)
    return limits[0] / (1 + limits[0]), limits[1] / (1 + limits[1])


def _odds(fractions: Values | float) -> Values:
    clipped = np.clip(fractions, EPS, 1 - EPS)
    return np.asarray(clipped / (1 - clipped))
