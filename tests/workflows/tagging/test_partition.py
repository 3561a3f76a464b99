"""Parts of samples with tags: each tag in the same fractions, groups together, untrusted samples never held out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from evenset.models.settings import AutoLabelSettings
from evenset.workflows.data.tags import Tags
from evenset.workflows.tagging.partition import draw_folds, hold_out


def make(samples=400, seed=0):
    rng = np.random.default_rng(seed)
    values = (rng.random((samples, 4)) < [0.5, 0.3, 0.1, 0.05]).astype(np.int8)
    ids = np.array([f"{i:024d}" for i in range(samples)])
    return Tags(ids, ids, list("abcd"), values, np.ones(samples, dtype=bool), np.full(samples, ""))


def test_folds_have_each_tag_evenly_the_rarest_too():
    tags = make()
    rows = np.arange(400)
    folds = draw_folds(tags, rows, rows, 5, seed=0)
    for k in range(4):
        counts = np.bincount(folds[tags.values[:, k] == 1], minlength=5)
        assert counts.max() - counts.min() <= 2
    assert np.bincount(folds).min() > 60


def test_groups_stay_in_one_fold():
    tags, rows = make(), np.arange(400)
    folds = draw_folds(tags, rows, rows // 4, 5, seed=0)
    assert (folds.reshape(-1, 4) == folds[::4, None]).all() and len(np.unique(folds)) == 5


def test_one_group_leaves_no_fold():
    with pytest.raises(ValueError, match="one group"):
        draw_folds(make(), np.arange(400), np.zeros(400, dtype=np.int64), 5, seed=0)


@pytest.mark.parametrize("random_labels", [False, True])
def test_untrusted_samples_are_not_held_out(random_labels):
    tags, rows = make(), np.arange(400)
    tags = replace(tags, trusted=rows % 2 == 0)
    settings = AutoLabelSettings(random_labels=random_labels, calibration_fraction=0.5)
    held_out = hold_out(tags, np.ones(400, dtype=bool), rows, settings)
    assert 80 <= held_out.sum() <= 120 and not held_out[1::2].any()
