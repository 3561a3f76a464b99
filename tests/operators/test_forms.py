"""Forms: they are made from the settings, what is put in comes back as settings, and what cannot be run is not sent."""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace

import pytest
from evenset import auto_label
from evenset.models.settings import (
    GCN_SETTINGS,
    AuditSettings,
    AutoLabelSettings,
    BalanceSettings,
    CopySettings,
    FilterSettings,
    GeneratorSettings,
    GraphSettings,
    ImageSettings,
    MistakeSettings,
    ResNetSettings,
    ReviewSettings,
    SamplingSettings,
    TrainGeneratorSettings,
    split,
)
from evenset.operators import forms

FORMS = {
    "preprocess_images": (ImageSettings, CopySettings),
    "train_resnet": (ImageSettings, ResNetSettings),
    "train_gcn": GCN_SETTINGS["samples"],
    "auto_label": (ImageSettings, ResNetSettings, AutoLabelSettings),
    "review_labels": (ReviewSettings,),
    "audit_labels": (AuditSettings,),
    "train_generator": (ImageSettings, GeneratorSettings, TrainGeneratorSettings),
    "balance_classes": (ImageSettings, GeneratorSettings, SamplingSettings, FilterSettings, BalanceSettings),
    "find_mistakes": (ImageSettings, ResNetSettings, GraphSettings, MistakeSettings),
}


@pytest.fixture(scope="module")
def labelled(database):
    """A data set with suggestions, so that every form can be made."""
    import fiftyone as fo
    import numpy as np

    dataset, rng = fo.Dataset("labelled-for-forms", persistent=True), np.random.default_rng(0)
    for number in range(200):
        vector = rng.normal(8 * np.eye(3)[number % 3], 1.0)
        label = fo.Classification(label=f"class {number % 3}") if number < 120 else None
        dataset.add_sample(fo.Sample(filepath=f"/nowhere/{number}.png", ground_truth=label, vector=vector))
    auto_label(dataset, "ground_truth", embeddings="vector", target_precision=0.9, progress=False)
    yield dataset
    dataset.delete()


def another(item):
    """A value that a setting may take, and that is not its default."""
    default, notes = item.default, item.metadata
    if notes["choices"]:
        return next(choice for choice in notes["choices"] if choice != default)
    if isinstance(default, bool):
        return not default
    if isinstance(default, int):
        return default + 1
    return (default + (default + 1 if notes["high"] is None else notes["high"])) / 2


@pytest.mark.parametrize("operator", FORMS)
def test_a_form_shows_every_setting_with_its_default_and_its_help(app, labelled, operator):
    lines = app.form(labelled, operator, {"more": True})

    for kind in FORMS[operator]:
        for item in fields(kind):
            line = lines[item.name]
            assert line["default"] == item.default
            assert line["view"]["label"] == forms.label_of(item)
            assert line["view"]["description"].lower() == item.metadata["help"].lower()
            if item.metadata["choices"]:
                assert tuple(choice["value"] for choice in line["view"]["choices"]) == item.metadata["choices"]


def test_train_gcn_shows_the_settings_of_the_graph_that_is_chosen(app, labelled):
    def asked(**params):
        lines = app.form(labelled, "train_gcn", params)
        assert not any(line["required"] or line["invalid"] for line in lines.values())
        return [name for name, line in lines.items() if line["type"]["name"] != "Void"]

    usual = ["graph", "view_target", "label_field", "output_field"]
    assert asked() == asked(graph="samples") == [*usual, "embeddings", "more", "wait"]
    patches = ["heatmap_field", "nodes", "aggregation", "architecture", "weights", "epochs", "augmentation", "more"]
    assert asked(graph="image") == [*usual, *patches, "wait"]
    assert asked(graph="image", nodes="superpixels") == [
        *usual,
        "heatmap_field",
        "nodes",
        "aggregation",
        "more",
        "wait",
    ]
    for graph, kinds in GCN_SETTINGS.items():
        shown = asked(graph=graph, more=True)
        assert {item.name for kind in kinds for item in fields(kind)} <= set(shown) and len(shown) == len(set(shown))


