"""A detector's predictions beside labelled boxes: missing, spurious and moved ones, mended by a review and undone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from evenset import delete_run, find_mistakes, list_suggestions, load_results, resume_run, review_labels
from evenset.tests.workflows.planted_boxes import SIDE, plant, two_classes, vectors_of
from evenset.workflows.data import items
from evenset.workflows.ui import mistake_queue, sittings
from evenset.workflows.ui.sittings import Sitting

KINDS = {"missing": 2, "spurious": 1, "moved": 1}
FLAGS = ("mistake", "ground_truth")
RUN = "evenset_find_mistakes_1"


@pytest.fixture
def judged(finished, boxed_digits):
    """The dataset after find_mistakes with predictions."""

    def make():
        dataset = two_classes(boxed_digits)
        planted = plant(dataset)
        dataset.info["planted"] = json.dumps(planted)
        dataset.save()
        find_mistakes(dataset, "ground_truth", predictions="detector", embeddings=vectors_of(dataset), progress=False)
        return dataset

    dataset = finished("boxes beside a detector's", make)
    return dataset, json.loads(dataset.info["planted"])


def flags(dataset, field="mistake"):
    written = [sample[field] for sample in dataset if sample[field] is not None]
    return {box["item"]: box for own in written for box in own.detections if box["is_issue"]}


def of_kind(dataset, kind):
    return [i for i, flag in flags(dataset).items() if flag["kind"] == kind]


def boxes(dataset, field="ground_truth"):
    """All that the database holds of the user's boxes, as text."""
    dataset.reload()
    return [repr([box.to_dict() for box in sample[field].detections]) for sample in dataset]


def test_each_planted_error_is_flagged_by_its_kind_and_nothing_else(judged):
    dataset, planted = judged
    found = flags(dataset)
    assert sorted(flag["kind"] for flag in found.values()) == ["missing", "missing", "moved", "spurious"]
    assert (of_kind(dataset, "spurious"), of_kind(dataset, "moved")) == ([planted["spurious"]], [planted["moved"]])
    missing = [found[i] for i in of_kind(dataset, "missing")]
    predicted = [box for sample in list(dataset)[:2] for box in sample.detector.detections[-1:]]
    assert [flag.bounding_box for flag in missing] == [box.bounding_box for box in predicted]
    assert [(flag.label, flag.confidence) for flag in missing] == [(box.label, box.confidence) for box in predicted]
    assert all("the detector has" in flag["reason"] and flag["mistakenness"] > 0.5 for flag in missing)
    assert "no box here" in found[planted["spurious"]]["reason"]
    moved = found[planted["moved"]]
    near = np.abs(np.array(moved["suggested_box"]) - np.array(moved.bounding_box))
    assert near[0] == pytest.approx(0.4 * SIDE, abs=0.1 * SIDE) and "overlaps it by" in moved["reason"]
    rows = {row["kind"]: row for row in load_results(dataset, RUN).kinds}
    assert {kind: rows[kind]["flags"] for kind in KINDS} == KINDS
    assert [rows[kind]["accepting"] for kind in KINDS] == ["adds", "deletes", "moves"]
    assert len(dataset.load_saved_view("mistake: mistakes")) == 4


@pytest.mark.slow
def test_nothing_is_left_in_the_fields_that_are_read(boxed_digits, everything):
    dataset = two_classes(boxed_digits)
    plant(dataset)
    before = everything(dataset)
    options = dict(predictions="detector", embeddings=vectors_of(dataset), progress=False)
    find_mistakes(dataset, "ground_truth", **options)
    delete_run(dataset, RUN)
    after = everything(dataset)
    assert {**after, "files": [], "folder": None} == {**before, "files": [], "folder": None}
    assert dataset.list_evaluations() == dataset.list_brain_runs() == []


