import numpy as np
import pytest
from evenset.models import calibration
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
