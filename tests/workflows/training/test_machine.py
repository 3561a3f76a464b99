"""The speed of this machine: measured once, and corrected by the runs that end."""

from __future__ import annotations

import pytest
from evenset.workflows.runs.pace import Pace
from evenset.workflows.training import machine
from evenset.workflows.training.machine import REFERENCE, Machine
from evenset.workflows.training.stage_costs import LIMIT, MATRIX, NETWORK, PHOTO, Work


@pytest.fixture
def fresh(database, tmp_path, monkeypatch):
    """A machine on which nothing ran, twice as fast as the reference with matrices."""
    import fiftyone as fo

    monkeypatch.setattr(fo.config, "default_dataset_dir", str(tmp_path))
    calls = []
    measures = {kind: lambda kind=kind: calls.append(kind) or REFERENCE[kind] / 2 for kind in REFERENCE}
    monkeypatch.setattr(machine, "MEASURES", measures)
    return calls


def finished(**taken: float) -> Pace:
    pace = Pace()
    pace.taken = {phase: [seconds] for phase, seconds in taken.items()}
    return pace


def seconds(workflow: str, *works: Work) -> list[float]:
    return [stage.seconds for stage in Machine().expect(workflow, works)]


def test_a_machine_is_measured_once(fresh):
    Machine().measure(MATRIX, PHOTO)
    Machine().measure(MATRIX, PHOTO)

    assert fresh == [MATRIX, PHOTO]


def test_stages_take_as_long_as_the_measured_machine_does(fresh):
    Machine().measure(MATRIX)

    assert seconds("auto_label", Work("a", 10, MATRIX), Work("b", 10), Work("c", 10, LIMIT)) == [5, 10, 10]


def test_networks_are_thought_of_by_matrices_until_they_are_measured(fresh, monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "NVIDIA", tmp_path / "none")
    Machine().measure(MATRIX)

    assert seconds("auto_label", Work("training", 10, NETWORK)) == [5]


def test_a_finished_run_corrects_the_next_of_its_kind_and_stages_of_others(fresh):
    work = Work("training", 10, MATRIX)
    Machine().learn("auto_label", [work], finished(training=30))
    Machine().learn("train_resnet", [work], finished(training=20))

    assert seconds("auto_label", work) == [30]
    assert seconds("find_mistakes", work) == [25]
    assert Machine().knows("auto_label", [work]) and not Machine().knows("find_mistakes", [work])


def test_the_median_of_the_last_runs_counts(fresh):
    for taken in (900, 10, 10, 10, 12, 14):
        Machine().learn("auto_label", [Work("training", 10)], finished(training=taken))

    assert seconds("auto_label", Work("training", 10)) == [10]


def test_a_time_that_the_user_set_is_not_corrected(fresh):
    work = Work("training the generator", 60, LIMIT)
    Machine().learn("train_generator", [work], finished(**{"training the generator": 5}))

    assert seconds("train_generator", work) == [60]


def test_a_file_that_was_edited_by_hand_is_measured_again(fresh):
    Machine().measure(MATRIX)
    Machine().path.write_text("[1, 2")

    Machine().measure(MATRIX)

    assert fresh == [MATRIX, MATRIX]
