"""The best of all rivals is what new images have to beat, and rows say who judged; unsound images need a shown gain."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evenset.models.quality import paired_gain
from evenset.models.settings import BalanceSettings
from evenset.workflows.balancing import benefit
from evenset.workflows.balancing.benefit import AUGMENTED, BASELINES, MIXED, RIVALS, RealImages
from evenset.workflows.balancing.config import BalanceConfig
from evenset.workflows.balancing.results import BalanceResults, judged, measured_fields
from evenset.workflows.balancing.small_cnn_judge import SmallCNNJudge
from evenset.workflows.balancing.soundness import (
    MAX_TOLD_APART,
    MIN_PASS_RATE,
    Soundness,
    not_added,
    should_add,
    soundness_of,
)
from evenset.workflows.data.synthetic import SyntheticImage
from evenset.workflows.runs.detached import detached_run

HELD_OUT = np.repeat([0, 1], 60)


class Planted:
    """A judge whose errors are planted: the first `errors` images of each class, one fewer in odd repetitions."""

    name = "small cnn"
    refinements = SmallCNNJudge.refinements

    def __init__(self, errors, extra_errors):
        self.errors, self.extra_errors, self.recipes = errors, extra_errors, []

    def read(self, images):
        return images

    def predict_ahead(self, arms, repetitions):
        return {}

    def predict(self, recipe, number, extra):
        self.recipes.append((recipe, extra is not None))
        arm = next(iter([name for name, known in BASELINES.items() if known == recipe]), None)
        arm = arm or (MIXED if "mix" in recipe else AUGMENTED)
        wrong = (self.extra_errors if extra else self.errors[arm]) - number % 2
        place = np.arange(120) % 60
        return np.where(place < wrong, 1 - HELD_OUT, HELD_OUT)


def measure(errors, extra_errors=10):
    ids = np.arange(40).astype(str)
    images = np.zeros((40, 1, 8, 8), dtype=np.uint8)
    held = np.zeros((120, 1, 8, 8), dtype=np.uint8)
    real = RealImages(["a", "b"], images, np.arange(40) % 2, ids, held, HELD_OUT)
    judge = Planted(errors, extra_errors)
    new = [SyntheticImage("", "a", {}, True)]
    with tempfile.TemporaryDirectory() as folder:
        return benefit.measure(detached_run(Path(folder)), judge, real, {"new": new}, 3), judge


ERRORS = {"real": 30, "logit adjustment": 26, "balanced sampler": 22, "both": 24, AUGMENTED: 20, MIXED: 14}


@pytest.mark.parametrize("best", RIVALS)
def test_new_images_are_measured_against_the_best_of_all_rivals(best):
    found, judge = measure({**ERRORS, best: 12}, extra_errors=9)

    assert found.best == best and [row["training_set"] for row in found.arms] == [*RIVALS, "best of these + new"]
    assert {row["judge"] for row in found.arms} == {"small cnn"}
    assert found.verdicts["new"].total[0] == pytest.approx(3 / 60)
    assert [recipe for recipe, extra in judge.recipes if extra] == [found.recipe] * 3
    expected = {name: 1 - (errors - 1 / 3) / 60 for name, errors in {**ERRORS, best: 12}.items()}
    assert {row["training_set"]: row["balanced_accuracy"] for row in found.arms[:-1]} == pytest.approx(expected)


def test_blends_come_on_top_of_the_best_so_far():
    better, worse = (measure({**ERRORS, AUGMENTED: errors})[1].recipes for errors in (20, 40))

    mixed = [next(recipe for recipe, _ in recipes if "mix" in recipe) for recipes in (better, worse)]
    sampler = BASELINES["balanced sampler"]
    assert mixed == [{**sampler, "augmentation": "strong", "mix": "both"}, {**sampler, "mix": "both"}]


def test_rows_and_verdicts_say_who_judged_and_other_judges_do_not_decide():
    decides, other = measure(ERRORS, 9)[0], measure(ERRORS, 20)[0]
    both = replace(decides, judge="encoder", others=(other,))
    fields = measured_fields(both, "new", ["a", "b"])
    rest = dict(rows=[], refused={}, generator=None, picture=None, notes=[], views={})
    results = BalanceResults("run", ["a", "b"], 0, **rest, **fields)
    text = str(results)

    assert results.decision == decides.verdicts["new"].decision == paired_gain.ADD
    assert {row["judge"] for row in results.verdict} == {"encoder"}
    assert [part["judge"] for part in results.other_judges] == ["small cnn"]
    assert results.other_judges == [judged(other, "new", ["a", "b"])]
    assert results.other_judges[0]["decision"] == paired_gain.DO_NOT_ADD
    assert "over the best of the others, mix, by the encoder." in text
    assert "by the small cnn. It does not decide." in text


def images(accepted, rejected, spare=0):
    kinds = [(True, "")] * accepted + [(False, "prototype")] * rejected + [(False, "spare")] * spare
    return [SyntheticImage("", "a", dict(reason=reason), kept) for kept, reason in kinds]


def test_the_pass_rate_counts_what_the_filters_let_through():
    config = BalanceConfig.read({})

    assert soundness_of(images(3, 6, 1), config).pass_rate == pytest.approx(0.4)
    assert soundness_of([], config).pass_rate is None
    unfiltered = BalanceConfig.read(dict(source="augment"))
    assert soundness_of(images(3, 0), unfiltered).pass_rate is None


@pytest.mark.parametrize(
    "gain, decision, rate, told_apart, added",
    [
        (0.01, paired_gain.UNDECIDED, MIN_PASS_RATE - 0.01, None, False),
        (0.01, paired_gain.UNDECIDED, MIN_PASS_RATE, None, True),
        (0.01, paired_gain.UNDECIDED, None, None, True),
        (0.01, paired_gain.UNDECIDED, 1.0, MAX_TOLD_APART, True),
        (0.01, paired_gain.UNDECIDED, 1.0, MAX_TOLD_APART + 0.01, False),
        (0.05, paired_gain.ADD, 0.01, 1.0, True),
        (-0.01, paired_gain.DO_NOT_ADD, 1.0, 0.5, False),
    ],
)
def test_on_an_undecided_verdict_only_sound_images_are_added(gain, decision, rate, told_apart, added):
    verdict = paired_gain.Verdict(*[np.zeros(1)] * 4, ["undecided"], (gain, gain - 0.02, gain + 0.02), decision)

    assert should_add(verdict, "unless it loses", Soundness(rate, told_apart)) is added
    assert should_add(verdict, "always", Soundness(rate, told_apart))


def test_a_note_says_why_an_undecided_verdict_adds_nothing(tmp_path):
    verdict = paired_gain.Verdict(*[np.zeros(1)] * 4, ["undecided"], (0.01, -0.01, 0.03), paired_gain.UNDECIDED)
    few_pass = soundness_of(images(1, 9), BalanceConfig.read({}))

    first, second = not_added(verdict, "unless it loses", few_pass, tmp_path)
    assert "undecided verdict, as the filters let only 10 % pass" in first and "add='always'" in second
    told = not_added(verdict, "unless it loses", Soundness(1.0, 0.99), tmp_path)[0]
    assert "as a small network tells them from real ones with 99 % balanced accuracy, of 95 % at most" in told
    losing = paired_gain.Verdict(*[np.zeros(1)] * 4, ["loses"], (-0.01, -0.02, 0.0), paired_gain.DO_NOT_ADD)
    assert len(not_added(losing, "unless it loses", few_pass, tmp_path)) == 1


def test_blends_are_no_source_of_images():
    with pytest.raises(ValueError, match=r"source='mix' has no images to add: .* train_resnet mix='both'"):
        BalanceSettings(source="mix")
