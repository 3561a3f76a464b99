"""Forms offer fields of boxes, say what they hold, and ask how boxes are cut."""

from __future__ import annotations

from dataclasses import fields

import pytest
from evenset.models.settings import BoxSettings, PasteSettings

ON_BOXES = ("auto_label", "find_mistakes", "train_resnet", "train_gcn", "compare_methods")
BOX_LINES = {item.name for item in fields(BoxSettings)}
PASTE = {item.name for item in fields(PasteSettings)}


@pytest.fixture
def dataset(boxed_digits):
    import fiftyone as fo

    dataset = boxed_digits(images=4, boxes=5, labelled=12)
    dataset.persistent = True
    dataset.add_sample_field("weather", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    dataset.set_values("weather", [fo.Classification(label=name) for name in ("dry", "dry", "wet", "wet")])
    return dataset


def texts(lines):
    return [line["view"].get("label") for line in lines.values() if line["type"]["name"] == "Void"]


@pytest.mark.parametrize("operator", ON_BOXES)
def test_a_form_offers_boxes_says_what_they_are_and_asks_how_they_are_cut(app, dataset, operator):
    lines = app.form(dataset, operator, dict(more=True))

    choices = {choice["value"]: choice["label"] for choice in lines["label_field"]["view"]["choices"]}
    assert choices == {"ground_truth": "ground_truth · boxes", "weather": "weather"}
    assert "12 of 20 boxes are labelled" in texts(lines)
    assert set(lines) >= BOX_LINES
    assert "unlabelled" in lines
    assert {"heatmap_field", "embeddings_field"}.isdisjoint(lines)
    assert not any(line["invalid"] for line in lines.values())


@pytest.mark.parametrize("operator", ON_BOXES)
def test_labels_of_samples_ask_for_nothing_about_boxes(app, dataset, operator):
    lines = app.form(dataset, operator, dict(more=True, label_field="weather"))
    assert "4 of 4 samples are labelled" in texts(lines) and BOX_LINES.isdisjoint(lines)


def test_the_field_of_a_detector_is_offered_for_boxes_where_it_has_confidences(app, dataset):
    import fiftyone as fo

    assert "predictions" not in app.form(dataset, "find_mistakes")
    dataset.clone_sample_field("ground_truth", "others")
    assert "predictions" not in app.form(dataset, "find_mistakes", dict(label_field="ground_truth"))
    sample = dataset.first()
    box = fo.Detection(label="1", bounding_box=[0.1, 0.1, 0.2, 0.2], confidence=0.9)
    sample["detector"] = fo.Detections(detections=[box])
    sample.save()

    lines = app.form(dataset, "find_mistakes", dict(label_field="ground_truth"))

    choices = [choice["value"] for choice in lines["predictions"]["view"]["choices"]]
    assert choices == ["", "detector"] and not lines["predictions"]["required"]
    of_detector = {"min_match_iou", "moved_below_iou"}
    more = dict(label_field="ground_truth", more=True)
    without, beside = (app.form(dataset, "find_mistakes", {**more, **it}) for it in ({}, dict(predictions="detector")))
    assert {"geometry", "duplicate_iou"} <= set(without) and of_detector.isdisjoint(without)
    assert of_detector <= set(beside)
    assert "duplicate_iou" not in app.form(dataset, "find_mistakes", dict(more, geometry=False))
    assert "predictions" not in app.form(dataset, "find_mistakes", dict(label_field="weather"))


@pytest.mark.parametrize("operator", ["train_generator"])
def test_forms_that_need_a_label_a_sample_offer_no_boxes(app, dataset, operator):
    choices = app.form(dataset, operator)["label_field"]["view"]["choices"]
    assert [choice["value"] for choice in choices] == ["weather"]


def test_balancing_boxes_plans_boxes_and_asks_for_pasting_alone(app, dataset):
    lines = app.form(dataset, "balance_classes", dict(more=True))

    assert set(lines) >= {*PASTE, "flips", "max_ratio", "target"} and lines["source"]["default"] == "paste"
    others = {"filter_augmented", "generator", "minutes", "size_px", "blur", "verdict_seeds", *BOX_LINES}
    assert others.isdisjoint(lines)
    assert any("synthetic box" in (text or "") for text in texts(lines)) and lines["target"]["view"]["description"]
    assert not any(line["invalid"] for line in lines.values())
    wrong = {"generate": ("ground_truth", "Boxes are pasted"), "paste": ("weather", "Only boxes are pasted")}
    for source, (field, reason) in wrong.items():
        line = app.form(dataset, "balance_classes", dict(label_field=field, source=source))["source"]
        assert line["invalid"] and reason in line["error_message"]
    assert PASTE.isdisjoint(app.form(dataset, "balance_classes", dict(more=True, label_field="weather")))


@pytest.mark.parametrize("operator", ["auto_label", "find_mistakes"])
def test_patches_are_counted_alone_and_those_of_another_field_are_refused(app, dataset, operator):
    view = dataset.to_patches("ground_truth").limit(7)
    lines = app.form(dataset, operator, samples=view)
    known = sum(label is not None for label in view.values("ground_truth.label"))
    assert f"{known} of 7 boxes are labelled" in texts(lines)
    dataset.clone_sample_field("ground_truth", "other")
    lines = app.form(dataset, operator, dict(label_field="ground_truth"), samples=dataset.to_patches("other"))
    assert any("patches of 'other', not of 'ground_truth'" in name for name in lines)
