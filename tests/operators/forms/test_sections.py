"""Sections of forms: each setting has its place, shows where it applies, and has a label of its own."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields

import fiftyone as fo
import pytest
from evenset import auto_label
from evenset.models.settings import AugmentSettings, GeneratorSettings, ResNetSettings
from evenset.operators.display.wording import SETTINGS_CLASSES
from evenset.operators.forms.sections import ONLY_RESNET, SECTIONS

OPERATORS = (
    "check_dataset", "preprocess_images", "train_resnet", "train_gcn", "auto_label", "review_labels", "audit_labels",
    "train_generator", "balance_classes", "find_mistakes", "split_dataset", "export_dataset", "compare_methods",
    "delete_run",
)  # fmt: skip
CHOICES = (
    {},
    dict(denoise="median", adversarial=True, mix="both", robustness=True, format="jpeg"),
    dict(text_encoder="some/model", classes="cat, dog"),
    dict(graph="image"),
    dict(task="generation", target="each"),
    dict(source="augment", filter_augmented=True, target="number"),
    dict(action="correct", embeddings="vector"),
)
GENERATOR = {item.name for item in fields(GeneratorSettings)} - {"device", "precision", "seed", "flips"}
AUGMENT = {item.name for item in fields(AugmentSettings)} - {"flips"}
RESNET = set(ONLY_RESNET) - {"precision"}
FILTERS = {"prototype_reject_quantile", "copy_reject_quantile", "max_probability_threshold"}


@pytest.fixture(scope="module")
def labelled(database):
    """A dataset with vectors and suggestions, so that every form can be made."""
    import numpy as np

    dataset, rng = fo.Dataset("labelled-for-sections", persistent=True), np.random.default_rng(0)
    for number in range(120):
        label = fo.Classification(label=f"class {number % 3}") if number < 90 else None
        vector = rng.normal(8 * np.eye(4)[number % 3], 1.0)
        dataset.add_sample(fo.Sample(filepath=f"/nowhere/{number}.png", ground_truth=label, vector=vector))
    auto_label(dataset, "ground_truth", embeddings="vector", target_precision=0.9, progress=False)
    yield dataset
    dataset.delete()


def test_each_setting_stands_in_one_section():
    count = Counter(name for section in SECTIONS for name in section.settings)
    known = {item.name for kind in SETTINGS_CLASSES for item in fields(kind)}

    assert set(count) <= known and set(count.values()) == {1}
    assert {item.name for item in fields(ResNetSettings)} <= set(count)


@pytest.mark.parametrize("operator", OPERATORS)
def test_no_two_lines_of_a_form_have_one_label(app, labelled, operator):
    for choice in CHOICES:
        lines = app.form(labelled, operator, {"more": True, **choice})
        shown = [line["view"] for line in lines.values() if line["type"]["name"] != "Void"]
        labels = Counter(view["label"].lower() for view in shown if view.get("label"))
        assert [label for label, count in labels.items() if count > 1] == []


@pytest.mark.parametrize("operator", OPERATORS)
def test_sections_are_folded_at_first_and_each_has_a_sentence(app, labelled, operator):
    lines = app.form(labelled, operator)
    sections = [line for name, line in lines.items() if name.startswith("section_")]

    assert operator == "delete_run" or sections
    assert all(line["default"] is False and line["view"]["description"] for line in sections)
    assert len(lines) < 40


def test_a_section_is_unfolded_alone_and_says_what_it_hides(app, labelled):
    lines = app.form(labelled, "train_resnet", dict(section_loss=True, patience=9, optimizer="sgd"))

    assert {"ce_weight", "gce_q"} <= set(lines) and not {"patience", "device", "group_field"} & set(lines)
    assert lines["section_optimization"]["view"]["description"].endswith("learns. Changed: Patience, Optimizer")


def test_a_section_with_a_value_that_needs_a_correction_cannot_be_folded(app, labelled):
    line = app.form(labelled, "train_resnet", dict(section_optimization=False, patience=-1))["patience"]

    assert line["invalid"]


@pytest.mark.parametrize(
    ("operator", "choice", "shown", "hidden"),
    [
        ("auto_label", {}, {"members", "validation", "epochs"}, {"prompts"}),
        ("auto_label", dict(embeddings="vector"), {"device", "neighbours"}, {"members", "validation", *RESNET}),
        ("auto_label", dict(embeddings="none"), {"members", "epochs"}, set()),
        ("auto_label", dict(members="graph"), {"members", "neighbours"}, {"self_training_rounds", *RESNET}),
        ("auto_label", dict(members="resnet"), {"members", "epochs"}, {"neighbours", "metric", "pca_dim"}),
        ("auto_label", dict(text_encoder="a/b"), {"prompts"}, {"members", "validation", *RESNET}),
        ("auto_label", dict(run="evenset_auto_label_1"), {"device"}, {"members", "after", "text_encoder", *RESNET}),
        ("auto_label", dict(after="evenset_auto_label_1"), {"after"}, {"run", "validation"}),
        ("auto_label", dict(random_labels=True), {"alpha"}, {"class_prior"}),
        ("find_mistakes", {}, {"epochs", "neighbours"}, set()),
        ("find_mistakes", dict(embeddings="vector"), {"device", "neighbours", "method"}, RESNET),
        (
            "train_resnet",
            {},
            {"gce_q", "mix"},
            {"denoise_strength", "adversarial_epsilon", "adversarial_steps", "mix_alpha"},
        ),
        ("train_resnet", dict(gce_weight=0.0, validation="val"), {"epochs"}, {"gce_q", "validation_fraction"}),
        ("train_gcn", dict(graph="image"), {"grid", "epochs"}, {"superpixels", "compactness", "embeddings"}),
        ("train_gcn", dict(graph="image", nodes="superpixels"), {"superpixels"}, {"grid", "train_backbone", "epochs"}),
        ("train_generator", {}, {*GENERATOR, "held_out_fraction"}, set()),
        ("balance_classes", {}, {*GENERATOR, *FILTERS, "size_px", "guidance"}, {*AUGMENT, "filter_augmented"}),
        ("balance_classes", dict(generator="some"), {*FILTERS, "guidance", "device"}, {*GENERATOR, "size_px"}),
        ("balance_classes", dict(guidance=1.0), {"guidance"}, {"guidance_from", "guidance_to"}),
        ("balance_classes", dict(measure_benefit="off"), {"minutes"}, {"verdict_seeds", "held_out_fraction"}),
        (
            "balance_classes",
            dict(source="augment"),
            {*AUGMENT, "flips", "filter_augmented"},
            {*GENERATOR, *FILTERS, "generator", "guidance", "verdict_seeds", "size_px", "device", "sampling_seed"},
        ),
        ("balance_classes", dict(source="augment", filter_augmented=True), {*FILTERS, "device"}, GENERATOR),
        ("balance_classes", dict(source="augment", measure_benefit="on"), {"verdict_seeds"}, GENERATOR),
        ("compare_methods", {}, {"epochs"}, {"attack_steps", "attack_epsilons"}),
        ("compare_methods", dict(test="exam"), {"seeds"}, {"test_fraction"}),
        ("preprocess_images", {}, {"denoise"}, {"denoise_strength", "jpeg_quality"}),
        ("split_dataset", {}, {"near_duplicates", "embeddings"}, {"min_similarity"}),
        ("split_dataset", dict(near_duplicates=False), {"near_duplicates"}, {"embeddings"}),
    ],
)
def test_only_what_applies_is_shown(app, labelled, operator, choice, shown, hidden):
    lines = set(app.form(labelled, operator, {"more": True, **choice}))

    assert shown - lines == set() and hidden & lines == set()


@pytest.mark.slow
def test_what_no_longer_applies_is_not_sent(app, labelled):
    params = dict(label_field="ground_truth", embeddings="vector", members="resnet", validation="val")

    assert "120" in str(app.execute(labelled, "auto_label", {**params, "output_field": "again"}).values)


def test_the_embeddings_are_listed_with_what_they_are(app, labelled):
    view = app.form(labelled, "find_mistakes")["embeddings"]["view"]

    said = {choice["value"]: choice["description"] for choice in view["choices"]}
    assert list(said) == ["auto", "vector", "none"] and said["vector"] == "a field of vectors"
    assert view["componentsProps"]["autocomplete"]["forcePopupIcon"]
