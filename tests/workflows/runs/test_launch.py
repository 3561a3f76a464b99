"""Two processes of one launch, by torchrun: the first owns the run, the other trains along."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import evenset
import pytest
from evenset.models.classifiers import resnet
from evenset.workflows.runs import records

pytestmark = pytest.mark.slow
PATIENCE_SECONDS = 300
QUICK = dict(
    label_field="ground_truth", epochs=2, min_updates=1, size_px=16, weights="none", batch_size=20, device="cpu"
)
SCRIPT = """
import json, os, sys, time
import fiftyone as fo
import evenset

name, folder, arguments = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
path = os.path.join(folder, os.environ["RANK"])
open(path + ".pid", "w").write(str(os.getpid()))
try:
    function = getattr(evenset, arguments.pop("function", "train_resnet"))
    results = function(fo.load_dataset(name), **arguments, progress=False)
    told = ["returned", results.run_key, results.accuracy]
except Exception as error:
    told = [type(error).__name__, str(error)]
open(path, "w").write(json.dumps(told))
if told[0] != "returned":
    time.sleep(2)  # the launcher ends the others as soon as one fails
    sys.exit(1)
"""


class Launch:
    """A launch of two processes that call a function, and what each of them was told."""

    def __init__(self, folder, dataset, **arguments):
        self.folder = folder / f"launch {time.time()}"
        self.folder.mkdir()
        script = self.folder / "script.py"
        script.write_text(SCRIPT)
        values = json.dumps({**QUICK, **arguments})
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--rdzv-backend", "c10d"]
        command += ["--rdzv-endpoint", "127.0.0.1:0", str(script), dataset.name, str(self.folder), values]
        self.log = (self.folder / "log").open("w")
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(command, env=environment, stdout=self.log, stderr=self.log)

    def wait(self):
        return self.process.wait(PATIENCE_SECONDS)

    def told(self, rank):
        path = self.folder / str(rank)
        assert path.exists(), (self.folder / "log").read_text()[-3000:]
        return json.loads(path.read_text())

    def pid(self, rank):
        return int((self.folder / f"{rank}.pid").read_text())


def wait_until(condition):
    for _ in range(PATIENCE_SECONDS * 5):
        if condition():
            return
        time.sleep(0.2)
    pytest.fail("it did not happen")


def trains(dataset, epoch=1):
    """Whether a run has finished an epoch."""
    dataset.reload()
    lives = [records.live(dataset, key) or {} for key in dataset.list_runs()]
    return any(live.get("phase") == "training" and live["done"] >= epoch for live in lives)


def test_one_run_and_the_same_results_in_both(digits, tmp_path):
    dataset = digits(n=60, size_px=16, labelled=60)
    launch = Launch(tmp_path, dataset)
    assert launch.wait() == 0, (launch.folder / "log").read_text()[-3000:]
    assert launch.told(0) == launch.told(1)
    dataset.reload()
    assert dataset.list_runs() == ["evenset_train_resnet_1"]
    results = evenset.load_results(dataset, "evenset_train_resnet_1")
    assert launch.told(0) == ["returned", "evenset_train_resnet_1", results.accuracy] and results.epochs == 2
    assert None not in dataset.values("resnet.label")
    resnet.load(Path(results.checkpoint))  # torch's wrapper left no trace in the names of the weights


def test_an_image_graph_is_trained_by_both(digits, tmp_path):
    dataset = digits(n=60, size_px=16, labelled=60)
    launch = Launch(tmp_path, dataset, function="train_gcn", graph="image", graph_epochs=2, grid=2)
    assert launch.wait() == 0, (launch.folder / "log").read_text()[-3000:]
    assert launch.told(0) == launch.told(1)
    dataset.reload()
    assert dataset.list_runs() == ["evenset_train_gcn_1"] and None not in dataset.values("gcn.label")


def test_a_refusal_reaches_both_and_leaves_nothing(digits, tmp_path):
    dataset = digits(n=20, size_px=16, labelled=20)
    launch = Launch(tmp_path, dataset, label_field="nowhere")
    assert launch.wait() != 0
    assert launch.told(0) == launch.told(1)
    assert launch.told(0)[0] == "InvalidInput" and "nowhere" in launch.told(0)[1]
    dataset.reload()
    assert dataset.list_runs() == []


def test_a_stop_reaches_both_and_one_process_resumes(digits, tmp_path):
    dataset = digits(n=60, size_px=16, labelled=60)
    launch = Launch(tmp_path, dataset, epochs=500)
    wait_until(lambda: trains(dataset))
    evenset.stop_run(dataset, "evenset_train_resnet_1")
    assert launch.wait() != 0
    assert [launch.told(rank)[0] for rank in (0, 1)] == ["RunStopped"] * 2, launch.told(1)
    dataset.reload()
    record = records.read_record(dataset, "evenset_train_resnet_1")
    assert record.state == "stopped"
    record.settings["epochs"] = 3
    records.save_record(dataset, record)
    assert evenset.resume_run(dataset, record.key, progress=False).epochs >= 3
    assert None not in dataset.values("resnet.label")


def test_a_killed_process_is_named_and_two_others_resume(digits, tmp_path):
    dataset = digits(n=60, size_px=16, labelled=60)
    launch = Launch(tmp_path, dataset, epochs=500)
    wait_until(lambda: trains(dataset))
    os.kill(launch.pid(1), signal.SIGKILL)
    assert launch.wait() != 0
    dataset.reload()
    record = records.read_record(dataset, "evenset_train_resnet_1")
    if (launch.folder / "0").exists():  # else the launcher was faster than torch's own error
        assert f"process 1 of 2 (pid {launch.pid(1)}" in launch.told(0)[1]
        assert record.state == "failed" and "resume" in record.error
    record.settings["epochs"] = 3
    records.save_record(dataset, record)
    again = Launch(tmp_path, dataset, epochs=3, resume=record.key)
    assert again.wait() == 0, (again.folder / "log").read_text()[-3000:]
    dataset.reload()
    assert dataset.list_runs() == ["evenset_train_resnet_1"] and None not in dataset.values("resnet.label")


def test_the_shell_prints_the_results_once(digits):
    dataset = digits(n=60, size_px=16, labelled=60)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "-m", "evenset"]
    command += ["train-resnet", dataset.name, "--label-field", "ground_truth"]
    command += ["--epochs", "2", "--min-updates", "1", "--size-px", "16", "--weights", "none", "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("2 epochs") == 1
    dataset.reload()
    assert dataset.list_runs() == ["evenset_train_resnet_1"]
