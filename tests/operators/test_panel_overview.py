"""Overview's checklist without an App: each step says its count, and its button leads there."""

from __future__ import annotations

import fiftyone as fo
import pytest
from evenset import auto_label, find_mistakes
from evenset.tests.operators.panel_page import Panel


@pytest.fixture
def left_over(clusters, finished):
    """Three labels of one class, suggestions below the target, and a stopped run."""

    def make():
        dataset = clusters(240, 160, spread=2.6)
        rare = dataset.match({"ground_truth.label": "class 2"}).values("id")
        dataset.select(rare[3:]).set_values("ground_truth", [None] * len(rare[3:]))
        quick = dict(embeddings="vector", members="graph", progress=False)
        auto_label(dataset, "ground_truth", target_precision=0.99, **quick)

        def stop(*_):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            find_mistakes(dataset, "ground_truth", embeddings="vector", progress=stop)
        return dataset

    return finished("a checklist with work left", make)


def steps(panel):
    """Place and step of each button."""
    return {step["button"]: (place, step) for place, step in enumerate(panel.state["overview"]["steps"])}


def test_a_user_is_led_from_step_to_step(left_over):
    panel = Panel(left_over).open("overview")
    page = panel.send("on_tab", value="overview").page
    assert "The images are not checked" in page and "1 class has few labels: class 2 (3)" in page
    assert "1 run was stopped or failed" in page

    place, _ = steps(panel)["Show what to label"]
    _, requests = panel.execute("on_overview_step", place=place)
    (view,) = (one.params["view"] for one in requests if one.operator_uri == "set_view")
    shown = fo.DatasetView._build(left_over, view)
    assert 0 < len(shown) == len(shown.match({"ground_truth.label": None}))

    (button,) = (name for name in steps(panel) if name.startswith("Accept at"))
    place, step = steps(panel)[button]
    assert step["sentence"] == "No suggestion reaches the target precision of 99.0 %"
    sent = panel.send("on_overview_step", place=place)
    left_over.reload()
    accepted = left_over.count_values("auto_label.status")["accepted"]
    assert accepted > 0 and sent.notices[0][1].startswith(f"{accepted} suggestion") and "to accept" in sent.page

    place, _ = steps(panel)["Check"]
    _, requests = panel.execute("on_overview_options", place=place)
    asked = [one.params for one in requests if one.operator_uri == "prompt_user_for_operation"]
    assert [one["operator_uri"] for one in asked] == ["@evenset/evenset/check_dataset"]
    place, _ = steps(panel)["Runs"]
    panel.send("on_overview_step", place=place)
    assert panel.state["tab"] == "runs"
