"""Copies and a media field that shows them: what is written, what is refused, and what an undo leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from evenset import delete_run, list_runs, load_results, preprocess_images, resume_run, stop_run
from evenset.models.errors import ImageError, RunError
from evenset.models.images.decode import load
from evenset.models.settings import ImageSettings
from evenset.workflows.preprocessing import copier
from evenset.workflows.runs.run import RunStopped
from evenset.workflows.runs.shards import Executor
from PIL import Image


@pytest.fixture
def photos(tmp_path, make_dataset):
    """A data set of smooth colour photographs: photos(n, width=24, height=16)."""

    def make(n=6, width=24, height=16):
        folder = tmp_path / "photos"
        folder.mkdir(exist_ok=True)
        paths = []
        for i in range(n):
            noise = np.random.default_rng(i).integers(0, 256, (4, 6, 3), dtype=np.uint8)
            image = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
            paths.append(str(folder / f"{i}.png"))
            image.save(paths[-1])
        return make_dataset(paths)

    return make


def everything(dataset) -> dict:
    """Schema, samples, views, the App's settings, runs, and every file that Evenset keeps for it."""
    import fiftyone as fo

    dataset.reload()
    folder = Path(fo.config.default_dataset_dir) / "evenset" / str(dataset._doc.id)
    return {
        "schema": {name: str(field) for name, field in dataset.get_field_schema(flat=True).items()},
        "samples": [{**sample.to_dict(), "last_modified_at": None} for sample in dataset],
        "views": dataset.list_saved_views(),
        "app": {**dataset.app_config.to_dict(), "sidebar_groups": None},
        "runs": dataset.list_runs(),
        "files": sorted(str(path) for path in folder.rglob("*")),
        "folder": folder.exists(),
    }


def test_workers_write_the_copies_of_one_process(photos, backwards, monkeypatch):
    monkeypatch.setattr(copier, "SHARD_IMAGES", 4)
    dataset = photos(10)
    Path(dataset.skip(2).first().filepath).write_bytes(b"no image")
    here = preprocess_images(dataset, size_px=8, progress=False, output_field="here")
    there = preprocess_images(dataset, size_px=8, progress=False, output_field="there", workers=2, ship_images=True)
    assert backwards[0] == [(Executor("2"), "encode_shard")] * 3
    assert (here.skipped, here.mean, here.std) == (there.skipped, there.mean, there.std) and len(here.skipped) == 1
    paths = dataset.exists("here").values(["here", "there"])
    assert [Path(path).read_bytes() for path in paths[0]] == [Path(path).read_bytes() for path in paths[1]]


@pytest.mark.slow
def test_two_processes_write_the_copies_of_one(photos):
    dataset = photos(10)
    for name, workers in (("here", None), ("there", 2)):
        preprocess_images(dataset, size_px=8, progress=False, output_field=name, workers=workers)
    here, there = dataset.values(["here", "there"])
    assert [Path(path).read_bytes() for path in here] == [Path(path).read_bytes() for path in there]


def test_a_resumed_run_asks_workers_for_the_missing_copies(photos, backwards, monkeypatch):
    monkeypatch.setattr(copier, "SHARD_IMAGES", 4)
    dataset, (done, refused) = photos(10), backwards
    refused.append(1)
    with pytest.raises(RunError, match="caught fire"):
        preprocess_images(dataset, size_px=8, progress=False, workers="ray")
    refused.clear()
    results = resume_run(dataset, list_runs(dataset).rows[0]["key"], progress=False)
    assert results.written == 10 and len(done) == 3  # the last shard, of two images, was done before


def copies(dataset, field="preprocessed_path"):
    return [np.asarray(Image.open(path)) for path in dataset.values(field)]


