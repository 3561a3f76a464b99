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


def bar_leads_to_its_class(user: Any, name: str, suggestions: str | None) -> None:
    """A click on the last part of a class's bar shows its labels, and what is suggested to be of it."""
    plot = user.page.locator(".js-plotly-plot")
    place = plot.locator(".ytick text").all_text_contents().index(name)
    user.scroll_to(plot.locator(".ytick text").nth(place))
    parts = [part.locator(".point path").nth(place) for part in plot.locator(".bars").all()]
    boxes = [box for part in parts if (box := part.bounding_box()) and box["width"] > 3]
    assert len(boxes) > (suggestions is not None)
    ids, given = user.dataset.values(["id", "ground_truth.label"])
    suggested = user.dataset.values(f"{suggestions}.label") if suggestions else given
    fits = [i for i, label, other in zip(ids, given, suggested, strict=True) if (label or other) == name]
    assert (len(fits) > given.count(name)) == (suggestions is not None)

    x, y = (boxes[-1][side] + boxes[-1][size] / 2 for side, size in (("x", "width"), ("y", "height")))
    user.is_led_to(fits, lambda: user.hit(x, y))


@pytest.mark.slow
def test_a_run_is_started_watched_stopped_resumed_and_deleted_while_it_runs(marked_up, open_app):
    from evenset.workflows.runs import records

    user = open_app(marked_up)
    before = user.state()
    user.open_panel()
    user.sees(COUNTS)
    expect(user.page.locator(".js-plotly-plot text").get_by_text(ZERO)).to_be_visible()
    user.picture("panel")

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
    user.page.wait_for_timeout(4000)  # more than two looks at what runs
    expect(settings).to_be_focused()
    user.press(user.run_button("Delete", "auto label 1"), "on_runs_delete")
    user.undo("It is running, and is stopped first")
    user.sees("Nothing has run yet")
    assert user.state() == before


@pytest.mark.slow
def test_a_bar_leads_to_the_labels_and_suggestions_of_its_class(marked_up, open_app):
    from evenset import auto_label

    user = open_app(marked_up)
    user.open_panel()
    expect(user.page.locator(".js-plotly-plot .ytick").first).to_be_visible()
    bar_leads_to_its_class(user, ZERO, None)

    auto_label(marked_up, "ground_truth", members="graph", target_precision=0.8, progress=False)
    user.page.get_by_role("tab", name="Runs").click()
    user.page.get_by_role("tab", name="Overview").click()
    user.page.get_by_text(re.compile("suggestions")).first.wait_for()
    user.picture("panel-overview")
    bar_leads_to_its_class(user, ZERO, "auto_label")


@pytest.mark.slow
def test_a_form_closes_at_once_and_the_panel_has_what_came_of_it(marked_up, open_app):
    user = open_app(marked_up)
    before = user.state()
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


@pytest.mark.slow
def test_tabs_that_are_clicked_one_after_the_other_come_to_rest(marked_up, open_app):
    user = open_app(marked_up)
    user.open_panel()
    user.sees(COUNTS)
    for name in ("Labels", "Review", "Runs", "Overview", "Balance", "Runs"):
        user.page.get_by_role("tab", name=name).click()
    user.sees("Nothing has run yet")
    user.page.wait_for_timeout(5000)
    calls: list[str] = []
    user.page.on("request", lambda request: calls.append(request.url) if "/operators/execute" in request.url else None)
    user.page.wait_for_timeout(4000)
    assert not calls
    expect(user.page.get_by_role("tab", name="Runs")).to_have_attribute("aria-selected", "true")
    user.sees("Nothing has run yet")

    user.page.get_by_role("tab", name="Review").click()
    user.page.locator("[data-cy^='panel-tab-evenset'] [title='Close']").click()  # before it is drawn
    user.page.wait_for_timeout(3000)
    calls.clear()
    user.page.wait_for_timeout(4000)
    assert not calls