def test_accepted_flags_add_delete_and_move_boxes_and_an_undo_puts_all_back(judged):
    dataset, planted = judged
    before, all_flags = boxes(dataset), flags(dataset)

    results = review_labels(dataset.load_saved_view("mistake: mistakes"), "mistake", progress=False)

    assert (results.changed, results.unwritten) == (4, 0)
    dataset.reload()
    own = {box.id: box for sample in dataset for box in sample.ground_truth.detections}
    assert len(own) == 72 - 2 + 1 - 1 + 2 and planted["spurious"] not in own
    for i in (i for i, flag in all_flags.items() if flag["kind"] == "missing"):
        assert (own[i].label, own[i].bounding_box) == (all_flags[i].label, all_flags[i].bounding_box)
        assert own[i]["evenset_run"] == results.run_key and own[i].confidence is None
    moved = own[planted["moved"]]
    assert moved.bounding_box == pytest.approx(all_flags[planted["moved"]]["suggested_box"])
    assert not flags(dataset) and len(dataset.load_saved_view("mistake: mistakes")) == 0
    undone = delete_run(dataset, results.run_key)
    assert (undone.labels, undone.edited) == (4, [])
    assert boxes(dataset) == before
    assert {i: flag.to_dict() for i, flag in flags(dataset).items()} == {
        i: flag.to_dict() for i, flag in all_flags.items()
    }


def test_an_undo_keeps_boxes_that_were_edited_since_and_misses_none_that_are_gone(judged):
    dataset, planted = judged
    first, second = of_kind(dataset, "missing")
    review_labels(dataset, "mistake", progress=False)
    samples = list(dataset)
    added = next(box for box in samples[0].ground_truth.detections if box.id == first)
    added.label = "mine"
    samples[1].ground_truth.detections = [box for box in samples[1].ground_truth.detections if box.id != second]
    next(box for box in samples[3].ground_truth.detections if box.id == planted["moved"]).bounding_box = [0.1] * 4
    for sample in samples[:4]:
        sample.save()

    undone = delete_run(dataset, "evenset_review_labels_1")

    assert sorted(undone.edited) == sorted([first, planted["moved"]])
    dataset.reload()
    own = {box.id: box for sample in dataset for box in sample.ground_truth.detections}
    assert own[first].label == "mine" and own[planted["moved"]].bounding_box == [0.1] * 4
    assert second not in own and planted["spurious"] in own


def test_boxes_go_after_the_suggestions_are_gone(judged):
    dataset, _ = judged
    before = boxes(dataset)
    review_labels(dataset, "mistake", progress=False)
    delete_run(dataset, RUN)
    assert delete_run(dataset, "evenset_review_labels_1").labels == 4
    assert boxes(dataset) == before


def test_what_changed_since_is_passed_over(judged):
    import fiftyone as fo

    dataset, planted = judged
    samples = list(dataset)
    samples[0].ground_truth.detections.append(fo.Detection(label="b", bounding_box=planted["removed"][0]))  # by hand
    moved = samples[3].ground_truth.detections[0]
    moved.bounding_box = [0.5, 0.5, 0.2, 0.2]
    samples[2].ground_truth.detections.pop()
    for sample in samples[:4]:
        sample.save()
    assert len(mistake_queue.flagged_page(dataset, RUN, 0, 10).rows) == 3

    results = review_labels(dataset, "mistake", progress=False)

    assert (results.changed, results.unwritten) == (1, 2)
    dataset.reload()
    samples = list(dataset)
    assert [len(sample.ground_truth.detections) for sample in samples[:4]] == [4, 4, 4, 4]
    assert samples[3].ground_truth.detections[0].bounding_box == [0.5, 0.5, 0.2, 0.2]


def test_a_masks_box_is_not_moved(judged):
    dataset, planted = judged
    sample = list(dataset)[3]
    sample.ground_truth.detections[0].mask = np.ones((4, 4), dtype=bool)
    sample.save()
    view = dataset.select(sample.id)
    results = review_labels(view, "mistake", progress=False)
    assert (results.changed, results.unwritten) == (0, 1) and of_kind(dataset, "moved") == [planted["moved"]]


