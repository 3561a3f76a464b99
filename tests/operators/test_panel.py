"""The panel's parts that need no App: what it sends is short, what it says is readable."""

from __future__ import annotations

from typing import Any

import pytest
from evenset.operators.evenset_panel import merge_patches
from evenset.operators.tabs.run_details import as_text
from evenset.operators.widgets import escape
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
