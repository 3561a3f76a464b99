"""Boxes of the forms that a user empties: what they show then, what the form says, and what the run gets."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from evenset import stop_run
from evenset.workflows.runs import records
from playwright.sync_api import Locator, expect

AUTO_LABEL = ("Auto-label", "Label the rest", "evenset_auto_label_1")
FIND_MISTAKES = ("Find mistakes", "Find", "evenset_find_mistakes_1")
BALANCE_CLASSES = ("Balance classes", "Balance", "evenset_balance_classes_1")
TRAIN_GENERATOR = ("Train generator", "Train", "evenset_train_generator_1")


@pytest.fixture
def user(digits: Any, open_app: Any) -> Any:
    return open_app(digits(n=120, size_px=8, labelled=120, name="boxes"))


def box_of(user: Any, label: str) -> Locator:
    return user.page.locator(f"//*[text()='{label}']/ancestor::*[.//input][1]//input").last


def settings_of(user: Any, run_key: str) -> dict[str, Any]:
    """The settings of a run that starts, which is stopped then."""
    for _ in range(300):
        user.dataset.reload()
        if user.dataset.has_run(run_key):
            settings = records.read_record(user.dataset, run_key).settings
            stop_run(user.dataset, run_key)
            return settings
        time.sleep(0.3)
    pytest.fail(f"{run_key} has not started")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "label", "shown", "empty", "other", "refused", "setting", "value"),
    [
        (AUTO_LABEL, "Target precision", "0.95", "0.95 (default)", "0.9", "2", "target_precision", 0.95),
        (FIND_MISTAKES, "Folds", "5", "5 (default)", "3", "1", "folds", 5),
        (BALANCE_CLASSES, "Max ratio", "3", "no cap", "2", "0", "max_ratio", None),
    ],
)
def test_an_emptied_box_says_what_it_stands_for(user, form, label, shown, empty, other, refused, setting, value):
    operator, button, run_key = form
    user.open(operator)
    box = box_of(user, label)
    expect(box).to_have_value(shown)
    for entered in ("", other, refused, ""):
        box.fill(entered)
        expect(box).to_have_attribute("placeholder", empty)
        expect(user.page.get_by_text(re.compile(f"has to be .*, not {refused}"))).to_have_count(int(entered == refused))
        expect(box).to_have_value(entered)
    user.click(button)
    assert settings_of(user, run_key)[setting] == value


@pytest.mark.slow
def test_a_generator_without_any_limit_is_refused_in_the_form(user):
    operator, button, run_key = TRAIN_GENERATOR
    never_ends = user.page.get_by_text("Training without a limit never ends")
    user.open(operator)
    box = box_of(user, "Minutes")
    expect(box).to_have_value("5")
    box.fill("")
    expect(box).to_have_attribute("placeholder", "no limit")
    never_ends.first.wait_for()
    user.unfold_section("Optimization")
    user.put("Max updates", "3")
    expect(never_ends).to_have_count(0)
    user.click(button)
    settings = settings_of(user, run_key)
    assert (settings["minutes"], settings["max_updates"]) == (None, 3)


@pytest.mark.slow
def test_an_emptied_number_of_images_is_asked_for(user):
    operator, button, run_key = BALANCE_CLASSES
    missing = user.page.get_by_text("Enter a whole number of images per class")
    user.open(operator)
    user.page.get_by_text("As many as the largest class", exact=True).click()
    user.page.get_by_role("option", name="A number", exact=True).click()
    box = box_of(user, "Images per class")
    expect(box).to_have_value("100")
    box.fill("")
    missing.first.wait_for()
    box.fill("30")
    expect(missing).to_have_count(0)
    user.sees("synthetic images would be added")