def test_copies_are_the_preprocessed_images_and_the_grid_can_show_them(photos):
    dataset = photos()
    originals = [Path(path).read_bytes() for path in dataset.values("filepath")]

    results = preprocess_images(dataset, size_px=12, fit="crop", denoise="median", progress=False)

    expected = [load(path, ImageSettings(fit="crop", denoise="median"), 12, 3) for path in dataset.values("filepath")]
    assert (np.stack(copies(dataset)) == np.stack(expected)).all()
    assert [Path(path).read_bytes() for path in dataset.values("filepath")] == originals
    assert sorted(dataset.values("preprocessed_path")) == sorted(str(path) for path in Path(results.folder).iterdir())
    dataset.reload()
    assert dataset.app_config.media_fields == ["filepath", "preprocessed_path"]
    assert np.allclose(results.mean, np.mean(expected, axis=(0, 1, 2)) / 255)
    assert np.allclose(results.std, np.std(expected, axis=(0, 1, 2)) / 255)
    assert (results.written, results.skipped, results.gray) == (6, {}, False)
    saved = load_results(dataset, results.run_key)
    assert saved == results and type(saved) is type(results)


def test_without_a_size_copies_keep_the_shape_of_their_images(photos):
    dataset = photos(3, width=30, height=11)
    preprocess_images(dataset, grayscale=True, progress=False)
    assert [copy.shape for copy in copies(dataset)] == [(11, 30)] * 3


def test_jpeg_copies_are_jpeg_files_of_the_quality_asked_for(photos):
    dataset = photos(2, width=200, height=200)
    preprocess_images(dataset, format="jpeg", jpeg_quality=95, output_field="fine", progress=False)
    preprocess_images(dataset, format="jpeg", jpeg_quality=10, output_field="coarse", progress=False)
    for fine, coarse in zip(dataset.values("fine"), dataset.values("coarse"), strict=True):
        assert Image.open(fine).format == Image.open(coarse).format == "JPEG"
        assert os.path.getsize(coarse) < os.path.getsize(fine)


def test_two_samples_that_share_a_file_get_a_copy_each(photos, make_dataset):
    path = photos(1).first().filepath
    dataset = make_dataset([path, path])
    results = preprocess_images(dataset, progress=False)
    first, second = dataset.values("preprocessed_path")
    assert first != second and results.written == 2
    assert Path(first).read_bytes() == Path(second).read_bytes()


def test_two_runs_have_files_and_fields_of_their_own(photos):
    dataset = photos(2)
    preprocess_images(dataset, output_field="small", size_px=8, progress=False)
    preprocess_images(dataset, output_field="large", size_px=16, progress=False)
    assert [copy.shape[0] for copy in copies(dataset, "small")] == [8, 8]
    assert [copy.shape[0] for copy in copies(dataset, "large")] == [16, 16]
    dataset.reload()
    assert dataset.app_config.media_fields == ["filepath", "small", "large"]


def test_a_key_that_is_used_again_never_gives_the_same_path(photos):
    dataset = photos(1)
    first = preprocess_images(dataset, progress=False)
    path = dataset.first().preprocessed_path
    delete_run(dataset, first.run_key)
    assert preprocess_images(dataset, progress=False).run_key == first.run_key
    dataset.reload()
    assert dataset.first().preprocessed_path != path  # the App's server keeps what it has seen under a path


def test_a_view_is_a_part_of_the_samples(photos):
    dataset = photos(5)
    results = preprocess_images(dataset.limit(2), progress=False)
    assert results.written == 2
    assert [path is not None for path in dataset.values("preprocessed_path")] == [True, True, False, False, False]


def test_the_grid_stays_as_it_is_where_that_is_asked_for(photos):
    dataset = photos(1)
    preprocess_images(dataset, show_in_grid=False, progress=False)
    dataset.reload()
    assert dataset.app_config.media_fields == ["filepath"]


