"""Tags that occur together: one that excludes another decides what an image leaves open."""

from __future__ import annotations

import numpy as np
from evenset.models.classifiers import tag_dependence
from sklearn.metrics import log_loss


def test_a_tag_that_excludes_another_decides_it_where_the_image_does_not():
    rng = np.random.default_rng(0)
    first = rng.random(600) < 0.5
    targets = np.stack([first, ~first], axis=1).astype(np.int64)
    own = np.stack([4.0 * np.where(first, 1, -1) + rng.normal(0, 1, 600), rng.normal(0, 1, 600)], axis=1)

    related = tag_dependence.fit(own, own, targets, np.arange(600) % 5)

    alone = 1 / (1 + np.exp(-own))
    assert log_loss(targets[:, 1], related[:, 1]) < 0.2 < 0.6 < log_loss(targets[:, 1], alone[:, 1])


def test_a_tag_without_enough_samples_keeps_its_own_probability():
    rng = np.random.default_rng(0)
    own, targets = rng.normal(0, 1, (100, 2)), (rng.random((100, 2)) < 0.5).astype(np.int64)
    targets[:, 1] = np.arange(100) < 5
    related = tag_dependence.fit(own, own, targets, np.arange(100) % 5)
    assert np.allclose(related[:, 1], 1 / (1 + np.exp(-own[:, 1])))


def test_independent_tags_lose_next_to_nothing():
    rng = np.random.default_rng(0)
    own = rng.normal(0, 2, (800, 3))
    targets = (rng.random((800, 3)) < 1 / (1 + np.exp(-own))).astype(np.int64)
    related = tag_dependence.fit(own, own, targets, np.arange(800) % 5)
    assert (
        log_loss(targets.ravel(), related.ravel()) < log_loss(targets.ravel(), (1 / (1 + np.exp(-own))).ravel()) + 0.02
    )
