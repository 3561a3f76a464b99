"""The database is killed right after a write, before its journal has it, and started again: nothing is missing."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.slow

CALLER = """
    import importlib.util, os, pathlib, subprocess, sys, time
    import fiftyone as fo, numpy as np, evenset
    import fiftyone.core.odm as foo
    import psutil, pymongo
    from evenset.workflows.data import durable_writes, fields

    DATA, PORT = sys.argv[1:]
    MONGOD = pathlib.Path(importlib.util.find_spec("fiftyone").origin).parent / "db/bin/mongod"
    fields.DB_BATCH = 200
    QUIET = dict(progress=False)
    wait = durable_writes._wait_for_journal

    def kill():
        pid = foo.get_db_conn().command("serverStatus")["pid"]
        os.kill(pid, 9)
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.02)
        options = ["--dbpath", DATA, "--port", PORT, "--bind_ip", "127.0.0.1", "--nounixsocket"]
        pipes = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        server = subprocess.Popen([MONGOD, *options], **pipes)
        for _ in range(300):
            if server.poll() is not None:  # its port or its lock was not free yet
                server = subprocess.Popen([MONGOD, *options], **pipes)
            try:
                return foo.get_db_conn().command("ping")  # the driver has it again: nothing tells the run
            except pymongo.errors.PyMongoError:
                time.sleep(0.1)

    def killing(moments):
        calls = []
        def then(dataset):
            calls.append(0)
            if len(calls) in moments:
                kill()
            wait(dataset)
        durable_writes._wait_for_journal = then
        return calls

    def vectors(count):
        rng, truth = np.random.default_rng(0), np.arange(count) % 3
        dataset = fo.Dataset(persistent=True)
        label = lambda i: fo.Classification(label="abc"[truth[i]]) if i < count / 2 else None
        rows = [fo.Sample(f"/nowhere/{i}.png", ground_truth=label(i)) for i in range(count)]
        dataset.add_samples(rows, progress=False)
        dataset.set_values("vector", list(rng.normal(4 * np.eye(3)[truth], 1.0)))
        return dataset

    def left(dataset):
        dataset.reload()
        values = {name: dataset.values(f"auto_label.{name}") for name in ("label", "confidence", "status", "margin")}
        views = {name: dataset.load_saved_view(name).values("filepath") for name in dataset.list_saved_views()}
        state = [row["state"] for row in evenset.list_runs(dataset).rows]
        return values, views, state, evenset.load_results(dataset, "evenset_auto_label_1").rows

    whole = vectors(600)
    calls = killing(())
    evenset.auto_label(whole, "ground_truth", embeddings="vector", **QUIET)
    writes = len(calls)
    print("writes", writes)
    for moment in sorted(np.random.default_rng(0).choice(np.arange(1, writes + 1), 4, replace=False)) + [writes]:
        dataset = vectors(600)
        killing((moment,))
        evenset.auto_label(dataset, "ground_truth", embeddings="vector", **QUIET)
        assert left(dataset) == left(whole), moment
        assert dataset.count("auto_label") == 600
        print("killed at", moment)
    assert evenset.list_runs(dataset).rows[0]["state"] == "done"
    kill()
    dataset.reload()
    print("fast count", len(dataset), "true count", dataset.count("id"))
    key = evenset.auto_label(dataset, "ground_truth", output_field="again", embeddings="vector", **QUIET).run_key
    assert dataset.count("again") == 600 and evenset.list_runs(dataset).rows[-1]["samples"] == 600
    print("as before")
"""


def test_what_a_killed_database_forgot_is_written_again(mongod, tmp_path):
    address, server = mongod()
    port = address.rpartition(":")[2]
    environment = {
        **os.environ,
        "FIFTYONE_DATABASE_URI": address,
        "FIFTYONE_DEFAULT_DATASET_DIR": str(tmp_path / "datasets"),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", textwrap.dedent(CALLER), str(tmp_path / "mongod" / "db"), port]
    try:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
        assert done.stdout.endswith("as before\n"), done.stdout + done.stderr
    finally:
        end_mongod(port)


def end_mongod(port: str) -> None:
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError

    try:
        MongoClient(f"mongodb://127.0.0.1:{port}", serverSelectionTimeoutMS=3000).admin.command("shutdown", force=True)
    except PyMongoError:  # it answers by going
        pass
