"""Boxes of the forms that a user empties: what they show then, what the form says, and what the run gets."""

from __future__ import annotations

import re
import time
from types import SimpleNamespace
from typing import Any

import pytest
from evenset import stop_run
from evenset.models.settings import AutoLabelSettings, BalanceSettings, MistakeSettings
from evenset.operators.forms.settings import read_settings
from evenset.workflows.runs import records
from playwright.sync_api import Locator, expect

TRAIN_GENERATOR, KEY = "Train generator", "evenset_train_generator_1"
BOXES = (  # form, its settings, one of them, label, value at first, what an empty box shows, another value, a wrong one
    ("Auto-label", AutoLabelSettings, "target_precision", "Target precision", "0.95", "0.95 (default)", "0.9", "2"),
    ("Find mistakes", MistakeSettings, "folds", "Folds", "5", "5 (default)", "3", "1"),
    ("Balance classes", BalanceSettings, "max_ratio", "Max ratio", "3", "no cap", "2", "0"),
)


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


def empties_a_box(user: Any, form: str, kind: Any, setting: str, label: str, *values: str) -> None:
    """An emptied box says what it stands for, and the run would get that."""
    shown, empty, other, refused = values
    user.open(form)
    box = box_of(user, label)
    expect(box).to_have_value(shown)
    for entered in ("", other, refused):
        box.fill(entered)
        expect(box).to_have_attribute("placeholder", empty)
        expect(user.page.get_by_text(re.compile(f"has to be .*, not {refused}"))).to_have_count(int(entered == refused))
        expect(box).to_have_value(entered)

    def is_emptied(request: Any) -> bool:
        return "resolve-type" in request.url and request.post_data_json["params"].get(setting, shown) in (None, "")

    with user.page.expect_request(is_emptied) as asked:
        box.fill("")
    expect(user.page.get_by_text(re.compile("has to be .*, not "))).to_have_count(0)
    expect(box).to_have_value("")
    sent = read_settings(SimpleNamespace(params=asked.value.post_data_json["params"]), kind)
    default = kind.__dataclass_fields__[setting].default
    assert sent.get(setting, default) == (None if empty == "no cap" else default)
    user.click("Cancel")
    user.page.get_by_role("dialog").wait_for(state="hidden")


def empties_a_number_of_images(user: Any) -> None:
    """It is asked for."""
    missing = user.page.get_by_text("Enter a whole number of images per class")
    user.open("Balance classes")
    user.page.get_by_text("As many as the largest class", exact=True).click()
    user.page.get_by_role("option", name="A number", exact=True).click()
    box = box_of(user, "Images per class")
    expect(box).to_have_value("100")
    box.fill("")
    missing.first.wait_for()
    box.fill("30")
    expect(missing).to_have_count(0)
    user.sees("synthetic images would be added")
    user.click("Cancel")
    user.page.get_by_role("dialog").wait_for(state="hidden")


def empties_a_limit(user: Any) -> None:
    """A generator without any is refused, and one with another trains without the one that was emptied."""
    never_ends = user.page.get_by_text("Training without a limit never ends")
    user.open(TRAIN_GENERATOR)
    box = box_of(user, "Minutes")
    expect(box).to_have_value("5")
    box.fill("")
    expect(box).to_have_attribute("placeholder", "no limit")
    never_ends.first.wait_for()
    user.unfold_section("Optimization")
    user.put("Max updates", "3")
    expect(never_ends).to_have_count(0)
    user.click("Train")
    settings = settings_of(user, KEY)
    assert (settings["minutes"], settings["max_updates"]) == (None, 3)


@pytest.mark.slow
def test_an_emptied_box_says_what_it_stands_for_and_the_run_gets_it(digits, open_app):
    user = open_app(digits(n=120, size_px=8, labelled=120, name="boxes"))
    for box in BOXES:
        empties_a_box(user, *box)
    empties_a_number_of_images(user)
    empties_a_limit(user)
