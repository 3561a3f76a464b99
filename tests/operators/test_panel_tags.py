"""The panel on a field of tags: counted, reviewed and judged one tag at a time, without an App."""

from __future__ import annotations

from collections import Counter

import fiftyone as fo
import pytest
from evenset import auto_label, delete_run, find_mistakes, load_results
from evenset.tests.operators.panel_page import Panel
from evenset.workflows.data import tag_ids
from evenset.workflows.runs import worker
from evenset.workflows.ui import overview, review_order

FAST = dict(embeddings="vector", progress=False)
TABS = ("overview", "labels", "review", "mistakes", "balance")


@pytest.fixture
def dataset(finished, tagged):
    """300 samples, 200 of them tagged and five of these wrongly, with suggestions and flags."""

    def make():
        dataset = tagged(n=300, known=200, spread=1.6)
        for sample in dataset[20:25]:
            names = {tag.label for tag in sample.ground_truth.classifications} ^ {"tag 0"}
            own = [fo.Classification(label=name) for name in sorted(names)]
            sample.ground_truth = fo.Classifications(classifications=own)
            sample.save()
        auto_label(dataset, "ground_truth", complete=True, target_precision=0.9, **FAST)
        find_mistakes(dataset, "ground_truth", **FAST)
        return dataset

    return finished("tags in the panel", make)


def tags(dataset):
    """Names of the tags of each sample by id, None where nothing is known."""
    dataset.reload()
    ids, names = dataset.values(["id", "ground_truth.classifications.label"])
    return dict(zip(ids, names, strict=True))


def changed(dataset, before):
    return {i: own for i, own in tags(dataset).items() if own != before[i]}


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_offers_tags(dataset, tab):
    panel = Panel(dataset).open(tab)
    assert panel.state[tab]["fields"] == {"ground_truth": "ground_truth · tags"}


def test_overview_counts_tags(dataset):
    panel = Panel(dataset)
    panel.send("on_load")
    page, state = panel.send("on_tab", value="overview").page, panel.state["overview"]
    own = Counter(name for names in tags(dataset).values() for name in names or ())
    pending = [
        tag
        for sample in dataset
        for tag in (sample.auto_label.classifications if sample.auto_label else ())
        if tag.action
    ]
    states = Counter(tag.status for tag in pending)
    removals = sum(tag.action == "remove" for tag in pending)
    totals = dict(labelled=own.total() - removals, **states, synthetic=0)
    assert state["totals"] == totals and states["accepted"] and states["review"]
    assert (state["unlabelled"], state["noun"], set(state["names"])) == (100, "tag", {"tag 0", "tag 1", "tag 2"})
    assert "samples without tags" in page and "Bars: tags of each class" in page
    sentences = [step["sentence"] for step in state["steps"]]
    assert f"{totals['labelled']} tags are not split" in sentences
    buttons = {step["button"]: step for step in state["steps"]}
    assert not {"Augment", "Paste"} & buttons.keys()
    assert "tags with their images, a manifest" in buttons["Export"]["reason"]


def test_a_bar_opens_the_samples_of_a_tag(dataset):
    panel = Panel(dataset).open("overview")
    _, requests = panel.execute("on_overview_bar", label="tag 0", y=0, x=1, trace="labelled")
    (view,) = (request.params["view"] for request in requests if request.operator_uri == "set_view")
    ids = set(fo.DatasetView._build(dataset, view).values("id"))
    name = panel.state["overview"]["names"][0]
    suggested = {
        sample.id
        for sample in dataset
        for tag in (sample.auto_label.classifications if sample.auto_label else ())
        if tag.action == "add" and tag.label == name
    }
    assert ids == {i for i, names in tags(dataset).items() if name in (names or ())} | suggested


def test_before_auto_label_the_checklist_speaks_of_samples_without_tags(tagged):
    untouched = tagged(n=30, known=20)
    panel = Panel(untouched).open("overview")
    sentences = [step["sentence"] for step in panel.state["overview"]["steps"]]
    assert "10 samples have no tags yet" in sentences
    assert "Auto-label suggests tags for every sample without any" in panel.send("on_tab", value="labels").page