@pytest.mark.slow
def test_dismissed_flags_stay_away_until_the_review_is_undone(judged):
    dataset, _ = judged
    before = boxes(dataset)
    review_labels(dataset, "mistake", action="reject", progress=False)
    assert boxes(dataset) == before and not flags(dataset)
    again = dict(predictions="detector", embeddings=vectors_of(dataset), progress=False)

    results = find_mistakes(dataset, "ground_truth", output_field="second", **again)

    assert results.dismissed == 4 and not flags(dataset, "second")
    assert delete_run(dataset, "evenset_review_labels_1").edited == [] and len(flags(dataset)) == 4
    find_mistakes(dataset, "ground_truth", output_field="third", **again)
    assert flags(dataset, "third").keys() == flags(dataset).keys()


@pytest.mark.slow
def test_a_missing_box_gets_the_corrected_label_also_after_it_was_rejected(judged):
    dataset, _ = judged
    before = boxes(dataset)
    first, second = of_kind(dataset, "missing")

    def decide(**settings):
        review_labels(items.select(dataset, "mistake", [first]), "mistake", progress=False, **settings)
        dataset.reload()
        return {box.id: box.label for box in dataset.first().ground_truth.detections}.get(first)

    assert decide(action="reject") is None and boxes(dataset) == before
    assert decide(action="correct", label="b") == "b" and second in flags(dataset) and len(flags(dataset)) == 3
    assert decide(action="correct", label="a") == "a"  # a box like others by now
    for number in (3, 2, 1):
        assert delete_run(dataset, f"evenset_review_labels_{number}").edited == []
    assert boxes(dataset) == before and len(flags(dataset)) == 4


def test_decisions_come_from_a_file(judged, tmp_path):
    dataset, planted = judged
    first, second = of_kind(dataset, "missing")
    listed = list_suggestions(dataset, "mistake", csv=tmp_path / "list.csv")
    assert {row["id"]: row["kind"] for row in listed.rows} == {i: flag["kind"] for i, flag in flags(dataset).items()}
    assert {row["current_label"] for row in listed.rows if row["kind"] == "missing"} == {None}
    decisions = [
        (first, "accept", ""),
        (second, "", "b"),
        (planted["moved"], "accept", ""),
        (planted["spurious"], "reject", ""),
    ]
    rows = ["id,decision,label", *(",".join(row) for row in decisions)]
    (tmp_path / "decisions.csv").write_text("\n".join(rows))
    before, suggested = boxes(dataset), flags(dataset)

    results = review_labels(dataset, "mistake", labels=tmp_path / "decisions.csv", progress=False)

    assert results.changed == 4
    dataset.reload()
    own = {box.id: box for sample in dataset for box in sample.ground_truth.detections}
    assert (own[first].label, own[second].label) == (suggested[first].label, "b")
    assert (own[first]["evenset_review"], own[second]["evenset_review"]) == (
        "seen", "seen" if suggested[second].label == "b" else "corrected",
    )  # fmt: skip
    assert planted["spurious"] in own
    assert own[planted["moved"]].bounding_box == pytest.approx(suggested[planted["moved"]]["suggested_box"])
    delete_run(dataset, results.run_key)
    assert boxes(dataset) == before


