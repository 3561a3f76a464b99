"""Events of the panel, as the App sends them: late ones, and ones about what another page took away meanwhile."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from types import SimpleNamespace
from typing import Any

import fiftyone as fo
import pytest
from evenset import auto_label, find_mistakes, load_results, review_labels, set_target
from evenset.operators import delete_run, execution
from evenset.operators.forms.refill import form_values
from evenset.operators.forms.samples import samples_of
from evenset.operators.tabs import event_order, mistakes, overview, runs
from evenset.operators.tabs.live import LiveStrip
from evenset.operators.tabs.overview import OverviewTab
from evenset.operators.tabs.runs import RunsTab
from evenset.tests.operators.panel_page import Panel
from evenset.workflows.data import locks
from evenset.workflows.runs import records, worker
from evenset.workflows.runs.jobs import Job
from evenset.workflows.ui import live, sittings
from fiftyone import ViewField as F
from fiftyone.operators.executor import ExecutionContext, Executor

KEY = "evenset_auto_label_1"


@pytest.fixture
def suggested(clusters, finished):
    def make():
        dataset = clusters(240, 120, spread=2.2)
        settings = dict(embeddings="vector", random_labels=True, target_precision=0.9, progress=False)
        auto_label(dataset, "ground_truth", **settings)
        return dataset

    return finished("suggestions of the panel's events", make)


@pytest.fixture
def mislabelled(clusters):
    """60 labels, of which four are wrong."""
    dataset = clusters(60, 60)
    wrong, names = dataset.limit(4), sorted(set(dataset.values("truth")))
    wrong.set_values("ground_truth.label", [names[name == names[0]] for name in wrong.values("truth")])
    return dataset


@pytest.fixture
def flagged(mislabelled, finished):
    def make():
        find_mistakes(mislabelled, "ground_truth", embeddings="vector", progress=False)
        return mislabelled

    return finished("flags of the panel's events", make)


def labels(dataset, *ids):
    dataset.reload()
    return dataset.select(list(ids), ordered=True).values("ground_truth.label")


@pytest.mark.slow
def test_a_choice_is_written_to_the_sample_whose_list_it_was_or_not_at_all(suggested):
    panel = Panel(suggested).open("review")
    first = panel.state["review"]["id"]
    panel.act("accept")
    second, accepted = panel.state["review"]["id"], labels(suggested, first)

    sent = panel.send("on_review_correct", path=f"correct_{first}", value="class 1")  # it comes late
    assert sent.notices == [("warning", "Another sample is shown now: class 1 was not written")]
    assert labels(suggested, first, second) == [*accepted, None] and panel.state["review"]["id"] == second

    assert panel.send("on_review_correct", path=f"correct_{second}", value="class 1").notices == []
    assert labels(suggested, first, second) == [*accepted, "class 1"]


@pytest.mark.slow
def test_a_panel_that_is_opened_again_goes_on_until_the_sitting_is_idle(suggested, monkeypatch):
    panel = Panel(suggested, "closed").open("review")
    shown = panel.state["review"]["id"]
    panel.act("accept")
    with monkeypatch.context() as other:
        other.setattr(os, "getpid", lambda: 0)  # somebody else's server
        ben = Panel(suggested, "ben").open("review")
        assert ben.state["review"]["done"] == 0
        assert ben.act("undo").notices == [("warning", "There is nothing to undo")]
    assert panel.open("review").state["review"]["done"] == 1
    with monkeypatch.context() as later:
        later.setattr(sittings, "IDLE_SECONDS", -1)
        assert panel.open("review").state["review"]["done"] == 0

    panel.act("accept")
    panel.act("reject")
    assert panel.state["review"]["done"] == 2
    for _ in range(2):
        assert panel.act("undo").notices == []
    suggested.reload()
    assert [key for key in suggested.list_runs() if "review" in key] == ["evenset_review_labels_1"]
    assert labels(suggested, shown) != [None]


def test_the_panel_goes_on_where_another_tab_was_open(suggested):
    panel = Panel(suggested).open("review")
    panel.act("accept")
    panel.send("on_tab", value="overview")
    panel.send("on_tab", value="review")
    assert panel.state["review"]["done"] == 1
    panel.act("accept")
    suggested.reload()
    assert sum("review" in key for key in suggested.list_runs()) == 1


def test_a_flagged_label_is_decided_by_keys_and_each_decision_is_undone(flagged):
    panel = Panel(flagged).open("mistakes")
    state = panel.state["mistakes"]
    first, second, third, *_ = state["rows"]
    assert state["id"] == first["id"] and first["given"] not in [sample["label"] for sample in state["near"]] != []
    assert dict(state["numbered"]) == {"1": "class 0", "2": "class 1", "3": "class 2"}
    other = ({"class 0", "class 1", "class 2"} - {first["given"], first["suggestion"]}).pop()

    def press(action: str, **more: Any) -> Any:
        turn = panel.state["mistakes"]["turn"]
        return panel.execute("on_mistakes_act", action=action, turn=turn, id=panel.state["mistakes"]["id"], **more)[0]

    assert press("correct", label=other) == dict(acted=True)
    assert press("skip") == dict(acted=True) and panel.state["mistakes"]["id"] == third["id"]
    assert press("correct", label=third["given"]) == dict(acted=True)  # the label that it has: dismissed
    assert panel.state["mistakes"]["done"] == 2 and "S skip" not in str(panel.state)
    assert labels(flagged, *[row["id"] for row in (first, second, third)]) == [other, second["given"], third["given"]]
    assert panel.execute("on_mistakes_act", action="accept", turn="of another page")[0] == dict(acted=False)
    for left in (1, 0):
        assert press("undo") == dict(acted=True) and panel.state["mistakes"]["done"] == left
    assert press("undo") == dict(acted=False)
    assert labels(flagged, first["id"]) == [first["given"]] and not any("review" in k for k in flagged.list_runs())


@pytest.mark.parametrize("comes_back", ["tab", "panel", "page"])
def test_undo_and_what_was_skipped_are_there_when_a_user_comes_back_to_mistakes(flagged, comes_back):
    panel = Panel(flagged).open("mistakes")
    first, second, third, *_ = (row["id"] for row in panel.state["mistakes"]["rows"])
    panel.send("on_mistakes_decide", action="reject", ids=[first])
    panel.send("on_mistakes_act", action="skip", turn=panel.state["mistakes"]["turn"])
    panel.send("on_tab", value="overview")

    if comes_back != "tab":
        panel = Panel(flagged, panel.panel_id if comes_back == "panel" else "new").open("mistakes")
    else:
        panel.send("on_tab", value="mistakes")
    assert panel.state["mistakes"]["done"] == 1 and panel.state["mistakes"]["id"] == third
    panel.send("on_mistakes_act", action="undo", turn=panel.state["mistakes"]["turn"])
    assert panel.state["mistakes"]["id"] == first and panel.state["mistakes"]["rows"][-1]["id"] == second


def test_a_class_that_is_too_small_to_judge_is_named(clusters):
    dataset = clusters(60, 60)
    dataset.limit(3).set_values("ground_truth.label", ["bee"] * 3)
    find_mistakes(dataset, "ground_truth", embeddings="vector", progress=False)

    sent = Panel(dataset).open("mistakes").send("on_mistakes_page", first=0)

    assert "Too small to judge: bee (3). Fewer than 5 labels are flagged only where" in sent.page


def test_undo_says_what_was_edited_since_and_takes_back_the_one_before(suggested):
    panel = Panel(suggested).open("review")
    first = panel.state["review"]["id"]
    panel.act("accept")
    second = panel.state["review"]["id"]
    panel.act("accept")
    suggested.set_values("ground_truth.label", {second: "edited"}, key_field="id")

    sent = panel.act("undo")
    assert sent.notices == [("warning", f"The label of {second} was edited since, and stays")]
    assert "Try again" not in sent.page and panel.state["review"]["done"] == 1
    assert panel.act("undo").notices == []
    assert labels(suggested, first, second) == [None, "edited"]


def test_a_run_whose_field_has_another_name_offers_no_views_and_does_not_promise_to_delete_it(suggested):
    suggested.rename_sample_field("auto_label", "renamed")

    panel = Panel(suggested).open("runs")

    assert panel.state["run"]["views"] == {}
    assert panel.state["run"]["notes"] == ["The field auto_label of this run was removed or renamed."]
    lines = delete_run.describe_deletion(suggested, KEY)
    assert lines and not any("auto_label" in line for line in lines if line.startswith("Fields"))


def test_delete_all_opens_the_form_of_all_runs_and_one_call_undoes_them(suggested):
    panel = Panel(suggested).open("runs")
    assert "Delete all" not in panel.send("on_tab", value="runs").page  # of a single run
    review_labels(suggested, "auto_label", status="all", force=True, progress=False)

    page = panel.send("on_tab", value="runs").page
    assert "Delete all" in page
    (form,) = panel.send("on_runs_delete_all").forms

    ctx = ExecutionContext(dict(dataset_name=suggested.name, params=form), executor=Executor())
    lines = delete_run.DeleteRun().resolve_input(ctx).type.properties
    labels = [line.view.label for line in lines.values() if line.view and line.view.label]
    headings = [label for label in labels if label.startswith("Changes to undo: ")]
    assert headings == ["Changes to undo: evenset_review_labels_1", f"Changes to undo: {KEY}"]
    assert "Fields: auto_label" in labels and not any(line.invalid for line in lines.values())
    done = delete_run.DeleteRun().execute(ctx)
    suggested.reload()
    assert suggested.list_runs() == [] and not suggested.has_field("auto_label")
    assert "evenset_review_labels_1 is gone" in done["text"]


def test_a_run_that_goes_on_shows_no_seconds_of_its_first_part():
    row = dict(started=0.0, seconds=38.0, fields=["auto_label"])

    assert runs.describe_row(dict(row, state="stopped"))[-2:] == ["stopped", "38"]
    assert runs.describe_row(dict(row, state="running"))[-2:] == ["running", ""]


@pytest.mark.parametrize(
    ("event", "params"),
    [
        ("on_review_act", dict(action="accept", turn="one 0 0")),
        ("on_review_act", dict(action="undo", turn="one 0 0")),
        ("on_review_correct", dict(path="correct_one", value="class 1")),
        ("on_review_learn", {}),
        ("on_mistakes_decide", dict(ids=["one"], action="accept")),
        ("on_mistakes_act", dict(action="accept", turn="one 0 0")),
        ("on_mistakes_correct", dict(path="correct_one", value="class 1")),
        ("on_labels_target", dict(value=0.9)),
        ("on_labels_cell", dict(x=0, y=0)),
    ],
)
def test_an_event_about_a_run_that_another_page_deleted_is_told_in_a_sentence(clusters, event, params):
    panel = Panel(clusters()).open(event.split("_")[1])

    sent = panel.send(event, **params)

    assert sent.notices == [("warning", "Nothing was written: the run shown here was deleted meanwhile")]
    assert "Try again" not in sent.page and "EvensetTabs" in sent.page


def test_a_decision_on_rows_that_are_no_longer_listed_says_so(clusters):
    dataset = clusters(60, 60)
    wrong = dataset.limit(1)
    wrong.set_values("ground_truth.label", ["class 1"] if wrong.values("truth") != ["class 1"] else ["class 2"])
    find_mistakes(dataset, "ground_truth", embeddings="vector", progress=False)
    panel = Panel(dataset).open("mistakes")
    before = labels(dataset, *dataset.values("id"))

    sent = panel.send("on_mistakes_decide", ids=["0" * 24, "1" * 24], action="accept")

    assert sent.notices == [("warning", "2 not changed: another page of the list is shown now")]
    assert labels(dataset, *dataset.values("id")) == before


@pytest.mark.parametrize(
    ("event", "params"), [("on_live_stop", dict(run_key=KEY)), ("on_runs_stop", dict(run_key=KEY))]
)
def test_a_run_that_ended_before_stop_was_pressed_is_shown_as_it_is(suggested, event, params):
    panel = Panel(suggested).open("runs")

    sent = panel.send(event, **params)

    assert sent.notices == [("warning", f"{KEY} is not running")]
    assert "Try again" not in sent.page and panel.state["run"]["key"] == KEY


def test_the_grid_is_drawn_once_when_a_run_has_ended(suggested, monkeypatch):
    monkeypatch.setattr(event_order, "DRAWING_SECONDS", 0)
    panel = Panel(suggested).open("overview")
    panel.state["live"] = [dict(run_key=KEY)]  # and nothing runs now

    _, requests = panel.execute("on_live_tick")

    names = [one.operator_uri for one in requests]
    assert [name for name in names if name.startswith("reload_")] == ["reload_dataset"]


def test_an_open_page_takes_the_colours_of_a_run_when_it_ends_and_no_colours_of_the_users(clusters, monkeypatch):
    monkeypatch.setattr(event_order, "DRAWING_SECONDS", 0)
    dataset = clusters(60, 60)
    find_mistakes(dataset, "ground_truth", embeddings="vector", progress=False)
    panel = Panel(dataset).open("overview")

    def end_run() -> list[Any]:
        panel.state["live"] = [dict(run_key="evenset_find_mistakes_1")]  # and nothing runs now
        _, requests = panel.execute("on_live_tick")
        return [request.params for request in requests if request.operator_uri == "set_color_scheme"]

    (colours,) = end_run()
    assert {"ground_truth", "mistake"} <= {entry["path"] for entry in colours["fields"]}
    json.dumps(colours)  # as the App gets it
    dataset.app_config.color_scheme = fo.ColorScheme(color_by="field")
    dataset.save()
    assert end_run() == []


def test_each_run_that_runs_has_its_own_curves(suggested, monkeypatch):
    row = dict(
        workflow="train_resnet",
        phase="training",
        done=2,
        total=9,
        note="",
        started=0.0,
        fraction=None,
        seconds_left=None,
    )
    rows = [dict(row, run_key=key) for key in ("first", "second", None)]  # the third has only a worker yet
    points = dict(first=dict(epoch=[1.0, 2.0], loss=[0.4, 0.3]), second=dict(epoch=[1.0, 2.0], accuracy=[0.7, 0.8]))
    monkeypatch.setattr(live, "running", lambda dataset: rows)
    monkeypatch.setattr(live, "curves", lambda dataset, key: points[key])

    _, requests = Panel(suggested).execute("on_load")

    (page,) = (one.params["output"] for one in requests if one.operator_uri == "show_panel_output")
    parts = page["type"]["properties"].items()
    drawn = {name: one["view"]["data"] for name, one in parts if name.startswith("curves_")}
    assert {name: [line["y"] for line in lines] for name, lines in drawn.items()} == {
        "curves_0": [[0.4, 0.3]],
        "curves_1": [[0.7, 0.8]],
    }


@pytest.mark.slow
def test_the_settings_of_a_run_are_named_as_in_its_form(clusters):
    dataset = clusters(120, 60)
    auto_label(dataset, "ground_truth", embeddings="vector", target_precision=0.8, progress=False)

    page = Panel(dataset).send("on_tab", value="runs").page

    assert all(f"**{name}** " in page for name in ("Label field", "New field", "Embeddings", "Target precision"))


@pytest.mark.slow
def test_the_form_of_a_run_is_on_the_view_that_it_worked_on(clusters, app):
    dataset = clusters(240, 120)
    part = dataset.match(F("truth").is_in(["class 0", "class 2"]))
    for samples, name in ((part, "part"), (dataset.view(), "whole")):
        auto_label(
            samples, "ground_truth", embeddings="vector", members="graph", output_field=name,
            target_precision=0.8, progress=False,
        )  # fmt: skip
    panel = Panel(dataset).open("runs")

    assert "run_view" not in panel.send("on_runs_again", run_key=panel.state["run"]["key"]).forms[0]
    panel.send("on_runs_choose", value=KEY)
    filled = panel.send("on_runs_again", run_key=panel.state["run"]["key"]).forms[0]
    lines = app.form(dataset, "auto_label", filled)
    total = part.count()
    assert f"note {part.count('ground_truth')} of {total} samples are labelled" in lines
    assert not any(name.startswith("note That run") for name in lines)
    lines = app.form(dataset, "auto_label", {**filled, "same_view": False})
    assert f"note That run worked on {total} samples; 240 are chosen now" in lines
    app.execute(dataset, "auto_label", {**filled, "more": False, "output_field": "again"})
    dataset.reload()
    assert dataset.count("again") == total

    params = {**filled, "more": False, "output_field": "late"}
    dataset.delete_sample_field("truth")  # nothing is in the view any more, and a form is open on it
    gone = (
        f"the view that {KEY} worked on was deleted or has no samples left: clear its checkbox and choose other samples"
    )
    lines = app.form(dataset, "auto_label", params)
    assert "same_view" in lines and f"refused {gone}" in lines
    with pytest.raises(ValueError, match=gone):  # a worker, to whom the form was sent earlier
        samples_of(SimpleNamespace(dataset=dataset, params=params, selected=[], request_params={}))
    assert f"refused {gone}" not in app.form(dataset, "auto_label", {**params, "same_view": False})
    assert "run_view" not in panel.send("on_runs_again", run_key=panel.state["run"]["key"]).forms[0]


@pytest.mark.parametrize("event", ["on_live_changes", "on_view", "on_live_tick"])
def test_what_comes_by_itself_gives_way_to_what_a_user_asks_at_the_same_time(clusters, monkeypatch, event):
    panel = Panel(clusters(60, 60), f"busy {event}").open("overview")
    state = dict(panel.state)

    def come() -> tuple[Any, list[Any]]:
        page = Panel(panel.dataset, panel.panel_id)
        page.state = dict(state)
        return page.execute(event, seen="long ago")

    overtaken = (dict(overtaken=True), [])
    assert come() == overtaken  # the page may not have taken in yet that this tab was opened
    monkeypatch.setattr(event_order, "DRAWING_SECONDS", 0)
    with event_order.user_event(panel.panel_id, "on_tab"):
        assert come() == overtaken
    tab = LiveStrip if event == "on_live_tick" else OverviewTab
    load = tab.load
    with monkeypatch.context() as slow:
        slow.setattr(tab, "load", lambda *given: (panel.send("on_tab", value="runs"), load(*given)))
        assert come() == overtaken

    answer, requests = come()
    assert answer is None and "show_panel_output" in [request.operator_uri for request in requests]


def test_of_two_choices_the_last_one_is_answered(suggested, monkeypatch):
    panel = Panel(suggested, "choosing").open("labels")
    late, load = Panel(suggested, panel.panel_id), RunsTab.load
    late.state = dict(panel.state)
    with monkeypatch.context() as slow:
        slow.setattr(RunsTab, "load", lambda *given: (panel.send("on_tab", value="review"), load(*given)))
        assert late.execute("on_tab", value="runs") == (dict(overtaken=True), [])
    assert panel.state["shown"] == "review"


@pytest.mark.slow
def test_a_button_is_about_what_was_drawn_with_it(suggested):
    panel = Panel(suggested).open("review")
    first = panel.state["review"]["id"]
    panel.act("accept")
    double = dict(panel.state["review"])
    panel.act("accept")
    late = Panel(suggested)
    late.state = dict(panel.state, review=dict(double, turn="another"))
    late.send("on_review_act", action="accept", turn=double["turn"])  # another page of the server went on
    assert panel.again("review")["done"] == 2

    panel.act("undo")
    late.state = dict(panel.state, review=dict(panel.state["review"], done=2))
    late.act("undo")  # the second click of two
    assert panel.again("review")["done"] == 1 and labels(suggested, first) != [None]

    second = Panel(suggested).open("runs")
    second.state["run_key"] = "evenset_review_labels_1"  # chosen, and not drawn yet
    assert second.send("on_runs_stop", run_key=KEY).notices == [("warning", f"{KEY} is not running")]

    third = Panel(suggested).open("labels")
    drawn, third.state["target"] = third.state["labels"]["drawn"], 0.6  # the slider has moved, and nothing else yet
    third.send("on_labels_apply", run_key=KEY, target=drawn)
    assert load_results(suggested, KEY).target_precision == drawn


def test_a_class_that_was_taken_back_can_be_chosen_again(suggested):
    panel = Panel(suggested).open("review")
    path = f"correct_{panel.state['review']['id']}"
    panel.state[path] = "class 1"
    panel.send("on_review_correct", path=path, value="class 1")
    assert panel.state[path] is None


def test_how_a_run_ended_is_news_until_it_was_shown(suggested, monkeypatch):
    panel = Panel(suggested).open("labels")
    key = "job:late"
    job = dict(workflow="auto_label", run_key=None, state="failed", error="no label", awaited=False)
    records.store(suggested).set(key, job)
    monkeypatch.setattr(worker, "watch", lambda dataset, job_id: Job(**job))

    panel.send("on_tab", value="runs")  # before a tick told of it
    assert records.store(suggested).has(key) and "No label" in panel.send("on_again").page
    panel.send("on_tab", value="labels")
    assert not records.store(suggested).has(key)


def test_the_second_of_two_quick_decisions_waits_for_the_first(flagged):
    panel = Panel(flagged).open("mistakes")
    one, two = (row["id"] for row in panel.state["mistakes"]["rows"][:2])
    field = panel.state["mistakes"]["field"]

    second = threading.Thread(target=panel.send, args=["on_mistakes_decide"], kwargs=dict(ids=[two], action="accept"))
    with locks.lock_field(flagged, f"queue of {field}"):  # as the first has it while it is written
        second.start()
        second.join(timeout=3)
        assert second.is_alive()
    second.join()
    left = [row["id"] for row in panel.state["mistakes"]["rows"]]
    assert one in left and two not in left


def test_a_panel_that_an_operator_opens_is_about_its_run(clusters, monkeypatch):
    dataset = clusters(60, 30)
    dataset.clone_sample_field("ground_truth", "species")
    monkeypatch.setattr(worker, "start_worker", lambda *given, **more: "none")
    monkeypatch.setattr(execution, "POLL_SECONDS", 0)
    operator = SimpleNamespace(close_panel=dict, open_panel=lambda *_, **__: None, notify=lambda *_, **__: None)
    prepare = lambda: (dataset, dict(label_field="species"))  # noqa: E731
    for job_id, workflow in (("one", "find_mistakes"), ("two", "auto_label")):
        ended = dict(workflow=workflow, state="failed", run_key=None, error="no", awaited=False)
        records.store(dataset).set(f"job:{job_id}", ended)

    list(execution._leave_to_panel(SimpleNamespace(ops=operator, params={}), "find_mistakes", prepare))
    assert [row["workflow"] for row in live.outcomes(dataset)] == ["auto_label"]  # an earlier try is no news any more
    panel = Panel(dataset)
    panel.send("on_load")

    assert (panel.state["tab"], panel.state["label_field"]) == ("mistakes", "species")
    again = Panel(dataset, "two")
    again.send("on_load")  # another one, which nobody opened by an operator
    assert (again.state["tab"], again.state["label_field"]) == ("overview", "ground_truth")


def test_a_second_click_on_resume_starts_no_second_worker(clusters, monkeypatch):
    dataset, started = clusters(60, 30), []

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        auto_label(dataset, "ground_truth", embeddings="vector", progress=stop)

    def start(dataset, workflow, arguments, awaited):
        started.append(arguments)
        job = dict(workflow=workflow, run_key=None, state="starting", error="", awaited=awaited, phase="", done=0)
        job.update(resumes=arguments["run_key"], started=time.time(), pid=None, host=socket.gethostname())
        records.store(dataset).set("job:slow", dict(job, total=1, note=""))

    monkeypatch.setattr(worker, "start_worker", start)
    panel = Panel(dataset).open("runs")
    assert "resume" in panel.state["run"]["actions"]
    for _ in range(2):
        panel.send("on_runs_resume", run_key=KEY)

    assert started == [dict(run_key=KEY)] and "resume" not in panel.state["run"]["actions"]


@pytest.mark.parametrize(
    ("classes", "filled", "lost"),
    [(None, None, None), (["dog"], "dog", None), (["dog", "cat"], None, "the classes dog, cat")],
)
def test_the_form_of_a_review_has_the_class_that_it_was_about(classes, filled, lost):
    inputs = dict(field="auto_label", classes=classes)
    params = form_values(records.RunRecord("a", "review_labels", {}, inputs, 9, "done", 0.0))

    assert (params.get("class"), params.get("not_in_form"), params.get("classes")) == (filled, lost, None)


@pytest.mark.parametrize("action", ["accept", "reject"])
def test_all_rows_that_are_shown_are_decided_at_once_and_no_others(flagged, monkeypatch, action):
    monkeypatch.setattr(mistakes, "ROWS", 3)
    panel = Panel(flagged).open("mistakes")
    first = panel.state["mistakes"]["rows"]
    count = panel.state["mistakes"]["count"]
    assert len(first) == 3 < count

    panel.send("on_mistakes_page", first=3)
    (last, *_) = panel.state["mistakes"]["rows"]
    panel.send("on_mistakes_page", first=0)
    assert panel.state["mistakes"]["rows"] == first
    given = [row["given"] for row in first]
    sent = panel.send("on_mistakes_decide", ids=[row["id"] for row in first], action=action)

    assert sent.notices[0][1].startswith("3 ") and panel.state["mistakes"]["count"] == count - 3
    now = labels(flagged, *[row["id"] for row in first])
    assert now == ([row["suggestion"] for row in first] if action == "accept" else given)
    assert labels(flagged, last["id"]) == [last["given"]]


def test_all_that_is_shown_is_applied_by_one_click_and_undone_by_another(flagged):
    panel = Panel(flagged).open("mistakes")
    rows, count = panel.state["mistakes"]["rows"], panel.state["mistakes"]["count"]
    ids = [row["id"] for row in rows]

    sent = panel.send("on_mistakes_ask", ids=ids)
    assert sent.notices[0][1].startswith(f"{len(ids)} applied") and "suggestions?" not in sent.page
    assert labels(flagged, *ids) == [row["suggestion"] for row in rows] and len(ids) > 1

    panel.send("on_mistakes_act", action="undo", turn=panel.state["mistakes"]["turn"])
    assert labels(flagged, *ids) == [row["given"] for row in rows] and panel.state["mistakes"]["count"] == count
    assert not any("review" in key for key in flagged.list_runs())


def test_most_of_a_class_is_applied_only_where_the_box_is_ticked(mislabelled):
    wrong = mislabelled.limit(4)
    wrong.set_values("ground_truth.label", ["bee"] * 4)
    find_mistakes(mislabelled, "ground_truth", embeddings="vector", progress=False)
    mislabelled.match({"ground_truth.label": "bee"}).set_field("mistake.is_issue", True).save()
    mislabelled.set_values("mistake.label", dict.fromkeys(wrong.values("id"), "class 1"), key_field="id")
    panel, ids = Panel(mislabelled).open("mistakes"), wrong.values("id")

    refusal = "Accepting would take 4 of 4 labels of 'bee', more than half of a class: "
    sent = panel.send("on_mistakes_decide", ids=ids, action="accept")  # of a page from before it was asked
    assert sent.notices[0][0] == "warning" and sent.notices[0][1].startswith(refusal)
    sent = panel.send("on_mistakes_ask", ids=ids)
    assert (
        "4 of 4 labels of 'bee'. More than half of 'bee' would be gone" in sent.page and "mistakes_force" in sent.page
    )
    sent = panel.send("on_mistakes_decide", ids=ids, action="accept")
    assert sent.notices[0][1].startswith(refusal) and "More than half of 'bee'" in sent.page
    assert labels(mislabelled, *ids) == ["bee"] * 4 and not any("review" in key for key in mislabelled.list_runs())

    panel.state["mistakes_force"] = True
    assert panel.send("on_mistakes_decide", ids=ids, action="accept").notices[0][1].startswith("4 applied")
    assert labels(mislabelled, *ids) == ["class 1"] * 4


def test_a_suggestion_of_a_class_that_was_renamed_is_refused_in_a_sentence_and_can_be_corrected(suggested):
    for name in ("class 0", "class 1", "class 2"):
        view = suggested.match(F("ground_truth.label") == name)
        view.set_values("ground_truth.label", [f"new {name}"] * len(view))
    panel = Panel(suggested).open("review")
    shown = panel.state["review"]["id"]
    name = panel.state["review"]["label"]

    sent = panel.act("accept")
    assert sent.notices[0][0] == "warning"
    assert sent.notices[0][1].startswith(f"'{name}' is no longer a class of 'ground_truth': ")
    assert panel.state["review"]["id"] == shown and labels(suggested, shown) == [None]
    panel.send("on_review_correct", path=f"correct_{shown}", value="new class 1")
    assert labels(suggested, shown) == ["new class 1"]


def test_a_view_is_opened_from_the_panel_or_was_deleted(flagged):
    panel = Panel(flagged).open("mistakes")
    view = panel.state["mistakes"]["view"]

    _, requests = panel.execute("on_open_view", view=view)
    assert [one.params["name"] for one in requests if one.operator_uri == "set_view"] == [view]
    flagged.delete_saved_view(view)
    assert panel.send("on_open_view", view=view).notices == [("error", f"The saved view {view!r} was deleted")]


def test_a_view_that_the_panel_opened_is_left_by_a_button_of_every_tab(flagged, monkeypatch):
    monkeypatch.setattr(event_order, "DRAWING_SECONDS", 0)
    button, stages = "Show all samples", flagged.limit(1)._serialize()
    panel = Panel(flagged).open("mistakes")
    assert button not in panel.send("on_view", app_view=stages).page  # the user's own view
    panel.execute("on_open_view", view=panel.state["mistakes"]["view"])
    for tab in ("mistakes", "overview", "runs"):
        assert button in panel.send("on_tab", value=tab, app_view=stages).page

    _, requests = panel.execute("on_all_samples", app_view=stages)
    assert {"clear_view", "clear_sidebar_filters"} <= {request.operator_uri for request in requests}
    assert button not in panel.send("on_view", app_view=stages).page

    panel.send("on_tab", value="mistakes")
    panel.execute("on_open_view", view=panel.state["mistakes"]["view"])
    panel.send("on_view")  # left by hand
    assert button not in panel.send("on_view", app_view=stages).page


def test_all_tabs_are_about_the_label_field_that_was_chosen_until_another_dataset_is_opened(clusters, make_dataset):
    dataset = clusters(60, 30)
    dataset.clone_sample_field("ground_truth", "species")
    dataset.limit(1).set_values("species.label", ["a rare one"])
    panel = Panel(dataset).open("overview")
    assert "a rare one" not in panel.state["overview"]["names"]

    panel.send("on_label_field", value="species")
    assert panel.state["overview"]["field"] == "species" and "a rare one" in panel.state["overview"]["names"]
    assert panel.open("balance").state["balance"]["field"] == "species"
    panel.dataset = make_dataset(["/nowhere/1.png", "/nowhere/2.png"], ["cat", "dog"])
    panel.send("on_change_dataset")
    assert (panel.state["tab"], panel.state["overview"]["names"]) == ("overview", ["cat", "dog"])


def sentences(panel):
    return [step["sentence"] for step in panel.state["overview"]["steps"]]


def test_overview_leads_to_labels_that_look_wrong(flagged):
    dataset, field = flagged, "mistake"
    panel = Panel(dataset).open("overview")
    count = dataset.match(F(f"{field}.is_issue")).count()

    assert count > 1 and f"{count} labels may be wrong" in sentences(panel)
    ids = [row["id"] for row in panel.open("mistakes").state["mistakes"]["rows"]]
    panel.send("on_mistakes_decide", ids=ids, action="reject")
    assert not any("may be wrong" in sentence for sentence in sentences(panel.open("overview")))


def step_of(panel, button):
    (place,) = [place for place, step in enumerate(panel.state["overview"]["steps"]) if step["button"] == button]
    return dict(place=place)


def test_a_step_that_only_adds_starts_once_with_its_defaults_and_options_open_its_form(suggested, monkeypatch):
    started = []
    monkeypatch.setattr(worker, "start_worker", lambda dataset, *call, **more: started.append(call))
    suggested.add_sample_field("mistake", fo.StringField)
    panel = Panel(suggested).open("overview")

    panel.send("on_overview_step", **step_of(panel, "Check"))
    panel.send("on_overview_step", **step_of(panel, "Split"))
    sent = panel.send("on_overview_options", **step_of(panel, "Find mistakes"))
    assert sent.forms == [dict(label_field="ground_truth", view_target="DATASET")] and len(started) == 2
    panel.send("on_overview_step", **step_of(panel, "Find mistakes"))

    assert panel.state["tab"] == "mistakes"
    subject = dict(label_field="ground_truth")
    assert started == [
        ("check_dataset", {**subject, "output_field": "check"}),
        ("split_dataset", subject),
        ("find_mistakes", {**subject, "output_field": "mistake_2"}),  # the user has a field of the other name
    ]
    monkeypatch.setattr(worker, "arguments_under_way", lambda *_: [subject])
    panel.open("overview").send("on_overview_step", **step_of(panel, "Check"))
    assert len(started) == 3


def test_accept_writes_at_once_and_many_are_left_to_the_form(suggested, monkeypatch):
    set_target(suggested, KEY, 0.5)
    panel, before = Panel(suggested).open("overview"), suggested.count("ground_truth")
    accepted = suggested.count_values("auto_label.status")["accepted"]
    monkeypatch.setattr(overview, "MAX_ACCEPTED", accepted - 1)
    sent = panel.send("on_overview_step", **step_of(panel, "Accept"))
    assert sent.forms[0]["field"] == "auto_label" and suggested.count("ground_truth") == before

    monkeypatch.setattr(overview, "MAX_ACCEPTED", accepted)
    sent = panel.send("on_overview_step", **step_of(panel, "Accept"))
    text = f"{accepted} suggestions are accepted (evenset_review_labels_1): Runs undoes it"
    assert sent.notices == [("success", text)] and suggested.count("ground_truth") == before + accepted
    assert not any("to accept" in sentence for sentence in sentences(panel))


def test_where_the_dataset_was_deleted_the_panel_says_so(make_dataset):
    panel = Panel(make_dataset(["/nowhere/1.png"], ["cat"])).open("runs")
    name = panel.dataset.name
    panel.dataset.delete()
    panel.dataset = type("Deleted", (), dict(name=name))

    sent = panel.send("on_tab", value="review")

    assert sent.notices == [("error", f"Dataset {name} not found")] and "Try again" in sent.page


@pytest.mark.slow
def test_a_class_whose_name_the_database_would_take_for_a_field_is_found(clusters):
    dataset = clusters(240, 120, spread=2.2)
    some, wrong = dataset.match(F("ground_truth.label") == "class 1"), dataset.limit(4)
    some.set_values("ground_truth.label", ["$dog"] * len(some))
    auto_label(dataset, "ground_truth", embeddings="vector", target_precision=0.9, progress=False)
    wrong.set_values(
        "ground_truth.label", ["$dog" if name != "class 1" else "class 0" for name in wrong.values("truth")]
    )
    found = find_mistakes(dataset, "ground_truth", embeddings="vector", progress=False)
    panel = Panel(dataset).open("overview")

    _, sent = panel.execute("on_overview_bar", y=panel.state["overview"]["names"].index("$dog"))

    view = next(one.params["view"] for one in sent if one.operator_uri == "set_view")
    shown = type(dataset.view())._build(dataset, view)
    labels, said = dataset.values("ground_truth.label"), dataset.values("auto_label.label")
    assert len(shown) == sum("$dog" == (label or other) for label, other in zip(labels, said, strict=True)) > 40
    panel.send("on_tab", value="mistakes")
    _, sent = panel.execute("on_mistakes_class", value="$dog")
    name = next(one.params["name"] for one in sent if one.operator_uri == "set_view")
    flagged = dataset.load_saved_view(name)
    assert name == "mistake: mistakes of $dog" and found.views == {"mistakes": "mistake: mistakes"}
    assert set(flagged.values("ground_truth.label")) == {"$dog"}
