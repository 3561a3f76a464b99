"""How auto_label decides: several members, one order, one confidence, a threshold for all or for each class."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from evenset import auto_label
from evenset.models.settings import AutoLabelSettings
from evenset.workflows.data.labels import Labels
from evenset.workflows.labeling.decision import decide, decide_by_checkpoint, predict
from evenset.workflows.labeling.predictions import Predictions
from evenset.workflows.training.ensemble import neighbour_agreement
from evenset.workflows.training.partition import Split
from scipy.special import log_softmax, softmax
from scipy.stats import binom

SETTINGS = AutoLabelSettings(target_precision=0.9, random_labels=True)


def drawn(rng: np.random.Generator, tuning: int, held: int, hidden: int) -> tuple[Labels, Predictions, np.ndarray]:
    """Samples of four classes, three members that see them through noise of their own, and neighbours that are told."""
    count = tuning + held + hidden
    truth, hard = rng.integers(0, 4, count), rng.normal(0, 1, (count, 4))
    parts = np.repeat([Split.VALIDATION, Split.HELD_OUT, 0], [tuning, held, hidden])
    signal = 2.5 * np.eye(4)[truth] + hard
    members = {name: log_softmax(2 * (signal + rng.normal(0, 0.8, signal.shape)), axis=1) for name in ("resnet", "gcn")}
    logits = np.mean(list(members.values()), axis=0)
    agree = np.clip(0.6 + 0.3 * (logits.argmax(1) == truth) + rng.normal(0, 0.2, count), 0, 1)
    ids, none = np.arange(count).astype(str), np.zeros((count, 0))
    labels = Labels(ids, ids, np.where(parts, truth, -1), list("abcd"), parts > 0, np.full(count, ""), 0)
    predictions = Predictions(
        logits, none, np.zeros(4), parts, none[:0], {}, members=members, neighbour_agreement=agree
    )
    return labels, predictions, truth


@pytest.mark.slow
def test_the_promise_holds_with_members_neighbours_and_a_fitted_order():
    rng = np.random.default_rng(0)
    broken = accepted = 0
    for _ in range(100):
        labels, predictions, truth = drawn(rng, 40, 120, 300)
        decision = decide(labels, predictions, SETTINGS)
        if decision.acceptance.accepted.any():
            accepted += 1
            broken += (decision.candidates.class_ids == truth)[decision.acceptance.accepted].mean() < 0.9
    assert accepted >= 60
    assert broken <= binom.ppf(0.99, 100, 0.1)


def test_held_out_answers_have_no_part_in_the_order():
    labels, predictions, _ = drawn(np.random.default_rng(0), 60, 200, 300)
    turned = np.where(predictions.split_ids == Split.HELD_OUT, (labels.class_ids + 1) % 4, labels.class_ids)

    before = decide(labels, predictions, SETTINGS)
    after = decide(dataclasses.replace(labels, class_ids=turned), predictions, SETTINGS)

    assert (before.candidates.scores == after.candidates.scores).all()
    assert before.acceptance.accepted.any() and not after.acceptance.accepted.any()


@pytest.mark.parametrize("random_labels", [True, False])
def test_synthetic_samples_do_not_make_their_class_more_likely(random_labels):
    labels, predictions, _ = drawn(np.random.default_rng(0), 0, 200, 300)
    real, synthetic = np.repeat([0, 1, 2, 3], [40, 30, 20, 10]), np.repeat([3], 90)  # of the classes, in training
    predictions.split_ids[:100], predictions.split_ids[100:190] = Split.TRAIN, Split.TRAIN
    labels.class_ids[:190] = np.concatenate([real, synthetic])
    labels.synthetic_mask[100:190] = True
    predictions = dataclasses.replace(
        predictions, members={}, neighbour_agreement=None, log_prior=np.log([40, 30, 20, 100])
    )

    decision = decide(labels, predictions, dataclasses.replace(SETTINGS, random_labels=random_labels))

    expected = softmax(predictions.logits + np.log([40, 30, 20, 10]), axis=1)
    assert (decision.candidates.class_ids == expected.argmax(axis=1)).all()
    usable = np.ones(len(expected), dtype=bool)
    settings = dataclasses.replace(SETTINGS, random_labels=random_labels)
    ordered = np.sort(expected, axis=1)
    class_ids, probability, margin = predict(labels, predictions, usable, settings)
    assert (class_ids == expected.argmax(axis=1)).all() and probability == pytest.approx(ordered[:, -1])
    assert margin == pytest.approx(ordered[:, -1] - ordered[:, -2])


def test_tuning_answers_have_a_part_in_the_order():
    labels, predictions, truth = drawn(np.random.default_rng(0), 2000, 200, 300)
    predictions.neighbour_agreement = np.random.default_rng(1).random(len(truth))  # it says nothing

    fitted = decide(labels, predictions, SETTINGS)
    predictions.split_ids[predictions.split_ids == Split.VALIDATION] = 0
    usual = decide(labels, predictions, SETTINGS)

    def share_in_order(ranks: np.ndarray) -> float:
        hidden = np.flatnonzero(labels.class_ids < 0)
        right = (fitted.candidates.class_ids == truth)[hidden]
        return float((ranks[hidden][right][:, None] > ranks[hidden][~right]).mean())

    assert share_in_order(fitted.candidates.scores) > share_in_order(usual.candidates.scores)


def test_confidence_rises_with_the_order_and_acceptance_follows_it():
    labels, predictions, _ = drawn(np.random.default_rng(0), 60, 1200, 600)  # so many that the calibrator is isotonic
    decision = decide(labels, predictions, SETTINGS)

    order = np.argsort(decision.candidates.scores)
    assert len(decision.calibrator.knots) > 1
    assert (np.diff(decision.bounded.confidence[order]) >= 0).all()
    hidden = labels.class_ids < 0
    assert decision.acceptance.accepted.any() and (hidden & ~decision.acceptance.accepted).any()
    assert (
        decision.bounded.confidence[decision.acceptance.accepted].min()
        > decision.bounded.confidence[hidden & ~decision.acceptance.accepted].max()
    )


def test_what_is_accepted_is_bounded_and_what_is_for_review_learned_from_held_out_labels_too():
    labels, predictions, truth = drawn(np.random.default_rng(0), 60, 200, 300)
    predictions.refitted = np.log(np.eye(4)[truth] * 0.96 + 0.01)

    decision = decide(labels, predictions, SETTINGS)

    accepted, hidden = decision.acceptance.accepted, labels.class_ids < 0
    assert accepted.any() and (hidden & ~accepted).any()
    assert (decision.suggestions.class_ids[accepted] == predictions.logits.argmax(1)[accepted]).all()
    assert (decision.suggestions.class_ids[hidden & ~accepted] == truth[hidden & ~accepted]).all()
    assert (
        decision.candidates.correct == (predictions.logits.argmax(1) == truth)[decision.candidates.calibration]
    ).all()


def test_where_members_abstain_the_others_speak():
    labels, predictions, _ = drawn(np.random.default_rng(0), 0, 200, 300)
    silent = np.arange(500) >= 400
    predictions.members["harmonic"] = np.where(silent[:, None], np.nan, predictions.members["gcn"])
    for member in predictions.members.values():
        member[-1] = np.nan
    predictions.neighbour_agreement[-1] = np.nan

    decision = decide(labels, predictions, SETTINGS)

    assert np.isfinite(decision.candidates.scores).all() and np.isfinite(decision.bounded.confidence).all()


def test_what_is_kept_for_another_data_set_is_the_resnets_own():
    labels, predictions, _ = drawn(np.random.default_rng(0), 60, 200, 300)
    predictions.checkpoint_logits = predictions.members["resnet"]
    by_hand = dataclasses.replace(
        predictions, logits=predictions.members["resnet"], members={}, neighbour_agreement=None
    )

    kept, expected = decide_by_checkpoint(labels, predictions, SETTINGS), decide(labels, by_hand, SETTINGS)

    assert (kept.candidates.class_ids == predictions.members["resnet"].argmax(1)).all()
    assert (kept.candidates.scores == expected.candidates.scores).all()
    assert (kept.acceptance.min_scores == expected.acceptance.min_scores).all()


def test_classes_that_were_picked_evenly_are_counted_as_the_pool_has_them():
    labels, predictions, truth = drawn(np.random.default_rng(0), 400, 400, 4000)
    predictions.split_ids[predictions.split_ids == Split.VALIDATION] = Split.TRAIN
    predictions.members, predictions.neighbour_agreement = {}, None
    kept = (labels.class_ids >= 0) | (truth == 0) | (np.arange(len(truth)) % 12 == 0)  # class a fills the pool
    for name in ("ids", "sample_ids", "paths", "class_ids", "trusted", "groups", "synthetic_mask", "too_small"):
        setattr(labels, name, getattr(labels, name)[kept])
    for name in ("logits", "embeddings", "split_ids"):
        setattr(predictions, name, getattr(predictions, name)[kept])
    truth, settings = truth[kept], AutoLabelSettings(target_precision=0.9)

    def accuracy(settings: AutoLabelSettings) -> float:
        return float((decide(labels, predictions, settings).candidates.class_ids == truth)[labels.class_ids < 0].mean())

    plain = accuracy(settings)
    assert accuracy(dataclasses.replace(settings, class_prior="pool")) > plain + 0.02
    assert accuracy(dataclasses.replace(settings, class_prior="pool", random_labels=True)) == plain


def test_each_class_keeps_the_target_by_itself():
    rng = np.random.default_rng(0)
    settings = dataclasses.replace(SETTINGS, per_class=True)
    broken, accepted = np.zeros(4), np.zeros(4)
    for _ in range(40):
        labels, predictions, truth = drawn(rng, 0, 500, 800)
        predictions.logits[:, 0] += 1.5  # class a is predicted too often, and would pass a common threshold
        predictions.members, predictions.neighbour_agreement = {}, None
        decision = decide(labels, predictions, settings)
        for i in range(4):
            mine = decision.acceptance.accepted & (decision.candidates.class_ids == i)
            if mine.any():
                accepted[i] += 1
                broken[i] += (truth[mine] == i).mean() < 0.9
        one = decide(labels, predictions, SETTINGS)
        assert len(set(one.acceptance.min_scores)) == 1 and len(set(decision.acceptance.min_scores)) > 1
    assert (accepted > 10).sum() >= 3
    assert (broken <= binom.ppf(0.999, 40, 0.1)).all()


@pytest.mark.slow
def test_classes_with_too_few_held_out_labels_accept_nothing_and_are_named(clusters):
    dataset = clusters(600, 300, spread=0.8)
    names = dataset.values("ground_truth.label")
    rare = [i for i, name in zip(dataset.values("id"), names, strict=True) if name == "class 0"][20:]
    dataset.set_values("ground_truth", dict.fromkeys(rare), key_field="id")

    results = auto_label(
        dataset, "ground_truth", embeddings="vector", random_labels=True, target_precision=0.9, per_class=True
    )

    accepted = {row["class"]: row["accepted"] for row in results.rows}
    assert accepted["class 0"] == 0 and accepted["class 1"] > 0 and accepted["class 2"] > 0
    (note,) = [note for note in results.notes if "Too few held-out labels" in note]
    assert "'class 0'" in note and "'class 1'" not in note and "takes 22" in note
    assert "of each class by itself" in str(results) and results.low >= 0.9


def test_the_curve_and_the_reliability_table_come_with_the_results(clusters):
    results = auto_label(clusters(300, 150, spread=1.6), "ground_truth", embeddings="vector", random_labels=True)

    coverage = [row["coverage"] for row in results.curve]
    assert coverage == sorted(coverage) and coverage[0] < 0.05 and coverage[-1] == 1
    assert all(0 <= row["low"] <= row["high"] <= 1 for row in results.curve)
    assert sum(row["count"] for row in results.reliability) == results.held_out
    assert "reliability of the confidences, cross-validated (an estimate)" in str(results)


def test_neighbour_agreement_as_far_as_they_are_likely_of_the_same_class():
    scores = np.log([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [np.nan, np.nan]])

    agree = neighbour_agreement(scores, np.array([[1, 2], [0, -1], [3, 0], [0, 1]]))

    assert agree[:3] == pytest.approx([(0.6 + 0.2) / 2, 0.9, 0.1])  # who has no scores, and -1, count for nothing
    assert np.isnan(agree[3]) and np.isnan(neighbour_agreement(scores, np.full((4, 1), -1))).all()
