"""The operator as the App calls it: what it asks for, what it makes of it, and what it shows."""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace

import pytest
from evenset.models.settings import AttackSettings, CompareSettings, ImageSettings, ResNetSettings
from evenset.operators import compare_methods as operator
from evenset.operators.display.wording import setting_label
from evenset.workflows.comparison.methods import METHODS
from fiftyone import ViewField as F

ONLY = dict.fromkeys(operator.CHECKBOXES.values(), False)


def test_every_method_has_its_checkbox_and_the_rules_their_text(app, clusters):
    lines = app.form(clusters(), "compare_methods")

    asked = [name for name, line in lines.items() if line["type"]["name"] != "Void" and "section_" not in name]
    basic = [item.name for item in fields(CompareSettings) if item.metadata["basic"]]
    inputs = ["view_target", "task", "label_field", "output_field", *operator.CHECKBOXES.values(), "rules", "test"]
    assert asked == [*inputs, *basic, "wait"]
    assert {*operator.CHECKBOXES, "rules"} == set(METHODS) == {*operator.METHOD_LABELS, "rules"}
    assert not any(line["required"] or line["invalid"] for line in lines.values())


def test_in_sections_stand_all_settings(app, clusters):
    lines = app.form(
        clusters(), "compare_methods", dict(more=True, denoise="median", robustness=True, adversarial=True, mix="both")
    )

    for kind in (CompareSettings, AttackSettings, ImageSettings, ResNetSettings):
        for item in fields(kind):
            assert lines[item.name]["view"]["label"] == setting_label(item)


@pytest.mark.parametrize("text", ["cat", "cat: import os", 'cat: F("x").map(1)'])
def test_rules_that_cannot_be_read_are_marked_with_what_can(app, clusters, text):
    line = app.form(clusters(), "compare_methods", {"rules": text})["rules"]

    assert line["invalid"] and 'F("metadata.width") > 500' in line["error_message"]


def test_a_form_becomes_arguments(clusters):
    dataset = clusters()
    params = {**ONLY, "use_resnet": True, "use_gcn": True, "label_field": "ground_truth", "rules": "class 0: True"}
    params |= {"epochs": 3, "seed": 4, "seeds": 2, "size_px": 8, "attack_epsilons": "2", "test": ""}
    context = SimpleNamespace(
        params=params, selected=[], request_params={}, dataset=dataset, target_view=lambda: dataset
    )

    samples, arguments = operator.read_arguments(context)

    assert samples is dataset and arguments == dict(
        label_field="ground_truth",
        rules="class 0: True",
        methods=["resnet", "gcn", "rules"],
        settings_of={"resnet": {"epochs": 3}},  # not the GCN's
        seed=4,
        seeds=2,
        size_px=8,
        attack_epsilons="2",
    )


def test_ways_to_even_out_have_a_form_of_their_own(app, clusters):
    lines = app.form(clusters(), "compare_methods", {"task": "generation", "more": True})

    assert {"target", "plan", "max_ratio", "generator", "minutes", "verdict_seeds", "guidance"} <= set(lines)
    assert not {*operator.CHECKBOXES.values(), *operator.WITHOUT, "output_field", "rules", "test", "seeds"} & set(lines)
    said = str(lines)
    assert "synthetic images would be added" in said and "none is added" in said


def test_its_form_becomes_arguments_too(clusters):
    dataset = clusters()
    params = dict(task="generation", label_field="ground_truth", target="number", target_number=40, verdict_updates=9)
    params |= {"add": "always", "seeds": 2, "use_gcn": True, "generator": ""}  # of the other forms
    context = SimpleNamespace(
        params=params, selected=[], request_params={}, dataset=dataset, target_view=lambda: dataset
    )

    samples, arguments = operator.read_arguments(context)

    assert samples is dataset
    assert arguments == dict(task="generation", label_field="ground_truth", target=40, verdict_updates=9)


@pytest.mark.slow
def test_ways_to_even_out_are_compared_and_shown(app, digits):
    dataset = digits(n=300, size_px=8, labelled=300)
    few = [sample.id for sample in dataset.match(F("ground_truth.label") == "3").skip(10)]
    dataset.delete_samples(few)
    quick = dict(minutes=None, max_updates=20, width=8, verdict_updates=20, verdict_seeds=2, sampling_steps=3)
    quick |= dict(
        prototype_reject_quantile=0.0,
        probability_reject_quantile=0.0,
        gcn_reject_quantile=0.0,
        copy_reject_quantile=0.0,
    )

    answer = app.execute(dataset, "compare_methods", dict(task="generation", label_field="ground_truth", **quick))

    assert "Ways to balance 10 classes" in answer.labels
    assert {"oversampling", "augmentation of every batch"} <= {row["0"] for row in answer.values["rows"]}
    assert any("changed images: " in text and " points (" in text for _, text in map(lowered, answer.alerts))
    assert len(answer.values["changed images"]) == 10


def lowered(alert):
    return alert[0], alert[1].lower()


@pytest.mark.slow
def test_it_compares_and_shows_the_table_and_where_to_look_further(app, clusters):
    dataset = clusters()
    params = {**ONLY, "use_gcn": True, "use_laplace": True, "embeddings": "vector", "label_field": "ground_truth"}

    answer = app.execute(dataset, "compare_methods", {**params, "seeds": 2, "rules": "class 0: True"})

    dataset.reload()
    assert [row["0"] for row in answer.values["rows"]] == ["gcn", "laplace", "rules"]
    assert "3 methods are scored on 36 held-out labels, 2 times" in answer.labels
    assert {"Open the held-out samples", "Open Model Evaluation"} <= set(answer.labels)
    assert any("Model Evaluation panel" in text for _, text in answer.alerts)
    assert dataset.list_evaluations() == ["compare_gcn_eval", "compare_laplace_eval", "compare_rules_eval"]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({}, "Nothing is chosen for 'Label field'"),
        ({**ONLY, "label_field": "ground_truth"}, "No method is chosen"),
        ({**ONLY, "label_field": "ground_truth", "rules": "cat: True"}, "'ground_truth' has no such label"),
    ],
)
@pytest.mark.slow
def test_what_cannot_be_done_is_said_in_a_sentence(app, clusters, params, words):
    answer = app.execute(clusters(), "compare_methods", params)

    assert [severity for severity, _ in answer.alerts] == ["error"]
    assert words.lower() in answer.alerts[0][1].lower()
