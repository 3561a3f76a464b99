"""Suggestions of auto_label, a review queue's worth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def suggested(clusters: Callable[..., Any], finished: Callable[..., Any]) -> Any:
    """240 samples, half of them labelled, and hard enough that many are left to review."""
    from evenset import auto_label

    def make() -> Any:
        dataset = clusters(240, 120, spread=2.2)
        options = dict(embeddings="vector", random_labels=True, target_precision=0.9, progress=False)
        auto_label(dataset, "ground_truth", **options)
        return dataset

    return finished("review queue: suggested", make)
