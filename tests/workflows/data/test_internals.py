"""A dataset that is read again, and the samples that a caller holds."""

from __future__ import annotations

import fiftyone as fo
import pytest
from evenset.workflows.data.internals import database, reload_dataset
from evenset.workflows.data.labels import read_labels


@pytest.fixture
def dataset(clusters):
    return clusters()


@pytest.fixture
def held(dataset):
    return dataset.first()


def test_reading_keeps_what_a_held_sample_has_not_saved(dataset, held):
    held.tags.append("unsaved")
    read_labels(dataset, "ground_truth")
    assert held.tags[-1] == "unsaved"


def test_a_field_of_another_process_reaches_the_dataset_and_held_samples(dataset, held):
    _add_field_elsewhere(dataset, "from_elsewhere")
    assert not dataset.has_sample_field("from_elsewhere")
    reload_dataset(dataset)
    assert dataset.has_sample_field("from_elsewhere")
    assert held["from_elsewhere"] is None


def test_a_field_added_after_a_reload_is_one_of_held_samples(dataset, held):
    reload_dataset(dataset)
    dataset.add_sample_field("later", fo.StringField)
    assert held["later"] is None


def test_a_changed_description_is_seen(dataset):
    database().datasets.update_one({"_id": dataset._doc.id}, {"$set": {"sample_fields.$[own].description": "by hand"}},
        array_filters=[{"own.name": "ground_truth"}])  # fmt: skip
    reload_dataset(dataset)
    assert dataset.get_field("ground_truth").description == "by hand"


def test_what_a_dataset_says_in_another_process_are_seen(dataset):
    database().datasets.update_one({"_id": dataset._doc.id}, {"$set": {"info": {"said": "elsewhere"}}})
    reload_dataset(dataset)
    assert dataset.info == {"said": "elsewhere"}


def _add_field_elsewhere(dataset, name):
    """As another process does: the database changes, this process's dataset does not."""
    collection, key = database().datasets, {"_id": dataset._doc.id}
    fields = collection.find_one(key)["sample_fields"]
    like = next(field for field in fields if field["ftype"] == "fiftyone.core.fields.StringField")
    collection.update_one(key, {"$push": {"sample_fields": {**like, "name": name, "db_field": name}}})