def test_bad_files_are_skipped_counted_and_listed(photos, tmp_path):
    dataset = photos(4)
    ids, paths = dataset.values(["id", "filepath"])
    Path(paths[1]).write_text("no image")
    os.unlink(paths[2])

    results = preprocess_images(dataset, progress=False)

    assert set(results.skipped) == {ids[1], ids[2]}
    assert "1.png is not an image" in results.skipped[ids[1]] and "2.png does not exist" in results.skipped[ids[2]]
    assert [path is None for path in dataset.values("preprocessed_path")] == [False, True, True, False]
    lines = str(results).splitlines()
    assert lines[0].startswith("preprocessed_path: copies in ")
    assert lines[-1] == "2 images could not be read: results.skipped lists them."
    assert "copies" in lines[2] and lines[4].split()[:4] == ["2", "2", "0", "png"]


def test_where_no_image_can_be_read_nothing_is_written(photos):
    dataset = photos(2)
    before = everything(dataset)
    for path in dataset.values("filepath"):
        Path(path).write_bytes(b"")
    with pytest.raises(ImageError, match="none of the 2 images can be read, the first because .*0.png is empty"):
        preprocess_images(dataset, progress=False)
    delete_run(dataset, "evenset_preprocess_images_1")
    assert everything(dataset) == before


def test_undo_leaves_everything_as_it_was(photos):
    dataset = photos()
    dataset.app_config.media_fields.append("thumbnail")
    dataset.save()
    dataset.save_view("mine", dataset.limit(2))
    before = everything(dataset)

    results = preprocess_images(dataset, size_px=8, progress=False)
    assert everything(dataset) != before
    delete_run(dataset, results.run_key)

    assert everything(dataset) == before


def test_an_output_field_that_exists_is_refused_and_stays(photos):
    dataset = photos(2)
    dataset.set_values("mine", ["a", "b"])
    before = everything(dataset)
    for name in ("mine", "filepath"):
        with pytest.raises(ValueError, match=f"the field '{name}' exists: choose another output_field"):
            preprocess_images(dataset, output_field=name, progress=False)
    with pytest.raises(ValueError, match="'a b'"):
        preprocess_images(dataset, output_field="a b", progress=False)
    assert everything(dataset) == before


def test_bad_settings_are_refused_before_work_starts(photos):
    dataset = photos(1)
    before = everything(dataset)
    with pytest.raises(ValueError, match="denoise has to be one of none, median"):
        preprocess_images(dataset, denoise="mediam", progress=False)
    with pytest.raises(TypeError, match="did you mean 'size_px'"):
        preprocess_images(dataset, size=3, progress=False)
    assert everything(dataset) == before


def test_what_is_not_a_set_of_images_is_refused(photos, make_dataset, tmp_path):
    import fiftyone as fo

    path = photos(1).first().filepath
    grouped = make_dataset([])
    grouped.add_group_field("group", default="left")
    group = fo.Group()
    grouped.add_samples([fo.Sample(filepath=path, group=group.element(side)) for side in ("left", "right")])
    video = make_dataset([tmp_path / "film.mp4"])
    for dataset, sentence in [(grouped, "grouped"), (video, "'video'"), (make_dataset([]), "is empty")]:
        before = everything(dataset)
        with pytest.raises(ValueError, match=sentence):
            preprocess_images(dataset, progress=False)
        assert everything(dataset) == before

    results = preprocess_images(grouped.select_group_slices("left"), progress=False)
    assert results.written == 1
    assert grouped.first().preprocessed_path is not None