def test_uneven_tags_are_not_evened_out(tagged):
    uneven = tagged(n=60, known=60)
    rare = [fo.Classification(label="rare")]
    uneven.limit(2).set_values("ground_truth", [fo.Classifications(classifications=rare)] * 2)
    buttons = {step["button"] for step in Panel(uneven).open("overview").state["overview"]["steps"]}
    assert "Export" in buttons and not {"Augment", "Paste"} & buttons


def test_a_check_that_is_started_from_the_checklist_is_of_the_images(tagged, monkeypatch):
    started = []
    monkeypatch.setattr(worker, "start_worker", lambda samples, *call, **more: started.append(call))
    panel = Panel(tagged(n=10, known=8)).open("overview")
    ((place, _),) = [own for own in enumerate(panel.state["overview"]["steps"]) if own[1]["button"] == "Check"]
    panel.send("on_overview_step", place=place)
    assert started == [("check_dataset", dict(output_field="check"))]


def test_a_field_without_any_tag_says_what_to_do(tagged):
    panel = Panel(tagged(n=5, known=0)).open("overview")
    assert "No sample has a tag yet: tag a few of each class first" in panel.send("on_tab", value="overview").page


def test_a_tag_that_is_reviewed_is_added_and_undone(dataset):
    before, panel = tags(dataset), Panel(dataset).open("review")
    state = panel.state["review"]
    waiting, item = state["waiting"], state["id"]
    sample_id, name = tag_ids.tag_of(item)
    page = panel.send("on_tab", value="review").page
    word = {"missing tag": "Add", "extra tag": "Remove"}[state["kind"]]
    assert f"{word} the tag **{name}**, confidence" in page and "Nearest tagged samples:" in page
    assert "Correct to" not in page and "Learn from these" not in page  # nothing is decided
    assert [len(near["label"]) > 0 for near in state["near"]] == [True] * review_order.NEIGHBOURS

    panel.act("accept")
    expected = [*(before[sample_id] or ()), name] if word == "Add" else [*before[sample_id]]
    expected = [own for own in expected if word == "Add" or own != name]
    assert changed(dataset, before) == {sample_id: expected}
    assert (panel.state["review"]["waiting"], panel.state["review"]["done"]) == (waiting - 1, 1)
    assert "Learn from these" in panel.send("on_tab", value="review").page

    panel.act("undo")
    assert changed(dataset, before) == {} and panel.state["review"]["waiting"] == waiting


def test_a_rejected_suggestion_changes_no_tag_and_does_not_come_back(dataset):
    before, panel = tags(dataset), Panel(dataset).open("review")
    item, waiting = panel.state["review"]["id"], panel.state["review"]["waiting"]
    panel.act("reject")
    assert changed(dataset, before) == {} and panel.state["review"]["waiting"] == waiting - 1
    left = review_order.read_waiting(dataset, "auto_label", "ground_truth")[0]
    assert item not in left and len(left) == waiting - 1 == review_order.count_waiting(
        dataset, "auto_label", "ground_truth"
    )
    panel.act("undo")
    assert changed(dataset, before) == {} and panel.state["review"]["waiting"] == waiting


def test_a_suggestion_that_a_person_carried_out_by_hand_no_longer_waits(dataset):
    item = review_order.read_waiting(dataset, "auto_label", "ground_truth")[0][0]
    waiting = review_order.count_waiting(dataset, "auto_label", "ground_truth")
    sample_id, name = tag_ids.tag_of(item)
    sample = dataset[sample_id]
    own = {tag.label for tag in sample.ground_truth.classifications} if sample.ground_truth else set()
    labels = [fo.Classification(label=other) for other in sorted(own ^ {name})]
    sample.ground_truth = fo.Classifications(classifications=labels)
    sample.save()
    assert review_order.count_waiting(dataset, "auto_label", "ground_truth") == waiting - 1
    assert item not in review_order.read_waiting(dataset, "auto_label", "ground_truth")[0]
    assert overview.count(dataset, "ground_truth", "auto_label").total("review") == waiting - 1


