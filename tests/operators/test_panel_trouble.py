"""The panel when something was removed by hand or a worker died: a sentence says so, and nothing is half written."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import socket
import time

import pytest
from evenset import auto_label, delete_run, find_mistakes, list_runs
from evenset.operators.tabs import event_order
from evenset.tests.operators.panel_page import BROKEN, Panel
from evenset.workflows.data import folders
from evenset.workflows.runs import lifecycle, records, worker

RUN, MISTAKES = "evenset_auto_label_1", "evenset_find_mistakes_1"
NO_FIELD = "There is no label field yet: add one of Classification, Detections or Classifications"
NOT_CHECKED, NO_SUGGESTIONS = "No label of ground_truth has been checked yet", "There are no suggestions yet"
NOT_LABELLED, UNEVEN = "run Auto-label first", "synthetic images would be added"


@pytest.fixture
def unmarked(clusters):
    """150 vectors, 90 with a label of uneven classes, six of them wrong."""
    dataset = clusters(150, 90, spread=1.6)
    dataset.match({"truth": "class 0"}).limit(20).set_values("ground_truth", [None] * 20)
    wrong = dataset.exists("ground_truth").limit(6)
    names = ["class 1" if name != "class 1" else "class 2" for name in wrong.values("truth")]
    wrong.set_values("ground_truth.label", names)
    return dataset


def run_both(dataset):
    """Suggestions of which half disagree and most are in review, and flags."""
    settings = dict(embeddings="vector", progress=False)
    auto_label(dataset, "ground_truth", random_labels=True, target_precision=0.95, **settings)
    gcn = dataset.values("auto_label.gcn_label")
    dataset.set_values("auto_label.resnet_label", [gcn[i - i % 2] for i in range(len(gcn))])
    find_mistakes(dataset, "ground_truth", **settings)
    return dataset


@pytest.fixture
def both(unmarked, finished):
    return finished("a panel in trouble", lambda: run_both(unmarked))


def content(dataset):
    """All that an event may write."""
    dataset.reload()
    samples = [{**sample.to_dict(), "last_modified_at": None} for sample in dataset]
    schema = {name: str(field) for name, field in dataset.get_field_schema(flat=True).items()}
    states = [(row["key"], row["state"]) for row in list_runs(dataset).rows]
    return dict(samples=samples, schema=schema, views=dataset.list_saved_views(), runs=states)


def each_tab_says(dataset, **words):
    before, panel = content(dataset), Panel(dataset)
    panel.send("on_load")
    for tab, text in words.items():
        sent = panel.send("on_tab", value=tab)
        assert re.search(text, sent.page) and sent.notices == [], tab
        assert not BROKEN.search(sent.page) and "Try again" not in sent.page, tab
    assert content(dataset) == before


@pytest.mark.parametrize(
    ("tab", "gone", "event", "params", "then"),
    [
        ("mistakes", "mistake", "on_mistakes_act", dict(action="accept"), NOT_CHECKED),
        ("review", "auto_label", "on_review_act", dict(action="reject"), NOT_LABELLED),
        ("review", "ground_truth", "on_review_act", dict(action="accept"), NO_FIELD),
        ("labels", "auto_label", "on_labels_apply", dict(run_key=RUN, target=0.7), NO_SUGGESTIONS),
        ("overview", "ground_truth", "on_overview_bar", dict(y=0, x=1, trace="labelled"), NO_FIELD),
    ],
)
def test_an_event_about_a_field_that_was_removed_writes_nothing(both, tab, gone, event, params, then):
    panel = Panel(both).open(tab)
    if "action" in params:
        params = dict(params, turn=panel.state[tab]["turn"])
    both.delete_sample_field(gone)
    before = content(both)

    sent = panel.send(event, **params)

    owner = RUN if tab == "labels" else repr(both.name)
    assert sent.notices[0][0] == "error"
    assert sent.notices[0][1].startswith(f"The field {gone!r} of {owner} was removed")
    assert "Try again" in sent.page and "EvensetTabs" in sent.page and not BROKEN.search(sent.page)
    again = panel.send("on_again")
    assert then in again.page and again.notices == [] and content(both) == before


def test_where_the_fields_of_runs_were_removed_each_tab_says_what_to_do(both):
    for name in ("mistake", "auto_label"):
        both.delete_sample_field(name)
    unlabelled = 150 - both.count("ground_truth.label")
    words = dict(overview=f"{unlabelled} samples have no label", labels=NO_SUGGESTIONS, review=NOT_LABELLED)
    words |= dict(mistakes=NOT_CHECKED, balance=UNEVEN, runs="The field mistake of this run was removed")
    each_tab_says(both, **words)


def test_where_the_label_field_was_removed_each_tab_says_so(both):
    both.delete_sample_field("ground_truth")
    tabs = ("overview", "labels", "review", "mistakes", "balance")
    each_tab_says(both, **dict.fromkeys(tabs, NO_FIELD), runs="find mistakes 1 · done")


@pytest.mark.slow
def test_runs_whose_files_were_deleted_by_hand_are_shown_and_deleted(unmarked):
    before = content(unmarked)
    dataset = run_both(unmarked)
    for key in (RUN, MISTAKES):
        shutil.rmtree(folders.run_folder(dataset, key))
    words = dict(overview="suggestions", labels="run auto_label again with that 'Target precision'")
    words |= dict(review=r"0 reviewed, \d+ to go", mistakes=r"\d+ of \d+ labels? waits? for a decision", balance=UNEVEN)
    each_tab_says(dataset, **words, runs="The files of this run were deleted by hand")

    panel = Panel(dataset).open("review")
    item = panel.state["review"]
    assert panel.act("accept").notices == [] and panel.state["review"]["done"] == 1
    dataset.reload()
    assert content(dataset)["runs"][-1] == ("evenset_review_labels_1", "done")
    assert dataset[item["id"]].ground_truth.label == item["label"]
    reviewed = content(dataset)
    sent = panel.send("on_review_learn")
    assert sent.notices[0][1].startswith(f"The files of {RUN} were deleted by hand") and content(dataset) == reviewed

    panel.open("runs")
    while panel.state["run_key"]:
        (form,) = panel.send("on_runs_delete", run_key=panel.state["run_key"]).forms
        delete_run(dataset, **form)
        panel.send("on_again")
    assert content(dataset) == before


def test_a_run_that_somebody_else_deleted_is_not_asked_about(both):
    panel = Panel(both).open("runs")
    newest, other = (row["key"] for row in panel.state["runs"])
    delete_run(both, newest)

    sent = panel.send("on_runs_delete", run_key=newest)

    assert sent.notices == [("warning", f"{newest} was deleted meanwhile")] and sent.forms == []
    assert [row["key"] for row in panel.state["runs"]] == [other]
    assert panel.send("on_runs_delete", run_key=other).forms == [dict(run_key=other)]


def test_a_dataset_that_was_emptied_is_told_and_no_run_is_made(clusters):
    panel = Panel(clusters(60, 30)).open("overview")
    panel.dataset.clear()

    assert "The dataset is empty" in panel.send("on_tab", value="runs").page
    assert content(panel.dataset)["runs"] == []


def killed_run(dataset):
    """A run whose worker was killed, as it is stored."""
    inputs = dict(label_field="ground_truth", output_field="auto_label")
    request = lifecycle.RunRequest("auto_label", settings=(), inputs=inputs)
    with lifecycle.start(dataset, request, progress=False) as run:
        pass
    records.save_record(dataset, dataclasses.replace(run.record, state="running"))
    process = worker.process_of(os.getpid())._asdict() | dict(born=1.0)  # its number belongs to somebody else by now
    job = dict(workflow="auto_label", state="running", run_key=run.key, error="", awaited=False, started=time.time())
    records.store(dataset).set("job:killed", {**job, **process, "host": socket.gethostname()})


def test_a_killed_worker_is_told_of_and_its_run_can_be_resumed(clusters, monkeypatch):
    monkeypatch.setattr(event_order, "DRAWING_SECONDS", 0)
    dataset, resumed = clusters(60, 30), []
    panel = Panel(dataset).open("overview")
    killed_run(dataset)
    panel.state["live"] = [dict(run_key=RUN)]  # as long as it was alive

    sent = panel.send("on_live_tick")
    assert f"The worker of {RUN} ended before its work was done" in sent.page and "stop_0" not in sent.page
    assert records.read_record(dataset, RUN).state == "stopped"

    page = panel.send("on_tab", value="runs").page
    assert "auto label 1 · stopped" in page and "its process ended, before its work was done" in page
    monkeypatch.setattr(worker, "start_worker", lambda dataset, *call, **more: resumed.append(call))
    panel.send("on_runs_resume", run_key=RUN)
    assert resumed == [("resume_run", dict(run_key=RUN))]
