"""auto_label with boxes=: labels from one field, boxes without a class from another; a review adds accepted ones."""

from __future__ import annotations

import fiftyone as fo
import numpy as np
import pytest
from evenset import audit_labels, auto_label, delete_run, export_dataset, list_suggestions, review_labels, set_target
from evenset.workflows.ui import overview, review_order, review_queue
from evenset.workflows.ui.review_queue import Decision

QUIET = dict(progress=False)
FIELDS = ("auto_label", "ground_truth")


def flat(dataset, path):
    field, attribute = path.split(".")
    return [value for own in dataset.values(f"{field}.detections.{attribute}") for value in own or []]


def boxes_of(dataset, field):
    return {box.id: box for own in dataset.values(f"{field}.detections") for box in own or []}


@pytest.fixture
def proposed(boxed_digits):
    """20 images of four boxes: the labelled ones, 60 of 15 images, in ground_truth; all of the 80 in `proposals`, as
    objects, those of labelled ones two hundredths of a side beside. Vectors by label id, and truth by proposal."""
    dataset = boxed_digits(images=20, boxes=4, labelled=80)
    rng, vectors, truth, masked = np.random.default_rng(0), {}, {}, None
    dataset.add_sample_field("proposals", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    for number, sample in enumerate(dataset.iter_samples(autosave=True)):
        own = []
        for box in sample.ground_truth.detections:
            name = "ab"[int(box.label) % 2]
            left, top, width, height = box.bounding_box
            moved = [left + 0.02 * width, top, width, height] if number < 15 else box.bounding_box
            other = fo.Detection(label="object", bounding_box=moved)
            vectors[box.id], vectors[other.id] = (rng.normal(6 * np.eye(8)["ab".index(name)], 1.0) for _ in range(2))
            truth[other.id], box.label = name, name
            own.append(other)
        if number == 15:
            own[0].mask, masked = np.ones((3, 5), dtype=bool), own[0].id
        sample["proposals"] = fo.Detections(detections=own)
        if number >= 15:
            sample["ground_truth"] = None
    return dataset, vectors, truth, masked


def label(proposed, **options):
    dataset, vectors, *_ = proposed
    options = {"target_precision": 0.7, **options}
    return auto_label(dataset, "ground_truth", boxes="proposals", embeddings=vectors, **options, **QUIET)


def test_proposals_get_suggestions_and_those_of_labelled_boxes_are_these(proposed):
    dataset, _, truth, masked = proposed
    results = label(proposed)
    assert (results.samples, results.labelled) == (80, 60) and results.names == ["a", "b"]
    assert "60 boxes are left out of 'proposals', the same as a labelled one." in results.notes
    written = {box.item: box for box in boxes_of(dataset, "auto_label").values()}
    own, others = set(boxes_of(dataset, "ground_truth")), boxes_of(dataset, "proposals")
    assert len(written) == 80 and own < set(written)
    for item in set(written) - own:
        assert written[item].bounding_box == others[item].bounding_box and written[item].label == truth[item]
        assert written[item].status in ("accepted", "review")
    assert written[masked].mask.shape == (3, 5)


def test_accepted_proposals_become_boxes_of_the_label_field_and_an_undo_takes_them_back(proposed, everything):
    dataset, _, truth, masked = proposed
    label(proposed)
    before = everything(dataset)["samples"]
    review = review_labels(dataset, "auto_label", status="all", force=True, **QUIET)

    assert review.changed == 20 and review.unwritten == 0
    own, others = boxes_of(dataset, "ground_truth"), boxes_of(dataset, "proposals")
    added = {i: box for i, box in own.items() if i in others}
    assert {i: box.label for i, box in added.items()} == {i: truth[i] for i in added} and len(added) == 20
    assert all(box.bounding_box == others[i].bounding_box for i, box in added.items())
    assert {box.evenset_run for box in added.values()} == {review.run_key} and added[masked].mask.shape == (3, 5)
    assert set(flat(dataset, "auto_label.status")) == {"labelled"}

    undone = delete_run(dataset, review.run_key)
    assert (undone.labels, undone.edited, undone.left) == (20, [], [])
    assert everything(dataset)["samples"] == before


@pytest.mark.slow
def test_a_rejected_proposal_adds_nothing_and_a_corrected_one_has_its_label(proposed):
    dataset, _, truth, _ = proposed
    label(proposed)
    first, second, third = [i for i in flat(dataset, "auto_label.item") if i in truth][:3]
    other = "b" if truth[second] == "a" else "a"
    review = review_labels(dataset, "auto_label", labels={first: None, second: other, third: truth[third]}, **QUIET)
    own = boxes_of(dataset, "ground_truth")
    assert first not in own and (own[second].label, own[third].label) == (other, truth[third])
    assert (own[second].evenset_review, own[third].evenset_review) == ("corrected", "seen")
    delete_run(dataset, review.run_key)
    assert len(boxes_of(dataset, "ground_truth")) == 60


@pytest.mark.slow
def test_the_queue_the_overview_the_list_and_another_target_know_proposals(proposed):
    dataset, _, truth, _ = proposed
    label(proposed, target_precision=0.99)
    counts = overview.count(dataset, "ground_truth", "auto_label")
    assert (counts.samples, counts.unlabelled, counts.total("labelled")) == (80, 20, 60)
    waiting = review_order.count_waiting(dataset, *FIELDS)
    assert waiting == counts.total("review") == 20
    assert {row["id"] for row in list_suggestions(dataset, "auto_label", status="all")} <= set(truth)
    order = review_order.most_informative(dataset, *FIELDS, 30)
    assert len(order) == waiting and set(order) <= set(truth)

    item, _ = review_queue.first(dataset, *FIELDS, [])
    assert review_queue.decide(dataset, *FIELDS, Decision(item, "accept"), person="one")
    assert boxes_of(dataset, "ground_truth")[item].label == truth[item]
    assert review_order.count_waiting(dataset, *FIELDS) == 19
    assert set_target(dataset, "evenset_auto_label_1", 0.5, dry_run=True).decided == 1


@pytest.mark.slow
def test_an_audit_draws_proposals_and_an_export_has_them(proposed, tmp_path):
    dataset, _, truth, _ = proposed
    accepted = label(proposed, target_precision=0.5).accepted
    assert accepted > 4
    results = export_dataset(dataset, tmp_path / "out", "ground_truth", labels="labelled, accepted", **QUIET)
    assert results.origins == {"accepted": accepted, "labelled": 60}
    assert audit_labels(dataset, "auto_label", size=4, **QUIET).drawn == 4


@pytest.mark.slow
def test_a_next_round_leaves_added_boxes_to_the_label_field(proposed):
    dataset, *_ = proposed
    label(proposed)
    review_labels(dataset, "auto_label", status="all", seen=True, **QUIET)
    results = label(proposed, output_field="second", after="evenset_auto_label_1")
    assert (results.samples, results.labelled) == (80, 80)


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        ("nobody", "has no field 'nobody'"),
        ("ground_truth", "boxes: 'ground_truth' is the label field"),
        ("shapes", "boxes: 'shapes' does not hold boxes of the kind in 'ground_truth'"),
    ],
)
def test_fields_that_cannot_propose_are_refused(proposed, refused, boxes, words):
    dataset, vectors, *_ = proposed
    dataset.add_sample_field("shapes", fo.EmbeddedDocumentField, embedded_doc_type=fo.Polylines)
    with refused(dataset, words):
        auto_label(dataset, "ground_truth", boxes=boxes, embeddings=vectors, **QUIET)


def test_labels_of_samples_take_no_proposals(clusters, refused):
    dataset = clusters(30, 20)
    with refused(dataset, "boxes= names boxes to label beside those of label_field"):
        auto_label(dataset, "ground_truth", boxes="proposals", embeddings="vector", **QUIET)
