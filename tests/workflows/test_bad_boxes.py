"""Bad input on boxes: each ends in a sentence or in a count, and the dataset holds nothing half written."""

from __future__ import annotations

import time
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from bson import ObjectId
from evenset import auto_label, delete_run, export_dataset, find_mistakes, review_labels, split_dataset, train_resnet
from evenset.workflows.data import document_size
from evenset.workflows.ui import class_views, overview, review_order
from fiftyone import ViewField as F

QUIET = dict(progress=False)
NAN = float("nan")


def flat(dataset, path):
    field, attribute = path.split(".")
    return [value for own in dataset.values(f"{field}.detections.{attribute}") for value in own or []]


@pytest.fixture
def boxed(boxed_digits):
    """48 boxes of 12 images, two thirds of them labelled a or b, with a vector each by label id."""

    def make():
        dataset = boxed_digits(images=12, boxes=4, labelled=48)
        rng, ids = np.random.default_rng(0), flat(dataset, "ground_truth.id")
        classes = dict(zip(ids, rng.integers(0, 2, len(ids)).tolist(), strict=True))
        own = dataset.values("ground_truth.detections.id")
        names = [["ab"[classes[i]] if place < 3 else None for place, i in enumerate(one)] for one in own]
        dataset.set_values("ground_truth.detections.label", names)
        return dataset, {i: rng.normal(6 * np.eye(8)[classes[i]], 1.0) for i in ids}

    return make()


def change(dataset, change_box, place=-1):
    """Changes the last box of each image, or that at another place."""
    for sample in dataset.iter_samples():
        change_box(sample.ground_truth.detections[place])
        sample.save()


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ([NAN, 0.1, 0.2, 0.2], "without finite numbers"),
        ([0.1, 0.1, -0.2, 0.2], "without an area"),
        ([0.1, 0.1, 0.0, 0.2], "without an area"),
        ([1.2, 0.1, 0.2, 0.2], "outside the image"),
    ],
)
def test_boxes_that_cannot_be_cropped_are_counted_and_get_no_label(boxed, box, reason):
    dataset, vectors = boxed
    change(dataset, lambda own: setattr(own, "bounding_box", box))
    results = auto_label(dataset, "ground_truth", embeddings=vectors, **QUIET)
    assert results.samples == 36
    assert any(note.startswith(f"12 boxes are left out, {reason} in 'ground_truth': ") for note in results.notes)
    assert len(flat(dataset, "auto_label.id")) == 36


def test_boxes_in_pixels_are_refused_by_every_reader(boxed, refused):
    dataset, vectors = boxed
    for place in range(4):
        change(dataset, lambda own: setattr(own, "bounding_box", [5, 5, 12, 12]), place)
    for call in (
        lambda: auto_label(dataset, "ground_truth", embeddings=vectors, **QUIET),
        lambda: find_mistakes(dataset, "ground_truth", **QUIET),
        lambda: split_dataset(dataset, "ground_truth", **QUIET),
        lambda: train_resnet(dataset, "ground_truth", **QUIET),
    ):
        with refused(dataset, "the boxes of 'ground_truth' are in pixels", "Divide them by its width and height"):
            call()


def test_two_labels_with_one_id_are_refused_with_the_remedy(boxed, refused, tmp_path):
    dataset, vectors = boxed
    one, other = dataset.limit(2)
    other.ground_truth.detections[0].id = ObjectId(one.ground_truth.detections[0].id)
    other.save()
    with refused(dataset, "2 labels of 'ground_truth' have the id", "bson.ObjectId()"):
        auto_label(dataset, "ground_truth", embeddings=vectors, **QUIET)
    with refused(dataset, "2 labels of 'ground_truth' have the id", "bson.ObjectId()"):
        export_dataset(dataset, tmp_path / "out", "ground_truth", **QUIET)


@pytest.mark.slow
def test_a_clone_has_the_same_ids_and_is_labelled_by_itself(boxed):
    dataset, vectors = boxed
    clone = dataset.clone()
    auto_label(clone, "ground_truth", embeddings=vectors, **QUIET)
    assert len(flat(clone, "auto_label.item")) == 48 and not dataset.has_field("auto_label")
    clone.delete()