def test_a_flagged_tag_is_applied_dismissed_and_undone(dataset):
    before, panel = tags(dataset), Panel(dataset).open("mistakes")
    state = panel.state["mistakes"]
    first, second = state["rows"][:2]
    page = panel.send("on_tab", value="mistakes").page
    sentence = {"missing tag": "may be missing", "extra tag": "may not belong there"}[first["kind"]]
    assert sentence in page and f"of {state['judged']} tags" in page and "Correct to" not in page
    near = [set(tags(dataset)[one["id"]]) for one in state["near"]]
    assert near and all((first["suggestion"] in own) == (first["given"] is None) for own in near)

    panel.send("on_mistakes_act", action="accept", turn=state["turn"])
    sample_id, name = tag_ids.tag_of(first["id"])
    assert {i: set(own) for i, own in changed(dataset, before).items()} == {sample_id: {*before[sample_id]} ^ {name}}
    assert panel.state["mistakes"]["id"] == second["id"]
    panel.send("on_mistakes_act", action="reject", turn=panel.state["mistakes"]["turn"])
    assert set(changed(dataset, before)) == {sample_id}
    assert panel.state["mistakes"]["count"] == state["count"] - 2
    for _ in range(2):
        panel.send("on_mistakes_act", action="undo", turn=panel.state["mistakes"]["turn"])
    assert changed(dataset, before) == {} and panel.state["mistakes"]["count"] == state["count"]


@pytest.mark.parametrize("kind", ["missing tag", "extra tag"])
def test_the_flag_that_is_shown_is_applied_whatever_its_kind(dataset, kind):
    before, panel = tags(dataset), Panel(dataset).open("mistakes")
    while (row := panel.state["mistakes"]["rows"][0])["kind"] != kind:
        panel.send("on_mistakes_act", action="skip", turn=panel.state["mistakes"]["turn"])
    panel.send("on_mistakes_act", action="accept", turn=panel.state["mistakes"]["turn"])
    sample_id, name = tag_ids.tag_of(row["id"])
    assert {i: set(own) for i, own in changed(dataset, before).items()} == {sample_id: {*before[sample_id]} ^ {name}}


def test_all_flags_shown_are_applied_at_once_and_undone_by_the_run(dataset):
    before, panel = tags(dataset), Panel(dataset).open("mistakes")
    rows = panel.state["mistakes"]["rows"]
    panel.send("on_mistakes_ask", action="accept", ids=[row["id"] for row in rows])
    runs = [key for key in dataset.list_runs() if key.startswith("evenset_review")]
    assert set(changed(dataset, before)) == {tag_ids.tag_of(row["id"])[0] for row in rows} and len(runs) == 1
    delete_run(dataset, runs[0])
    assert changed(dataset, before) == {}


def test_the_view_of_a_class_has_its_flagged_tags_alone(dataset):
    panel = Panel(dataset).open("mistakes")
    name, count = next(iter(panel.state["mistakes"]["by_class"].items()))
    panel.execute("on_mistakes_class", value=name)
    dataset.reload()
    (view,) = (
        dataset.load_saved_view(own) for own in dataset.list_saved_views() if own.endswith(f"mistakes of {name}")
    )
    assert view.count_values("mistake.classifications.label") == {name: count}


def test_the_slider_previews_and_applies_another_target(dataset):
    accepted = load_results(dataset, "evenset_auto_label_1").accepted
    panel = Panel(dataset).open("labels")
    assert panel.state["labels"]["error"] == "" and panel.state["target"] == 0.9
    panel.send("on_labels_target", value=0.7)
    change = panel.state["labels"]["preview"]
    assert change["accepted"] >= accepted and change["changed"] == change["accepted"] - accepted > 0
    assert f"{change['changed']:,} would change" in panel.send("on_tab", value="labels").page
    assert load_results(dataset, "evenset_auto_label_1").accepted == accepted
    panel.send("on_labels_apply", run_key="evenset_auto_label_1", target=0.7)
    dataset.reload()
    assert load_results(dataset, "evenset_auto_label_1").accepted == change["accepted"]
    statuses = dataset.count_values("auto_label.classifications.status")
    assert statuses["accepted"] == change["accepted"] and panel.state["labels"]["applied"] == 0.7


def test_balance_says_that_tags_are_not_balanced(dataset):
    panel = Panel(dataset).open("balance")
    assert "Tags are not balanced" in panel.send("on_tab", value="balance").page
