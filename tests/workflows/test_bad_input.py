"""Bad input: what is refused, and with what sentence; what is skipped, and counted. The user's fields stay as they were."""

from __future__ import annotations

import pytest
from evenset import auto_label, train_resnet


def label(samples, label_field="ground_truth", **settings):
    return auto_label(samples, label_field, **{**dict(embeddings="vector", progress=False), **settings})


def train(samples, label_field="ground_truth", **settings):
    quick = dict(size_px=8, epochs=1, minimum_steps=1, batch_size=16, augmentation="none", precision="fp32")
    return train_resnet(samples, label_field, **{**quick, "weights": "none", "progress": False, **settings})


@pytest.fixture(params=[label, train], ids=["auto_label", "train_resnet"])
def learn(request):
    """Each workflow that learns from labels."""
    return request.param


def test_a_label_field_that_is_not_there(clusters, refused, learn):
    dataset = clusters(20, 10)
    with refused(dataset, dataset.name, "no field 'labels'", "fo.Classification", "ground_truth"):
        learn(dataset, "labels")


def test_no_label_field_and_no_run(clusters, refused):
    dataset = clusters(20, 10)
    with refused(dataset, "label_field", "run"):
        label(dataset, None)


@pytest.mark.parametrize("kind", ["Classifications", "Detections", "Detection", "Regression"])
def test_a_field_of_other_labels_is_refused_by_its_type(clusters, refused, learn, kind):
    import fiftyone as fo

    dataset = clusters(20, 10)
    dataset.add_sample_field("tags_", fo.EmbeddedDocumentField, embedded_doc_type=getattr(fo, kind))
    with refused(dataset, "'tags_'", f"holds {kind}:", "one fo.Classification a sample"):
        learn(dataset, "tags_")


def test_a_field_of_text_is_refused(clusters, refused, learn):
    dataset = clusters(20, 10)
    with refused(dataset, "'truth'", "StringField", "one fo.Classification a sample"):
        learn(dataset, "truth")
