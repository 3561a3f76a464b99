"""Forms offer fields of tags, say what they hold, and ask whether these are complete."""

from __future__ import annotations

import fiftyone as fo
import pytest
from evenset import auto_label

ON_TAGS = ("auto_label", "find_mistakes", "split_dataset", "export_dataset")


@pytest.fixture
def dataset(tagged):
    dataset = tagged()
    dataset.add_sample_field("weather", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    dataset.set_values("weather", [fo.Classification(label="dry" if i % 2 else "wet") for i in range(len(dataset))])
    return dataset


def texts(lines):
    return [line["view"].get("label") for line in lines.values() if line["type"]["name"] == "Void"]


@pytest.mark.parametrize("operator", ON_TAGS)
def test_a_form_offers_tags_and_says_how_many_samples_have_some(app, dataset, operator):
    lines = app.form(dataset, operator, dict(more=True))

    choices = {choice["value"]: choice["label"] for choice in lines["label_field"]["view"]["choices"]}
    assert choices == {"ground_truth": "ground_truth · tags", "weather": "weather"}
    assert any(text and text.startswith("100 samples have") for text in texts(lines))
    assert ("complete" in lines) == (operator == "auto_label")
    assert {"run", "after", "members", "text_encoder", "epochs", "validation"}.isdisjoint(lines)
    assert not any(line["invalid"] for line in lines.values())


@pytest.mark.parametrize("operator", ["train_resnet", "train_gcn", "compare_methods"])
def test_forms_that_need_a_label_a_sample_offer_no_tags(app, dataset, operator):
    choices = app.form(dataset, operator)["label_field"]["view"]["choices"]
    assert [choice["value"] for choice in choices] == ["weather"]


def test_a_label_a_sample_is_not_asked_whether_tags_are_complete(app, dataset):
    assert "complete" not in app.form(dataset, "auto_label", dict(more=True, label_field="weather"))


def test_the_form_of_a_review_counts_suggested_tags_and_takes_no_correction(app, dataset):
    auto_label(dataset, "ground_truth", embeddings="vector", complete=True, progress=False)
    lines = app.form(dataset, "review_labels", dict(status="all", force=True, action="reject"))
    assert not any(line["invalid"] for line in lines.values())
    assert lines["field"]["view"]["choices"][0]["label"] == "auto_label · tags"
    assert app.form(dataset, "review_labels", dict(action="correct"))["action"]["invalid"]


def test_the_form_of_an_export_marks_formats_that_are_not_for_tags(app, dataset, tmp_path):
    answers = dict(label_field="ground_truth", folder=str(tmp_path / "out"))
    line = app.form(dataset, "export_dataset", dict(**answers, format="folders"))["format"]
    assert line["invalid"] and line["error_message"] == (
        "Format 'folders' is not for several tags a sample: choose one of json, fiftyone, csv"
    )
    assert not app.form(dataset, "export_dataset", answers)["format"]["invalid"]
