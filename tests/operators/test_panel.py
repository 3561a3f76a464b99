"""The panel's parts that need no App: what it sends is short, what it says is readable."""

from __future__ import annotations

from typing import Any

import fiftyone.operators.types as types
import pytest
from evenset.operators.display.widgets import escape
from evenset.operators.evenset_panel import EvensetPanel, merge_patches
from evenset.operators.tabs.run_details import as_text
from fiftyone.operators.executor import InvocationRequest


def patch(**state: Any) -> InvocationRequest:
    return InvocationRequest("patch_panel_state", dict(panel_id="one", state=state))


def test_patches_that_follow_one_another_are_sent_in_one():
    drawn = InvocationRequest("show_panel_output", dict(panel_id="one"))

    sent = merge_patches([patch(tab="runs", shown=1), patch(shown=2), drawn, patch(outcomes=[])])

    assert [request.params.get("state") for request in sent] == [dict(tab="runs", shown=2), None, dict(outcomes=[])]
    assert sent[1] is drawn


def test_a_patch_does_not_cross_what_clears_the_state():
    clear = InvocationRequest("clear_panel_state", dict(panel_id="one"))

    sent = merge_patches([patch(tab="runs"), clear, patch(tab="labels")])

    assert [request.params.get("state") for request in sent] == [dict(tab="runs"), None, dict(tab="labels")]


@pytest.fixture
def panel():
    panel = EvensetPanel()
    panel.plugin_name = "@evenset/evenset"
    return panel


@pytest.mark.parametrize("tab", ["overview", "labels", "review", "mistakes", "balance", "runs", "live"])
def test_the_events_of_a_tab_bear_its_name_and_come_to_it(panel, tab):
    owner = panel.live if tab == "live" else panel.tabs[tab]
    events = [name for name in dir(owner) if name.startswith("on_")]

    assert events and all(name.startswith(f"on_{tab}_") for name in events)
    for name in events:
        assert panel._handler(name) == getattr(owner, name)
        view = types.View(on_click=getattr(owner, name)).to_json()
        assert view["on_click"] == f"@evenset/evenset/evenset_panel#{name}"  # by which the App asks for it


def test_other_events_are_the_panels_and_only_events_can_be_asked_for(panel):
    assert panel._handler("on_load") == panel.on_load and panel._handler("on_label_field") == panel.on_label_field
    for name in ("on_review_nothing", "on_unload", "render", "execute", "on_review"):
        assert panel._handler(name) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (dict(zero=12, one=8), "zero 12, one 8"),
        (["resnet", "gcn"], "resnet, gcn"),
        (dict(cat=["tabby", "tom"]), "cat tabby, tom"),
        (False, "no"),
        (0.95, "0.95"),
        (1, "1"),
    ],
)
def test_a_setting_is_shown_as_a_person_would_write_it(value, text):
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("name", "markdown"),
    [("1. cat", r"1\. cat"), ("1) cat", r"1\) cat"), ("- cat", r"\- cat"), ("cat 1.5", "cat 1.5"), ("", "–")],
)
def test_a_class_name_is_shown_letter_by_letter(name, markdown):
    assert escape(name) == markdown
