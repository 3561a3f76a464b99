"""Items: boxes read like samples, bad boxes, and views of them."""

from __future__ import annotations

import fiftyone as fo
import numpy as np
import pytest
from bson import ObjectId
from evenset.models.images.region import parse
from evenset.models.settings import BoxSettings
from evenset.workflows.data import items
from evenset.workflows.data.boxes import read_boxes
from evenset.workflows.data.label_text import count_labels, is_known, or_none
from evenset.workflows.data.labels import Reading, read_labels
from fiftyone import ViewField as F

BOX = [0.1, 0.2, 0.3, 0.4]


@pytest.fixture
def boxed(make_dataset):
    """boxed([["cat", None], [], None]) -> a sample for each list, with a box for each label, in `gt`."""

    def make(labels, box=BOX):
        dataset = make_dataset([f"/nowhere/{i}.png" for i in range(len(labels))])
        dataset.add_sample_field("gt", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
        own = [
            None
            if names is None
            else fo.Detections(detections=[fo.Detection(label=n, bounding_box=box) for n in names])
            for names in labels
        ]
        dataset.set_values("gt", own)
        return dataset

    return make


def read(dataset, **options):
    return read_labels(dataset, "gt", reading=Reading(BoxSettings(), **options))


def test_boxes_are_read_like_samples(boxed):
    dataset = boxed([["cat", None, " "], [], None, ["dog"]])
    labels = read(dataset)

    ids = [i for own in dataset.values("gt.detections.id") for i in own or []]
    samples = dataset.values("id")
    assert labels.ids.tolist() == ids and labels.sample_ids.tolist() == [samples[0]] * 3 + [samples[3]]
    assert labels.names == ["cat", "dog"] and labels.class_ids.tolist() == [0, -1, -1, 1]
    assert labels.groups.tolist() == labels.sample_ids.tolist()
    region = parse(labels.paths[0])
    assert region.file == dataset.first().filepath and region.box == pytest.approx(BOX)
    assert labels.notes == ["1 label of 'gt' is blank text, and counts as unlabelled."]


def test_a_name_may_count_as_no_label(boxed):
    labels = read(boxed([["cat", "object"], ["dog", "object"]]), unlabelled="object")
    assert labels.names == ["cat", "dog"] and labels.class_ids.tolist() == [0, -1, 1, -1]


def test_boxes_of_samples_in_one_group_are_one_group(boxed):
    dataset = boxed([["cat", "dog"], ["cat"], ["dog"]])
    dataset.set_values("patient", ["a", "a", None])
    labels = read_labels(dataset, "gt", group_field="patient", reading=Reading(BoxSettings()))
    assert labels.groups.tolist() == ["a", "a", "a", dataset.last().id]


def test_polylines_are_read_by_their_bounding_box(make_dataset):
    import fiftyone as fo

    dataset = make_dataset(["/nowhere/a.png"])
    lines = [fo.Polyline(label="road", points=[[(0.2, 0.3), (0.6, 0.4)], [(0.5, 0.9)]]), fo.Polyline(points=[])]
    dataset.set_values("gt", [fo.Polylines(polylines=lines)])
    labels = read(dataset)

    assert parse(labels.paths[0]).box == pytest.approx((0.2, 0.3, 0.4, 0.6))
    assert labels.ids.tolist() == [lines[0].id]
    assert labels.notes == [f"1 box is left out, without finite numbers in 'gt': {lines[1].id}."]


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        (None, "without finite numbers"),
        ([0.1, 0.2, 0.3], "without finite numbers"),
        ([float("nan"), 0.1, 0.2, 0.2], "without finite numbers"),
        ([0.1, 0.1, float("inf"), 0.2], "without finite numbers"),
        (["a", 0.1, 0.2, 0.2], "without finite numbers"),
        ([0.1, 0.1, 0.0, 0.2], "without an area"),
        ([0.5, 0.5, -0.2, 0.2], "without an area"),
        ([1.0, 0.1, 0.2, 0.2], "outside the image"),
        ([-0.5, 0.1, 0.2, 0.2], "outside the image"),
    ],
)
def test_boxes_that_cannot_be_cropped_are_left_out_and_listed(box, reason):
    boxes = read_boxes("gt", ["a", "b"], ["/1.png"] * 2, [BOX, box], [(100, 100)] * 2, BoxSettings())
    assert boxes.rows.tolist() == [0]
    assert boxes.notes == [f"1 box is left out, {reason} in 'gt': b."]


def test_small_boxes_are_listed_and_not_accepted():
    boxes = read_boxes("gt", ["a", "b"], ["/1.png"] * 2, [BOX, [0, 0, 0.5, 0.07]], [(100, 100)] * 2, BoxSettings())
    assert boxes.too_small.tolist() == [False, True]
    assert boxes.notes == ["1 box has a side below min_box_px=8, and is not accepted: b."]


