"""Boxes, end to end: labelled, reviewed, audited, checked for mistakes, and undone, like samples."""

from __future__ import annotations

import numpy as np
import pytest
from evenset import (
    audit_labels,
    auto_label,
    balance_classes,
    compare_methods,
    delete_run,
    find_mistakes,
    list_suggestions,
    resume_run,
    review_labels,
    set_target,
    train_gcn,
    train_generator,
)
from fiftyone import ViewField as F

FAST = dict(embeddings=None, members="graph", target_precision=0.9, progress=False)


@pytest.fixture
def labelled(finished, boxed_digits):
    """A dataset whose boxes auto_label has labelled."""

    def make():
        dataset = boxed_digits(images=60, boxes=6, labelled=200)
        auto_label(dataset, "ground_truth", **FAST)
        return dataset

    return finished("boxes with suggestions", make)


def flat(dataset, path):
    """An attribute of all boxes: flat(dataset, "ground_truth.label")."""
    field, attribute = path.split(".")
    return [value for own in dataset.values(f"{field}.detections.{attribute}") for value in own or []]


def boxes_of(dataset, field):
    return [box for own in dataset.values(f"{field}.detections") for box in own or []]


def reviewed_boxes(dataset):
    return [box for box in boxes_of(dataset, "ground_truth") if getattr(box, "evenset_run", None)]


def plain(look):
    """What `everything` saw, without files, the ids of suggestions, and the patches that FiftyOne made for a view."""
    samples = [dict(sample) for sample in look["samples"]]
    for sample in samples:
        for box in (sample.get("auto_label") or {}).get("detections", []):
            box.pop("_id")
    stages = [stage for view in look["views"].values() for stage in view if stage["_cls"].endswith("ToPatches")]
    for stage in stages:
        stage["kwargs"] = [pair for pair in stage["kwargs"] if pair[0] != "_state"]
    return {**look, "samples": samples, "files": None, "folder": None}


def test_every_box_gets_a_label_in_a_field_with_the_same_boxes(labelled):
    for attribute in ("bounding_box", "index", "mask"):
        assert flat(labelled, f"auto_label.{attribute}") == flat(labelled, f"ground_truth.{attribute}")
    assert flat(labelled, "auto_label.item") == flat(labelled, "ground_truth.id")
    assert set(flat(labelled, "auto_label.id")).isdisjoint(flat(labelled, "ground_truth.id"))
    truth, label, status = (
        np.array(flat(labelled, path), dtype=object)
        for path in ("ground_truth.truth", "auto_label.label", "auto_label.status")
    )
    assert (status == "labelled").sum() == 200
    assert (label[status == "labelled"] == truth[status == "labelled"]).all()
    assert (label == truth)[status != "labelled"].mean() > 0.85
    assert (status == "accepted").sum() >= 20 and (label == truth)[status == "accepted"].mean() >= 0.9


def test_deleted_runs_leave_the_dataset_as_it_was(boxed_digits, everything):
    dataset = boxed_digits(images=20, boxes=6, labelled=80)
    before = everything(dataset)
    results = auto_label(dataset, "ground_truth", **FAST)
    assert results.accepted + results.review == 40
    assert review_labels(dataset, "auto_label", status="all", force=True, progress=False).changed == 40
    assert not [label for label in flat(dataset, "ground_truth.label") if label is None]

    delete_run(dataset, "all")

    assert plain(everything(dataset)) == plain(before)


def test_the_review_view_opens_crops_the_least_certain_first_and_follows_reviews(labelled):
    set_target(labelled, "evenset_auto_label_1", 0.99)
    view = labelled.load_saved_view("auto_label: review")
    confidence, count = view.values("auto_label.confidence"), len(view)

    assert count == flat(labelled, "auto_label.status").count("review") > 3 and confidence == sorted(confidence)
    assert review_labels(view.limit(3), "auto_label", status="review", force=True, progress=False).changed == 3
    assert len(labelled.load_saved_view("auto_label: review")) == count - 3


