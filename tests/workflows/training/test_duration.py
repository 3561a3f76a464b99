"""Estimates of time: they grow with the work, count the size that is used, and are said in round words."""

from __future__ import annotations

import pytest
from evenset import auto_label
from evenset.workflows.comparison.methods import METHODS, ON_VECTORS
from evenset.workflows.runs import records
from evenset.workflows.training import duration, work
from evenset.workflows.training.stage_costs import Facts

MORE_WORK = [
    ("train_resnet", dict(epochs=20), dict(epochs=80)),
    ("train_resnet", dict(architecture="resnet18"), dict(architecture="resnet50")),
    ("train_resnet", dict(size_px=32), dict(size_px=64)),
    ("preprocess_images", dict(denoise="none"), dict(denoise="non-local means")),
    ("auto_label", dict(members="graph"), dict(members="graph and resnet")),
    ("auto_label", dict(embeddings="vector"), dict(members="graph")),
    ("auto_label", dict(self_training_rounds=0), dict(self_training_rounds=2)),
    ("auto_label", dict(after="a run"), dict()),
    ("auto_label", dict(run="a run"), dict(after="a run")),
    ("find_mistakes", dict(folds=2), dict(folds=10)),
    ("find_mistakes", dict(embeddings="vector"), dict()),
    ("find_mistakes", dict(trains_resnet=False), dict()),
    ("train_gcn", dict(embeddings="vector"), dict()),
    ("train_generator", dict(minutes=5.0), dict(minutes=20.0)),
    ("train_generator", dict(minutes=None, max_updates=100), dict(minutes=None, max_updates=1000)),
    ("train_generator", dict(minutes=5.0, max_updates=100), dict(minutes=5.0)),
    ("balance_classes", dict(generator="a run"), dict()),
    ("balance_classes", dict(source="augment"), dict(generator="a run")),
    ("balance_classes", dict(added=10), dict(added=1000)),
    ("balance_classes", dict(measure_benefit=False), dict(measure_benefit=True)),
    ("balance_classes", dict(measure_benefit=True, verdict_seeds=2), dict(measure_benefit=True)),
    ("balance_classes", dict(judge="small cnn"), dict(judge="both")),
    ("balance_classes", dict(judge="encoder"), dict(judge="both")),
    ("split_dataset", dict(near_duplicates=False), dict()),
    ("export_dataset", dict(decode_images=False), dict()),
    ("compare_methods", dict(seeds=1), dict(seeds=5)),
    ("compare_methods", dict(methods=["laplace"]), dict(methods=["resnet"])),
    ("compare_methods", dict(methods=["k-nn"]), dict(methods=["laplace"])),
    ("compare_methods", dict(methods=["resnet", "ensemble"]), dict(methods=["resnet", "image gcn"])),
    ("compare_methods", dict(methods=["ensemble"], embeddings="vector"), dict(methods=["ensemble"])),
]
FACTS = Facts(4000, (1500, 500), side_px=32, megapixels=0.01)


def seconds(workflow: str, facts: Facts = FACTS, **overrides) -> float:
    """On the reference machine."""
    return sum(stage.seconds for stage in duration.stages_of(workflow, facts, overrides))


@pytest.mark.parametrize(("workflow", "less", "more"), MORE_WORK)
def test_more_work_takes_longer(workflow, less, more):
    assert seconds(workflow, **less) < seconds(workflow, **more)


@pytest.mark.parametrize("workflow", work.WORK)
def test_what_is_not_said_is_as_the_workflow_has_it(workflow):
    from evenset import commands

    usual = {name: places[0][1].default for name, places in commands.settings_of(workflow).items()}

    assert seconds(workflow) == seconds(workflow, **usual)


@pytest.mark.parametrize("workflow", work.WORK)
def test_more_samples_take_longer(workflow):
    assert seconds(workflow, Facts(900, (90, 60))) < seconds(workflow, Facts(9000, (900, 600)))


