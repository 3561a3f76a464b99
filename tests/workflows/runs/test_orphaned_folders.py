"""`evenset clean`: what is left of datasets that are gone, and what is not touched."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
from evenset import split_dataset
from evenset.workflows.data.folders import dataset_folder
from evenset.workflows.data.locks import lock_field
from evenset.workflows.runs.orphaned_folders import clean


@pytest.fixture
def left(clusters, monkeypatch, tmp_path):
    """Folders of two datasets, of which the first is deleted."""
    import fiftyone as fo

    monkeypatch.setattr(fo.config, "default_dataset_dir", str(tmp_path))
    gone, there = clusters(60, 30), clusters(60, 30)
    for dataset in (gone, there):
        split_dataset(dataset, "ground_truth", near_duplicates=False, progress=False)
    folder = dataset_folder(gone)
    gone.delete()
    return folder, dataset_folder(there)


def states():
    return [(row["dataset"], row["state"], row["deleted"]) for row in clean().rows]


def test_the_folder_of_a_deleted_dataset_is_listed_and_goes_when_it_is_asked_for(left):
    gone, there = left

    (row,) = clean().rows

    assert row["folder"] == str(gone) and row["state"] == "dataset deleted" and row["runs"] == 1
    assert row["megabytes"] == round(sum(path.stat().st_size for path in gone.rglob("*") if path.is_file()) / 1e6, 1)
    assert gone.exists() and not row["deleted"]
    assert clean(yes=True).rows[0]["deleted"] and not gone.exists()
    assert there.exists() and str(clean()).startswith("nothing to clean")


def test_another_databases_folder_stays_whatever_is_asked(left):
    gone, _ = left
    (origin,) = gone.glob("*/origin.json")
    origin.write_text(json.dumps({**json.loads(origin.read_text()), "database": "6" * 24}))

    (row,) = clean(yes=True, unknown=True).rows

    assert (row["state"], row["deleted"], gone.exists()) == ("another database", False, True)


def test_a_folder_of_unknown_origin_stays_unless_it_is_asked_for_by_name(left):
    gone, _ = left
    for origin in gone.glob("*/origin.json"):
        origin.unlink()

    assert [row["state"] for row in clean(yes=True).rows] == ["unknown origin"] and gone.exists()
    assert clean(yes=True, unknown=True).rows[0]["deleted"] and not gone.exists()


def test_a_folder_in_use_stays(left, clusters):
    gone, _ = left

    class Deleted:
        _doc = type("Doc", (), {"id": gone.name})

    with lock_field(Deleted(), "evenset_split_dataset_1"):
        assert [(row["state"], row["deleted"]) for row in clean(yes=True).rows] == [("in use", False)]
    assert gone.exists() and clean(yes=True).rows[0]["deleted"]


def test_files_that_another_dataset_shows_stay(left, make_dataset):
    gone, _ = left
    image = gone / "evenset_split_dataset_1" / "images-1" / "0.png"
    image.parent.mkdir()
    image.touch()
    clone = make_dataset([image])

    assert [(row["state"], row["deleted"]) for row in clean(yes=True).rows] == [(f"shown by {clone.name!r}", False)]


def test_links_are_neither_followed_nor_counted(left, tmp_path):
    gone, _ = left
    own = tmp_path / f"own-{uuid.uuid4().hex}"
    own.write_bytes(bytes(10_000_000))
    (gone / "evenset_split_dataset_1" / "link").symlink_to(own)

    assert clean(yes=True).rows[0]["megabytes"] < 5 and Path(own).exists()
