"""Boxes in the panel's questions: counted, queued, decided and undone one by one, like samples."""

from __future__ import annotations

import base64
import io

import pytest
from evenset import auto_label, find_mistakes
from evenset.models.images.region import parse
from evenset.workflows.data import items
from evenset.workflows.runs import lookup
from evenset.workflows.ui import (
    checklist,
    class_views,
    item_images,
    mistake_queue,
    overview,
    review_order,
    review_queue,
    sittings,
)
from evenset.workflows.ui.review_queue import Decision
from evenset.workflows.ui.sittings import Sitting
from PIL import Image

FIELDS = ("auto_label", "ground_truth")
FLAGS = ("mistake", "ground_truth")


@pytest.fixture
def suggested(finished, boxed_digits):
    """80 boxes, half of them labelled, with suggestions of which many wait for a look."""

    def make():
        dataset = boxed_digits(images=20, boxes=4, labelled=40)
        options = dict(embeddings=None, members="graph", target_precision=0.99, progress=False)
        auto_label(dataset, "ground_truth", **options)
        return dataset

    return finished("boxes in the review queue", make)


@pytest.fixture
def flagged(finished, boxed_digits):
    """120 labelled boxes, the first of each third image with another digit's label, and the flags."""

    def make():
        dataset = boxed_digits(images=30, boxes=4, labelled=120)
        for sample in list(dataset.iter_samples())[::3]:
            box = sample.ground_truth.detections[0]
            box.label = str((int(box.label) + 3) % 10)
            sample.save()
        find_mistakes(dataset, "ground_truth", progress=False)
        return dataset

    return finished("boxes with flags", make)


def read(dataset, *names):
    """{id: (label, ...)} of the user's boxes."""
    dataset.reload()
    rows = zip(*items.values(dataset, ["id", *names]), strict=True)
    return {i: values[0] if len(values) == 1 else values for i, *values in rows}


def test_the_checklist_speaks_of_boxes(suggested):
    counts = overview.count(suggested, "ground_truth", "auto_label")
    assert (counts.noun, counts.samples, counts.unlabelled) == ("box", 80, 40)
    done = overview.finished(suggested, "ground_truth")
    steps = checklist.steps(counts, checklist.Findings(done))
    sentences = [step.sentence for step in steps]
    assert "40 labelled boxes are not split" in sentences
    buttons = {step.button for step in steps}
    assert "Augment" not in buttons and "Export" in buttons
    assert checklist.steps(overview.count(suggested, "ground_truth", None), checklist.Findings({}))[1:][0].button
    assert overview.unreadable(suggested, "ground_truth", "evenset_auto_label_1") == 0


