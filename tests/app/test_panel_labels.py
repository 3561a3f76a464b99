"""The panel's Labels: a target is moved and applied, a cell leads to its samples, and the database agrees."""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
from evenset import auto_label, load_results
from PIL import Image

ZERO = "zero" if "EVENSET_SCREENSHOTS" in os.environ else "<b>zero</b>"  # pictures show a name that is nicer


@pytest.fixture
def suggested(digits: Any, finished: Any) -> Any:
    """300 digits of which 120 have a label, suggestions for the rest, and a ResNet's word that is often another."""

    def make() -> Any:
        dataset = digits(n=300, size_px=16, labelled=120, name="suggested")
        zeros = dataset.match({"ground_truth.label": "0"})
        zeros.set_values("ground_truth.label", [ZERO] * len(zeros))
        pixels = [np.asarray(Image.open(path), np.float32).ravel() for path in dataset.values("filepath")]
        dataset.set_values("pixels", pixels)
        settings = dict(embeddings="pixels", random_labels=True, target_precision=0.9, progress=False)
        auto_label(dataset, "ground_truth", **settings)
        said = dataset.values("auto_label.gcn_label")
        names = dataset.distinct("auto_label.gcn_label")
        other = [names[i % len(names)] if i % 4 == 0 else name for i, name in enumerate(said)]
        dataset.set_values("auto_label.resnet_label", other)
        return dataset

    return finished("panel labels: suggested", make)


def open_tab(user: Any, tab: str) -> None:
    user.open_panel()
    user.page.get_by_role("tab", name=tab).click()


def counts(dataset: Any) -> dict[str, int]:
    dataset.reload()
    return dataset.count_values("auto_label.status")


def move_target(user: Any, target: float) -> None:
    """Clicks the slider where that target is."""
    rail = user.page.locator(".MuiSlider-root:has(input[max='0.999'])")
    box = rail.bounding_box()
    rail.click(position=dict(x=box["width"] * (target - 0.5) / 0.499, y=box["height"] / 2))


def cell_leads_to_its_samples(user: Any) -> None:
    """A click on the fullest cell of where ResNet and GCN disagree shows the samples without a label that are in it."""
    columns = ["id", "ground_truth.label", "auto_label.resnet_label", "auto_label.gcn_label"]
    rows = [row for row in zip(*user.dataset.values(columns), strict=True) if row[1] is None and row[2] != row[3]]
    (resnet, gcn), _ = Counter(row[2:] for row in rows).most_common(1)[0]
    clash = user.page.locator(".js-plotly-plot").last
    row, column = (clash.locator(f".{axis} text") for axis in ("ytick", "xtick"))
    row, column = (ticks.get_by_text(name, exact=True) for ticks, name in ((row, resnet), (column, gcn)))
    user.scroll_to(row)
    across, down = column.bounding_box(), row.bounding_box()
    x, y = across["x"] + across["width"] / 2, down["y"] + down["height"] / 2
    user.is_led_to([i for i, _, *said in rows if said == [resnet, gcn]], lambda: user.hit(x, y))


def test_a_target_is_moved_and_applied(suggested, open_app):
    user = open_app(suggested)
    before = counts(suggested)
    open_tab(user, "Labels")
    user.page.get_by_text(re.compile(r"Accepts (none|\d+) of 180")).first.wait_for()
    user.picture("panel-labels")
    move_target(user, 0.8)
    user.page.get_by_text(re.compile(r"Accepts \d+ of 180, (at least|an estimated) \d")).wait_for()
    window = user.page.viewport_size
    user.page.set_viewport_size(dict(window, height=880))  # with the whole chart
    user.picture("panel-labels-moved")
    user.page.set_viewport_size(window)
    assert counts(suggested) == before

    user.click("Apply")
    user.page.get_by_text("suggestions are accepted").wait_for()
    results = load_results(suggested, "evenset_auto_label_1")
    assert counts(suggested)["accepted"] == results.accepted > 0
    assert results.target_precision == pytest.approx(0.8, abs=0.01)
    user.page.get_by_text(re.compile(f"Now {results.accepted} accepted and .* in review")).wait_for()
    user.picture("panel-labels-applied")
    user.scroll_to(user.page.get_by_text("Where ResNet and GCN disagree"))
    user.page.mouse.wheel(0, 2000)
    user.picture("panel-labels-clash")
    cell_leads_to_its_samples(user)
