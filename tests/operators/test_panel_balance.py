"""Balance without an App: its form has the chosen target, and mistakes in a rare class are looked at first."""

from __future__ import annotations

import pytest
from evenset import delete_run, find_mistakes
from evenset.tests.operators.panel_page import Panel
from PIL import Image


@pytest.fixture
def uneven(clusters, finished):
    """Ten labels of one class and four wrong ones, beside many of two others; the wrong ones are flagged."""

    def make():
        dataset = clusters(150, 150, spread=0.7)
        dataset.delete_samples(dataset.match({"truth": "class 0"}).values("id")[10:])
        wrong = dataset.match({"truth": "class 1"}).limit(4)
        wrong.set_values("ground_truth.label", ["class 0"] * 4)
        find_mistakes(dataset, "ground_truth", embeddings="vector", progress=False)
        return dataset

    return finished("a rare class with mistakes", make)


def test_the_target_that_is_chosen_stands_in_the_form(uneven):
    panel = Panel(uneven).open("balance")
    majority = panel.state["balance"]["add"]
    panel.send("on_balance_target", value="median")

    assert 0 < panel.state["balance"]["add"] <= majority
    (form,) = panel.send("on_balance_form", operator="balance_classes").forms
    assert form == dict(label_field="ground_truth", view_target="DATASET", target="median")
    (form,) = panel.send("on_balance_form", operator="train_generator").forms
    assert form == dict(label_field="ground_truth", view_target="DATASET")


def test_the_plan_leads_to_the_mistakes_that_it_would_multiply(uneven):
    labels, panel = uneven.values("ground_truth.label"), Panel(uneven).open("balance")
    assert "may be wrong, and nobody has decided" in panel.send("on_tab", value="balance").page

    assert "for a decision" in panel.send("on_balance_mistakes").page
    state = panel.state["mistakes"]
    assert panel.state["tab"] == "mistakes" and state["count"] >= 4
    panel.execute("on_mistakes_class", value="class 0")
    uneven.reload()
    assert "mistake: mistakes of class 0" in uneven.list_saved_views()
    panel.send("on_mistakes_decide", ids=[row["id"] for row in state["rows"]], action="accept")
    assert panel.state["mistakes"]["count"] < state["count"]
    assert "nobody has decided" not in panel.send("on_tab", value="balance").page
    panel.send("on_tab", value="mistakes")
    panel.send("on_mistakes_act", action="undo", turn=panel.state["mistakes"]["turn"])
    assert panel.state["mistakes"]["count"] == state["count"] and uneven.values("ground_truth.label") == labels
    delete_run(uneven, "all")
    assert uneven.list_saved_views() == []


def test_images_too_large_to_draw_from_nothing_have_a_sentence_on_bases(make_dataset, tmp_path):
    for side, is_said in ((128, False), (200, True)):
        paths = [str(tmp_path / f"{side} {i}.png") for i in range(12)]
        for path in paths:
            Image.new("RGB", (side, side)).save(path)
        dataset = make_dataset(paths, ["few"] * 4 + ["many"] * 8)
        panel = Panel(dataset).open("balance")
        assert ("name a text-to-image model under Base" in panel.send("on_tab", value="balance").page) == is_said
