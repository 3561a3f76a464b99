"""export_dataset on boxes: what FiftyOne reads back is what was exported, and labels.csv has a line for each box."""

from __future__ import annotations

import csv
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from evenset import auto_label, delete_run, export_dataset, find_mistakes, resume_run, review_labels, split_dataset

QUIET = dict(progress=False)
KINDS = {
    "coco": fo.types.COCODetectionDataset,
    "yolo": fo.types.YOLOv5Dataset,
    "voc": fo.types.VOCDetectionDataset,
    "json": fo.types.FiftyOneImageDetectionDataset,
    "fiftyone": fo.types.FiftyOneDataset,
}
SIDE = 48  # pixels of an image
TOLERANCE = {"voc": 0.51 / SIDE, "yolo": 1e-5}  # whole pixels, six decimals


def manifest(folder):
    with Path(folder, "labels.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def boxes_of(samples, field="ground_truth"):
    """Label and box of each labelled box, by the bytes of its image."""
    found = {}
    for path, labels in zip(*samples.values(["filepath", field]), strict=True):
        own = [(box.label, *box.bounding_box) for box in labels.detections if box.label]
        if own:
            found[Path(path).read_bytes()] = sorted(own)
    return found


def vectors_of(dataset, field="ground_truth"):
    """A vector for each box by its id, around a centre for each digit."""
    rng, boxes = np.random.default_rng(0), [box for own in dataset.values(f"{field}.detections") for box in own]
    return {box.id: rng.normal(6 * np.eye(10)[int(box.truth or box.label)], 1.0) for box in boxes}


def assert_same(found, expected, tolerance=1e-6):
    assert found.keys() == expected.keys()
    for image, boxes in expected.items():
        assert [box[0] for box in found[image]] == [box[0] for box in boxes]
        assert np.abs(np.array([box[1:] for box in found[image]]) - [box[1:] for box in boxes]).max() <= tolerance


@pytest.fixture
def read_back():
    made = []

    def read(folder, format, split=""):
        folder, more = (folder, dict(split=split or "train")) if format == "yolo" else (folder / split, {})
        made.append(fo.Dataset.from_dir(str(folder), dataset_type=KINDS[format], progress=False, **more))
        if format == "coco" and made[-1].has_field("detections"):
            made[-1].rename_sample_field("detections", "ground_truth")
        return made[-1]

    yield read
    for dataset in made:
        dataset.delete()


@pytest.mark.parametrize("format", KINDS)
def test_fiftyone_reads_back_each_split_box_by_box(boxed_digits, tmp_path, read_back, format):
    dataset = boxed_digits(images=20, boxes=4, labelled=60)
    split_dataset(dataset, "ground_truth", **QUIET)
    results = export_dataset(dataset, tmp_path / "out", "ground_truth", format=format, **QUIET)

    for tag in ("train", "val", "test"):
        expected = boxes_of(dataset.match_tags(tag))
        assert_same(boxes_of(read_back(tmp_path / "out", format, tag)), expected, TOLERANCE.get(format, 1e-6))
    assert (results.boxes, results.format, results.left_out) == (60, format, {"without a label": 20})
    assert results.images == len(boxes_of(dataset)) and "60 boxes of" in str(results)


@pytest.mark.parametrize("format", ["coco", "yolo"])
def test_without_splits_all_are_in_one_folder(boxed_digits, tmp_path, read_back, format):
    dataset = boxed_digits(images=6, boxes=3, labelled=18)
    export_dataset(dataset, tmp_path / "out", "ground_truth", format=format, **QUIET)
    assert_same(boxes_of(read_back(tmp_path / "out", format)), boxes_of(dataset), 1e-5)
    hidden = [path for path in tmp_path.rglob("*") if path.name.startswith(".")]
    assert hidden == [] and "path:" not in "".join(path.read_text() for path in tmp_path.rglob("*.yaml"))


def test_the_manifest_has_each_box_in_fractions_and_in_pixels(boxed_digits, tmp_path):
    dataset = boxed_digits(images=5, boxes=4, labelled=12)
    results = export_dataset(dataset, tmp_path / "out", "ground_truth", **QUIET)
    assert results.format == "coco"
    rows = {row["id"]: row for row in manifest(tmp_path / "out")}
    labelled = {box.id: (sample, box) for sample in dataset for box in sample.ground_truth.detections if box.label}

    assert rows.keys() == labelled.keys()
    for label_id, (sample, box) in labelled.items():
        row = rows[label_id]
        assert (row["label"], row["origin"], row["run"]) == (box.label, "labelled", "")
        values = [float(row[name]) for name in ("left", "top", "width", "height")]
        assert np.allclose(values, box.bounding_box, atol=1e-5)
        pixels = [float(row[f"{name}_px"]) for name in ("left", "top", "width", "height")]
        assert np.allclose(pixels, np.array(box.bounding_box) * SIDE, atol=1e-3)
        assert (tmp_path / "out" / row["file"]).read_bytes() == Path(sample.filepath).read_bytes()
    readme = (tmp_path / "out" / "README.md").read_text()
    assert f"12 boxes of {results.images} images were exported" in readme and "- 8 boxes left out" in readme
    assert "COCODetectionDataset" in readme and "left_px" in readme


@pytest.mark.slow
def test_only_the_wanted_labels_are_exported_with_their_origin(boxed_digits, tmp_path, read_back):
    dataset = boxed_digits(images=40, boxes=5, labelled=120)
    auto_label(dataset, "ground_truth", embeddings=vectors_of(dataset), target_precision=0.8, **QUIET)
    statuses = [status for own in dataset.values("auto_label.detections.status") for status in own]
    review_labels(dataset.load_saved_view("auto_label: accepted").limit(3), "auto_label", seen=True, **QUIET)
    accepted = statuses.count("accepted") - 3
    assert accepted > 3

    results = export_dataset(dataset, tmp_path / "a", "ground_truth", labels="reviewed, accepted", **QUIET)
    assert results.origins == {"accepted": accepted, "reviewed": 3}
    rows = {row["id"]: row for row in manifest(tmp_path / "a")}
    for sample in dataset:
        for box in sample.auto_label.detections:
            if box.status == "accepted":
                row = rows[box.item]
                assert (row["label"], row["run"]) == (box.label, "evenset_auto_label_1")
                assert float(row["confidence"]) == pytest.approx(box.confidence, rel=1e-4)
    again = read_back(tmp_path / "a", "coco")
    assert sum(map(len, boxes_of(again).values())) == accepted + 3
    results = export_dataset(dataset, tmp_path / "b", "ground_truth", **QUIET)
    assert results.origins == {"labelled": 120, "reviewed": 3}


@pytest.mark.slow
def test_a_name_that_counted_as_no_label_is_not_exported(boxed_digits, tmp_path):
    dataset = boxed_digits(images=20, boxes=4, labelled=60)
    names = [[name or "object" for name in own] for own in dataset.values("ground_truth.detections.label")]
    dataset.set_values("ground_truth.detections.label", names)
    auto_label(dataset, "ground_truth", embeddings=vectors_of(dataset), unlabelled="object", **QUIET)
    results = export_dataset(dataset, tmp_path / "out", "ground_truth", **QUIET)
    assert results.boxes == 60 and results.left_out == {"without a label": 20}
    assert "images have boxes that are left out, background to a detector" in str(results)


@pytest.fixture
def odd(boxed_digits):
    """Four images of three boxes, one each without numbers, without area, outside, half outside; and an empty image."""
    dataset = boxed_digits(images=4, boxes=3, labelled=12)
    samples = list(dataset)
    for sample, box in zip(
        samples, ([np.nan] * 4, [0.1, 0.1, 0, 0.2], [1.2, 0.1, 0.1, 0.1], [-0.25, 0.5, 0.5, 0.75]), strict=True
    ):
        sample.ground_truth.detections[0].bounding_box = box
        sample.save()
    dataset.add_sample(fo.Sample(filepath=samples[0].filepath, ground_truth=fo.Detections()))
    return dataset


@pytest.mark.parametrize("format", ["coco", "yolo", "voc"])
def test_odd_boxes_are_left_out_or_clipped_and_counted(odd, tmp_path, read_back, format):
    results = export_dataset(odd, tmp_path / "out", "ground_truth", format=format, **QUIET)
    assert results.left_out == {"without finite numbers": 1, "without an area": 1, "outside the image": 1}
    assert "1 box reaches out of the image, and is clipped to it." in results.notes
    assert "1 image has no box, and is left out." in results.notes
    clipped = [box[1:] for own in boxes_of(read_back(tmp_path / "out", format)).values() for box in own]
    assert len(clipped) == 9 and any(np.allclose(box, [0, 0.5, 0.25, 0.5], atol=0.01) for box in clipped)


def test_masks_follow_their_clipped_box_and_those_that_do_not_fit_are_dropped(odd, tmp_path, read_back):
    *_, sample, _ = odd
    half, bad, _ = sample.ground_truth.detections
    half.mask, bad.mask = np.ones((30, 20), dtype=bool), np.ones((2, 3, 4), dtype=bool)
    sample.save()
    export_dataset(odd, tmp_path / "out", "ground_truth", format="fiftyone", **QUIET)
    again = {box.id: box for own in read_back(tmp_path / "out", "fiftyone") for box in own.ground_truth.detections}
    assert again[half.id].mask.shape == (20, 10) and again[bad.id].mask is None
    export_dataset(odd, tmp_path / "coco", "ground_truth", **QUIET)
    assert len(manifest(tmp_path / "coco")) == 9


def test_polylines_are_exported_as_polygons(boxed_digits, tmp_path):
    dataset = boxed_digits(images=3, boxes=2, labelled=6)
    for sample in dataset:
        boxes = sample.ground_truth.detections
        own = [fo.Polyline(label=box.label, points=[corners(box)], closed=True) for box in boxes]
        sample["shape"] = fo.Polylines(polylines=own)
        sample.save()
    for format in ("coco", "yolo", "voc", "fiftyone"):
        results = export_dataset(dataset, tmp_path / format, "shape", format=format, **QUIET)
        assert results.boxes == 6
    text = next((tmp_path / "yolo").rglob("*.txt")).read_text().split()
    assert len(text) == 2 * 9
    left, top = manifest(tmp_path / "coco")[0]["left"], manifest(tmp_path / "coco")[0]["top"]
    assert np.allclose(
        [float(left), float(top)], dataset.first().ground_truth.detections[0].bounding_box[:2], atol=1e-5
    )


def corners(box):
    left, top, width, height = box.bounding_box
    return [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]


def test_names_that_end_xml_are_read_back(boxed_digits, tmp_path, read_back):
    dataset = boxed_digits(images=2, boxes=2, labelled=4)
    sample = dataset.first()
    sample.ground_truth.detections[0].label = "<b> & co"
    moved = Path(sample.filepath).with_name("a & b.png")
    Path(sample.filepath).rename(moved)
    sample.filepath = str(moved)
    sample.save()
    export_dataset(dataset, tmp_path / "out", "ground_truth", format="voc", **QUIET)
    assert_same(boxes_of(read_back(tmp_path / "out", "voc")), boxes_of(dataset), TOLERANCE["voc"])


def test_patches_export_their_boxes_alone(boxed_digits, tmp_path):
    dataset = boxed_digits(images=6, boxes=3, labelled=18)
    patches = dataset.to_patches("ground_truth").limit(5)
    export_dataset(patches, tmp_path / "out", "ground_truth", **QUIET)
    assert {row["id"] for row in manifest(tmp_path / "out")} == set(patches.values("id"))


def test_boxes_deleted_while_it_works_are_exported_as_they_were(boxed_digits, tmp_path, read_back):
    dataset = boxed_digits(images=4, boxes=3, labelled=12)
    expected = boxes_of(dataset)

    def delete(phase, done, total, note):
        if phase == "copying images":
            dataset.set_values("ground_truth.detections", [[] for _ in range(4)])

    export_dataset(dataset, tmp_path / "out", "ground_truth", progress=delete)
    assert_same(boxes_of(read_back(tmp_path / "out", "coco")), expected)


def test_flagged_boxes_are_counted(boxed_digits, tmp_path):
    dataset = boxed_digits(images=20, boxes=4, labelled=80)
    box = dataset.first().ground_truth.detections[0]
    sample = dataset.first()
    again = fo.Detection(label=box.label, bounding_box=box.bounding_box, truth=box.label)
    sample.ground_truth.detections.append(again)
    sample.save()
    find_mistakes(dataset, "ground_truth", embeddings=vectors_of(dataset), **QUIET)
    flags = sum(flag for own in dataset.values("mistake.detections.is_issue") for flag in own)
    assert flags >= 1
    text = str(export_dataset(dataset, tmp_path / "out", "ground_truth", **QUIET))
    assert f"{flags} exported label" in text and "flagged by find_mistakes" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            dict(format="folders"),
            "format 'folders' is not for boxes: choose one of coco, yolo, voc, fiftyone, csv, json",
        ),
        (dict(labels="accepted"), "no box of"),
        (dict(splits="nobody"), "none of the 6 boxes"),
    ],
)
def test_bad_arguments_are_refused(boxed_digits, tmp_path, refused, arguments, words):
    dataset = boxed_digits(images=2, boxes=3, labelled=6)
    with refused(dataset, words):
        export_dataset(dataset, tmp_path / "out", "ground_truth", **arguments, **QUIET)
    assert not (tmp_path / "out").exists()


