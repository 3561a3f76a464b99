"""Wrong boxes by their geometry: flagged with a kind and a reason, corrected by a review, and put back by its undo."""

from __future__ import annotations

import numpy as np
import pytest
from evenset import delete_run, find_mistakes, review_labels

PLANTED = {  # sample and box -> kind and a part of the reason
    (0, 1): ("duplicate", "the same box as"),
    (1, 0): ("no area", "its width is 0"),
    (1, 2): ("no area", "its height is -0.1"),
    (2, 0): ("no area", "not four finite numbers"),
    (3, 0): ("outside", "40 % of the box is outside the image"),
    (4, 0): ("outside", "100 % of the box is outside the image"),
    (5, 0): ("shape", "times as wide as high, where 1 is usual"),
}
SIDE = 12 / 48


def vectors_of(dataset):
    rng = np.random.default_rng(0)
    rows = [(box.id, box.truth) for sample in dataset for box in sample.ground_truth.detections]
    return {i: rng.normal(6 * np.eye(8)["ab".index(truth)], 1.0) for i, truth in rows}


def plant(dataset):
    """Gives boxes wrong geometry; returns their ids in the order of PLANTED."""
    shapes = {
        (1, 0): [0.1, 0.1, 0.0, 0.3],
        (1, 2): [0.1, 0.1, 0.2, -0.1],
        (2, 0): [float("nan"), 0.1, 0.2, 0.2],
        (3, 0): [-0.4 * SIDE, 0.1, SIDE, SIDE],
        (4, 0): [1.2, 0.1, 0.2, 0.2],
        (5, 0): [0.3, 0.3, 2 * SIDE, SIDE / 2],
    }
    samples = list(dataset)
    samples[0].ground_truth.detections[1].bounding_box = samples[0].ground_truth.detections[0].bounding_box
    for name in ("label", "truth"):
        setattr(samples[0].ground_truth.detections[1], name, samples[0].ground_truth.detections[0].label)
    for (sample, box), shape in shapes.items():
        samples[sample].ground_truth.detections[box].bounding_box = shape
    for sample in samples:
        sample.save()
    return {samples[sample].ground_truth.detections[box].id: place for place in PLANTED for sample, box in [place]}


def two_classes(boxed_digits):
    """72 boxes of two classes, all of one size."""
    dataset = boxed_digits(images=18, boxes=4, labelled=72)
    rng = np.random.default_rng(0)
    for sample in dataset.iter_samples(autosave=True):
        for box in sample.ground_truth.detections:
            box.label = box.truth = "ab"[rng.integers(2)]
    return dataset


@pytest.fixture
def judged(finished, boxed_digits):
    """The dataset, with wrong boxes, after find_mistakes; and the planted ones by id."""

    def make():
        dataset = two_classes(boxed_digits)
        plant(dataset)
        find_mistakes(dataset, "ground_truth", embeddings=vectors_of(dataset), progress=False)
        return dataset

    dataset = finished("boxes with wrong geometry", make)
    samples = list(dataset)
    ids = {samples[sample].ground_truth.detections[box].id: (sample, box) for sample, box in PLANTED}
    return dataset, ids


def flags(dataset, field="mistake"):
    return {box["item"]: box for sample in dataset for box in sample[field].detections if box["is_issue"]}


def boxes(dataset):
    """All that the database holds of the user's boxes, as text: NaN equals itself."""
    dataset.reload()
    return [repr([box.to_dict() for box in sample.ground_truth.detections]) for sample in dataset]


def test_wrong_boxes_are_flagged_with_their_kind_and_a_reason(judged):
    dataset, ids = judged
    found = flags(dataset)
    assert {i: flag["kind"] for i, flag in found.items()} == {i: PLANTED[place][0] for i, place in ids.items()}
    for i, place in ids.items():
        assert PLANTED[place][1] in found[i]["reason"]
        assert 0.5 <= found[i]["mistakenness"] <= 1 and found[i].label == found[i]["given_label"]
    twin = dataset.first().ground_truth.detections[0].id
    assert found[next(iter(ids))]["duplicate_of"] == twin and twin in found[next(iter(ids))]["reason"]
    certain = [flag["rank"] for flag in found.values() if flag["kind"] in ("duplicate", "no area")]
    assert sorted(certain) == [1, 2, 3, 4]
    view = dataset.load_saved_view("mistake: mistakes")
    assert view.values("mistake.rank") == sorted(flag["rank"] for flag in found.values())


def test_the_results_count_each_kind(judged):
    from evenset import load_results

    results = load_results(judged[0], "evenset_find_mistakes_1")
    assert {row["kind"]: row["flags"] for row in results.kinds} == {
        "no area": 3, "duplicate": 1, "label": 0, "outside": 2, "shape": 1, "place": 0,
    }  # fmt: skip
    assert results.issues == 0 and "flags by kind" in str(results)
    assert any("left out, without an area" in note for note in results.notes)