@pytest.mark.parametrize("patches", ["auto_label", "ground_truth"])
def test_patches_are_reviewed_alone(labelled, patches):
    unlabelled = F("status") != "labelled" if patches == "auto_label" else F("label") == None  # noqa: E711
    view = labelled.filter_labels(patches, unlabelled).to_patches(patches).limit(7)
    ids = view.values("auto_label.item" if patches == "auto_label" else "id")

    assert review_labels(view, "auto_label", status="all", seen=True, progress=False).changed == 7

    written = {box.id: box.evenset_review for box in reviewed_boxes(labelled)}
    assert written == dict.fromkeys(ids, "seen")


def test_decisions_by_label_id_are_written_and_undone(labelled, everything, tmp_path):
    before = plain(everything(labelled))
    rows = list(zip(*(flat(labelled, f"auto_label.{name}") for name in ("item", "status", "label")), strict=True))
    (first, _, label), (second, *_), (third, *_) = [row for row in rows if row[1] != "labelled"][:3]
    other = "1" if label != "1" else "2"
    file = tmp_path / "decisions.csv"
    file.write_text(f"id,label,decision\n{first},,accept\n{second},,reject\n{third},{other},\n")

    results = review_labels(labelled, "auto_label", labels=file, progress=False)

    assert results.changed == 3
    own = {box.id: box for box in boxes_of(labelled, "ground_truth")}
    assert (own[first].label, own[second].label, own[third].label) == (label, None, other)
    assert (own[first]["evenset_review"], own[third]["evenset_review"]) == ("seen", "corrected")
    suggestions = {box["item"]: box for box in boxes_of(labelled, "auto_label")}
    assert [suggestions[i]["status"] for i in (first, second, third)] == ["labelled", "review", "labelled"]
    undone = delete_run(labelled, results.run_key)
    assert (undone.labels, undone.suggestions, undone.edited) == (2, 1, [])
    assert plain(everything(labelled)) == before


def test_the_list_of_boxes_has_ids_that_a_review_takes(labelled, tmp_path):
    listed = list_suggestions(labelled, "auto_label", status="all", csv=tmp_path / "boxes.csv", first=3)
    own = {box.id: box.label for box in boxes_of(labelled, "ground_truth")}
    assert listed.total == list(own.values()).count(None) and all(own[row["id"]] is None for row in listed)
    confidences = [row["confidence"] for row in listed]
    assert confidences == sorted(confidences)
    header, *lines = (tmp_path / "boxes.csv").read_text().splitlines()
    (tmp_path / "boxes.csv").write_text("\n".join([header, *[line.replace(",,", ",accept,", 1) for line in lines]]))

    review_labels(labelled, "auto_label", labels=tmp_path / "boxes.csv", progress=False)

    assert {box.id for box in reviewed_boxes(labelled)} == {row["id"] for row in listed}


def test_an_undo_keeps_boxes_that_were_edited_or_deleted_since(labelled):
    results = review_labels(labelled, "auto_label", status="all", force=True, progress=False)
    for sample in labelled.iter_samples():
        reviewed = [box for box in sample.ground_truth.detections if getattr(box, "evenset_run", None)]
        if len(reviewed) > 1:
            break
    mine, gone = reviewed[:2]
    mine.label = "mine"
    sample.ground_truth.detections = [box for box in sample.ground_truth.detections if box.id != gone.id]
    sample.save()

    undone = delete_run(labelled, results.run_key)

    assert undone.edited == [mine.id]
    assert undone.labels == results.changed - 2
    assert flat(labelled, "ground_truth.label").count("mine") == 1


def test_an_audit_draws_boxes_and_bounds_their_precision(labelled):
    audit = audit_labels(labelled, "auto_label", size=10, progress=False)
    view = labelled.load_saved_view(audit.views["audit"])
    assert len(view) == audit.drawn == 10

    review_labels(view, "auto_label", seen=True, progress=False)

    results = audit_labels(labelled, "auto_label", progress=False)
    assert (results.checked, results.right, results.precision) == (10, 10, 1.0)
    reviewed = [box for box in reviewed_boxes(labelled) if box.evenset_selection == "random"]
    assert sorted(box.id for box in reviewed) == sorted(view.values("auto_label.item"))


