"""A disk that fills, a database that goes away, and two runs that want the same field."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from evenset import auto_label, delete_run, list_runs, resume_run, train_resnet
from evenset.workflows.runs import worker
from pymongo import MongoClient
from pymongo.errors import DocumentTooLarge


def label(samples, **settings):
    return auto_label(samples, "ground_truth", **{**dict(embeddings="vector", progress=False), **settings})


# Two runs


@pytest.mark.slow
def test_a_second_run_into_the_same_field_is_refused_and_the_first_goes_on(clusters, refused, elsewhere, tmp_path):
    dataset = clusters(60, 30)
    first = elsewhere(f"""
        import pathlib, time
        import fiftyone as fo, evenset
        def hold(phase, done, total, note):
            if (phase, done) == ("training the classifier", 0):
                pathlib.Path("begun").touch()
                while not pathlib.Path("go").exists():
                    time.sleep(0.05)
        dataset = fo.load_dataset({dataset.name!r})
        evenset.auto_label(dataset, "ground_truth", embeddings="vector", progress=hold)
    """)
    while not (tmp_path / "begun").exists():
        assert first.poll() is None, first.communicate()[1]
        time.sleep(0.05)

    with refused(dataset, "another run is writing 'auto_label'", "wait for it, or stop it"):
        label(dataset)
    with refused(dataset, "another run is writing 'auto_label'"):
        train_resnet(dataset, "ground_truth", output_field="auto_label", progress=False)
    other = label(dataset, output_field="another")  # at the same time, into a field of its own
    (tmp_path / "go").touch()

    assert first.wait(120) == 0, first.communicate()[1]
    dataset.reload()
    assert dataset.values("auto_label.label") == dataset.values("another.label")
    assert dataset.values("auto_label.confidence") == dataset.values("another.confidence")
    assert [(row["key"], row["state"]) for row in list_runs(dataset).rows] == [
        ("evenset_auto_label_1", "done"),
        (other.run_key, "done"),
    ]


def test_a_second_run_of_the_same_process_is_refused_too(clusters):
    dataset = clusters(60, 30)
    refusals = []

    def again(phase, done, total, note):
        with pytest.raises(ValueError, match="another run is writing 'auto_label'") as caught:
            label(dataset)
        refusals.append(caught.value)

    results = label(dataset, progress=again)
    assert refusals and dataset.count("auto_label") == results.samples == 60


# The disk


@pytest.fixture
def small_disk(tmp_path, monkeypatch):
    """A disk of one megabyte, on which runs have their folders."""
    import fiftyone as fo

    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a disk that is really full takes the right to mount one")
    monkeypatch.setattr(fo.config, "default_dataset_dir", str(disk))
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def fill(disk: Path):
    """Leaves no room on `disk`; deleting the file `ballast` makes some again."""
    with pytest.raises(OSError, match="No space left"), (disk / "ballast").open("ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@pytest.mark.parametrize("when", ["looking at images", "training the classifier", "saving a network"])
@pytest.mark.slow
def test_a_full_disk_ends_the_run_with_a_sentence(small_disk, digits, clusters, everything, when):
    images = when in ("looking at images", "saving a network")
    dataset = digits(40, size_px=8, labelled=30) if images else clusters(60, 30)
    quick = dict(epochs=1, min_updates=1, augmentation="none", precision="fp32", weights="none")
    settings = {**quick, "embeddings": None} if images else {}
    before = everything(dataset)

    def at(phase, done, total, note):
        if phase == when and not (small_disk / "ballast").exists():
            fill(small_disk)

    # no phase is called "saving a network": there, it is the ResNet itself that the disk has no room for
    with pytest.raises(OSError, match=f"the disk of {small_disk}.* is full: make room.*evenset.resume_run"):
        label(dataset, progress=at, **settings)

    full = everything(dataset)
    for part in ("schema", "samples", "views", "app"):
        assert full[part] == before[part], part
    (row,) = list_runs(dataset).rows
    assert row["state"] == "failed" and "is full" in row["error"]

    (small_disk / "ballast").unlink(missing_ok=True)
    if images:
        subprocess.run(["mount", "-o", "remount,size=400m", str(small_disk)], check=True)
    results = resume_run(dataset, row["key"], progress=False)
    assert dataset.count("auto_label") == results.samples == len(dataset)
    delete_run(dataset, row["key"])
    (small_disk / "ballast").unlink(missing_ok=True)
    assert everything(dataset) == before


@pytest.mark.slow
def test_a_disk_that_is_too_small_for_a_generator(small_disk, digits):
    from evenset import train_generator

    dataset = digits(40, size_px=8)
    with pytest.raises(OSError, match=f"the disk of {small_disk}.* is full: make room.*evenset.resume_run"):
        train_generator(dataset, "ground_truth", minutes=None, max_updates=5, width=32, progress=False)

    subprocess.run(["mount", "-o", "remount,size=400m", str(small_disk)], check=True)
    (row,) = list_runs(dataset).rows
    assert resume_run(dataset, row["key"], progress=False).steps == 5


@pytest.mark.slow
def test_a_disk_that_is_full_before_the_run_begins(small_disk, clusters, everything):
    dataset = clusters(60, 30)
    before = everything(dataset)
    fill(small_disk)
    with pytest.raises(OSError, match=f"the disk of {small_disk}.* is full: make room"):
        label(dataset)
    (small_disk / "ballast").unlink()
    assert everything(dataset) == before
    assert label(dataset).samples == 60


# The database


CALLER = """
    import sys
    import fiftyone as fo, numpy as np, evenset
    from evenset.workflows.data import fields as data_fields

    data_fields.DB_BATCH = 20
    truth = np.arange(60) % 3
    dataset = fo.Dataset("products", persistent=True)
    names = [fo.Classification(label="abc"[i]) if n < 30 else None for n, i in enumerate(truth)]
    dataset.add_samples(
        [fo.Sample(f"/nowhere/{n}.png", ground_truth=name) for n, name in enumerate(names)], progress=False
    )
    dataset.set_values("vector", list(np.random.default_rng(0).normal(4 * np.eye(3)[truth], 1.0)))
    given, fields = dataset.values("ground_truth"), sorted(dataset.get_field_schema())

    def say_and_wait(line):
        print(line, flush=True)
        assert sys.stdin.readline()

    def hold(phase, done, total, note):
        if phase == PHASE and done >= total / 3:
            say_and_wait("now")

    try:
        evenset.auto_label(dataset, "ground_truth", embeddings="vector", progress=hold)
    except ConnectionError as error:
        say_and_wait(f"{error}")

    dataset.reload()
    key, = dataset.list_runs()
    assert evenset.list_runs(dataset).rows[0]["state"] == "stopped"
    assert dataset.values("ground_truth") == given
    results = evenset.resume_run(dataset, key, progress=False)
    whole = evenset.auto_label(dataset, "ground_truth", output_field="whole", embeddings="vector", progress=False)
    assert str(results).splitlines()[1:] == str(whole).splitlines()[1:]
    for name in ("label", "confidence", "status", "margin"):
        assert dataset.values(f"auto_label.{name}") == dataset.values(f"whole.{name}"), name
    for run in (results, whole):
        evenset.delete_run(dataset, run.run_key)
    assert dataset.values("ground_truth") == given and sorted(dataset.get_field_schema()) == fields
    assert not dataset.list_saved_views() and not dataset.list_runs()
    print("as before", flush=True)
