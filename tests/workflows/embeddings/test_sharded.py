"""Embeddings that several workers compute: the same as one process, from files that they see or that are sent."""

from __future__ import annotations

from dataclasses import replace as replace_fields
from pathlib import Path

import numpy as np
import pytest
from evenset import auto_label, delete_embeddings, find_mistakes
from evenset.models.encoders import encoder
from evenset.models.errors import InvalidInput
from evenset.models.images.region import Region, file_of
from evenset.workflows.embeddings import sharded, store
from evenset.workflows.embeddings.encoders import Files, open_encoder
from evenset.workflows.embeddings.sharded import Shard
from evenset.workflows.runs import shards
from evenset.workflows.runs.shared_files import share


@pytest.fixture
def shard(tiny, digits):
    """shard(paths, contents) of three images, one of which is missing."""
    paths = digits(n=2, size_px=16, labelled=0).values("filepath")
    encoder = open_encoder(f"timm/{tiny}")

    def make(replace=(), ship=False):
        own = [*(replace or paths), "/nowhere/at/all.png"]
        files = replace_fields(share(own, ship), there=frozenset(map(file_of, own[:2])))
        return Shard(encoder.name, encoder.version, "cpu", "fp32", files)

    return make


@pytest.mark.slow
def test_two_workers_make_the_vectors_of_one_process(digits, tiny, monkeypatch):
    monkeypatch.setattr(encoder, "faster_precision", lambda run, device: "fp32")  # timed, it may differ between runs
    dataset = digits(n=600, size_px=16, labelled=60)
    Path(dataset.first().filepath).write_bytes(b"no image")
    options = dict(embeddings=f"timm/{tiny}", progress=False)
    paths, found = dataset.values("filepath")[1:], []
    for number, workers in enumerate([None, 2]):
        results = auto_label(dataset, "ground_truth", output_field=f"run_{number}", workers=workers, **options)
        name, vectors = store.complete(dataset, paths)
        assert name == f"timm/{tiny}" and list(results.skipped) == [dataset.first().id]
        found.append((vectors, results.skipped, dataset.values(f"run_{number}.label")))
        delete_embeddings(dataset)
    np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-5)
    assert found[0][1:] == found[1][1:]


def test_images_that_are_sent_give_the_vectors_of_the_files(shard):
    read, sent = sharded.encode_shard(shard()), sharded.encode_shard(shard(ship=True))
    assert read.rows.tolist() == sent.rows.tolist() == [0, 1]
    np.testing.assert_array_equal(read.vectors, sent.vectors)
    assert list(read.errors) == list(sent.errors) == [2] and "/nowhere/at/all.png" in sent.errors[2]


def test_boxes_of_images_that_are_sent(shard):
    files = shard().files.paths[:2]
    boxes = [str(Region(file, (0.1, 0.2, 0.5, 0.5), 0.1, "square")) for file in files]
    read, sent = (sharded.encode_shard(shard(boxes, ship)) for ship in (False, True))
    np.testing.assert_array_equal(read.vectors, sent.vectors)
    whole = sharded.encode_shard(shard())
    assert not np.array_equal(whole.vectors, read.vectors)


def spoil(paths):
    for path in paths:
        Path(path).write_bytes(b"no image")


@pytest.mark.parametrize("ship", [False, True])
def test_a_shard_of_damaged_images_has_no_vectors_and_names_each(shard, ship):
    spoil(shard().files.paths[:2])
    found = sharded.encode_shard(shard(ship=ship))
    assert len(found.rows) == len(found.vectors) == 0
    assert sorted(found.errors) == [0, 1, 2]
    assert all(Path(path).name in found.errors[i] for i, path in enumerate(shard().files.paths))


@pytest.fixture
def workers_here(monkeypatch):
    """Workers of this process, with 32 images a shard."""

    def results(given, function, *_):
        return ((place, function(shard)) for place, shard in enumerate(given))

    monkeypatch.setattr(shards, "results", results)
    monkeypatch.setattr(sharded, "SHARD_BATCHES", 1)


@pytest.mark.usefixtures("workers_here")
def test_the_others_go_on_where_all_images_of_a_shard_are_damaged(digits, tiny):
    dataset = digits(n=100, size_px=16, labelled=100)
    spoil(sorted(dataset.values("filepath"))[:32])
    options = dict(embeddings=f"timm/{tiny}", workers=2, progress=False)
    results = find_mistakes(dataset, "ground_truth", **options)
    assert len(results.skipped) == 32 and dataset.count("mistake") == 68

    spoil(dataset.values("filepath"))
    with pytest.raises(InvalidInput, match="gave no vector for any of 100 images"):
        find_mistakes(dataset, "ground_truth", output_field="again", **options)
    assert not dataset.has_field("again")


def test_a_file_that_a_worker_does_not_see_is_named(shard):
    with pytest.raises(InvalidInput, match=r"cannot read /gone\.png: share the folder, or set ship_images"):
        sharded.encode_shard(shard(["/gone.png", "/gone too.png"]))


def test_other_weights_of_the_same_name_are_refused(shard):
    with pytest.raises(InvalidInput, match="has other weights of timm/local-dir"):
        sharded.encode_shard(replace_fields(shard(), version="of yesterday"))


def test_models_of_fiftyone_stay_in_one_process():
    class Model:
        name = "clip-vit-base32-torch"

    with pytest.raises(InvalidInput, match="clip-vit-base32-torch of FiftyOne stays in one process"):
        list(sharded.encode_by_workers(Model(), Files([], [], None), print, sharded.Executor("2"), False))
