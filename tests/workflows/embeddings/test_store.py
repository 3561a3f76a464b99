"""The store of vectors: each file is encoded once, by whatever workflow, and again when it changes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from evenset import auto_label, delete_embeddings, delete_run, find_mistakes, list_embeddings, resume_run, train_gcn
from evenset.models.encoders import encoder as encoders
from evenset.workflows.embeddings import encode
from evenset.workflows.runs.orphaned_folders import clean
from PIL import Image


@pytest.fixture
def encoded(monkeypatch):
    """Numbers of images that the network saw, by call."""
    counts = []
    forward = encoders._forward

    def count(encoder, images, process):
        counts.append(len(images))
        return forward(encoder, images, process)

    monkeypatch.setattr(encoders, "_forward", count)
    return counts


def label(dataset, name, **given):
    return auto_label(dataset, "ground_truth", embeddings=name, progress=False, **given)


def test_all_workflows_share_the_vectors(digits, tiny, encoded):
    dataset = digits(60, 16, labelled=40)
    results = label(dataset, tiny)
    assert sum(encoded) == 60
    find_mistakes(dataset, "ground_truth", embeddings=tiny, progress=False)
    train_gcn(dataset, "ground_truth", embeddings=tiny, epochs=2, progress=False)
    assert sum(encoded) == 60

    (row,) = list_embeddings(dataset).rows
    assert (row["encoder"], row["images"], row["dimensions"]) == (f"timm/{tiny}", 60, 64) and row["bytes"] > 60 * 64 * 4
    assert "160 px" in row["preprocessing"] and tiny in str(list_embeddings(dataset))
    delete_run(dataset, results.run_key)
    clean(yes=True)
    assert list_embeddings(dataset).rows == [row]


@pytest.mark.slow
def test_new_and_changed_files_alone_are_encoded(digits, tiny, encoded):
    dataset = digits(40, 16, labelled=30)
    label(dataset, tiny)
    changed, copied = dataset.values("filepath")[:2]
    Image.new("L", (16, 16), 77).save(changed)
    new = Path(copied).with_name("new.png")
    shutil.copy(copied, new)
    import fiftyone as fo

    dataset.add_sample(fo.Sample(filepath=str(new)))
    encoded.clear()

    label(dataset, tiny, output_field="second")

    assert encoded == [2]
    assert list_embeddings(dataset).rows[0]["images"] == 41


def test_vectors_are_rows_of_their_own_files(digits, tiny):
    """Also where shards, order and copies differ: each file's vector is that of the file alone."""
    dataset = digits(30, 16, labelled=30)
    paths = dataset.values("filepath")
    first = encode_all(dataset, paths[20:], tiny)
    everything = encode_all(dataset, [*paths[::-1], paths[3]], tiny)
    np.testing.assert_array_equal(everything[:10][::-1], first)
    np.testing.assert_array_equal(everything[-1], everything[26])
    delete_embeddings(dataset)
    np.testing.assert_allclose(encode_all(dataset, paths, tiny), everything[:-1][::-1], atol=1e-5)


def encode_all(dataset, paths, name):
    """Vectors by the store, as a run asks for them."""
    from types import SimpleNamespace

    from evenset.workflows.embeddings.encoders import open_encoder

    record = SimpleNamespace(settings={})
    run = SimpleNamespace(
        dataset=dataset, report=lambda *args: None, record=record, remember=lambda name, compute: compute()
    )
    labels = SimpleNamespace(paths=np.array(paths), ids=np.array(["0"] * len(paths)))
    return encode.encode(run, labels, dataset, open_encoder(name)).vectors


def test_a_stopped_run_resumes_with_the_shards_that_are_there(digits, tiny, encoded, monkeypatch):
    monkeypatch.setattr(encoders, "BATCH_CPU", 8)
    monkeypatch.setattr(encoders, "MIN_TIMED_IMAGES", 40)  # the rest, of 24 at most, would not be timed
    monkeypatch.setattr(encoders, "faster_precision", lambda run, device: "bf16")
    precisions = []
    place = encoders._place

    def remember(encoder, process):
        precisions.append(process.mixed_precision)
        return place(encoder, process)

    monkeypatch.setattr(encoders, "_place", remember)
    dataset = digits(48, 16, labelled=30)

    def stop(phase, done, total, note):
        if phase.startswith("computing embeddings") and done >= 24:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        auto_label(dataset, "ground_truth", embeddings=tiny, progress=stop)
    assert 24 <= list_embeddings(dataset).rows[0]["images"] < 48
    resume_run(dataset, "evenset_auto_label_1", progress=False)
    assert sum(encoded) <= 48 + 8 and list_embeddings(dataset).rows[0]["images"] == 48
    assert precisions == ["bf16", "bf16"]


@pytest.mark.slow
def test_unreadable_images_are_counted_and_listed(digits, tiny):
    dataset = digits(40, 16, labelled=30)
    bad = dataset.values("filepath")[35]
    Path(bad).write_bytes(b"not an image")

    results = label(dataset, tiny)

    assert list(results.skipped) == [dataset.values("id")[35]] and bad in results.skipped[dataset.values("id")[35]]
    assert list_embeddings(dataset).rows[0]["images"] == 39


@pytest.mark.slow
def test_other_weights_of_the_same_name_have_other_vectors(digits, tiny, tiny_folder, encoded):
    dataset = digits(40, 16, labelled=30)
    label(dataset, tiny)
    os.utime(tiny_folder / "model.safetensors", (1, 1))
    label(dataset, tiny, output_field="second")
    assert sum(encoded) == 80 and len(list_embeddings(dataset).rows) == 2


@pytest.mark.slow
def test_a_damaged_shard_is_computed_again(digits, tiny, encoded):
    import fiftyone as fo

    dataset = digits(40, 16, labelled=30)
    label(dataset, tiny)
    (shard,) = Path(fo.config.default_dataset_dir, "evenset", str(dataset._doc.id), "embeddings").glob("*/*.npz")
    shard.write_bytes(shard.read_bytes()[:500])
    label(dataset, tiny, output_field="second")
    assert sum(encoded) == 80


def test_vectors_are_deleted_by_the_name_of_their_encoder(digits, tiny):
    dataset = digits(40, 16, labelled=30)
    assert str(list_embeddings(dataset)) == str(delete_embeddings(dataset)) == "no vectors of an encoder"
    label(dataset, tiny)
    with pytest.raises(ValueError, match=f"no vectors of 'other': its encoders are 'timm/{tiny}'"):
        delete_embeddings(dataset, "other")
    assert str(delete_embeddings(dataset, f"timm/{tiny}")) == f"timm/{tiny}: 40 vectors deleted"
    assert list_embeddings(dataset).rows == []


@pytest.mark.slow
def test_the_vectors_of_a_deleted_dataset_are_cleaned_with_its_runs(digits, tiny):
    dataset = digits(40, 16, labelled=30)
    results = label(dataset, tiny)
    delete_run(dataset, results.run_key)
    name = dataset.name
    dataset.delete()
    assert [row["dataset"] for row in clean().rows if row["dataset"] == name] == [name]