def test_boxes_moved_while_a_run_works_are_counted(boxed):
    dataset, vectors = boxed
    moved = []

    def move(phase, done, total, note):
        if not moved and phase != "starting":
            sample = dataset.first()
            sample.ground_truth.detections[0].bounding_box = [0.5, 0.5, 0.1, 0.1]
            sample.save()
            moved.append(sample.ground_truth.detections[0].id)

    results = auto_label(dataset, "ground_truth", embeddings=vectors, progress=move)
    assert "1 box was moved while this worked: suggestions are of the place before." in results.notes
    written = dict(zip(flat(dataset, "auto_label.item"), flat(dataset, "auto_label.bounding_box"), strict=True))
    assert written[moved[0]] == [0.5, 0.5, 0.1, 0.1]


@pytest.mark.slow
def test_images_replaced_while_a_run_works_are_skipped_with_their_boxes(boxed_digits):
    dataset = boxed_digits(images=20, boxes=4, labelled=60)
    sample = dataset.last()
    ids = {box.id for box in sample.ground_truth.detections}
    replaced = []

    def replace(phase, done, total, note):
        if not replaced:
            replaced.append(Path(sample.filepath).write_text("no image"))

    options = dict(embeddings=None, members="graph", target_precision=0.5)
    results = auto_label(dataset, "ground_truth", progress=replace, **options)
    assert set(results.skipped) == ids and all(sample.filepath in reason for reason in results.skipped.values())
    suggested = dict(zip(flat(dataset, "auto_label.item"), flat(dataset, "auto_label.status"), strict=True))
    assert {suggested.get(i) for i in ids} <= {None, "labelled", "review"}


def test_patches_whose_boxes_were_deleted_since_stand_for_the_rest(boxed):
    dataset, vectors = boxed
    view = dataset.to_patches("ground_truth")
    ids = view.values("id")
    sample = dataset.first()
    gone = sample.ground_truth.detections.pop(0).id
    sample.save()
    results = auto_label(view, "ground_truth", embeddings=vectors, **QUIET)
    assert results.samples == 47 and sorted(flat(dataset, "auto_label.item")) == sorted(set(ids) - {gone})


def test_patches_whose_field_was_renamed_or_emptied_or_whose_dataset_is_gone_are_refused(boxed):
    dataset, _ = boxed
    view = dataset.to_patches("ground_truth")
    dataset.rename_sample_field("ground_truth", "other")
    for name in ("ground_truth", "other"):
        with pytest.raises(ValueError, match="has no samples to write to: use its samples"):
            auto_label(view, name, **QUIET)
    dataset.rename_sample_field("other", "ground_truth")
    dataset.clear_sample_field("ground_truth")
    with pytest.raises(ValueError, match="has no samples"):
        auto_label(view, "ground_truth", **QUIET)
    dataset.delete()
    with pytest.raises(ValueError, match="was deleted meanwhile"):
        auto_label(view, "ground_truth", **QUIET)


@pytest.mark.slow
def test_patches_of_another_dataset_know_nothing_of_this_ones_runs(boxed, boxed_digits, refused):
    dataset, vectors = boxed
    auto_label(dataset, "ground_truth", embeddings=vectors, **QUIET)
    other = boxed_digits(images=2, boxes=2, labelled=4)
    with refused(other, "no run of auto_label or find_mistakes wrote the field 'auto_label'"):
        review_labels(other.to_patches("ground_truth"), "auto_label", **QUIET)
    with refused(other, "the view has patches of 'ground_truth', not of 'auto_label'"):
        find_mistakes(other.to_patches("ground_truth"), "auto_label", **QUIET)


def test_samples_without_boxes_are_passed_over(boxed):
    dataset, vectors = boxed
    dataset.add_samples(
        [fo.Sample(filepath="/nowhere/a.png", ground_truth=fo.Detections()), fo.Sample(filepath="/nowhere/b.png")],
        **QUIET,
    )
    results = auto_label(dataset, "ground_truth", embeddings=vectors, **QUIET)
    assert results.samples == 48
    assert dataset.skip(12).values("auto_label") == [None, None]


@pytest.mark.slow
def test_masks_that_do_not_fit_are_copied_as_they_are(boxed):
    dataset, vectors = boxed
    change(dataset, lambda own: setattr(own, "mask", np.ones((2, 3, 4), dtype=bool)), 0)
    change(dataset, lambda own: setattr(own, "mask_path", "/nowhere/mask.png"), 1)
    auto_label(dataset, "ground_truth", embeddings=vectors, **QUIET)
    first, second, *_ = dataset.first().auto_label.detections
    assert first.mask.shape == (2, 3, 4) and second.mask_path == "/nowhere/mask.png"