def test_views_of_other_patches_are_not_counted(suggested):
    import fiftyone as fo

    suggested.clone_sample_field("ground_truth", "other")
    suggested.add_sample_field("weather", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    names = ("ground_truth", "auto_label")
    assert overview.count_view(suggested.to_patches("other"), *names) is None
    assert overview.count_view(suggested.to_patches("ground_truth"), "weather", None) is None
    assert overview.count_view(suggested.to_patches("ground_truth").limit(7), *names).samples == 7
    assert overview.count_view(suggested.to_patches("auto_label").limit(7), *names).samples == 7


def test_a_bar_opens_the_boxes_that_it_counts(suggested):
    counts = overview.count(suggested, "ground_truth", "auto_label")
    for name, states in list(counts.classes.items())[:3]:
        view = class_views.in_class(suggested, "ground_truth", "auto_label", name)
        assert len(view) == sum(states.values()) > 0
        assert view._is_patches and set(view.values("ground_truth.label")) <= {name, None}


def test_what_to_label_first_are_unlabelled_boxes(suggested):
    said = read(suggested, "ground_truth.label", "auto_label.label")
    name = next(suggestion for label, suggestion in said.values() if label is None)
    likely = checklist.first_to_label(suggested, "ground_truth", "auto_label", [name]).values("id")
    assert sorted(likely) == sorted(i for i, own in said.items() if own == [None, name])
    drawn = checklist.first_to_label(suggested, "ground_truth", None, [name])
    assert len(drawn) == 30 and set(drawn.values("ground_truth.label")) == {None}


@pytest.mark.slow
def test_a_name_that_counts_as_no_label_waits_too(boxed_digits):
    dataset = boxed_digits(images=20, boxes=4, labelled=40)
    names = [[name or "object" for name in own] for own in dataset.values("ground_truth.detections.label")]
    dataset.set_values("ground_truth.detections.label", names)
    options = dict(embeddings=None, members="graph", unlabelled="object", target_precision=0.99, progress=False)
    results = auto_label(dataset, "ground_truth", **options)

    name = lookup.unlabelled_name(dataset, "auto_label")
    counts = overview.count(dataset, "ground_truth", "auto_label", name)
    assert "object" not in counts.classes and counts.unlabelled == 40 and counts.blank == 0
    assert review_order.count_waiting(dataset, *FIELDS) == results.review > 0
    item, _ = review_queue.first(dataset, *FIELDS, [])
    assert review_queue.decide(dataset, *FIELDS, Decision(item, "accept"))
    said = read(dataset, "ground_truth.label", "auto_label.label")[item]
    assert said[0] == said[1] != "object"


def test_boxes_are_reviewed_in_the_order_of_the_queue_and_undone(suggested):
    before = read(suggested, "ground_truth.label")
    order = review_order.most_informative(suggested, *FIELDS, 50)
    waiting = review_order.count_waiting(suggested, *FIELDS)
    said = read(suggested, "auto_label.label", "auto_label.status")
    assert len(order) == waiting > 3 and all(said[i][1] == "review" for i in order)
    assert review_queue.first(suggested, *FIELDS, []) == (order[0], waiting)
    first, second, third = order[:3]
    other = "1" if said[second][0] != "1" else "2"

    key = review_queue.decide(suggested, *FIELDS, Decision(first, "accept"), person="one")
    assert review_queue.decide(suggested, *FIELDS, Decision(second, "correct", other), person="one") == key
    assert review_queue.decide(suggested, *FIELDS, Decision(third, "reject"), person="one") == key
    assert review_queue.decide(suggested, *FIELDS, Decision(first, "accept"), person="two") is None

    now = read(suggested, "ground_truth.label")
    assert {i: name for i, name in now.items() if name != before[i]} == {first: said[first][0], second: other}
    assert review_queue.first(suggested, *FIELDS, [order[3]])[1] == waiting - 3
    sitting = Sitting(suggested, *FIELDS, "one")
    assert sittings.decided(sitting) == [first, second, third]
    assert [sittings.undo(sitting) for _ in range(3)] == [[third], [second], [first]]
    assert read(suggested, "ground_truth.label") == before


def test_neighbours_of_a_box_are_labelled_crops(suggested):
    item, _ = review_queue.first(suggested, *FIELDS, [])
    near = review_order.neighbours(suggested, *FIELDS, item)
    labels = read(suggested, "ground_truth.label")
    assert len(near) == 5 and all(row["label"] == labels[row["id"]] for row in near)
    assert all(parse(row["path"]) is not None for row in near)


def test_a_flag_of_a_box_is_applied_dismissed_and_undone(flagged):
    before = read(flagged, "ground_truth.label")
    page = mistake_queue.flagged_page(flagged, "evenset_find_mistakes_1", 0, 5)
    ranks = read(flagged, "mistake.is_issue", "mistake.rank", "mistake.label")
    flags = [i for i, (is_issue, *_) in ranks.items() if is_issue]
    assert page.count == len(flags) and len(page.rows) == 5
    assert [row["id"] for row in page.rows] == sorted(flags, key=lambda i: ranks[i][1])[:5]
    first, second = page.rows[:2]
    assert (first["given"], first["suggestion"]) == (before[first["id"]], ranks[first["id"]][2])
    assert parse(first["path"]) is not None
    near = review_order.contradictions(flagged, *FLAGS, first)
    assert near and all(row["label"] != first["given"] for row in near)

    sitting = Sitting(flagged, *FLAGS, "one")
    assert mistake_queue.decide(sitting, "accept", [first]).changed == 1
    assert mistake_queue.decide(sitting, "reject", [second]).changed == 1
    assert mistake_queue.decide(sitting, "accept", [first]).passed_over == 1

    now = read(flagged, "ground_truth.label")
    assert {i: name for i, name in now.items() if name != before[i]} == {first["id"]: first["suggestion"]}
    left = mistake_queue.flagged_page(flagged, "evenset_find_mistakes_1", 0, 5)
    assert left.count == page.count - 2 - left.edited
    sittings.undo(sitting)
    sittings.undo(sitting)
    assert read(flagged, "ground_truth.label") == before
    assert mistake_queue.flagged_page(flagged, "evenset_find_mistakes_1", 0, 5).rows == page.rows
    assert set(mistake_queue.classes_of(flagged, *FLAGS)) == set(before.values())


def test_the_flags_of_a_class_are_a_view_of_patches(flagged):
    page = mistake_queue.flagged_page(flagged, "evenset_find_mistakes_1", 0, 100)
    name, count = next(iter(page.by_class.items()))
    view = flagged.load_saved_view(class_views.view_of_class(flagged, "evenset_find_mistakes_1", name))
    expected = [row["id"] for row in page.rows if row["given"] == name]
    assert len(expected) == count and view.values("mistake.item") == expected


def test_a_crop_is_shown_without_a_file_and_its_image_has_the_box(suggested):
    item, _ = review_queue.first(suggested, *FIELDS, [])
    (row,) = item_images.describe(suggested, "ground_truth", [item])
    crop, whole = (picture(url(row["path"], 280)) for url in (item_images.crop_url, item_images.whole_url))
    assert set(crop.size) <= {15, 16}  # 12 px and a tenth on each side
    assert whole.size == (560, 560)
    left, top, *_ = (560 * value for value in parse(row["path"]).box)
    red, _, blue = whole.getpixel((round(left) + 2, round(top) + 9))
    assert red > 150 > blue  # orange, in a gray image
    assert item_images.crop_url("/nowhere.png#xywh=percent:0.0,0.0,50.0,50.0&margin=0.1&shape=square", 96) == ""


def picture(url):
    assert url.startswith("data:image/jpeg;base64,")
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))


