"""Acceptance of tags: the guarantee holds for each class, on draws of held-out samples."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.settings import AutoLabelSettings
from evenset.workflows.data.tags import Tags
from evenset.workflows.tagging.decision import decide
from evenset.workflows.tagging.scores import TagScores

TARGET, ALPHA, DRAWS = 0.8, 0.1, 200
SETTINGS = AutoLabelSettings(target_precision=TARGET, alpha=ALPHA, random_labels=True)


def tags_of(values):
    ids = np.array([f"{i:024d}" for i in range(len(values))])
    names = [f"tag {k}" for k in range(values.shape[1])]
    return Tags(ids, ids, names, values.astype(np.int8), np.ones(len(ids), dtype=bool), np.full(len(ids), ""))


def draw(rng, frequency=1.0, samples=900):
    """Truth, tags of two thirds of the samples, scores that are overconfident, and the held-out half of these."""
    probabilities = rng.beta(0.7, 1.0, (samples, 2))
    truth = rng.random(probabilities.shape) < probabilities
    order = rng.permutation(samples)
    known, held_out = order < samples * 2 // 3, order < samples // 3
    seen = truth & (rng.random(truth.shape) < frequency)
    values = np.where(known[:, None], seen, -1)
    sharp = probabilities**2 / (probabilities**2 + (1 - probabilities) ** 2)
    return truth, tags_of(values), sharp, held_out


@pytest.mark.slow
@pytest.mark.parametrize("frequency", [1.0, 0.9])
def test_accepted_tags_of_each_class_miss_the_target_in_at_most_a_tenth_of_the_draws(frequency):
    accepting = misses = 0
    for seed in range(DRAWS):
        truth, tags, probabilities, held_out = draw(np.random.default_rng(seed), frequency)
        scores = TagScores(probabilities * frequency, probabilities, np.full(2, frequency), frequency == 1.0)
        accepted = decide(tags, scores, held_out, SETTINGS).accepted
        assert not accepted[tags.is_known].any()
        for k in range(2):
            accepting += accepted[:, k].any()
            misses += accepted[:, k].any() and truth[accepted[:, k], k].mean() < TARGET
    assert accepting > DRAWS / 5 and misses <= ALPHA * 2 * DRAWS


def test_confidences_are_those_of_the_held_out_samples():
    truth, tags, probabilities, held_out = draw(np.random.default_rng(0), samples=6000)
    decision = decide(tags, TagScores(probabilities, probabilities, np.ones(2), True), held_out, SETTINGS)
    new = decision.adds & ~tags.is_known[:, None]
    assert abs(decision.confidence[new].mean() - truth[new].mean()) < 0.03
    assert probabilities[new].mean() - truth[new].mean() > 0.05  # which the scores are not


def test_a_class_without_scores_has_no_suggestion():
    _, tags, probabilities, held_out = draw(np.random.default_rng(0))
    probabilities[:, 1] = np.nan
    decision = decide(tags, TagScores(probabilities, probabilities, np.ones(2), True), held_out, SETTINGS)
    assert decision.adds[:, 0].any() and not decision.adds[:, 1].any() and decision.held_out[1] == 0


def test_tags_that_a_model_contradicts_are_to_be_removed_and_never_accepted():
    rng = np.random.default_rng(0)
    truth = rng.random((600, 1)) < 0.5
    values = truth.copy()
    wrong = np.flatnonzero(~truth[:, 0])[:20]
    values[wrong] = True
    probabilities = np.where(truth, 0.97, 0.03)
    scores = TagScores(probabilities, probabilities, np.ones(1), True)
    decision = decide(tags_of(values), scores, np.zeros(600, dtype=bool), SETTINGS)
    assert set(np.flatnonzero(decision.removes[:, 0])) == set(wrong) and not decision.accepted.any()
    assert (decision.confidence[wrong, 0] > 0.8).all()