def test_boxes_in_pixels_and_formats_of_boxes_for_samples_are_refused(boxed_digits, digits, tmp_path, refused):
    dataset = boxed_digits(images=2, boxes=3, labelled=6)
    dataset.set_values("ground_truth.detections.bounding_box", [[[5, 5, 12, 12]] * 3] * 2)
    with refused(dataset, "the boxes of 'ground_truth' are in pixels"):
        export_dataset(dataset, tmp_path / "out", "ground_truth", **QUIET)
    samples = digits(20, labelled=20)
    with refused(samples, "format 'coco' is not for one label a sample: choose one of folders"):
        export_dataset(samples, tmp_path / "out", "ground_truth", format="coco", **QUIET)


def test_a_stopped_export_leaves_nothing_and_an_undo_the_folder(boxed_digits, tmp_path, everything):
    dataset = boxed_digits(images=6, boxes=3, labelled=18)
    before = everything(dataset)
    place = tmp_path / "place"
    place.mkdir()

    def stop(phase, *_):
        if phase == "writing labels":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_dataset(dataset, place / "out", "ground_truth", format="yolo", progress=stop)
    assert list(place.iterdir()) == []
    assert resume_run(dataset, "evenset_export_dataset_1", **QUIET).boxes == 18
    delete_run(dataset, "evenset_export_dataset_1")
    after = everything(dataset)
    assert {**after, "files": [], "folder": None} == {**before, "files": [], "folder": None}
    assert len(manifest(place / "out")) == 18