@pytest.mark.slow
def test_a_doubled_box_is_deleted_or_kept_from_the_queue_and_brought_back(boxed_digits):
    import fiftyone as fo

    dataset = boxed_digits(images=30, boxes=4, labelled=120)
    sample = dataset.first()
    box = sample.ground_truth.detections[0]
    double = fo.Detection(label=box.label, bounding_box=box.bounding_box, truth=box.truth)
    sample.ground_truth.detections.append(double)
    sample.save()
    run = find_mistakes(dataset, "ground_truth", progress=False).run_key
    sitting = Sitting(dataset, *FLAGS, "somebody")

    def rows():
        return [row for row in mistake_queue.flagged_page(dataset, run, 0, 20).rows if row["kind"] == "duplicate"]

    (row,) = rows()
    assert row["id"] in (box.id, double.id) and row["reason"]
    assert mistake_queue.decide(sitting, "accept", [row]).changed == 1
    assert row["id"] not in [own.id for own in dataset.first().ground_truth.detections] and rows() == []
    sittings.undo(sitting)
    assert rows() == [row] and len(dataset.first().ground_truth.detections) == 5
    assert mistake_queue.decide(sitting, "reject", [row]).changed == 1
    assert rows() == [] and len(dataset.first().ground_truth.detections) == 5
