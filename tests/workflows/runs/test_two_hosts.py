"""Two heads on one run, on hosts that share database and files."""

from __future__ import annotations

import os
import signal
import time

import pytest
from evenset import auto_label, delete_run, list_runs, resume_run

pytestmark = pytest.mark.slow
HEAD = """
    import pathlib, time
    import fiftyone as fo, evenset
    from evenset.workflows.data import locks, owners

    owners.socket.gethostname = owners.machine = lambda: "node-a"
    locks.LEASE_SECONDS, locks.RENEW_SECONDS = 3, 0.5

    def hold(phase, done, total, note):
        if phase == "training the classifier":
            pathlib.Path("begun").touch()
            while not pathlib.Path("go").exists():
                time.sleep(0.05)

    evenset.auto_label(fo.load_dataset(NAME), "ground_truth", embeddings="vector", progress=hold)
"""


@pytest.fixture
def head(clusters, elsewhere, tmp_path):
    """A dataset, and the process of another host that labels it, halfway."""
    dataset = clusters(60, 30)
    process = elsewhere(HEAD.replace("NAME", repr(dataset.name)))
    while not (tmp_path / "begun").exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    return dataset, process


def test_the_second_head_of_a_run_is_told_who_has_it(head, tmp_path):
    dataset, process = head
    (row,) = list_runs(dataset).rows
    who = f"process {process.pid} on node-a"

    with pytest.raises(ValueError, match=f"{row['key']} is running: only a stopped .* can be resumed .{who}."):
        resume_run(dataset, row["key"], progress=False)
    with pytest.raises(ValueError, match=f"another run is writing 'auto_label' .*auto_label, {who}"):
        auto_label(dataset, "ground_truth", embeddings="vector", progress=False)
    with pytest.raises(ValueError, match="is running: stop it first"):
        delete_run(dataset, row["key"])

    (tmp_path / "go").touch()
    assert process.wait(120) == 0, process.communicate()[1]
    assert [row["state"] for row in list_runs(dataset).rows] == ["done"]


def test_a_head_that_was_suspended_for_longer_than_its_lease_leaves_the_run_to_the_other(head, tmp_path, everything):
    dataset, process = head
    os.kill(process.pid, signal.SIGSTOP)
    end = time.monotonic() + 60
    while (row := list_runs(dataset).rows[0])["state"] == "running" and time.monotonic() < end:
        time.sleep(0.2)
    assert row["state"] == "stopped"

    results = resume_run(dataset, row["key"], progress=False)
    after = everything(dataset)
    (tmp_path / "go").touch()
    os.kill(process.pid, signal.SIGCONT)

    _, error = process.communicate(timeout=120)
    assert process.returncode == 1
    assert error.splitlines()[-1].endswith("or did not reach the database. It stops without writing")
    assert "has taken 'auto_label'" in error.splitlines()[-1]
    assert everything(dataset) == after and results.run_key == row["key"]
