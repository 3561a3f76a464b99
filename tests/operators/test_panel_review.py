"""Review without an App: what was skipped, what somebody else decided, and the next round."""

from __future__ import annotations

import os

import pytest
from evenset import auto_label, load_results
from evenset.operators.tabs import event_order
from evenset.tests.operators.panel_page import Panel
from evenset.workflows.runs import records, worker
from evenset.workflows.ui import review_order

KEY, FIELDS = "evenset_auto_label_1", ("auto_label", "ground_truth")


@pytest.fixture
def suggested(clusters, finished):
    """160 vectors, 80 with a label, and suggestions of which most wait for a look."""

    def make():
        dataset = clusters(160, 80, spread=2.2)
        auto_label(dataset, "ground_truth", embeddings="vector", target_precision=0.99, progress=False)
        return dataset

    return finished("suggestions to review", make)


def waiting(dataset):
    dataset.reload()
    return review_order.count_waiting(dataset, *FIELDS)


def label_of(dataset, sample_id):
    dataset.reload()
    label = dataset[sample_id].ground_truth
    return label and label.label


def test_what_was_skipped_is_shown_again(suggested):
    later = review_order.read_waiting(suggested, *FIELDS)[0][2:]
    suggested.set_values("auto_label.status", dict.fromkeys(later, "accepted"), key_field="id")
    panel = Panel(suggested).open("review")
    first = panel.state["review"]["id"]
    panel.act("skip")
    assert panel.state["review"]["id"] not in (first, None)

    sent = panel.act("skip")
    assert "Only samples that you skipped are left." in sent.page and panel.state["review"]["waiting"] == 2
    panel.send("on_review_again")
    assert panel.state["review"]["id"] == first
    panel.act("accept")
    assert (panel.state["review"]["done"], panel.state["review"]["waiting"]) == (1, 1)
    assert label_of(suggested, first) == suggested[first].auto_label.label


def test_a_choice_in_the_list_and_a_rejection_are_counted_and_undone(suggested):
    panel, count = Panel(suggested).open("review"), waiting(suggested)
    first = panel.state["review"]
    other = next(name for name in first["classes"] if name != first["label"])
    panel.send("on_review_correct", path=f"correct_{first['id']}", value=other)
    assert label_of(suggested, first["id"]) == other
    assert suggested[first["id"]].ground_truth.evenset_review == "corrected"
    assert [key for key in suggested.list_runs() if "review" in key] == ["evenset_review_labels_1"]

    second = panel.state["review"]
    panel.act("reject")
    suggested.reload()
    assert suggested[second["id"]].auto_label.label == "" and label_of(suggested, second["id"]) is None
    assert (panel.state["review"]["done"], panel.state["review"]["waiting"]) == (2, count - 2)
    for left in (1, 0):
        panel.act("undo")
        assert panel.state["review"]["done"] == left and waiting(suggested) == count - left
    assert suggested[second["id"]].auto_label.label == second["label"] and label_of(suggested, first["id"]) is None


@pytest.fixture
def ben(suggested, monkeypatch):
    """ben(event, **params): another person does something, at a server of their own."""
    panel = Panel(suggested, "ben")

    def at_other_server(do, *given, **params):
        with monkeypatch.context() as other:
            other.setattr(os, "getpid", lambda: 0)
            return do(*given, **params)

    at_other_server(panel.open, "review")
    return panel, at_other_server


def test_what_one_decided_the_other_does_not_decide_again(suggested, ben):
    ben, at_other_server = ben
    ada, count = Panel(suggested, "ada").open("review"), waiting(suggested)
    item = ada.state["review"]
    assert ben.state["review"]["id"] == item["id"]
    ada.act("accept")

    sent = at_other_server(ben.act, "reject")

    assert sent.notices == [("warning", "Somebody else has decided on this sample: their decision stays")]
    assert (ben.state["review"]["done"], ben.state["review"]["waiting"]) == (0, count - 1)
    suggested.reload()
    assert label_of(suggested, item["id"]) == item["label"] == suggested[item["id"]].auto_label.label


def test_what_one_decides_and_takes_back_the_other_sees_once(suggested, ben, monkeypatch):
    monkeypatch.setattr(event_order, "DRAWING_SECONDS", 0)
    ben, at_other_server = ben
    ada, count = Panel(suggested, "ada").open("review"), waiting(suggested)
    for action, left in (("accept", count - 1), ("accept", count - 2), ("undo", count - 1)):
        ada.act(action)
        seen = ben.state["changed"]
        at_other_server(ben.execute, "on_live_changes", seen=seen)
        assert (ben.state["review"]["done"], ben.state["review"]["waiting"]) == (0, left)
        assert at_other_server(ben.execute, "on_live_changes", seen=ben.state["changed"]) == (None, [])
        labelled = suggested.count("ground_truth.label")
        at_other_server(ben.send, "on_tab", value="overview")
        assert ben.state["overview"]["totals"]["labelled"] == labelled
        at_other_server(ben.send, "on_tab", value="review")


@pytest.mark.slow
def test_what_was_decided_is_learned_from_in_a_next_round(suggested, monkeypatch):
    started = []
    monkeypatch.setattr(worker, "start_worker", lambda *call, awaited: started.append(call))
    panel = Panel(suggested).open("review")
    panel.act("accept")

    sent = panel.send("on_review_learn")

    text = "Learning from all current labels; suggestions go into auto_label_2"
    assert sent.notices == [("info", text)]
    ((samples, workflow, arguments),) = started
    worker.call(workflow, samples, arguments, lambda *_: None)
    assert records.read_record(suggested, "evenset_auto_label_2").inputs["after"] == KEY
    first, second = (load_results(suggested, key).labelled for key in (KEY, "evenset_auto_label_2"))
    assert second == first + 1
    review = panel.again("review")
    assert (review["field"], review["done"]) == ("auto_label_2", 0) and review["waiting"] > 0
    page = panel.send("on_tab", value="labels").page
    assert f"A next round after {KEY}: what that run held out stays held out" in page
