"""What each tab says before anything has run, and where there is nothing to work on; without an App."""

from __future__ import annotations

import pytest
from evenset.tests.operators.panel_page import BROKEN, Panel

NO_FIELD = "There is no label field yet: add one of Classification, Detections or Classifications"
NO_LABEL = "No sample has a label yet: label a few of each class first"
NONE_HAS_RUN = dict(
    labels="There are no suggestions yet: Auto-label suggests",
    review="run Auto-label first",
    mistakes="No label of ground_truth has been checked yet",
    runs="Nothing has run yet: the Overview tab suggests a first step",
)


def each_tab_says(dataset, words):
    panel = Panel(dataset)
    panel.send("on_load")
    for tab, text in words.items():
        sent = panel.send("on_tab", value=tab)
        assert text in sent.page and sent.notices == [], tab
        assert not BROKEN.search(sent.page), tab
    dataset.reload()
    assert dataset.list_runs() == [] and dataset.list_saved_views() == []


def test_without_a_label_field_each_tab_says_what_to_do(digit_files, make_dataset):
    tabs = dict.fromkeys(("overview", "labels", "review", "mistakes", "balance"), NO_FIELD)
    each_tab_says(make_dataset(digit_files(n=20)[0]), {**tabs, "runs": "Nothing has run yet"})


@pytest.mark.parametrize("labelled", [0, 30])
def test_without_runs_each_tab_says_what_to_do(digits, labelled):
    own = dict(overview="30 samples have no label", balance="synthetic images would be added")
    nothing = dict(overview=NO_LABEL, balance=NO_LABEL)
    each_tab_says(digits(n=60, size_px=16, labelled=labelled), NONE_HAS_RUN | (own if labelled else nothing))
