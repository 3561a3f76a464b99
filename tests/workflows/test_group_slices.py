"""Grouped datasets by group_slice=, and frames of videos: labelled, reviewed, exported and undone like any images."""

from __future__ import annotations

from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from evenset import (
    auto_label,
    balance_classes,
    check_dataset,
    delete_run,
    export_dataset,
    find_mistakes,
    list_suggestions,
    resume_run,
    review_labels,
    set_target,
    split_dataset,
)
from evenset.workflows.data.labels import read_labels

QUIET = dict(progress=False)
N = 60


@pytest.fixture
def grouped(digit_files, make_dataset):
    """60 groups with the slices left, right and video; the right ones have digits, vectors and 40 labels."""
    paths, truth = digit_files(N)
    dataset = make_dataset([])
    dataset.add_group_field("group", default="left")
    dataset.add_sample_field("ground_truth", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    rng, samples = np.random.default_rng(0), []
    for number, (path, digit) in enumerate(zip(paths, truth, strict=True)):
        group, name = fo.Group(), "ab"[int(digit) % 2]
        vector = rng.normal(6 * np.eye(8)[int(digit) % 2], 1.0)
        label = fo.Classification(label=name) if number < 40 else None
        right = dict(truth=name, vector=vector, ground_truth=label)
        samples.append(fo.Sample(filepath=path.replace("/digits", "/nowhere/digits"), group=group.element("left")))
        samples.append(fo.Sample(filepath=path, group=group.element("right"), **right))
        samples.append(fo.Sample(filepath=f"/nowhere/{number}.mp4", group=group.element("video")))
    dataset.add_samples(samples, **QUIET)
    return dataset


def right(dataset):
    return dataset.select_group_slices("right")


LABEL = dict(embeddings="vector", target_precision=0.7, group_slice="right", **QUIET)


def test_a_slice_is_labelled_reviewed_and_undone_and_the_others_stay(grouped, everything):
    before = grouped.select_group_slices(["left", "right"]).values(["id", "ground_truth.label"])
    results = auto_label(grouped, "ground_truth", **LABEL)
    assert results.samples == N and grouped.group_slice == "left"
    assert right(grouped).values("auto_label.label") == right(grouped).values("truth")
    assert grouped.select_group_slices("left").values("auto_label") == [None] * N

    listed = list_suggestions(grouped, "auto_label", status="all", group_slice="right")
    assert listed.total == 20
    review = review_labels(grouped, "auto_label", status="all", force=True, group_slice="right", **QUIET)
    assert review.changed == 20 and right(grouped).values("ground_truth.label") == right(grouped).values("truth")

    undone = delete_run(grouped, review.run_key)
    assert undone.labels == 20 and undone.left == [] and undone.edited == []
    delete_run(grouped, "all")
    assert grouped.select_group_slices(["left", "right"]).values(["id", "ground_truth.label"]) == before
    assert grouped.group_slice == "left" and "auto_label" not in grouped.get_field_schema()


@pytest.fixture
def with_boxes(grouped):
    """The right slice has a box an image too, in a field that is None in the others; and a vector each by label id."""
    own = [
        fo.Detections(detections=[fo.Detection(label=label and label.label, bounding_box=[0.1, 0.1, 0.8, 0.8])])
        for label in right(grouped).values("ground_truth")
    ]
    grouped.add_sample_field("boxes", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    right(grouped).set_values("boxes", own)
    ids = [box.id for labels in own for box in labels.detections]
    return grouped, dict(zip(ids, right(grouped).values("vector"), strict=True))


def test_boxes_of_a_slice_are_labelled_shown_reviewed_and_undone(with_boxes, everything):
    dataset, vectors = with_boxes
    before = everything(dataset)
    results = auto_label(dataset, "boxes", **{**LABEL, "embeddings": vectors})
    find_mistakes(dataset, "boxes", embeddings=vectors, group_slice="right", **QUIET)
    assert results.samples == N and dataset.group_slice == "left"
    shown = dataset.load_saved_view("auto_label: accepted")
    assert set(shown.values("sample_id")) <= set(right(dataset).values("id")) and len(shown) == results.accepted > 0

    review = review_labels(shown, "auto_label", **QUIET)
    labels = [own[0] for own in right(dataset).values("boxes.detections.label")]
    truth = right(dataset).values("truth")
    assert review.changed == len(shown)
    assert [label for label in labels if label] == [name for label, name in zip(labels, truth, strict=True) if label]
    delete_run(dataset, "all")
    after = everything(dataset)
    assert {**after, "files": None, "folder": None} == {**before, "files": None, "folder": None}


def test_a_slice_without_labels_of_a_kind_that_another_has_is_refused(with_boxes, refused):
    dataset, _ = with_boxes
    for workflow in (auto_label, find_mistakes):
        with refused(dataset, "no box of 'boxes' can be cropped: there is none"):
            workflow(dataset, "boxes", group_slice="left", **QUIET)
        with refused(dataset, "in 'ground_truth': label a few of each class first"):
            workflow(dataset, "ground_truth", group_slice="left", **QUIET)
    with refused(dataset, "the view has the slices 'left', 'right'"):
        auto_label(dataset.select_group_slices(["left", "right"]), "boxes", **QUIET)


@pytest.mark.slow
def test_saved_views_show_the_slice_and_name_it_to_the_next_call(grouped):
    results = auto_label(grouped, "ground_truth", **LABEL)
    for status in ("accepted", "review"):
        view = grouped.load_saved_view(results.views[status]) if status in results.views else None
        count = right(grouped).match({"auto_label.status": status}).count()
        assert view is None or (view.media_type == "image" and len(view) == count)
    view = grouped.load_saved_view(next(iter(results.views.values())))
    assert review_labels(view.limit(2), "auto_label", status="all", seen=True, **QUIET).changed == 2


@pytest.mark.slow
def test_another_target_and_a_resume_find_the_slice_by_the_run(grouped):
    auto_label(grouped, "ground_truth", **LABEL)
    assert set_target(grouped, "evenset_auto_label_1", 0.99, dry_run=True).decided == 0

    def stop(phase, *_):
        if phase == "judging labels":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_mistakes(grouped, "ground_truth", embeddings="vector", group_slice="right", progress=stop)
    assert resume_run(grouped, "evenset_find_mistakes_1", **QUIET).judged == 40


@pytest.mark.parametrize("format", ["folders", "fiftyone"])
def test_a_slice_is_split_checked_and_exported(grouped, tmp_path, format):
    split_dataset(grouped, "ground_truth", group_slice="right", **QUIET)
    assert sum(right(grouped).count_sample_tags().values()) == 40
    assert check_dataset(grouped, group_slice="right", **QUIET).run_key
    results = export_dataset(grouped, tmp_path / "out", "ground_truth", format=format, group_slice="right", **QUIET)
    assert results.images == 40 and len((tmp_path / "out" / "labels.csv").read_text().splitlines()) == 41
    assert len(list((tmp_path / "out").rglob("*.png"))) == 40


@pytest.mark.parametrize(
    ("slice_", "words"),
    [
        ("nobody", "has no slice 'nobody': its slices with images are 'left', 'right'"),
        ("video", "the slice 'video' of"),
        (None, "is a grouped dataset: name a slice with images, as group_slice='left'"),
    ],
)
def test_slices_that_cannot_be_taken_are_refused(grouped, refused, slice_, words):
    with refused(grouped, words):
        auto_label(grouped, "ground_truth", **{**LABEL, "group_slice": slice_})
    assert grouped.group_slice == "left"


def test_several_slices_another_one_and_a_dataset_without_groups_are_refused(grouped, refused, clusters):
    both = grouped.select_group_slices(["left", "right"])
    with refused(grouped, "the view has the slices 'left', 'right'", "pass one, as group_slice='left'", "view.clone("):
        auto_label(both, "ground_truth", embeddings="vector", **QUIET)
    with refused(grouped, "group_slice is 'right', and the view has the slice 'left'"):
        auto_label(grouped.select_group_slices("left"), "ground_truth", **LABEL)
    plain = clusters(20, 10)
    with refused(plain, f"group_slice is for grouped datasets, and {plain.name!r} is none"):
        auto_label(plain, "ground_truth", **LABEL)


def test_no_images_are_added_to_groups(grouped, refused):
    with refused(grouped, "a new image belongs to no group of it", "select_group_slices('right').clone("):
        balance_classes(grouped, "ground_truth", source="augment", group_slice="right", **QUIET)


@pytest.fixture
def frames(digit_files, make_dataset):
    """frames(videos) -> a view of the frames of so many videos, six each, that lie on disk, in two classes."""

    def make(videos):
        paths, truth = digit_files(6 * videos)
        dataset = make_dataset([])
        for number in range(videos):
            sample = fo.Sample(filepath=f"/nowhere/{number}.mp4")
            for frame in range(6):
                place = 6 * number + frame
                label = fo.Classification(label="ab"[int(truth[place]) % 2])
                sample.frames[frame + 1] = fo.Frame(filepath=paths[place], ground_truth=label)
            dataset.add_sample(sample)
        return dataset, dataset.to_frames()

    return make


def test_frames_work_in_a_copy_and_their_labels_go_back_to_the_video(frames, refused):
    dataset, view = frames(2)
    with refused(dataset, "work on a copy, frames = view.clone('another name')", "view.set_values("):
        auto_label(view, "ground_truth", **QUIET)
    with refused(dataset, "media of type 'video'", "dataset.to_frames(sample_frames=True).clone("):
        auto_label(dataset, "ground_truth", **QUIET)

    copy = view.clone()
    vectors = {
        i: np.eye(4)["ab".index(name)] for i, name in zip(*copy.values(["id", "ground_truth.label"]), strict=True)
    }
    auto_label(copy, "ground_truth", embeddings=vectors, **QUIET)
    field = "auto_label"
    view.set_values(field, dict(zip(*copy.values(["id", field]), strict=True)), key_field="id")
    assert [name for own in dataset.values("frames.auto_label.label") for name in own] == copy.values(f"{field}.label")
    copy.delete()


def test_frames_of_a_video_are_one_group_where_videos_are_many(frames):
    copy = frames(12)[1].clone()
    labels = read_labels(copy, "ground_truth")
    assert labels.groups.tolist() == copy.values("sample_id") and len(set(labels.groups.tolist())) == 12
    assert labels.notes == ["Frames of one video stay on one side of a split."]
    few = read_labels(copy.limit(12), "ground_truth")
    assert set(few.groups.tolist()) == {""} and "The labelled frames are of 2 videos, too few" in few.notes[0]
    named = read_labels(copy.limit(12), "ground_truth", group_field="sample_id")
    assert len(set(named.groups.tolist())) == 2
    copy.delete()


def test_the_slice_of_a_view_is_active_while_it_is_read(grouped):
    assert auto_label(right(grouped), "ground_truth", **{**LABEL, "group_slice": None}).samples == N
    assert Path(right(grouped).first().filepath).exists()