def test_another_target_changes_statuses_and_the_old_one_restores_them(labelled):
    before = [flat(labelled, f"auto_label.{name}") for name in ("status", "label", "confidence")]
    planned = set_target(labelled, "evenset_auto_label_1", 0.99, dry_run=True)

    changed = set_target(labelled, "evenset_auto_label_1", 0.99)

    assert changed.changed == planned.changed > 0
    assert flat(labelled, "auto_label.status").count("accepted") == changed.accepted
    assert len(labelled.load_saved_view("auto_label: review")) == changed.review
    set_target(labelled, "evenset_auto_label_1", 0.9)
    assert [flat(labelled, f"auto_label.{name}") for name in ("status", "label", "confidence")] == before


@pytest.mark.slow
def test_a_next_round_keeps_what_was_held_out(labelled):
    review_labels(labelled, "auto_label", progress=False)
    after = dict(output_field="second", after="evenset_auto_label_1", members="graph", progress=False)
    results = auto_label(labelled, "ground_truth", **after)
    assert results.labelled > 200
    assert len(boxes_of(labelled, "second")) == 360


@pytest.mark.slow
def test_swapped_labels_of_boxes_are_found_and_mended(boxed_digits, everything):
    dataset = boxed_digits(images=40, boxes=5, labelled=200)
    samples = list(dataset.iter_samples())
    swapped = []
    for sample in samples[::3]:
        box = sample.ground_truth.detections[0]
        box.label = str((int(box.label) + 3) % 10)
        swapped.append(box.id)
        sample.save()
    before = everything(dataset)

    results = find_mistakes(dataset, "ground_truth", progress=False)

    flagged = [box for box in boxes_of(dataset, "mistake") if box["is_issue"]]
    found = {box["item"] for box in flagged} & set(swapped)
    assert len(found) >= 0.8 * len(swapped) and len(flagged) <= 2 * len(swapped)
    view = dataset.load_saved_view(results.views["mistakes"])
    assert view.values("mistake.rank") == sorted(box["rank"] for box in flagged)
    review = review_labels(view, "mistake", progress=False)
    assert review.changed == len(flagged)
    truth = dict(zip(flat(dataset, "ground_truth.id"), flat(dataset, "ground_truth.truth"), strict=True))
    own = {box.id: box.label for box in boxes_of(dataset, "ground_truth")}
    assert sum(own[i] == truth[i] for i in found) >= 0.8 * len(found)
    delete_run(dataset, "all")
    assert plain(everything(dataset)) == plain(before)


@pytest.fixture
def few(boxed_digits):
    """48 boxes of two classes with a vector each, by label id: boxes of a class are alike."""
    dataset = boxed_digits(images=12, boxes=4, labelled=48)
    rng, ids = np.random.default_rng(0), flat(dataset, "ground_truth.id")
    classes = dict(zip(ids, rng.integers(0, 2, len(ids)).tolist(), strict=True))
    known = dict(zip(ids, rng.random(len(ids)) < 0.7, strict=True))
    own = dataset.values("ground_truth.detections.id")
    names = [["ab"[classes[i]] if known[i] else None for i in one] for one in own]
    dataset.set_values("ground_truth.detections.label", names)
    vectors = {i: rng.normal(6 * np.eye(8)[classes[i]], 1.0) for i in ids}
    return dataset, vectors, {i: "ab"[classes[i]] for i in ids}


@pytest.mark.slow
def test_vectors_go_by_label_id_or_are_an_attribute_of_the_boxes(few):
    import fiftyone as fo

    dataset, vectors, truth = few
    auto_label(dataset, "ground_truth", embeddings=vectors, progress=False)
    assert {box["item"]: box.label for box in boxes_of(dataset, "auto_label")} == truth
    dataset.add_sample_field("ground_truth.detections.vector", fo.VectorField)
    own = dataset.values("ground_truth.detections.id")
    dataset.set_values("ground_truth.detections.vector", [[vectors[i] for i in ids] for ids in own])
    path = "ground_truth.detections.vector"
    auto_label(dataset, "ground_truth", output_field="second", embeddings=path, progress=False)
    assert flat(dataset, "second.label") == flat(dataset, "auto_label.label")


def test_vectors_of_samples_are_refused(few, refused):
    dataset, _, _ = few
    dataset.set_values("vector", list(np.eye(12)))
    with refused(dataset, "'vector' has a vector for each sample, and these are boxes"):
        auto_label(dataset, "ground_truth", embeddings="vector", progress=False)
    with refused(dataset, "sees whole images, not boxes"):
        auto_label(dataset, "ground_truth", embeddings="clip-vit-base32-torch", progress=False)


