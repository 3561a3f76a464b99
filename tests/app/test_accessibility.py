"""What a screen reader and a keyboard find in the panel and in a form: names, tabs, a slider that keeps the focus."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from evenset import auto_label, find_mistakes
from PIL import Image
from playwright.sync_api import Locator, expect

WORDS = dict(  # that each tab draws last
    Overview="suggestions",
    Labels="Where ResNet and GCN disagree",
    Review="Correct to",
    Mistakes="wait for a decision",
    Balance="would be added",
    Runs="find mistakes 1 · done",
)
ROLES = "button|combobox|textbox|spinbutton|slider|checkbox|switch|radio|tab|tablist|progressbar|table|figure"
UNNAMED = re.compile(rf'^\s*- ({ROLES})\b(?! ")')  # a line of Playwright's snapshot
NAMED = re.compile(rf'^\s*- (?:{ROLES}) "((?:[^"\\]|\\.)*)"')


@pytest.fixture
def judged(digits: Any, finished: Any) -> Any:
    """150 digits with suggestions, half of them disputed, and flagged labels."""

    def make() -> Any:
        dataset = digits(n=150, size_px=16, labelled=90, name="judged")
        wrong = dataset.limit(6)
        wrong.set_values("ground_truth.label", [str((int(digit) + 1) % 10) for digit in wrong.values("truth")])
        pixels = [np.asarray(Image.open(path), np.float32).ravel() for path in dataset.values("filepath")]
        dataset.set_values("pixels", pixels)
        settings = dict(embeddings="pixels", progress=False)
        auto_label(dataset, "ground_truth", random_labels=True, target_precision=0.9, **settings)
        said = dataset.values("auto_label.gcn_label")
        dataset.set_values("auto_label.resnet_label", [said[i - i % 2] for i in range(len(said))])
        find_mistakes(dataset, "ground_truth", **settings)
        return dataset

    return finished("accessibility: judged", make)


def has_names(part: Locator, allowed: tuple[str, ...] = ()) -> None:
    """Every button, input and chart has a name without the word that draws its icon; every image has a text."""
    expect(part.locator("[role='progressbar']:not([aria-label])")).to_have_count(0)  # the App's own, while it loads
    lines = part.aria_snapshot().splitlines()
    assert [line for line in lines if UNNAMED.match(line) and line.strip() not in allowed] == []
    names = [found[1] for line in lines if (found := NAMED.match(line))]
    assert names
    icons = set(part.locator(".material-icons").all_text_contents())
    assert [name for name in names if icons & set(name.split())] == []
    assert part.locator("img:not([alt])").count() == 0


def panel_of(user: Any) -> Locator:
    return user.page.locator("[data-cy='panel-content-evenset_panel']")


def legend_stands_beside(chart: Locator) -> None:
    legend, plot = (chart.locator(part).first.bounding_box() for part in (".legend", ".nsewdrag"))
    assert legend["x"] >= plot["x"] + plot["width"]


def opens_tabs_by_keys(user: Any) -> None:
    user.page.get_by_role("tab", name="Overview").focus()
    for key, name in (("Enter", "Labels"), ("Space", "Review")):
        user.page.keyboard.press("ArrowRight")
        expect(user.page.get_by_role("tab", name=name)).to_be_focused()
        user.page.keyboard.press(key)
        expect(user.page.get_by_role("tab", name=name)).to_have_attribute("aria-selected", "true")
        panel_of(user).get_by_text(WORDS[name]).first.wait_for()
        expect(user.page.get_by_role("tab", name=name)).to_be_focused()


def slides_by_keys(user: Any) -> None:
    slider = user.page.get_by_role("slider", name="Target precision")
    slider.focus()
    for key, value in (("ArrowLeft", "0.89"), ("Shift+ArrowLeft", "0.889"), ("PageDown", "0.84"), ("End", "0.999")):
        with user.page.expect_response("**/operators/execute"):
            user.page.keyboard.press(key)
            expect(slider).to_have_value(value)
        user.page.wait_for_timeout(300)  # the answer is drawn
        expect(slider).to_be_focused()
        expect(slider).to_have_value(value)


def form_is_heard(user: Any) -> None:
    user.open("Auto-label")
    user.unfold_section("Optimization")
    form = user.page.get_by_role("dialog")
    form.get_by_text("Epochs").first.wait_for()
    has_names(form, allowed=("- button",))  # the App's own, beside the form's
    form.get_by_text("Epochs", exact=True).first.click()  # a label leads to its box
    expect(form.get_by_role("spinbutton", name="Epochs").first).to_be_focused()


@pytest.mark.slow
def test_the_panel_and_a_form_are_heard_and_used_without_a_mouse(judged, open_app):
    user = open_app(judged)
    user.open_panel()
    panel = panel_of(user)
    panel.get_by_text(WORDS["Overview"]).first.wait_for()
    for name, words in WORDS.items():
        user.page.get_by_role("tab", name=name).click()
        panel.get_by_text(words).first.wait_for()
        has_names(panel)
        user.picture(f"look-{name.lower()}")
        if name == "Overview":
            legend_stands_beside(panel.locator(".js-plotly-plot").first)
    opens_tabs_by_keys(user)
    user.page.get_by_role("tab", name="Labels").click()
    slides_by_keys(user)
    user.page.get_by_role("tab", name="Runs").click()
    user.page.get_by_role("button", name="auto label 1", exact=True).press("Enter")
    panel.get_by_text("auto label 1 · done").wait_for()
    form_is_heard(user)
