"""Remedies: a button for what an error names, which opens the form again as it was, with one value changed."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest
from bson import json_util
from evenset.operators.display.pages import Page
from evenset.operators.display.remedies import REMEDIES, remedies
from evenset.operators.display.wording import SETTINGS_CLASSES
from evenset.operators.forms.refill import reopen_job
from evenset.workflows.runs.jobs import Job

ROOT = Path(__file__).parents[2]
OFFLINE = "the ImageNet weights of resnet18 cannot be downloaded (no route): pass weights='none' or the path of a file"


@pytest.mark.parametrize("words", REMEDIES)
def test_each_remedy_stands_in_an_error_and_changes_settings(words):
    sources = [path.read_text() for folder in ("models", "workflows") for path in (ROOT / folder).rglob("*.py")]
    names = {item.name for kind in SETTINGS_CLASSES for item in fields(kind)} | {"embeddings"}

    assert any(words in source for source in sources)
    assert REMEDIES[words].values.keys() <= names


def test_a_page_of_an_error_has_a_button_that_fills_in_the_form():
    page = Page("Not done").add_remedies(OFFLINE, "train_resnet", dict(epochs=3, weights="imagenet"))

    (button,) = page.outputs.properties["buttons"].type.properties.values()
    assert button.view.label == "Use no pretrained weights" and button.view.prompt
    assert button.view.params == dict(epochs=3, weights="none")
    assert remedies("the disk is full") == []


@pytest.mark.parametrize(("stages", "target"), [([], "DATASET"), ([{"_cls": "some"}], "CURRENT_VIEW")])
def test_a_job_that_failed_before_its_run_opens_its_form_again(stages, target):
    arguments = dict(label_field="ground_truth", output_field="resnet", weights="imagenet", epochs=3)
    job = Job("train_resnet", json_util.dumps(dict(stages=stages, arguments=arguments)))
    opened = []
    ctx = SimpleNamespace(dataset=None, prompt=lambda uri, params: opened.append((uri, params)))

    reopen_job(ctx, job, weights="none")

    ((uri, params),) = opened
    assert uri == "@evenset/evenset/train_resnet" and params["view_target"] == target
    assert {name: params[name] for name in arguments} == {**arguments, "weights": "none"}