def test_a_stopped_run_ends_without_the_boxes_that_were_deleted_since(few, monkeypatch):
    dataset, vectors, truth = few

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("evenset.workflows.labeling.output_field.write_labels", stop)
        auto_label(dataset, "ground_truth", embeddings=vectors, progress=False)
    assert not dataset.has_field("auto_label")
    gone = delete_one(dataset)

    results = resume_run(dataset, "evenset_auto_label_1", progress=False)

    assert results.samples == 47
    expected = {i: name for i, name in truth.items() if i != gone}
    assert {box["item"]: box.label for box in boxes_of(dataset, "auto_label")} == expected


def delete_one(dataset):
    sample = dataset.first()
    gone = sample.ground_truth.detections.pop(1).id
    sample.save()
    return gone


@pytest.mark.slow
def test_boxes_deleted_while_a_run_works_are_counted(few):
    dataset, vectors, truth = few
    gone = []

    def watch(phase, done, total, note):
        if not gone and phase != "starting":
            gone.append(delete_one(dataset))

    results = auto_label(dataset, "ground_truth", embeddings=vectors, progress=watch)

    assert "1 box was deleted while this worked, and got no label." in results.notes
    assert {box["item"] for box in boxes_of(dataset, "auto_label")} == set(truth) - set(gone)


@pytest.mark.slow
def test_patches_are_labelled_alone(few):
    dataset, vectors, _ = few
    view = dataset.to_patches("ground_truth").limit(40)
    results = auto_label(view, "ground_truth", embeddings=vectors, progress=False)
    assert results.samples == 40
    assert sorted(flat(dataset, "auto_label.item")) == sorted(view.values("id"))


@pytest.mark.slow
def test_a_name_that_counts_as_no_label_is_replaced_by_a_review(few):
    dataset, vectors, truth = few
    names = [[name or "object" for name in own] for own in dataset.values("ground_truth.detections.label")]
    dataset.set_values("ground_truth.detections.label", names)

    results = auto_label(dataset, "ground_truth", embeddings=vectors, unlabelled="object", progress=False)
    assert results.names == ["a", "b"]
    review_labels(dataset, "auto_label", status="all", force=True, progress=False)

    assert dict(zip(flat(dataset, "ground_truth.id"), flat(dataset, "ground_truth.label"), strict=True)) == truth


@pytest.mark.slow
def test_a_name_that_counts_as_no_label_is_judged_learned_and_counted_by_nothing(few):
    dataset, vectors, _ = few
    names = [[name or "object" for name in own] for own in dataset.values("ground_truth.detections.label")]
    dataset.set_values("ground_truth.detections.label", names)
    count, quiet = sum(name != "object" for own in names for name in own), dict(unlabelled="object", progress=False)

    assert find_mistakes(dataset, "ground_truth", embeddings=vectors, **quiet).judged == count
    results = train_gcn(dataset, "ground_truth", embeddings=vectors, epochs=5, **quiet)
    assert results.names == ["a", "b"] and results.trained + results.validated == count
    assert set(flat(dataset, "gcn.label")) == {"a", "b"}
    compare_methods(dataset, "ground_truth", methods=["gcn"], seeds=2, embeddings=vectors, **quiet)
    assert set(flat(dataset, "compare_gcn.label")) == {"a", "b"}
    plan = balance_classes(dataset, "ground_truth", source="paste", dry_run=True, **quiet)
    assert {row["class"] for row in plan.rows} == {"a", "b"}


def test_boxes_too_small_to_judge_go_to_review(few):
    dataset, vectors, _ = few
    results = auto_label(dataset, "ground_truth", embeddings=vectors, min_box_px=13, progress=False)
    assert results.accepted == 0 and results.review > 5
    assert any("have a side below min_box_px=13, and are not accepted" in note for note in results.notes)


def test_other_workflows_refuse_boxes(few, refused):
    dataset, _, _ = few
    for function in (balance_classes, train_generator):
        with refused(dataset, "'ground_truth' holds boxes", "with source='paste' pastes objects"):
            function(dataset, "ground_truth")