def test_a_generator_and_small_networks_count_the_size_that_they_use():
    def of_sides(*sides: int, **overrides) -> list[float]:
        return [
            seconds("balance_classes", FACTS._replace(side_px=side), generator="a run", **overrides) for side in sides
        ]

    assert of_sides(64)[0] == pytest.approx(of_sides(2000)[0], rel=0.1)  # drawn at 64 px at most
    assert of_sides(500, size_px=32) == pytest.approx(of_sides(32), rel=0.1)


def test_what_is_too_small_to_measure_takes_no_time_to_measure():
    small = FACTS._replace(counts=(150, 30))
    phases = [stage.phase for stage in duration.stages_of("balance_classes", small, {})]

    assert "measuring" not in phases and "training the generator" in phases
    assert "measuring" in [stage.phase for stage in duration.stages_of("balance_classes", FACTS, {})]


def test_an_encoder_embeds_real_images_without_vectors_and_new_ones():
    facts = FACTS._replace(encoder_seconds=0.1)

    def encoding(facts, **overrides):
        stages = duration.stages_of("balance_classes", facts, dict(added=50, **overrides))
        return sum(stage.seconds for stage in stages if stage.phase == work.ENCODING)

    assert encoding(facts) == 0 < encoding(facts, judges_by_encoder=True) == pytest.approx(5.0)
    assert encoding(facts._replace(to_judge=100), judge="encoder") == pytest.approx(15.0)


def test_only_what_classes_lack_is_counted():
    few = FACTS._replace(counts=(1000, 900))
    assert seconds("balance_classes", few, source="augment") < seconds("balance_classes", source="augment")
    assert seconds("balance_classes", FACTS._replace(counts=(500, 500))) < 1


def test_a_comparison_that_has_ended_is_thought_of_as_the_form_had_it():
    rows = [dict(name=name, method=name, epochs=3) for name in ("resnet", "ensemble")]
    by_rows = seconds("compare_methods", methods=[], settings_of=rows)

    assert by_rows == seconds("compare_methods", methods=["resnet", "ensemble"], epochs=3) < seconds("compare_methods")


def test_every_method_is_known_to_the_estimate():
    assert {*work.METHODS, "rules"} == set(METHODS) and set(work.ON_GRAPH) == set(ON_VECTORS)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "about 2 seconds"),
        (9, "about 10 seconds"),
        (32, "about 30 seconds"),
        (50, "about a minute"),
        (190, "about 3 minutes"),
        (3500, "about 60 minutes"),
        (7000, "about 2 hours"),
        (10**6, "more than a day"),
    ],
)
def test_times_are_said_in_round_words(seconds, words):
    assert duration.words(seconds) == words


def test_a_finished_run_corrects_the_estimate_and_records_its_stages(clusters):
    dataset, given = clusters(), dict(embeddings="vector")

    run = auto_label(dataset, "ground_truth", progress=False, **given)

    stages = {phase: seconds for phase, _, seconds in records.read_record(dataset, run.run_key).notes["stages"]}
    assert {"building the neighbour graph", "spreading labels", "writing labels"} <= stages.keys()
    said = duration.sentence(dataset, "auto_label", "ground_truth", given)
    assert said.startswith("Takes about ") and said.endswith(", going by earlier runs")


def test_an_estimate_before_any_run_goes_by_a_measurement(clusters, tmp_path, monkeypatch):
    import fiftyone as fo

    dataset = clusters()
    monkeypatch.setattr(fo.config, "default_dataset_dir", str(tmp_path))

    said = duration.sentence(dataset, "find_mistakes", "ground_truth", dict(embeddings="vector"))

    assert said.endswith(", by a measurement of this machine")
    assert (tmp_path / "evenset" / "machine.json").exists()


def test_nothing_is_said_of_other_workflows(clusters):
    assert duration.sentence(clusters(), "resume_run", "ground_truth", {}) == ""
