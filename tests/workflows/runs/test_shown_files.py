"""Files of a run that samples of any data set still show stay; all else of its folder goes."""

from __future__ import annotations

import os

import pytest
from evenset import delete_run, preprocess_images
from evenset.operators.delete_run import describe_deletion
from evenset.workflows.data import folders
from evenset.workflows.runs import shown_files

KEY = "evenset_preprocess_images_1"


@pytest.fixture
def copied(digits):
    dataset = digits(n=4, size_px=12, labelled=0)
    preprocess_images(dataset, size_px=8, progress=False)
    return dataset


@pytest.fixture
def clone(copied):
    other = copied.clone(f"{copied.name}-clone")
    yield other
    other.delete()


def test_files_that_a_clone_shows_stay_and_the_text_and_the_form_name_it(copied, clone):
    clone.delete_samples(clone.limit(1))
    clone.app_config.media_fields = ["filepath"]  # known by the mark of the field alone
    clone.save()
    folder = folders.run_folder(copied, KEY)
    sentence = f"3 samples of dataset {clone.name!r} show files of this run, which stay at {folder}"
    assert sentence in describe_deletion(copied, KEY)

    gone = delete_run(copied, KEY)

    assert gone.left == [sentence]
    assert sorted(str(path) for path in folder.rglob("*") if path.is_file()) == sorted(
        clone.values("preprocessed_path")
    )


def test_deleting_the_run_of_a_clone_leaves_the_origins_files(copied, clone):
    gone = delete_run(clone, KEY)

    assert gone.fields == ["preprocessed_path"] and not clone.has_sample_field("preprocessed_path")
    (stay,) = gone.left
    assert stay.startswith(f"the files of {KEY} belong to dataset {copied.name!r}") and stay.endswith("they stay")
    assert all(map(os.path.exists, copied.values("preprocessed_path")))


def test_files_that_became_the_images_of_a_dataset_stay(copied, make_dataset):
    other = make_dataset(copied.values("preprocessed_path")[:2])
    assert [line.split(",")[0] for line in delete_run(copied, KEY).left] == [
        f"2 samples of dataset {other.name!r} show files of this run"
    ]
    assert all(map(os.path.exists, other.values("filepath")))


def test_the_key_of_files_that_are_shown_is_not_given_again(copied, clone):
    delete_run(copied, KEY)
    assert preprocess_images(copied, size_px=8, progress=False).run_key == "evenset_preprocess_images_2"
    assert all(map(os.path.exists, clone.values("preprocessed_path")))

    clone.delete_sample_field("preprocessed_path")
    delete_run(copied, "evenset_preprocess_images_2")
    assert not shown_files.is_taken(copied, KEY)  # nothing shows them any more
    assert not folders.run_folder(copied, KEY).exists()


def test_without_files_that_samples_show_no_dataset_is_asked(suggestions, monkeypatch):
    import fiftyone.core.odm as foo

    dataset = suggestions(["cat"])
    monkeypatch.setattr(foo, "get_db_conn", lambda: pytest.fail("asked"))
    assert shown_files.shown_files(folders.run_folder(dataset, "evenset_auto_label_1")) == {}