@pytest.mark.slow
def test_the_queue_decides_each_kind_with_one_click_and_takes_it_back(judged):
    from evenset.models.images.region import parse

    dataset, planted = judged
    before = boxes(dataset)
    page = mistake_queue.flagged_page(dataset, RUN, 0, 10)
    rows = {row["kind"]: row for row in page.rows}
    assert page.count == 4 and page.by_class and None not in page.by_class
    assert rows["missing"]["given"] is None and rows["missing"]["suggestion"] in "ab"
    box = flags(dataset)[rows["missing"]["id"]].bounding_box
    assert parse(rows["missing"]["path"]).box == pytest.approx(box)
    assert rows["moved"]["suggested_box"] is not None and rows["moved"]["id"] == planted["moved"]
    (label,) = items.label_of(dataset, rows["missing"]["id"], "ground_truth", "mistake")
    assert label["field"] == "mistake"
    assert items.label_of(dataset, planted["moved"], "ground_truth", "mistake")[0]["label_id"] == planted["moved"]
    sitting = Sitting(dataset, *FLAGS, "one")
    for row in page.rows:
        assert mistake_queue.decide(sitting, "accept", [row]).changed == 1
    assert mistake_queue.flagged_page(dataset, RUN, 0, 10).rows == []
    assert len(boxes(dataset)) == len(before) and boxes(dataset) != before
    assert [sittings.undo(sitting) for _ in page.rows] == [[row["id"]] for row in reversed(page.rows)]
    assert boxes(dataset) == before
    assert mistake_queue.decide(sitting, "reject", [rows["missing"]]).changed == 1
    assert boxes(dataset) == before and len(flags(dataset)) == 3


def test_selected_boxes_alone_are_reviewed(judged):
    dataset, planted = judged
    first, second = of_kind(dataset, "missing")
    assert review_labels(items.select(dataset, "mistake", [first]), "mistake", progress=False).changed == 1
    chosen = items.select(dataset, "ground_truth", [planted["moved"]])
    assert review_labels(chosen, "mistake", progress=False).changed == 1
    assert set(flags(dataset)) == {second, planted["spurious"]}


def test_a_run_that_was_stopped_ends_with_the_same_fields(judged):
    dataset, _ = judged

    def stop(phase, *_):
        if phase == "writing labels":
            raise KeyboardInterrupt

    options = dict(output_field="again", predictions="detector", embeddings=vectors_of(dataset))
    with pytest.raises(KeyboardInterrupt):
        find_mistakes(dataset, "ground_truth", progress=stop, **options)
    samples = list(dataset)
    samples[5].detector.detections = []  # read already
    samples[5].save()
    resume_run(dataset, "evenset_find_mistakes_2", progress=False)

    def content(field):
        rows = [box.to_dict() for sample in dataset for box in sample[field].detections]
        return [{name: value for name, value in row.items() if name != "_id"} for row in rows]

    dataset.reload()
    assert content("again") == content("mistake")


@pytest.mark.slow
def test_images_that_the_detector_never_saw_are_not_judged_and_empty_ones_are(boxed_digits):
    import fiftyone as fo

    dataset = two_classes(boxed_digits)
    samples = list(dataset)
    samples[0]["detector"], samples[1]["detector"] = None, fo.Detections()
    for sample in samples:
        sample.save()
    options = dict(predictions="detector", embeddings=vectors_of(dataset), progress=False)
    results = find_mistakes(dataset, "ground_truth", **options)
    assert any("1 sample has no predictions" in note for note in results.notes)
    assert set(of_kind(dataset, "spurious")) == {box.id for box in samples[1].ground_truth.detections}


@pytest.mark.slow
def test_unlabelled_boxes_and_boxes_that_the_view_hides_are_not_missing(boxed_digits):
    from fiftyone import ViewField as F

    dataset = two_classes(boxed_digits)
    sample = dataset.first()
    sample.ground_truth.detections[0].label = None
    sample.save()
    options = dict(predictions="detector", embeddings=vectors_of(dataset), progress=False)
    find_mistakes(dataset, "ground_truth", **options)
    assert not flags(dataset)
    hidden = [box.id for sample in dataset for box in sample.ground_truth.detections][:5]
    view = dataset.filter_labels("ground_truth", ~F("_id").is_in(list(map(_object_id, hidden))), only_matches=False)
    results = find_mistakes(view, "ground_truth", output_field="second", **options)
    assert not flags(dataset, "second") and any("more than were judged" in note for note in results.notes)


def _object_id(text):
    from bson import ObjectId

    return ObjectId(text)


