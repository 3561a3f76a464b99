"""The panel on a field of boxes, and the forms of reviews and audits."""

from __future__ import annotations

import json

import fiftyone as fo
import pytest
from evenset import audit_labels, auto_label, balance_classes, find_mistakes, split_dataset
from evenset.operators.forms.samples import selected_boxes
from evenset.operators.review_labels import ReviewLabels
from evenset.tests.operators.panel_page import Panel
from evenset.workflows.data import items
from evenset.workflows.reviewing.undecided import undecided_mistakes
from evenset.workflows.runs import worker
from fiftyone.operators.executor import ExecutionContext, Executor

OFFERED = {"ground_truth": "ground_truth · boxes", "weather": "weather"}


@pytest.fixture
def dataset(finished, boxed_digits):
    """80 boxes, half of them labelled, with suggestions and flags, and a label for each image."""

    def make():
        dataset = boxed_digits(images=20, boxes=4, labelled=40)
        kind = dict(embedded_doc_type=fo.Classification)
        dataset.add_sample_field("weather", fo.EmbeddedDocumentField, **kind)
        dataset.set_values("weather", [fo.Classification(label=name) for name in ["dry", "wet"] * 10])
        sample = dataset.match_labels(filter=fo.ViewField("label") != None, fields="ground_truth").first()  # noqa: E711
        box = next(box for box in sample.ground_truth.detections if box.label)
        box.label = str((int(box.label) + 3) % 10)
        sample.save()
        auto_label(dataset, "ground_truth", embeddings=None, members="graph", target_precision=0.99, progress=False)
        find_mistakes(dataset, "ground_truth", progress=False)
        return dataset

    return finished("boxes in the panel", make)


def labels(dataset):
    dataset.reload()
    return dict(zip(*items.values(dataset, ["id", "ground_truth.label"]), strict=True))


def changed(dataset, before):
    return {i: name for i, name in labels(dataset).items() if name != before[i]}


@pytest.mark.parametrize("tab", ["overview", "labels", "review", "mistakes", "balance"])
def test_every_tab_offers_boxes(dataset, tab):
    panel = Panel(dataset).open(tab)
    assert panel.state[tab]["fields"] == OFFERED


def test_overview_counts_boxes_and_opens_them(dataset):
    panel = Panel(dataset).open("overview")
    page = panel.send("on_tab", value="overview").page
    assert "of 80 boxes labelled" in page and "Bars: boxes of each class" in page
    state = panel.state["overview"]
    buttons = {step["button"] for step in state["steps"]}
    assert "Augment" not in buttons and "Export" in buttons
    _, requests = panel.execute("on_overview_bar", label=state["names"][0], y=0, x=1, trace="labelled")
    (view,) = (request.params["view"] for request in requests if request.operator_uri == "set_view")
    assert "ToPatches" in json.dumps(view)


@pytest.mark.parametrize("tag", ["", "train"])
def test_uneven_boxes_are_pasted_at_a_click_of_the_training_part_alone(boxed_digits, monkeypatch, tag):
    started = []
    monkeypatch.setattr(worker, "start_worker", lambda samples, *call, **more: started.append((samples, *call)))
    dataset = boxed_digits(images=24, boxes=3, labelled=72)
    names = [["b", "a", "a"] if i % 4 == 0 else ["a"] * 3 for i in range(24)]
    dataset.set_values("ground_truth.detections.label", names)
    if tag:
        split_dataset(dataset, "ground_truth", near_duplicates=False, progress=False)
    panel = Panel(dataset).open("overview")
    ((place, step),) = [
        (place, step) for place, step in enumerate(panel.state["overview"]["steps"]) if step["button"] == "Paste"
    ]

    assert step["sentence"] == "The largest class has 11 times as many boxes as the smallest"
    assert "pasted objects" in step["reason"] and (f"of images tagged '{tag}'" in step["reason"]) == bool(tag)
    panel.send("on_overview_options", place=place)
    assert panel.state["tab"] == "balance" and started == []
    panel.open("overview").send("on_overview_step", place=place)
    ((samples, workflow, arguments),) = started
    assert (workflow, arguments) == ("balance_classes", dict(source="paste", label_field="ground_truth"))
    assert len(samples) == len(dataset.match_tags(tag) if tag else dataset)
    results = balance_classes(samples, **arguments, progress=False)
    assert results.added and f"{panel.state['balance']['add']} pasted objects" in step["reason"]
    buttons = {own["button"] for own in panel.open("overview").state["overview"]["steps"]}
    assert "Paste" not in buttons


def test_patches_of_another_field_do_not_break_overview(dataset):
    dataset.clone_sample_field("ground_truth", "other")
    panel = Panel(dataset)
    panel.execute("on_load")
    app_view = dataset.to_patches("other")._serialize()
    panel.execute("on_tab", app_view=app_view, value="overview")
    assert panel.state["overview"]["totals"]["labelled"] == 40 and panel.state["overview"]["marked"] is None


def test_balance_plans_boxes_and_offers_no_generator(dataset):
    page = Panel(dataset).open("balance").send("on_tab", value="balance").page
    assert "Boxes per class" in page and "synthetic boxes would be added" in page
    assert "Balance ..." in page and "Train generator ..." not in page