def test_boxes_in_pixels_are_refused(boxed):
    with pytest.raises(ValueError, match=r"the boxes of 'gt' are in pixels, as \[10.0, 20.0, 30.0, 40.0\] is"):
        read(boxed([["cat", "dog"]], [10, 20, 30, 40]))


def test_copies_of_a_label_are_refused(boxed):
    dataset = boxed([["cat"], ["dog"]])
    sample = dataset.last()
    sample.gt.detections[0].id = ObjectId(dataset.first().gt.detections[0].id)
    sample.save()
    with pytest.raises(ValueError, match="2 labels of 'gt' have the id"):
        read(dataset)


def test_a_field_without_boxes_is_refused(boxed):
    with pytest.raises(ValueError, match="no box of 'gt' can be cropped: there is none"):
        read(boxed([[], None]))


def test_other_workflows_refuse_boxes(boxed):
    with pytest.raises(ValueError, match="'gt' holds Detections: this needs one fo.Classification a sample"):
        read_labels(boxed([["cat"]]), "gt")


def test_patches_and_filtered_views_are_these_boxes_alone(boxed):
    dataset = boxed([["cat", "dog", "cat"], ["dog"]])
    cats = dataset.filter_labels("gt", F("label") == "cat")
    expected = [i for i, name in zip(*items.values(dataset, ["id", "gt.label"]), strict=True) if name == "cat"]

    assert read(cats).ids.tolist() == expected
    patches = dataset.to_patches("gt").match(F("gt.label") == "cat")
    assert read(items.source(patches, "gt")).ids.tolist() == expected


def test_patches_of_another_field_are_refused(boxed):
    dataset = boxed([["cat"], ["dog"]])
    dataset.clone_sample_field("gt", "other")
    with pytest.raises(ValueError, match="the view has patches of 'other', not of 'gt'"):
        items.source(dataset.to_patches("other"), "gt")


def test_samples_are_read_as_ever(make_dataset):
    dataset = make_dataset(["/a.png", "/b.png"], ["cat", None])
    assert items.values(dataset, ["id", "ground_truth.label"]) == [*dataset.values(["id", "ground_truth.label"])]
    assert items.source(dataset, "ground_truth") is dataset
    labels = read_labels(dataset, "ground_truth")
    assert not labels.has_boxes and labels.sample_ids.tolist() == labels.ids.tolist()
    assert np.array_equal(labels.groups, ["", ""])


def test_items_are_held_selected_and_counted_by_id(boxed):
    dataset = boxed([["cat", "dog", None], ["dog", " "]])
    ids, labels = items.values(dataset, ["id", "gt.label"])
    chosen = [ids[1], ids[3]]
    assert items.values(items.holding(dataset, "gt", chosen), ["id", "gt.label"]) == [chosen, ["dog", "dog"]]
    assert items.select(dataset, "gt", chosen).values("id") == chosen
    assert count_labels(dataset, "gt") == sum(or_none(label) is not None for label in labels) == 3


def test_a_label_goes_by_what_another_field_says_of_the_same_box(boxed):
    dataset = boxed([["cat", None, None], ["dog", None]])
    ids = items.values(dataset, ["id", "gt.label"])[0]
    kind = dict(embedded_doc_type=fo.Detections)
    dataset.add_sample_field("said", fo.EmbeddedDocumentField, **kind)
    dataset.add_sample_field("said.detections.item", fo.StringField, description=items.IS_ITEM)
    box = [0.1, 0.1, 0.2, 0.2]
    said = [fo.Detection(label=name, item=i, bounding_box=box) for name, i in zip("ababa", ids, strict=True)]
    sample = dataset.first()  # the other one has no suggestions
    sample["said"] = fo.Detections(detections=said[2::-1])
    sample.save()

    def waits(at):
        return ~is_known(at("label")) & items.also(dataset, "gt", "said", lambda of: of("label") == "a")

    def speaks_of_cats(at):
        return items.also(dataset, "said", "gt", lambda of: of("label") == "cat")

    assert items.matching(dataset, "gt", waits).values("id") == [ids[2]]
    assert items.matching(dataset, "said", speaks_of_cats).values("said.item") == [ids[0]]


def test_labels_selected_in_the_app_are_items_alone(boxed):
    dataset = boxed([["cat", "dog"], ["dog"]])
    ids, samples = items.values(dataset, ["id", items.SAMPLE_ID, "gt.label"])[:2]
    rows = [dict(label_id=i, sample_id=sample, field="gt") for i, sample in zip(ids, samples, strict=True)]
    assert items.values(items.selected(dataset, rows[1:], "gt"), ["id", "gt.label"])[0] == ids[1:]
    assert items.selected(dataset, rows, "other", None) is None