@pytest.mark.slow
def test_classes_that_no_label_has_propose_no_box(boxed_digits):
    dataset = two_classes(boxed_digits)
    plant(dataset)
    names = [["object"] * len(own) for own in dataset.values("detector.detections.label")]
    dataset.set_values("detector.detections.label", names)
    options = dict(predictions="detector", embeddings=vectors_of(dataset), progress=False)
    results = find_mistakes(dataset, "ground_truth", **options)
    assert any("of classes that no label has ('object')" in note for note in results.notes)
    assert sorted(flag["kind"] for flag in flags(dataset).values()) == ["moved", "spurious"]


def test_a_wrong_class_is_found_by_the_detectors(boxed_digits):
    dataset = two_classes(boxed_digits)
    rng = np.random.default_rng(1)
    vectors = {i: rng.normal(0, 1, 8) for i in vectors_of(dataset)}  # that tell nothing
    samples = list(dataset)
    swapped = samples[3].ground_truth.detections[1]
    swapped.label = "b" if swapped.label == "a" else "a"
    samples[3].save()
    find_mistakes(dataset, "ground_truth", predictions="detector", embeddings=vectors, progress=False)
    flag = flags(dataset)[swapped.id]
    assert (flag["kind"], flag.label) == ("label", swapped.truth) and "the detector says" in flag["reason"]


def test_unusable_predictions_are_left_out_and_counted(boxed_digits):
    dataset = two_classes(boxed_digits)
    sample = dataset.first()
    sample.detector.detections[0].bounding_box = [float("nan"), 0.1, 0.2, 0.2]
    sample.detector.detections[1].bounding_box = [0.1, 0.1, 0.0, 0.2]
    sample.save()
    options = dict(predictions="detector", embeddings=vectors_of(dataset), progress=False)
    results = find_mistakes(dataset, "ground_truth", **options)
    assert any("2 predictions were left out, without an area" in note for note in results.notes)


@pytest.mark.parametrize(
    ("predictions", "words"),
    [
        ("nothing", "'nothing' does not exist: there are detector"),
        ("weather", "'weather' is not a field of fo.Detections"),
        ("ground_truth", "is the label field"),
        ("mistake", "Evenset wrote 'mistake'"),
        ("empty", "has no box in these samples"),
        ("unsure", "4 boxes have no confidence from 0 to 1"),
        ("pixels", "are in pixels"),
    ],
)
def test_bad_predictions_are_refused(judged, refused, predictions, words):
    import fiftyone as fo

    dataset, _ = judged
    detections = dict(embedded_doc_type=fo.Detections)
    if predictions in ("weather", "empty"):
        kind = dict(embedded_doc_type=fo.Classification) if predictions == "weather" else detections
        dataset.add_sample_field(predictions, fo.EmbeddedDocumentField, **kind)
    elif predictions in ("unsure", "pixels"):
        dataset.clone_sample_field("detector", predictions)
        sample = dataset.first()
        for number, box in enumerate(sample[predictions].detections):
            box.confidence = [None, 1.5, -0.1, float("nan")][number] if predictions == "unsure" else box.confidence
        sample.save()
        if predictions == "pixels":
            shapes = dataset.values("pixels.detections.bounding_box")
            scaled = [[[48 * value for value in shape] for shape in own] for own in shapes]
            dataset.set_values("pixels.detections.bounding_box", scaled)
    with refused(dataset, words):
        find_mistakes(dataset, "ground_truth", output_field="new", predictions=predictions, progress=False)


def test_other_arguments_that_do_not_fit_are_refused(judged, refused, clusters):
    dataset, _ = judged
    with refused(dataset, "predictions has to be a text or None"):
        find_mistakes(dataset, "ground_truth", output_field="new", predictions=["detector"], progress=False)
    with refused(dataset, "is an input"):
        find_mistakes(dataset, "ground_truth", output_field="detector", predictions="detector", progress=False)
    others = clusters()
    with refused(others, "compared with fo.Detections"):
        find_mistakes(others, "ground_truth", predictions="detector", progress=False)