def test_auto_label_asks_for_little(app, labelled):
    lines = app.form(labelled, "auto_label")

    asked = [name for name, line in lines.items() if line["type"]["name"] != "Void"]
    usual = ["view_target", "label_field", "output_field"]
    assert asked == [*usual, "target_precision", "random_labels", "members", "more", "wait"]
    assert lines["label_field"]["default"] == "ground_truth"
    assert not any(line["required"] or line["invalid"] for line in lines.values())


@pytest.mark.parametrize("operator", FORMS)
def test_what_is_put_in_comes_back_as_the_same_settings(operator):
    kinds = FORMS[operator]
    put_in = {item.name: another(item) for kind in kinds for item in fields(kind)}

    given = forms.read(SimpleNamespace(params=put_in), *kinds)

    assert given == put_in
    for settings in split(given, *kinds):
        for item in fields(settings):
            assert getattr(settings, item.name) == put_in[item.name] != item.default
    assert forms.read(SimpleNamespace(params=dict.fromkeys(put_in, "")), *kinds) == {}  # empty: the default


@pytest.mark.parametrize("operator", FORMS)
def test_a_value_out_of_range_is_marked_on_its_line(app, labelled, operator):
    for kind in FORMS[operator]:
        for item in fields(kind):
            if item.metadata["low"] is None:
                continue
            line = app.form(labelled, operator, {"more": True, item.name: item.metadata["low"] - 1})[item.name]
            assert line["invalid"] and item.name in line["error_message"].lower()
            break  # one of each class: the rest is models/settings' own test


def test_a_field_that_is_there_is_not_offered_and_not_taken(app, labelled):
    assert app.form(labelled, "auto_label")["output_field"]["default"] == "auto_label_2"

    line = app.form(labelled, "auto_label", {"output_field": "ground_truth"})["output_field"]

    assert line["invalid"] and line["error_message"] == "The field 'ground_truth' exists: choose another name"


def refusals(lines):
    return [line["error_message"] for name, line in lines.items() if name.startswith("refused") and line["invalid"]]


def test_a_form_that_cannot_be_sent_says_why(app, make_dataset, clusters):
    empty, bare, unlabelled = make_dataset([]), make_dataset(["/nowhere/1.png"]), clusters(labelled=0)

    assert refusals(app.form(empty, "auto_label"))[0] == f"{empty.name!r} is empty"
    assert "has no field of fo.Classification" in refusals(app.form(bare, "train_resnet"))[0]
    assert refusals(app.form(unlabelled, "auto_label")) == [
        "no sample has a label in 'ground_truth': label a few of each class first"
    ]
    for operator in ("review_labels", "audit_labels"):
        assert refusals(app.form(bare, operator)) == ["nothing is suggested yet: run Auto-label first"]
    assert refusals(app.form(bare, "delete_run")) == ["there is no run of Evenset"]
    assert refusals(app.form(bare, "stop_run")) == ["no run of Evenset is running"]
    assert refusals(app.form(bare, "resume_run")) == ["no run of Evenset is stopped or failed"]


def test_a_view_narrows_what_the_form_counts(app, labelled):
    unlabelled = labelled.exists("ground_truth", False)

    assert "said 120 of 200 samples are labelled" in app.form(labelled, "auto_label")
    assert refusals(app.form(labelled, "auto_label", samples=unlabelled))


@pytest.mark.parametrize("text", ["cat, , dog", "cat =", "= cat"])
def test_classes_with_a_name_missing_are_marked(app, labelled, text):
    line = app.form(labelled, "auto_label", {"more": True, "classes": text})["classes"]

    assert line["invalid"] and "name is missing" in line["error_message"]


def test_classes_are_read_with_their_synonyms():
    def read(text):
        return forms.read_classes(SimpleNamespace(params={"classes": text}))

    assert read("cat = kitten = puss, dog") == {"cat": ["kitten", "puss"], "dog": []}
    assert read("cat, dog") == ["cat", "dog"]
    assert read("") is None
