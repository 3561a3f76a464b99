import math

import numpy as np
import pytest
from evenset.models.confidence import threshold
from scipy.special import expit
from scipy.stats import binom, hypergeom


def scores_with_known_precision(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose chance to be right is sigmoid(score), so that calibration has a closed form."""
    scores = rng.normal(3.0, 1.8, count)
    return scores, rng.random(count) < 1 / (1 + np.exp(-scores))


def choose(unlabelled, held_out, correct, target, alpha, weights=None):
    """The threshold, where scores are taken for the log-odds of a correct prediction."""
    samples = threshold.HeldOut(held_out, correct, weights)
    return threshold.choose_threshold(unlabelled, samples, expit(held_out), target, alpha)


@pytest.mark.parametrize(("right", "total"), [(0, 5), (5, 5), (47, 50), (199, 200)])
def test_the_interval_is_where_the_binomial_tail_is_alpha(right: int, total: int):
    low, high = threshold.clopper_pearson(right, total, 0.1)

    assert low == 0 if right == 0 else binom.sf(right - 1, total, low) == pytest.approx(0.1)
    assert high == 1 if right == total else binom.cdf(right, total, high) == pytest.approx(0.1)


@pytest.mark.parametrize(("target", "needed"), [(0.90, 22), (0.95, 45), (0.99, 230)])
def test_a_promise_without_errors_takes_this_many_labels(target: float, needed: int):
    assert threshold.labels_needed(target, 0.1) == needed
    assert threshold.clopper_pearson(needed, needed, 0.1)[0] >= target
    assert threshold.clopper_pearson(needed - 1, needed - 1, 0.1)[0] < target


def test_the_promise_is_broken_no_more_often_than_alpha():
    rng = np.random.default_rng(0)
    broken = kept = 0
    for _ in range(400):
        pool, _ = scores_with_known_precision(rng, 2000)
        held, right = scores_with_known_precision(rng, 150)
        chosen = choose(pool, held, right, 0.95, 0.1)
        taken = pool >= chosen.score
        if taken.any():
            chance = (1 / (1 + np.exp(-pool[taken]))).mean()  # the true precision of what was accepted
            broken += chance < 0.95
            kept += chance >= 0.95

    assert kept > 100  # it does promise
    assert broken <= binom.ppf(0.99, 400, 0.1)


def test_a_threshold_read_off_without_a_bound_breaks_the_same_promise_often():
    """The peer: the lowest cut whose held-out precision reaches the target. It shows that the test above can fail."""
    rng = np.random.default_rng(0)
    broken = 0
    for _ in range(200):
        held, right = scores_with_known_precision(rng, 150)
        order = np.argsort(-held)
        good = np.flatnonzero(np.cumsum(right[order]) / np.arange(1, 151) >= 0.95)
        pool, _ = scores_with_known_precision(rng, 2000)
        taken = pool >= held[order][good[-1]]
        broken += (1 / (1 + np.exp(-pool[taken]))).mean() < 0.95

    assert broken > 60


@pytest.mark.slow
def test_the_promise_is_of_the_samples_that_are_accepted_however_few_they_are():
    """450 samples, 300 of them held out: the binomial bound alone speaks of others like these, and is too bold."""
    rng = np.random.default_rng(1)
    scores = rng.normal(2.6, 1.15, 450)
    right = rng.random(450) < 1 / (1 + np.exp(-scores))
    broken = {"ours": 0, "binomial alone": 0}
    for _ in range(300):
        held = rng.permutation(450) < 300
        ours = choose(scores[~held], scores[held], right[held], 0.9, 0.1).score
        for name, cut in (("ours", ours), ("binomial alone", binomial_alone(scores, right, held, 0.9, 0.1))):
            taken = scores[~held] >= cut
            broken[name] += taken.any() and right[~held][taken].mean() < 0.9

    assert broken["ours"] <= binom.ppf(0.99, 300, 0.1) < broken["binomial alone"]


def binomial_alone(scores: np.ndarray, right: np.ndarray, held: np.ndarray, target: float, alpha: float) -> float:
    """The same sequence, each test by the binomial bound."""
    best = math.inf
    for share in np.linspace(0.3, 1, 70):
        cut = np.sort(scores)[::-1][math.ceil(share * len(scores)) - 1]
        taken = scores[held] >= cut
        if binom.cdf((~right[held][taken]).sum(), taken.sum(), 1 - target) > alpha:
            return best
        best = cut
    return best


@pytest.mark.parametrize(("wrong", "held", "pool"), [(0, 30, 10), (2, 60, 40), (5, 100, 900)])
def test_the_bound_of_a_pool_is_exact_whatever_is_wrong_in_it(wrong: int, held: int, pool: int):
    """By enumeration: however many are wrong in all, held-out ones mislead with chance alpha at the most."""
    low, _ = threshold.finite_bounds(held - wrong, held, pool, 0.1)
    allowed = round((1 - low) * pool)

    def misled(most: int) -> float:
        """Chance that no more than `wrong` are seen while more than `most` are left, at worst."""
        seen = np.arange(wrong + 1)
        chances = [hypergeom.pmf(seen, held + pool, bad, held)[bad - seen > most].sum() for bad in range(pool + wrong)]
        return max(chances)

    assert misled(allowed) <= 0.1 < misled(allowed - 1)


def test_the_bounds_of_a_large_pool_are_the_exact_binomial_ones():
    assert threshold.finite_bounds(190, 200, 10**7, 0.1) == pytest.approx(
        threshold.clopper_pearson(190, 200, 0.1), abs=1e-4
    )
    assert threshold.finite_bounds(0, 0, 50, 0.1) == threshold.finite_bounds(5, 5, 0, 0.1) == (0.0, 1.0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Fixed sequence testing requires", "ignore:No predict parameters were found")
def test_mapie_tests_the_same_and_keeps_the_same_promise():
    """The oracle: mapie's Learn-then-Test control of precision, over the cuts that are ours."""
    from mapie.risk_control import BinaryClassificationController

    rng = np.random.default_rng(0)
    pool, _ = scores_with_known_precision(rng, 20_000)
    truth = 1 / (1 + np.exp(-pool))
    broken = {"ours": 0, "mapie": 0}
    for _ in range(60):
        scores, right = scores_with_known_precision(rng, 500)
        cuts = threshold.sequence(pool, scores, expit(scores), 0.95, 0.1)
        peer = BinaryClassificationController(
            lambda rows: rows, "precision", 0.95, 0.9, list_predict_params=cuts, fwer_method="fixed_sequence"
        ).calibrate(np.stack([-scores, scores], axis=1), right.astype(int))
        count, wrong = threshold._count_above(cuts, scores), threshold._count_above(cuts, scores[~right])
        exact, theirs = binom.cdf(wrong, count, 0.05), peer.p_values.ravel()
        assert (theirs >= exact - 1e-9).all()  # where 3.0000001 errors are rounded up to 4, its are larger
        assert (theirs <= binom.cdf(wrong + 1, count, 0.05) + 1e-9).all() and np.isclose(theirs, exact).mean() > 0.3
        passes = threshold._passes(cuts, pool, threshold.HeldOut(scores, right), 0.95, 0.1)
        assert (passes == (exact <= 0.1)).mean() > 0.95  # so large a pool asks for hardly more

        ours = choose(pool, scores, right, 0.95, 0.1).score
        best = np.inf if peer.best_predict_param is None else peer.best_predict_param
        for name, cut in (("ours", ours), ("mapie", best)):
            broken[name] += (pool >= cut).any() and truth[pool >= cut].mean() < 0.95
    assert max(broken.values()) <= binom.ppf(0.99, 60, 0.1)


def test_the_curve_goes_from_next_to_nothing_to_everything_and_its_band_holds_the_truth():
    rng = np.random.default_rng(0)
    pool, _ = scores_with_known_precision(rng, 5000)
    held, right = scores_with_known_precision(rng, 2000)

    rows = threshold.curve(pool, held, right, 0.1)

    coverage = [row["coverage"] for row in rows]
    assert len(rows) == 100 and coverage == sorted(coverage)
    assert coverage[0] < 0.02 and coverage[-1] == 1
    truth = np.array([(1 / (1 + np.exp(-pool[pool >= row["score"]]))).mean() for row in rows])
    inside = [row["low"] <= true <= row["high"] for row, true in zip(rows, truth, strict=True)]
    assert np.mean(inside) > 0.7
    assert all(row["low"] <= row["precision"] <= row["high"] for row in rows)


def test_too_few_held_out_labels_accept_nothing():
    pool = np.linspace(0, 5, 1000)
    chosen = choose(pool, np.full(44, 9.0), np.ones(44, bool), 0.95, 0.1)

    assert math.isinf(chosen.score) and chosen.held_out == 0 and math.isnan(chosen.precision)


def test_samples_marked_as_unlike_are_never_accepted():
    rng = np.random.default_rng(0)
    pool, held = rng.random(500), rng.random(300)
    pool[::2] = -np.inf

    chosen = choose(pool, held, np.ones(300, bool), 0.95, 0.1)

    assert (pool >= chosen.score).sum() == 250


@pytest.mark.parametrize("seed", range(5))
def test_bounds_of_all_cuts_at_once_are_those_of_each(seed):
    rng = np.random.default_rng(seed)
    held = np.round(rng.normal(size=80), 1)  # some are equal
    right, weights = rng.random(80) < 0.9, np.where(held > 2, 0.0, rng.random(80))
    cuts = np.array([9.0, *sorted({*held.tolist(), 0.05}, reverse=True)])  # above all of them, between two, below all

    samples = threshold.HeldOut(held, right, weights)
    found = threshold._lower_bounds(cuts, samples, 0.1)

    each = [threshold._evaluate(cut, held, samples, 0.1).low for cut in cuts]
    assert found == pytest.approx(each, abs=1e-9) and len(set(each)) > 20


def test_weights_give_held_out_samples_the_frequencies_of_the_pool():
    held, pool = np.array([0] * 50 + [1] * 50), np.array([0] * 900 + [1] * 100)

    weights = threshold.class_weights(held, pool, 3)

    assert weights[:50].sum() / weights.sum() == pytest.approx(0.9)


def test_testing_starts_where_most_is_expected_and_answers_have_no_part_in_it():
    """One early error ends a sequence from the strictest threshold that can pass; most of the samples pass together."""
    pool, held = np.linspace(6, 1, 2000), np.linspace(6, 1, 200)
    correct = np.ones(200, dtype=bool)
    correct[[3, 90]] = False

    chosen = choose(pool, held, correct, 0.9, 0.1)
    strictest = held[threshold.labels_needed(0.9, 0.1) - 1]
    tested = [threshold.sequence(pool, held, expit(held), 0.9, 0.1) for _ in range(2)]

    assert (held >= strictest).sum() == 22 and not correct[held >= strictest].all()
    assert tested[0][0] < strictest and (tested[0] == tested[1]).all()
    assert chosen.held_out > 150 and chosen.low >= 0.9


@pytest.mark.parametrize(("target", "alpha"), [(0.85, 0.1), (0.95, 0.05)])
def test_the_errors_that_are_allowed_are_those_with_which_a_test_passes(target: float, alpha: float):
    counts, others = np.arange(1, 200), np.full(199, 80)
    allowed = threshold.allowed_errors(counts, others, target, alpha)
    possible = allowed >= 0
    assert threshold._shows(allowed, counts, others, target, alpha)[possible].all()
    assert not threshold._shows(allowed + 1, counts, others, target, alpha).any()


def test_half_of_the_labels_at_most_are_held_out_and_no_more_than_the_target_needs():
    assert threshold.labels_to_hold_out(100, 0.9, 0.1) == 50
    assert threshold.labels_to_hold_out(900, 0.85, 0.1) == 2 * threshold.labels_needed(0.85, 0.1, errors=9) < 450
    assert threshold.labels_to_hold_out(20_000, 0.85, 0.1) == 2_000


def test_weighted_precision_counts_rare_errors_less():
    held, right = np.full(200, 3.0), np.array([True] * 100 + [False] * 20 + [True] * 80)
    weights = np.where(np.arange(200) < 100, 1.9, 0.1)

    plain = choose(np.full(9, 3.0), held, right, 0.95, 0.1)
    weighted = choose(np.full(9, 3.0), held, right, 0.95, 0.1, weights)

    assert math.isinf(plain.score)
    assert weighted.precision == pytest.approx(0.99, abs=1e-6)


def test_a_small_pool_is_first_asked_for_where_faultless_answers_would_do():
    scores = np.linspace(9, 8, 50)
    found = choose(scores, scores, np.ones(50, dtype=bool), 0.9, 0.1)

    assert found.held_out == 50 and found.low >= 0.9  # 22 of 22 would not show it for the 22 of the pool beside them
