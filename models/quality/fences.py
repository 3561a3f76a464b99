"""Fences beyond which a value is unusual for its dataset (Tukey, 1977), joined with bounds that hold for any dataset."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MIN_VALUES = 20  # fewer have no quartiles worth the name
EPS = 1e-6

Values = NDArray[np.float64]


def fences(values: Values, iqr: float) -> tuple[float | None, float | None]:
    """Lower and upper fence: `iqr` interquartile ranges beyond the quartiles; None for fewer than MIN_VALUES.

    Args:
        values: NaN where there is none [N]
    """
    values = values[np.isfinite(values)]
    if len(values) < MIN_VALUES:
        return None, None
    low, high = np.quantile(values, [0.25, 0.75])
    return float(low - iqr * (high - low)), float(high + iqr * (high - low))


def lower_limit(values: Values, bound: float, iqr: float) -> float:
    """Limit below which a positive value is both unusual here, by its logarithm, and below `bound`."""
    low, _ = fences(np.log(np.maximum(values, EPS)), iqr)
    return bound if low is None else min(bound, float(np.exp(low)))


def upper_limit(values: Values, bound: float, iqr: float) -> float:
    """Limit above which a positive value is both unusual here, by its logarithm, and above `bound`."""
    _, high = fences(np.log(np.maximum(values, EPS)), iqr)
    return bound if high is None else max(bound, float(np.exp(high)))


def fraction_limits(values: Values, low_bound: float, high_bound: float, iqr: float) -> tuple[float, float]:
    """The same for fractions, 0..1, by their logits: a lower and an upper limit."""
    fractions = np.clip(values, EPS, 1 - EPS)
    low, high = fences(np.log(fractions / (1 - fractions)), iqr)
    if low is None or high is None:
        return low_bound, high_bound
    return min(low_bound, float(1 / (1 + np.exp(-low)))), max(high_bound, float(1 / (1 + np.exp(-high))))