def test_balance_counts_undecided_flags_on_the_label_of_a_box(dataset):
    ids, flags, kinds = items.values(dataset, ["id", "mistake.is_issue", "mistake.kind"])
    flagged = [i for i, is_issue, kind in zip(ids, flags, kinds, strict=True) if is_issue and kind == "label"]
    assert sum(undecided_mistakes(dataset, "ground_truth").values()) == len(flagged) > 0


def test_a_box_is_reviewed_by_its_crop_and_the_state_stays_small(dataset):
    before, panel = labels(dataset), Panel(dataset).open("review")
    state, page = panel.state["review"], panel.send("on_tab", value="review").page
    assert page.count("data:image/jpeg;base64,") == 2 + len(state["near"]) == 7
    assert "Nearest labelled boxes" in page and len(json.dumps(panel.state)) < 10_000

    panel.act("accept")
    assert changed(dataset, before) == {state["id"]: state["label"]}
    second = panel.state["review"]
    other = next(name for name in second["classes"] if name != second["label"])
    panel.send("on_review_correct", path=f"correct_{second['id']}", value=other)
    assert changed(dataset, before) == {state["id"]: state["label"], second["id"]: other}
    panel.act("undo")
    panel.act("undo")
    assert changed(dataset, before) == {}


def test_the_image_of_a_box_opens_with_the_box_selected(dataset):
    panel = Panel(dataset).open("review")
    _, requests = panel.execute("on_review_open")
    asked = {request.operator_uri: request.params for request in requests}
    (label,) = asked["set_selected_labels"]["labels"]
    assert label["label_id"] == panel.state["review"]["id"]
    assert asked["open_sample"]["id"] == label["sample_id"]
    _, requests = panel.execute("on_review_open", app_view=dataset.to_patches("ground_truth")._serialize())
    asked = [request.operator_uri for request in requests]
    assert "set_view" in asked and "open_sample" not in asked  # which would fail among patches
    assert label["label_id"] in [box.id for box in dataset[label["sample_id"]].ground_truth.detections]


def test_a_flag_is_applied_and_undone(dataset):
    before, panel = labels(dataset), Panel(dataset).open("mistakes")
    state = panel.state["mistakes"]
    assert state["count"] > 0 and "data:image/jpeg" in panel.send("on_tab", value="mistakes").page
    panel.send("on_mistakes_act", action="accept", turn=state["turn"])
    assert changed(dataset, before) == {state["id"]: state["label"]}
    panel.send("on_mistakes_act", action="undo", turn=panel.state["mistakes"]["turn"])
    assert changed(dataset, before) == {}


def test_another_target_is_applied_to_boxes(dataset):
    panel = Panel(dataset).open("labels")
    panel.send("on_labels_target", value=0.8)
    preview = panel.state["labels"]["preview"]
    panel.send("on_labels_apply", run_key="evenset_auto_label_1", target=0.8)
    statuses = items.values(dataset, ["id", "auto_label.status"])[1]
    assert statuses.count("accepted") == preview["accepted"]


def review_form(dataset, view=None, selected=(), **params):
    request = dict(dataset_name=dataset.name, params=params, selected_labels=list(selected))
    request["view"] = view._serialize() if view is not None else None
    context = ExecutionContext(request, executor=Executor())
    page = ReviewLabels().resolve_input(context).to_json()
    return page["view"]["submit_button_label"], page["type"]["properties"], context


def test_the_review_form_counts_boxes_and_takes_selected_ones(dataset):
    button, lines, _ = review_form(dataset, field="auto_label", status="review")
    said = items.values(dataset, ["id", items.SAMPLE_ID, "auto_label.status", "ground_truth.label"])
    waiting = [row for row in zip(*said, strict=True) if row[2] == "review"]
    assert button == f"Accept {len(waiting)} suggestions"
    assert [choice["label"] for choice in lines["field"]["view"]["choices"]] == [
        "mistake · boxes",
        "auto_label · boxes",
    ]

    selected = [dict(label_id=i, sample_id=sample, field="ground_truth") for i, sample, *_ in waiting[:3]]
    button, lines, context = review_form(dataset, selected=selected, field="auto_label", status="all", seen=True)
    assert button == "Accept 3 suggestions" and lines["only_selected"]["view"]["label"] == "Only the 3 selected boxes"
    view = selected_boxes(context, "auto_label", "ground_truth")
    assert items.values(view, ["id", "ground_truth.label"])[0] == [row[0] for row in waiting[:3]]
    context.params["only_selected"] = False
    assert selected_boxes(context, "auto_label", "ground_truth") is None


def test_the_review_form_takes_patches(dataset):
    view = items.matching(dataset, "auto_label", lambda at: at("status") == "review").limit(4)
    assert review_form(dataset, view, field="auto_label", status="review")[0] == "Accept 4 suggestions"


def test_the_forms_of_review_and_audit_work_on_boxes(app, dataset):
    view = items.matching(dataset, "auto_label", lambda at: at("status") == "review").limit(4)
    params = dict(field="auto_label", status="review", seen=True)
    answer = app.execute(dataset, "review_labels", params, samples=view)
    assert answer.labels[0] == "4 suggestions are accepted"
    statuses = dataset.values("auto_label.detections.status")
    accepted = [["accepted" if status == "review" else status for status in own] for own in statuses]
    dataset.set_values("auto_label.detections.status", accepted)
    audit_labels(dataset, "auto_label", size=3, progress=False)
    answer = app.execute(dataset, "audit_labels", dict(field="auto_label"))
    assert "0 of 3 drawn boxes are checked" in answer.labels
