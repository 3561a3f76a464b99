"""The panel: a run is started from it and seen in it, stopped, resumed, and undone; the database is asked each time."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest
from fiftyone import ViewField as F
from playwright.sync_api import expect

MINUTE = 60_000  # milliseconds
PICTURES = "EVENSET_SCREENSHOTS" in os.environ  # they show what users have: larger images, and plain names
ZERO = "zero" if PICTURES else "<b>zero</b>"
IMAGES, LABELLED = (500, 200) if PICTURES else (200, 60)
COUNTS = f"{IMAGES - LABELLED} samples have no label"


@pytest.fixture
def marked_up(digits: Any) -> Any:
    """Digits of which a part has a label; one class has markup in its name."""
    dataset = digits(n=IMAGES, size_px=28 if PICTURES else 8, labelled=LABELLED, name="digits")
    zeros = dataset.match(F("ground_truth.label") == "0")
    zeros.set_values("ground_truth.label", [ZERO] * len(zeros))
    return dataset


def bar_leads_to_its_class(user: Any, name: str) -> None:
    """A click on the bar of a class shows its labels."""
    plot = user.page.locator(".js-plotly-plot")
    expect(plot.locator(".ytick").first).to_be_visible()
    place = plot.locator(".ytick text").all_text_contents().index(name)
    user.scroll_to(plot.locator(".ytick text").nth(place))
    parts = [part.locator(".point path").nth(place) for part in plot.locator(".bars").all()]
    (box,) = (box for part in parts if (box := part.bounding_box()) and box["width"] > 3)
    ids = user.dataset.match(F("ground_truth.label") == name).values("id")
    user.is_led_to(ids, lambda: user.hit(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2))


@pytest.mark.slow
def test_a_run_is_started_watched_stopped_resumed_and_deleted_while_it_runs(marked_up, open_app):
    from evenset.workflows.runs import records

    user = open_app(marked_up)
    before = user.state()
    user.open_panel()
    user.sees(COUNTS)
    expect(user.page.locator(".js-plotly-plot text").get_by_text(ZERO)).to_be_visible()
    user.picture("panel")
    bar_leads_to_its_class(user, ZERO)

    user.click("Auto-label")
    user.page.get_by_text("graph and resnet", exact=True).click()
    user.page.get_by_role("option", name="resnet", exact=True).click()
    user.unfold_section("Optimization")
    user.put("Epochs", "400")  # long enough to be stopped twice, wherever it runs
    user.put("Patience", "400")
    user.put("Min updates", "1")
    user.click("Label the rest")
    user.page.get_by_text(re.compile("auto label · .* of")).first.wait_for()
    done = re.compile("[1-9][0-9]?")
    expect(user.page.locator(".MuiLinearProgress-root").first).to_have_attribute("aria-valuenow", done)  # per cent
    user.picture("panel-live")
    user.page.get_by_role("button", name="Stop").click()
    user.page.get_by_text("was stopped:").wait_for(timeout=MINUTE)
    user.dataset.reload()
    assert records.read_record(user.dataset, "evenset_auto_label_1").state == "stopped"
    assert user.state()["schema"] == before["schema"]

    user.page.get_by_role("tab", name="Runs").click()
    user.picture("panel-runs")
    user.click("Resume")
    user.page.locator(".js-plotly-plot .legendtext").get_by_text("loss", exact=True).wait_for(timeout=MINUTE)
    user.picture("panel-curves")
    settings = user.run_button("Settings", "auto label 1")
    settings.focus()
    user.is_asked("on_live_tick", times=3)  # the answer to the first two is drawn
    expect(settings).to_be_focused()
    user.press(user.run_button("Delete", "auto label 1"), "on_runs_delete")
    user.undo("It is running, and is stopped first")
    user.sees("Nothing has run yet")
    assert user.state() == before


def tabs_come_to_rest(user: Any) -> None:
    """Those that are clicked one after the other do, and one that is closed before it is drawn."""
    user.open_panel()
    user.sees(COUNTS)
    for name in ("Labels", "Review", "Runs", "Overview", "Balance", "Runs"):
        user.page.get_by_role("tab", name=name).click()
    user.sees("Nothing has run yet")
    user.comes_to_rest()
    expect(user.page.get_by_role("tab", name="Runs")).to_have_attribute("aria-selected", "true")
    user.sees("Nothing has run yet")

    user.page.get_by_role("tab", name="Review").click()
    user.page.locator("[data-cy^='panel-tab-evenset'] [title='Close']").click()  # before it is drawn
    user.comes_to_rest()


@pytest.mark.slow
def test_tabs_come_to_rest_and_a_form_closes_at_once_and_the_panel_has_what_came_of_it(marked_up, open_app):
    user = open_app(marked_up)
    before = user.state()
    tabs_come_to_rest(user)
    user.open("Preprocess images")
    user.sees("by a measurement of this machine")
    images = user.page.locator("img[src^='data:image/png']")  # before and after
    as_they_are = images.get_attribute("src")
    user.put("Size (px)", "12")
    expect(images).not_to_have_attribute("src", as_they_are)  # the form is drawn anew, from its top
    user.scroll_to(images)
    user.picture("preprocess")
    user.click("Write copies")
    user.sees(COUNTS)  # the panel opens
    user.page.get_by_role("tab", name="Runs").click()
    user.page.get_by_text("preprocess images 1 · done").wait_for(timeout=5 * MINUTE)
    user.picture("preprocess-done")
    user.dataset.reload()
    assert user.dataset.count("preprocessed_path") == IMAGES
    user.click("Delete")
    user.undo("Changes to undo")
    assert user.state() == before
