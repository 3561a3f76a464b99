"""The panel's tabs as they load and draw, without an App."""

from __future__ import annotations

from types import SimpleNamespace

import fiftyone.operators.types as types
import pytest
from evenset.operators.display import charts
from evenset.operators.evenset_panel import EvensetPanel
from evenset.operators.tabs.disagreement import heat_map
from evenset.operators.tabs.mistakes import describe_unlisted
from evenset.operators.tabs.precision_chart import precision_layout, precision_lines

NAMES = ['3" pipe', "<b>zero</b>", "R&D", "it's"]
DRAWN = ['3" pipe', "&lt;b&gt;zero&lt;/b&gt;", "R&amp;D", "it's"]


class State(dict):
    __getattr__ = dict.get
    __setattr__ = dict.__setitem__


def context(dataset, view=None):
    panel = SimpleNamespace(state=State())
    return SimpleNamespace(dataset=dataset, view=view, has_custom_view=view is not None, panel=panel)


def test_plotly_draws_a_class_name_letter_by_letter():
    assert charts.name_axis(NAMES)["ticktext"] == DRAWN
    (cells,) = heat_map(dict(names=NAMES, counts=[]))
    assert cells["text"][0] == [f'ResNet says 3" pipe, GCN says {name}' for name in DRAWN]


@pytest.mark.parametrize(("right", "bottom"), [(0.9, 45), (0.45, 40), (0.02, -1)])
def test_a_curve_that_lies_low_is_shown_too(right, bottom):
    curve = [dict(coverage=x / 10, low=0.0, high=1.0, precision=right if x else 0.0) for x in range(11)]

    assert precision_layout(precision_lines(curve, 0.95, None))["yaxis"]["range"] == [bottom, 101]


def test_the_view_counts_its_samples_without_a_suggestion(clusters):
    dataset = clusters(n=200, labelled=60)
    ctx = context(dataset, dataset.skip(60))

    EvensetPanel().tabs["overview"].load(ctx)

    assert ctx.panel.state.overview["marked"] == 140
    assert ctx.panel.state.overview["unlabelled"] == 140


def test_the_plan_draws_the_classes_that_get_images(make_dataset):
    names = [f"a{number:02d}" for number in range(62) for _ in range(4)] + ["z0", "z1", "z1"]
    dataset = make_dataset([f"/nowhere/{number}.png" for number in range(len(names))], names)
    ctx = context(dataset)

    EvensetPanel().tabs["balance"].load(ctx)

    state = ctx.panel.state.balance
    assert state["names"][:3] == ["z0", "z1", "a00"] and state["hidden"] == 4


def test_of_a_thousand_small_classes_eight_are_named():
    small = {f"no. {number}": 2 for number in range(1000)}

    (sentence,) = describe_unlisted(dict(small=small, dismissed=0, edited=0))

    assert sentence.startswith("Too small to judge: no. 0 (2), no. 1 (2)")
    assert "no. 7 (2) and 992 more. Fewer than" in sentence and "no. 8" not in sentence


@pytest.mark.parametrize("keeps", [True, False])
def test_refused_images_are_shown_and_said_to_be_kept_as_the_run_had_it(keeps, tmp_path):
    path = tmp_path / "refused.png"
    path.touch()
    done = dict(run_key="evenset_balance_classes_1", decision="undecided", sentence="", views={}, can_add=False)
    done.update(gains=[], refused={"a copy of a real image": 3}, picture=None, keeps=keeps)
    done["refused_picture"] = str(path)
    page = types.Object()

    panel = EvensetPanel()
    panel.plugin_name = "@evenset/evenset"
    panel.tabs["balance"]._show_outcome(page, done)

    hints = {line.view.label: line.view.description for line in page.properties.values()}
    assert any("refused.png" in str(line.default) for line in page.properties.values())
    assert ("Keep rejected" in hints["3 images were rejected by the filters"]) is not keeps