def test_accepted_flags_delete_and_clip_boxes_and_an_undo_puts_them_back(judged):
    dataset, ids = judged
    before = boxes(dataset)

    results = review_labels(dataset.load_saved_view("mistake: mistakes"), "mistake", progress=False)

    assert results.changed == 6
    assert any("1 flag has no automatic correction" in note for note in results.notes)
    own = {box.id: box for sample in dataset for box in sample.ground_truth.detections}
    assert len(own) == 72 - 5
    kept = [i for i, place in ids.items() if i in own]
    assert [PLANTED[ids[i]][0] for i in kept] == ["outside", "shape"]
    assert own[kept[0]].bounding_box == pytest.approx([0, 0.1, 0.6 * SIDE, SIDE])
    assert [flag["kind"] for flag in flags(dataset).values()] == ["shape"]
    assert len(dataset.load_saved_view("mistake: mistakes")) == 1
    undone = delete_run(dataset, results.run_key)
    assert (undone.labels, undone.edited) == (6, [])
    assert boxes(dataset) == before and len(flags(dataset)) == 7


def test_boxes_come_back_after_the_suggestions_are_gone(judged):
    dataset, _ = judged
    before = boxes(dataset)
    review_labels(dataset, "mistake", progress=False)
    delete_run(dataset, "evenset_find_mistakes_1")
    assert delete_run(dataset, "evenset_review_labels_1").labels == 6
    assert boxes(dataset) == before


def test_an_undo_keeps_what_was_edited_since(judged):
    dataset, ids = judged
    review_labels(dataset, "mistake", progress=False)
    clipped = next(i for i, place in ids.items() if place == (3, 0))
    samples = list(dataset)
    next(box for box in samples[3].ground_truth.detections if box.id == clipped).bounding_box = [0.1, 0.1, 0.2, 0.2]
    samples[1].ground_truth.detections[0].label = "mine"
    samples[1].ground_truth.detections.pop()
    for sample in samples:
        sample.save()

    undone = delete_run(dataset, "evenset_review_labels_1")

    assert undone.edited == [clipped] and undone.labels == 5
    dataset.reload()
    samples = list(dataset)
    assert next(box for box in samples[3].ground_truth.detections if box.id == clipped).bounding_box[0] == 0.1
    back = [box.id in ids for box in samples[1].ground_truth.detections]
    assert back == [True, False, True] and samples[1].ground_truth.detections[1].label == "mine"


def test_flags_of_boxes_that_changed_since_are_passed_over(judged):
    dataset, ids = judged
    samples = list(dataset)
    samples[0].ground_truth.detections.pop(0)  # what the duplicate repeats
    samples[1].ground_truth.detections[0].bounding_box = [0.1, 0.1, 0.2, 0.3]
    samples[4].ground_truth.detections.pop(0)
    for sample in samples[:5]:
        sample.save()

    results = review_labels(dataset, "mistake", progress=False)

    assert (results.changed, results.unwritten) == (3, 2)
    left = {box.id for sample in dataset for box in sample.ground_truth.detections}
    assert {ids[i] for i in left & set(ids)} == {(0, 1), (1, 0), (3, 0), (5, 0)}


@pytest.mark.slow
def test_a_dismissed_flag_stays_away_and_the_box_as_it_is(judged):
    dataset, _ = judged
    before = boxes(dataset)
    review_labels(dataset, "mistake", action="reject", progress=False)
    assert boxes(dataset) == before and not flags(dataset)

    again = dict(output_field="second", embeddings=vectors_of(dataset), progress=False)
    results = find_mistakes(dataset, "ground_truth", **again)

    assert results.dismissed == 7 and not flags(dataset, "second")
    assert len(delete_run(dataset, "evenset_review_labels_1").edited) == 0 and len(flags(dataset)) == 7


def test_a_flag_without_a_correction_says_so(judged, refused):
    dataset, ids = judged
    shape = [i for i, place in ids.items() if PLANTED[place][0] == "shape"]
    view = dataset.select_labels(ids=shape, fields="ground_truth").to_patches("ground_truth")
    with refused(dataset, "1 flag has no automatic correction", "action='reject'"):
        review_labels(view, "mistake", progress=False)
    assert review_labels(view, "mistake", action="correct", label="b", force=True, progress=False).changed == 1


@pytest.mark.slow
def test_masks_are_not_stretched_and_geometry_can_be_left_out(boxed_digits):
    dataset = two_classes(boxed_digits)
    sample = dataset.first()
    sample.ground_truth.detections[0].bounding_box = [-0.1, 0.1, 0.3, 0.3]
    sample.ground_truth.detections[0].mask = np.ones((4, 4), dtype=bool)
    sample.save()
    options = dict(embeddings=vectors_of(dataset), progress=False)
    find_mistakes(dataset, "ground_truth", output_field="plain", geometry=False, **options)
    assert not flags(dataset, "plain")
    find_mistakes(dataset, "ground_truth", **options)
    assert [flag["kind"] for flag in flags(dataset).values()] == ["outside"]
    review = review_labels(dataset, "mistake", progress=False)
    assert (review.changed, review.unwritten) == (0, 1)
