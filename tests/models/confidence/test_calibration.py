import numpy as np
import pytest
from evenset.models.confidence import calibration
from sklearn.metrics import log_loss


def scores_with_known_precision(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose chance to be right is sigmoid(score), so that calibration has a closed form."""
    scores = rng.normal(3.0, 1.8, count)
    return scores, rng.random(count) < 1 / (1 + np.exp(-scores))


def test_the_calibrator_finds_the_slope_and_offset_that_made_the_data():
    rng = np.random.default_rng(0)
    scores, right = scores_with_known_precision(rng, 20_000)

    found = calibration.fit(scores * 3 + 1, right)  # the score was 3 z + 1, so z = (score - 1) / 3

    assert found.slope == pytest.approx(1 / 3, rel=0.05)
    assert found.offset == pytest.approx(-1 / 3, abs=0.06)
    assert log_loss(right, found(scores * 3 + 1)) == pytest.approx(log_loss(right, 1 / (1 + np.exp(-scores))), abs=1e-3)


def test_a_calibrator_never_turns_the_order_around():
    scores = np.arange(8.0)
    right = scores < 4  # the higher, the worse

    found = calibration.fit(scores, right)

    assert np.ptp(found(scores)) == 0 and 0.4 < found(scores)[0] < 0.6


def test_a_few_right_answers_do_not_make_certainty():
    assert calibration.fit(np.array([1.0, 2.0, 3.0]), np.ones(3, bool))(np.array([2.0]))[0] == pytest.approx(
        0.8, abs=0.1
    )


def test_many_answers_bend_the_confidence_where_no_sigmoid_follows():
    rng = np.random.default_rng(0)
    scores = rng.uniform(-3, 3, 8000)
    truth = np.where(scores < 0, 0.55, 0.95)  # a step

    found = calibration.fit(scores, rng.random(8000) < truth)

    grid = np.linspace(-4, 4, 400)
    assert (np.diff(found(grid)) > 0).all()  # the order stays, without ties
    away = np.abs(scores) > 0.3
    assert np.abs(found(scores) - truth)[away].mean() < 0.02
    platt = calibration.Calibrator(found.slope, found.offset)
    assert np.abs(platt(scores) - truth)[away].mean() > 0.06


def test_evidence_is_weighed_by_tuning_answers_and_by_habit_without_them():
    rng = np.random.default_rng(0)
    evidence = rng.normal(size=(4000, 3))
    right = rng.random(4000) < 1 / (1 + np.exp(-(1 + 2 * evidence[:, 0])))  # the others say nothing
    usual, none = np.array([1.0, 2.0, 1.0]), np.zeros(0, int)

    assert (calibration.combine(evidence, usual, none, np.zeros(0, bool)) == usual).all()
    assert (calibration.combine(evidence, usual, np.arange(9), np.ones(9, bool)) == usual).all()
    few = calibration.combine(evidence, usual, np.arange(30), right[:30])
    many = calibration.combine(evidence, usual, np.arange(4000), right)
    assert few[1] > few[0] / 2  # thirty answers do not overrule the habit
    assert many[0] > 5 * max(many[1], many[2]) and (many >= 0).all()


def test_the_reliability_table_is_of_answers_that_its_calibrators_have_not_seen():
    rng = np.random.default_rng(0)
    scores, right = scores_with_known_precision(rng, 4000)

    confidence = calibration.cross_fitted(scores, right, seed=0)
    rows = calibration.reliability(confidence, right, 0.05)

    turned = right.copy()
    turned[7] = ~turned[7]
    assert calibration.cross_fitted(scores, turned, seed=0)[7] == confidence[7]
    assert sum(row["count"] for row in rows) == 4000
    assert sum(row["count"] * row["right"] for row in rows) == pytest.approx(right.sum())
    assert all(row["from"] <= row["confidence"] <= row["to"] for row in rows)
    assert sum(row["low"] <= row["confidence"] <= row["high"] for row in rows) >= len(rows) - 2


def test_the_pools_class_shares_are_found_without_a_label_of_it():
    """Two Gaussians, learned half and half, of which the pool has nine of one to one of the other."""
    rng = np.random.default_rng(0)
    truth = (rng.random(20_000) < 0.1).astype(int)
    x = rng.normal(2.0 * truth - 1, 1.5)
    odds = 2 * x / 1.5**2  # the exact posterior where both are equally frequent
    probabilities = np.stack([1 / (1 + np.exp(odds)), 1 / (1 + np.exp(-odds))], axis=1)

    shares = calibration.estimate_prior(probabilities, np.array([0.5, 0.5]))

    assert shares == pytest.approx([0.9, 0.1], abs=0.015)
    assert probabilities.mean(0)[1] > 0.25  # what counting predictions would have said
    assert calibration.estimate_prior(np.array([[0.7, 0.3, 0.0]] * 9), np.array([0.5, 0.5, 0.0]))[2] == 0
