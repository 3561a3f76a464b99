"""Tags that are odd, and calls that have no meaning for them: each ends in a sentence, or in a note."""

from __future__ import annotations

import fiftyone as fo
import pytest
from evenset import (
    audit_labels,
    auto_label,
    balance_classes,
    compare_methods,
    find_mistakes,
    list_suggestions,
    review_labels,
    train_gcn,
    train_generator,
    train_resnet,
)
from evenset.workflows.data.tags import read_tags

FAST = dict(embeddings="vector", progress=False)


def tags(*names):
    return fo.Classifications(classifications=[fo.Classification(label=name) for name in names])


def set_tags(dataset, values):
    """Sets the tags of the first samples."""
    dataset.limit(len(values)).set_values("ground_truth", values)


@pytest.mark.parametrize("workflow", [train_resnet, train_gcn, compare_methods, balance_classes, train_generator])
def test_what_needs_one_label_a_sample_names_the_functions_for_tags(tagged, refused, workflow):
    dataset = tagged()
    with refused(dataset, "'ground_truth' holds Classifications", "auto_label, find_mistakes, review_labels"):
        workflow(dataset, "ground_truth", progress=False)


def test_an_audit_and_a_list_are_refused(tagged, refused):
    dataset = tagged()
    auto_label(dataset, "ground_truth", **FAST)
    for call in (audit_labels, list_suggestions):
        with refused(dataset, "holds Classifications"):
            call(dataset, "auto_label")


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        (dict(run="evenset_auto_label_1"), "run: 'ground_truth' holds several tags"),
        (dict(after="evenset_auto_label_1"), "after"),
        (dict(unlabelled="object"), "has None in the field"),
        (dict(include_synthetic=True), "include_synthetic"),
        (dict(text_encoder="some/model"), "text_encoder"),
        (dict(members="resnet"), "members='resnet'"),
        (dict(classes=["tag 0"]), "classes lacks the tag 'tag"),
    ],
)
def test_arguments_without_a_meaning_for_tags_are_refused(tagged, refused, argument, words):
    dataset = tagged()
    if "after" in argument or "run" in argument:
        dataset.set_values("single", [fo.Classification(label=f"{i % 2}") for i in range(len(dataset))])
        auto_label(dataset, "single", output_field="other", **FAST)
    with refused(dataset, words):
        auto_label(dataset, "ground_truth", **{**FAST, **argument})


def test_a_correction_is_refused_since_a_tag_has_no_other_label(tagged, refused):
    dataset = tagged()
    auto_label(dataset, "ground_truth", **FAST)
    with refused(dataset, "a tag is there or not"):
        review_labels(dataset, "auto_label", action="correct", label="tag 1", progress=False)


@pytest.mark.slow
def test_suggested_tags_do_not_go_into_a_field_of_other_labels(tagged, refused):
    dataset = tagged()
    dataset.add_sample_field("single", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    auto_label(dataset, "ground_truth", **FAST)
    with refused(dataset, "'single' does not hold labels of the kind in 'auto_label'"):
        review_labels(dataset, "auto_label", label_field="single", progress=False)


@pytest.mark.parametrize("workflow", [auto_label, find_mistakes])
def test_no_tags_at_all(tagged, refused, workflow):
    dataset = tagged(known=0)
    with refused(dataset, "no sample has a tag in 'ground_truth'", "tag a few samples first"):
        workflow(dataset, "ground_truth", **FAST)


@pytest.mark.parametrize("workflow", [auto_label, find_mistakes])
def test_only_rare_tags_cannot_be_learned(tagged, refused, workflow):
    dataset = tagged(known=0)
    set_tags(dataset, [tags("a"), tags("b"), tags(), tags("a", "b")])
    with refused(dataset, "no class of 'ground_truth' can be learned", "'a' (2), 'b' (2)"):
        workflow(dataset, "ground_truth", **FAST)


@pytest.mark.slow
def test_a_rare_tag_and_one_that_all_have_are_named_and_not_suggested(tagged):
    dataset = tagged()
    own = dataset.limit(100).values("truth")
    set_tags(dataset, [tags(*names, "all", *(["rare"] if i < 3 else [])) for i, names in enumerate(own)])
    results = auto_label(dataset, "ground_truth", complete=True, **FAST)
    text = str(results)
    assert "Too few to judge" in text and "'rare' (" in text and "Nearly every tagged sample has 'all'" in text
    suggested = dataset.match({"ground_truth": None}).distinct("auto_label.classifications.label")
    assert {"rare", "all"}.isdisjoint(suggested) and set(suggested) == {"tag 0", "tag 1", "tag 2"}
    found = find_mistakes(dataset, "ground_truth", **FAST)
    assert "Too few to judge" in str(found) and {"rare", "all"}.isdisjoint(
        dataset.distinct("mistake.classifications.label")
    )


def test_doubled_and_blank_tags_count_once_or_not_at_all_and_are_noted(tagged):
    dataset = tagged()
    set_tags(dataset, [tags("tag 0", "tag 0"), tags(None, "tag 1"), tags("  "), None, tags()])
    read = read_tags(dataset, "ground_truth")
    assert read.names == ["tag 0", "tag 1", "tag 2"]
    assert read.values[:5].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0], [-1, -1, -1], [0, 0, 0]]
    results = auto_label(dataset, "ground_truth", **FAST)
    assert "the same tag of 'ground_truth' twice" in str(results) and "2 tags of 'ground_truth' without a name" in str(
        results
    )


@pytest.mark.slow
def test_tags_of_a_review_by_a_queue_do_not_calibrate(tagged):
    dataset = tagged()
    auto_label(dataset, "ground_truth", **FAST)
    review_labels(dataset.match({"ground_truth": None}), "auto_label", status="all", seen=True, progress=False)
    read = read_tags(dataset, "ground_truth")
    assert read.trusted[:100].all() and not read.trusted[100:][(read.values[100:] == 1).any(axis=1)].any()


def test_a_group_of_all_samples_leaves_no_fold(tagged, refused):
    dataset = tagged()
    dataset.set_values("site", ["one"] * len(dataset))
    for workflow in (auto_label, find_mistakes):
        with refused(dataset, "group_field 'site' has one value, 'one', for all labelled samples"):
            workflow(dataset, "ground_truth", group_field="site", **FAST)
