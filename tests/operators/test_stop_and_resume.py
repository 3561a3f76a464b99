"""Stop leads to the panel, where a run is seen to end; Resume says before the click how long it may take."""

from __future__ import annotations

import dataclasses

import pytest
from evenset import auto_label
from evenset.workflows.data import locks
from evenset.workflows.runs import records

KEY = "evenset_auto_label_1"


@pytest.fixture
def suggested(clusters, finished):
    def make():
        dataset = clusters(n=300, labelled=150)
        auto_label(dataset, "ground_truth", embeddings="vector", target_precision=0.9, progress=False)
        return dataset

    return finished("150 suggestions", make)


def set_state(dataset, state: str) -> None:
    records.save_record(dataset, dataclasses.replace(records.read_record(dataset, KEY), state=state))


@pytest.mark.parametrize(("waits", "opened"), [(False, ["open_panel"]), (True, [])])
def test_stop_opens_the_panel_unless_the_bar_shows_the_end(app, suggested, waits, opened):
    set_state(suggested, "running")

    with locks.lock_field(suggested, KEY):
        answer = app.execute(suggested, "stop_run", dict(run_key=KEY, wait=waits))

    assert answer.notices == [("info", f"{KEY} stops within a batch, and can be resumed")]
    assert [line["operator_uri"] for line in answer.sent if line["operator_uri"] != "notify"] == opened
    assert records.store(suggested).get(f"stop:{KEY}") is True


def test_resume_says_how_long_the_whole_run_takes(app, suggested):
    set_state(suggested, "stopped")

    said = [name for name in app.form(suggested, "resume_run") if name.startswith("note")]

    (estimate,) = said
    assert estimate.startswith("note The whole run takes about ") and estimate.endswith(". Finished work is kept")


def test_resume_does_without_the_label_field(app, suggested):
    set_state(suggested, "failed")
    suggested.delete_sample_field("ground_truth")
    assert any("The whole run takes" in name for name in app.form(suggested, "resume_run"))