def test_the_geometry_of_polylines_is_said_to_be_unjudged(boxed):
    dataset, vectors = boxed
    for sample in dataset.iter_samples():
        lines = [
            fo.Polyline(label=box.label, points=[[(x, y), (x + w, y), (x + w, y + h)]], closed=True)
            for box in sample.ground_truth.detections
            for x, y, w, h in [box.bounding_box]
        ]
        sample["shapes"] = fo.Polylines(polylines=lines)
        sample.save()
    results = find_mistakes(dataset, "shapes", **QUIET)
    assert any(note.startswith("The geometry of fo.Polylines is not judged") for note in results.notes)


@pytest.fixture
def crowd(digit_files, make_dataset):
    """An image of 8,000 boxes, of which half have a label, and their vectors; and one of four boxes."""
    paths, _ = digit_files(2, size_px=400)
    dataset, rng = make_dataset(paths), np.random.default_rng(0)
    places = rng.uniform(0, 0.9, (8_004, 2))
    own = [fo.Detection(label="ab"[i % 2] if i % 4 < 2 else None, bounding_box=[x, y, 0.05, 0.05])
           for i, (x, y) in enumerate(places.tolist())]  # fmt: skip
    dataset.add_sample_field("ground_truth", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    labels = [fo.Detections(detections=own[:8_000]), fo.Detections(detections=own[8_000:])]
    dataset.set_values("ground_truth", labels)
    vectors = {box.id: rng.normal(6 * np.eye(4)[i % 2], 1.0) for i, box in enumerate(own)}
    return dataset, vectors


@pytest.mark.slow
def test_thousands_of_boxes_of_an_image_are_labelled_counted_and_queued(crowd):
    dataset, vectors = crowd
    began = time.perf_counter()
    options = dict(members="graph", target_precision=0.99, validation_fraction=0.15)
    auto_label(dataset, "ground_truth", embeddings=vectors, min_box_px=1, **options, **QUIET)
    labelled = time.perf_counter() - began

    began = time.perf_counter()
    counts = overview.count(dataset, "ground_truth", "auto_label")
    assert (counts.samples, counts.unlabelled) == (8_004, 4_002) and set(counts.classes) == {"a", "b"}
    view = class_views.in_class(dataset, "ground_truth", "auto_label", "a")
    assert len(view) == sum(counts.classes["a"].values())
    waiting = review_order.count_waiting(dataset, "auto_label", "ground_truth")
    assert waiting == counts.total("review") == len(review_order.read_waiting(dataset, "auto_label", "ground_truth")[0])
    assert time.perf_counter() - began < 30, labelled  # one with all others: minutes


@pytest.mark.slow
def test_more_boxes_than_a_sample_has_room_for_are_refused(crowd, refused, monkeypatch):
    dataset, vectors = crowd
    monkeypatch.setattr(document_size, "MAX_BYTES", 4_000_000)
    sentence = f"sample {dataset.first().id} has 8,000 boxes in 'ground_truth': with suggestions on each"
    with refused(dataset, sentence, "Cut the image into tiles"):
        auto_label(dataset, "ground_truth", embeddings=vectors, **QUIET)
    small = dataset.filter_labels("ground_truth", F("label") != None).skip(1)  # noqa: E711
    assert small.count() == 1
    document_size.check_room(small, "ground_truth")


@pytest.mark.slow
def test_undo_after_boxes_were_moved_restores_their_labels(boxed):
    dataset, vectors = boxed
    auto_label(dataset, "ground_truth", embeddings=vectors, target_precision=0.5, **QUIET)
    before = flat(dataset, "ground_truth.label")
    review = review_labels(dataset, "auto_label", status="all", force=True, **QUIET)
    change(dataset, lambda own: setattr(own, "bounding_box", [0.1, 0.1, 0.2, 0.2]))
    undone = delete_run(dataset, review.run_key)
    assert undone.labels == review.changed == 12 and flat(dataset, "ground_truth.label") == before


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda rows: {**rows, next(iter(rows)): "cat"}, "embeddings holds 'cat' in box"),
        (lambda rows: {**rows, next(iter(rows)): np.ones(3)}, "the first that is not of length 8 is of box"),
        (lambda rows: {}, "embeddings has no vector of a box"),
        (lambda rows: np.ones((5, 8)), "embeddings has 5 rows for 48 boxes"),
    ],
)
def test_bad_vectors_are_refused_by_the_box(boxed, refused, spoil, sentence):
    dataset, vectors = boxed
    with refused(dataset, sentence):
        auto_label(dataset, "ground_truth", embeddings=spoil(vectors), **QUIET)