"""


@pytest.mark.parametrize("phase", ["training the classifier", "writing labels"])
@pytest.mark.slow
def test_a_database_that_goes_away_is_told_in_a_sentence_and_the_run_resumed(mongod, tmp_path, phase):
    address, server = mongod()
    environment = {
        **os.environ,
        "FIFTYONE_DATABASE_URI": f"{address}/?serverSelectionTimeoutMS=1000",
        "FIFTYONE_DEFAULT_DATASET_DIR": str(tmp_path / "datasets"),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", textwrap.dedent(CALLER).replace("PHASE", repr(phase))]
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes) as caller:
        try:
            assert lines_of(caller) == "now"
            server.communicate()  # it ends
            answer(caller)
            sentence = lines_of(caller)
            assert sentence.startswith("the database stopped answering (")
            assert "evenset.resume_run(dataset, 'evenset_auto_label_1')" in sentence
            mongod(int(address.rpartition(":")[2]))
            MongoClient(address).admin.command("ping")  # it is back
            answer(caller)
            assert lines_of(caller) == "as before"
            assert caller.wait(60) == 0
        finally:
            caller.kill()


def lines_of(caller):
    """The next line that `caller` says, without what libraries print."""
    for line in caller.stdout:
        if line.startswith(("now", "the database stopped", "as before")):
            return line.strip()
    raise AssertionError(caller.stderr.read())


def answer(caller):
    caller.stdin.write("\n")
    caller.stdin.flush()


def test_what_a_living_database_refuses_fails_the_run_and_leaves_nothing_of_it(clusters):
    dataset, error = clusters(60, 30), DocumentTooLarge("BSON document too large")
    before = list(dataset.get_field_schema(flat=True))

    def refuse(phase: str, *_) -> None:
        if phase == "training the classifier":
            raise error

    with pytest.raises(DocumentTooLarge):
        label(dataset, progress=refuse)

    dataset.reload()
    (row,) = list_runs(dataset).rows
    assert (row["state"], list(dataset.get_field_schema(flat=True))) == ("failed", before)
    assert "DocumentTooLarge: BSON document too large" in worker.sentence(error, "auto_label")
    assert resume_run(dataset, row["key"], progress=False).run_key == row["key"]
