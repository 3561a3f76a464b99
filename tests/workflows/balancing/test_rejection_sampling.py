"""Images are made until the plan is filled or the tries are used up; a kill changes nothing of what comes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from evenset.models.settings import BalanceSettings
from evenset.workflows.balancing import rejection_sampling
from evenset.workflows.balancing.plan import Plan
from evenset.workflows.data.synthetic import read_image

NAMES = ["a", "b"]


class Folder:
    """A run as far as making needs one: a folder, a key, and somebody who may stop it."""

    key = "evenset_balance_classes_1"

    def __init__(self, folder, stop_after=None):
        self.folder, self.stop_after, self.reports = folder, stop_after, 0
        self.images_folder = folder / "images"

    def report(self, phase, done, total, note=""):
        self.reports += 1
        if self.stop_after is not None and self.reports > self.stop_after:
            raise KeyboardInterrupt

    def check_stop(self):
        pass


def draw(numbers, classes):
    images = np.stack(
        [np.full((1, 8, 8), (7 * n + c) % 256, dtype=np.uint8) for n, c in zip(numbers, classes, strict=True)]
    )
    return images, [dict(source="generate", seed=0) for _ in numbers]


def judge_that_keeps(share):
    """Keeps every n-th image of class b, and all of class a."""

    def judge(images, classes, paths=()):
        first = images[:, 0, 0, 0].astype(int)
        kept = (classes == 0) | (first % 10 < 10 * share)
        reason = np.where(kept, "", "prototype")
        return SimpleNamespace(kept=kept, reason=reason), [dict(class_probability=0.5) for _ in classes]

    return judge


def make(run, wanted=(30, 50), share=0.5, max_draws_per_image=5.0, keep_rejected=False):
    real = np.zeros(2, dtype=int)
    plan = Plan(NAMES, real, real, np.array(wanted), np.array(wanted), [])
    settings = BalanceSettings(max_draws_per_image=max_draws_per_image, keep_rejected=keep_rejected)
    return rejection_sampling.sample(run, plan, draw, judge_that_keeps(share), settings)


def test_every_class_gets_what_it_is_to_get_and_no_more(tmp_path):
    made = make(Folder(tmp_path))
    kept = [one for one in made if one.accepted]

    assert [sum(one.label == name for one in kept) for name in NAMES] == [30, 50]
    numbers = [one.notes["number"] for one in made]
    assert numbers == list(range(len(made)))
    for one in kept:
        assert read_image(one.path)[0, 0, 0] == (7 * one.notes["number"] + NAMES.index(one.label)) % 256
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == sorted(p.path.split("/")[-1] for p in kept)


def test_a_class_that_the_filters_refuse_falls_short_after_its_tries(tmp_path):
    made = make(Folder(tmp_path), share=0.0)

    assert sum(one.accepted for one in made) == 30
    assert sum(one.label == "b" for one in made) == 250
    assert {one.notes["reason"] for one in made if not one.accepted and one.label == "b"} == {"prototype"}


def test_what_was_refused_is_kept_on_disk_only_where_it_is_asked_for(tmp_path):
    made = make(Folder(tmp_path), keep_rejected=True)

    refused = [one for one in made if one.notes["reason"] == "prototype"]
    assert refused and all(read_image(one.path).shape == (1, 8, 8) for one in refused)


@pytest.mark.parametrize("stop_after", [0, 1])
def test_a_run_that_was_stopped_goes_on_and_makes_the_same(tmp_path, monkeypatch, stop_after):
    monkeypatch.setattr(rejection_sampling, "BLOCK", 40)
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    expected = make(Folder(tmp_path / "one"))

    with pytest.raises(KeyboardInterrupt):
        make(Folder(tmp_path / "two", stop_after))
    found = make(Folder(tmp_path / "two"))

    assert [one[1:] for one in found] == [one[1:] for one in expected]
    assert [read_image(a.path).tolist() for a in found if a.accepted] == [
        read_image(b.path).tolist() for b in expected if b.accepted
    ]


def test_an_image_that_was_deleted_by_hand_is_replaced(tmp_path):
    kept = [one for one in make(Folder(tmp_path)) if one.accepted]
    Path(kept[0].path).unlink()

    again = [one for one in make(Folder(tmp_path)) if one.accepted]

    assert len(again) == len(kept) and all(Path(one.path).exists() for one in again)


def test_png_files_say_where_they_come_from(tmp_path):
    from PIL import Image

    one = next(one for one in make(Folder(tmp_path)) if one.accepted)
    chunks = Image.open(one.path).text

    assert chunks["evenset:run"] == Folder.key and chunks["evenset:label"] == one.label
    assert chunks["evenset:class_probability"] == "0.5" and chunks["evenset:seed"] == "0"


def test_draws_follow_the_acceptance_rate_up_to_the_limit_of_each_class():
    nothing = np.zeros(3, dtype=int)
    count = rejection_sampling.how_many_to_draw_next

    assert count(nothing, nothing, np.array([10, 0, 100]), 5.0).tolist() == [12, 0, 120]
    drawn, accepted, wanted = np.array([20, 20, 45]), np.array([10, 5, 0]), np.array([10, 10, 10])
    assert count(drawn, accepted, wanted, 5.0).tolist() == [0, 24, 5]  # full; a quarter passes; 5 of 50 draws are left
    assert count(drawn, accepted, wanted, 2.0).tolist() == [0, 0, 0]


def test_a_block_is_shared_by_the_classes():
    nothing, wanted = np.zeros(2, dtype=int), np.array([3000, 1000])

    assert rejection_sampling.how_many_to_draw_next(nothing, nothing, wanted, 5.0).tolist() == [750, 250]
