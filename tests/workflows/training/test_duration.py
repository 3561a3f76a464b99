"""Estimates of time: they grow with the work, are said in round words, and learn from runs that have ended."""

from __future__ import annotations

import pytest
from evenset import auto_label
from evenset.workflows.comparison.methods import METHODS, ON_VECTORS
from evenset.workflows.runs import records
from evenset.workflows.training import duration

MORE_WORK = [
    ("train_resnet", dict(epochs=20), dict(epochs=80)),
    ("train_resnet", dict(architecture="resnet18"), dict(architecture="resnet50")),
    ("preprocess_images", dict(denoise="none"), dict(denoise="non-local means")),
    ("auto_label", dict(members="graph"), dict(members="graph and resnet")),
    ("auto_label", dict(self_training_rounds=0), dict(self_training_rounds=2)),
    ("auto_label", dict(after="a run"), dict()),
    ("auto_label", dict(run="a run"), dict(after="a run")),
    ("find_mistakes", dict(folds=2), dict(folds=10)),
    ("find_mistakes", dict(embeddings="vector"), dict()),
    ("train_generator", dict(minutes=5.0), dict(minutes=20.0)),
    ("train_generator", dict(minutes=None, max_updates=100), dict(minutes=None, max_updates=1000)),
    ("train_generator", dict(minutes=5.0, max_updates=100), dict(minutes=5.0)),
    ("balance_classes", dict(generator="a run"), dict()),
    ("balance_classes", dict(measure_benefit=False), dict(measure_benefit=True)),
    ("compare_methods", dict(seeds=1), dict(seeds=5)),
    ("compare_methods", dict(methods=["laplace"]), dict(methods=["resnet"])),
    ("compare_methods", dict(methods=["k-nn"]), dict(methods=["laplace"])),
    ("compare_methods", dict(methods=["resnet", "ensemble"]), dict(methods=["resnet", "image gcn"])),
    ("compare_methods", dict(methods=["ensemble"], embeddings="vector"), dict(methods=["ensemble"])),
]


@pytest.mark.parametrize(("workflow", "less", "more"), MORE_WORK)
def test_more_work_takes_longer(workflow, less, more):
    assert duration.seconds(workflow, 4000, 2000, 32, less) < duration.seconds(workflow, 4000, 2000, 32, more)


@pytest.mark.parametrize("workflow", duration._WORK)
def test_what_is_not_said_is_as_the_workflow_has_it(workflow):
    from evenset import commands

    usual = {name: places[0][1].default for name, places in commands.settings_of(workflow).items()}

    assert duration.seconds(workflow, 2000, 400, 32, {}) == duration.seconds(workflow, 2000, 400, 32, usual)


def test_a_comparison_that_has_ended_is_thought_of_as_the_form_had_it():
    rows = [dict(name=name, method=name, epochs=3) for name in ("resnet", "ensemble")]

    def seconds(**given):
        return duration.seconds("compare_methods", 4000, 2000, 32, given)

    assert seconds(methods=[], settings_of=rows) == seconds(methods=["resnet", "ensemble"], epochs=3) < seconds()
    assert seconds(methods=["resnet", "ensemble"]) - seconds(methods=["resnet"]) < 30  # one network for both


def test_every_method_is_known_to_the_estimate():
    assert {*duration.METHODS, "rules"} == set(METHODS) and set(duration.ON_GRAPH) == set(ON_VECTORS)


@pytest.mark.parametrize("workflow", ["preprocess_images", "train_resnet", "train_gcn", "auto_label"])
def test_more_samples_take_longer(workflow):
    assert duration.seconds(workflow, 1000, 500, 32, {}) < duration.seconds(workflow, 9000, 500, 32, {})


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (10, "less than a minute"),
        (50, "about a minute"),
        (190, "about 3 minutes"),
        (3500, "about 60 minutes"),
        (7000, "about 2 hours"),
        (10**6, "more than a day"),
    ],
)
def test_times_are_said_in_round_words(seconds, words):
    assert duration.words(seconds) == words


def test_an_earlier_run_corrects_the_estimate(clusters):
    dataset = clusters()
    given = dict(embeddings="vector")
    assert "two processor cores" in duration.sentence(dataset, "auto_label", "ground_truth", given)
    run = auto_label(dataset, "ground_truth", progress=False, **given)
    config = records.read_record(dataset, run.run_key)
    config.seconds = 1200.0  # as if it had taken so long
    records.save_record(dataset, config)

    said = duration.sentence(dataset, "auto_label", "ground_truth", given)

    assert said == "Takes about 20 minutes, going by an earlier run on this dataset"
    assert "two processor cores" in duration.sentence(dataset, "find_mistakes", "ground_truth", {})


def test_nothing_is_said_of_other_workflows(clusters):
    assert duration.sentence(clusters(), "resume_run", "ground_truth", {}) == ""