def test_a_stopped_run_leaves_no_field_and_goes_on_where_it_was(photos):
    dataset = photos(120, width=8, height=8)
    before = everything(dataset)

    def stop_midway(phase, done, total, note):
        if done == 40:
            raise RunStopped("enough")

    with pytest.raises(RunStopped):
        preprocess_images(dataset, threads=2, progress=stop_midway)
    stopped = everything(dataset)
    for part in ("schema", "samples", "views", "app"):
        assert stopped[part] == before[part], part
    (key,) = stopped["runs"]
    finished = [path for path in stopped["files"] if path.endswith(".png")]
    assert 40 <= len(finished) <= 44  # those that were under way were finished
    times = {path: os.stat(path).st_mtime_ns for path in sorted(finished)}

    counts = []
    results = resume_run(dataset, key, progress=lambda phase, done, total, note: counts.append(done))

    assert counts[0] == 41
    assert results.written == 120
    unchanged = sum(os.stat(path).st_mtime_ns == time for path, time in times.items())
    assert unchanged >= 40
    whole = preprocess_images(dataset, output_field="at_once", progress=False)
    assert (np.stack(copies(dataset)) == np.stack(copies(dataset, "at_once"))).all()
    assert (results.mean, results.std) == (whole.mean, whole.std)


def test_a_run_is_stopped_from_another_place(photos):
    dataset = photos(50, width=8, height=8)

    def ask(phase, done, total, note):
        if done == 1:
            stop_run(dataset, "evenset_preprocess_images_1")

    with pytest.raises(RunStopped, match="evenset.resume_run resumes it"):
        preprocess_images(dataset, progress=ask)
    assert "stopped" in str(list_runs(dataset))
    dataset.reload()
    assert not dataset.has_sample_field("preprocessed_path")


def test_a_full_disk_ends_the_run_with_a_sentence_and_an_unchanged_dataset(photos, monkeypatch):
    """Linux has a file that is always full: one of the copies is sent there."""
    dataset = photos(40, width=8, height=8)
    before = everything(dataset)
    last, write = dataset.last().id, Path.write_bytes

    def send(path, data):
        if path.name.startswith(last):
            path.symlink_to("/dev/full")
        return write(path, data)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", send)
        with pytest.raises(OSError, match="the disk of .* is full after 39 of 40 copies: make room"):
            preprocess_images(dataset, threads=1, progress=False)

    full = everything(dataset)
    for part in ("schema", "samples", "views", "app"):
        assert full[part] == before[part], part
    assert not [path for path in full["files"] if path.endswith(".part")]
    results = resume_run(dataset, full["runs"][0], progress=False)
    assert results.written == 40 and len(copies(dataset)) == 40


@pytest.mark.parametrize(("when", "number"), [("writing copies", 30), ("writing paths", 60)])
@pytest.mark.slow
def test_a_killed_run_goes_on_with_the_same_result(photos, tmp_path, when, number):
    dataset = photos(60, width=8, height=8)
    before = everything(dataset)
    script = f"""
        import os, signal
        import fiftyone as fo, evenset
        def die(phase, done, total, note):
            if (phase, done) == {(when, number)}:
                os.kill(os.getpid(), signal.SIGKILL)
        evenset.preprocess_images(fo.load_dataset({dataset.name!r}), threads=2, progress=die)
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], cwd=tmp_path, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()

    after = everything(dataset)
    for part in ("schema", "samples", "views", "app") if when == "writing copies" else ():
        assert after[part] == before[part], part
    (key,) = after["runs"]
    (journal,) = (Path(path) for path in after["files"] if path.endswith("copies.jsonl"))
    lines = journal.read_text().splitlines()
    torn = json.dumps(json.loads(lines[-1]))[:20]
    journal.write_text("\n".join([*lines[:-1], lines[1], torn]))  # a kill in the middle of a line

    results = resume_run(dataset, key, progress=False)

    noted = {json.loads(line)["id"] for line in journal.read_text().splitlines() if line.endswith("}")}
    assert noted == set(dataset.values("id"))  # another kill would find them all
    whole = preprocess_images(dataset, output_field="at_once", progress=False)
    assert results.written == whole.written == 60
    assert (np.stack(copies(dataset)) == np.stack(copies(dataset, "at_once"))).all()
    assert np.allclose([results.mean, results.std], [whole.mean, whole.std], rtol=0, atol=1e-12)
    for run in (results, whole):
        delete_run(dataset, run.run_key)
    assert everything(dataset) == before
