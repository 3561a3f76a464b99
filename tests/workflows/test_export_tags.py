"""export_dataset on tags: what FiftyOne reads back is what was exported, and labels.csv has a line for each tag."""

from __future__ import annotations

import csv
from pathlib import Path

import fiftyone as fo
import pytest
from evenset import delete_run, export_dataset, load_results, review_labels, split_dataset
from evenset.tests.workflows.planted_tags import tags, write_suggestions

QUIET = dict(progress=False)
KINDS = {"json": fo.types.FiftyOneImageClassificationDataset, "fiftyone": fo.types.FiftyOneDataset}
TAGS = (["a", "b"], ["b"], [], None, ["a", "b", "c"], ["=c"])


@pytest.fixture
def dataset(make_dataset, digit_files):
    """TAGS over and over, five times."""
    paths, _ = digit_files(5 * len(TAGS))
    dataset = make_dataset(paths)
    dataset.add_sample_field("ground_truth", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classifications)
    dataset.set_values("ground_truth", [tags(names) for names in TAGS * 5])
    return dataset


@pytest.fixture
def read_back():
    made = []

    def read(folder, format):
        made.append(fo.Dataset.from_dir(str(folder), dataset_type=KINDS[format], progress=False))
        return made[-1]

    yield read
    for dataset in made:
        dataset.delete()


def manifest(folder):
    with Path(folder, "labels.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def content(samples):
    """Tags of each sample whose field is not None, by the bytes of its image."""
    rows = zip(*samples.values(["filepath", "ground_truth"]), strict=True)
    return {Path(path).read_bytes(): [tag.label for tag in own.classifications] for path, own in rows if own}


@pytest.mark.parametrize("format", KINDS)
def test_fiftyone_reads_back_the_tags_of_each_split(dataset, tmp_path, read_back, format):
    split_dataset(dataset, "ground_truth", near_duplicates=False, train=0.6, val=0.2, test=0.2, **QUIET)
    results = export_dataset(dataset, tmp_path / "out", "ground_truth", format=format, **QUIET)

    for tag in ("train", "val", "test"):
        back = read_back(tmp_path / "out" / tag, format)
        expected = content(dataset.match_tags(tag))
        assert len(back) == len(expected)
        if format == "json":  # which has null for an empty list
            expected = {image: own for image, own in expected.items() if own}
        assert content(back) == expected
    assert (results.tags, results.images, results.boxes) == (35, 25, None)
    assert "35 tags of 25 images are in" in str(results) and "5 images not tagged yet are left out" in str(results)
    assert {row["class"]: row["train"] + row["val"] + row["test"] for row in results.rows} == {
        "a": 10, "b": 15, "c": 5, "=c": 5, "(no tag)": 5
    }  # fmt: skip


def test_json_is_the_default_and_the_manifest_has_each_tag_and_each_image_without(dataset, tmp_path):
    results = export_dataset(dataset, tmp_path / "out", "ground_truth", **QUIET)
    ids, rows = dataset.values("id"), manifest(tmp_path / "out")

    assert results.format == "json" and len(rows) == 40
    names = [{"a", "b"}, {"b"}, {""}, set(), {"a", "b", "c"}, {"'=c"}]
    for i, sample_id in enumerate(ids):
        own = [row for row in rows if row["id"].partition("/")[0] == sample_id]
        assert {row["label"] for row in own} == names[i % len(TAGS)]
        assert {row["id"].partition("/")[2] for row in own} == set(TAGS[i % len(TAGS)] or [""] * bool(own))
        assert {row["origin"] for row in own} <= {"labelled"} and len({row["file"] for row in own}) <= 1
    readme = (tmp_path / "out" / "README.md").read_text()
    assert "35 tags of 25 images were exported" in readme and "FiftyOneImageClassificationDataset" in readme
    assert "a line for each tag, and for each image without tags" in readme
    assert load_results(dataset, results.run_key).tags == 35


def test_only_the_wanted_tags_are_exported_with_their_origin(dataset, tmp_path, read_back):
    write_suggestions(dataset, [(2, "c", "add"), (3, "a", "add"), (4, "b", "remove"), (9, "b", "add")], flagged=False)
    review_labels(dataset[2:4], "auto_label", **QUIET)  # in bulk, "c" and "a"
    mine = export_dataset(dataset, tmp_path / "mine", "ground_truth", format="csv", **QUIET)
    assert mine.left_out == {"accepted in bulk": 2} and mine.tags == 35 and mine.images == 24
    assert "(labels='labelled, reviewed, accepted' exports them too)" in str(mine)

    results = export_dataset(
        dataset, tmp_path / "all", "ground_truth", labels="labelled, accepted", format="fiftyone", **QUIET
    )
    assert results.origins == {"accepted": 3, "labelled": 35} and results.tags == 38 and results.images == 27
    back = content(read_back(tmp_path / "all", "fiftyone"))
    expected = content(dataset) | {Path(dataset[9:10].first().filepath).read_bytes(): ["b"]}
    assert back == expected and back[Path(dataset[2:3].first().filepath).read_bytes()] == ["c"]
    rows = {row["id"]: row for row in manifest(tmp_path / "all")}
    ids = dataset.values("id")
    assert rows[f"{ids[9]}/b"]["run"] == "evenset_auto_label_1" and rows[f"{ids[9]}/b"]["origin"] == "accepted"
    assert rows[f"{ids[3]}/a"]["run"] == "evenset_review_labels_1"


def test_an_image_that_lacks_one_of_its_tags_is_counted(dataset, tmp_path):
    write_suggestions(dataset, [(1, "c", "add")], flagged=False)
    review_labels(dataset, "auto_label", **QUIET)
    results = export_dataset(dataset, tmp_path / "out", "ground_truth", format="csv", **QUIET)
    assert "1 image has tags that are left out, absent to a model" in str(results)
    assert [row["label"] for row in manifest(tmp_path / "out")].count("c") == 5


def test_doubled_and_blank_tags_are_exported_once_or_not_at_all(dataset, tmp_path):
    dataset.limit(2).set_values("ground_truth", [tags(["a", "a"]), tags([None, "b"])])
    results = export_dataset(dataset.limit(2), tmp_path / "out", "ground_truth", **QUIET)
    assert [row["label"] for row in manifest(tmp_path / "out")] == ["a", "b"]
    assert results.tags == 2 and results.left_out == {"without a label": 1}


@pytest.mark.parametrize("format", ["folders", "coco", "yolo", "voc"])
def test_formats_of_one_label_or_of_boxes_are_refused(dataset, tmp_path, refused, format):
    with refused(dataset, f"format '{format}' is not for several tags a sample: choose one of json, fiftyone, csv"):
        export_dataset(dataset, tmp_path / "out", "ground_truth", format=format, **QUIET)


def test_a_field_without_any_value_has_nothing_to_export(dataset, tmp_path, refused):
    dataset.set_values("ground_truth", [None] * len(dataset))
    with refused(dataset, "no tag of", "has a label in 'ground_truth'"):
        export_dataset(dataset, tmp_path / "out", "ground_truth", **QUIET)


def test_an_undo_removes_the_record_and_leaves_folder_and_dataset(dataset, tmp_path, everything):
    before = everything(dataset)
    key = export_dataset(dataset, tmp_path / "out", "ground_truth", format="fiftyone", **QUIET).run_key
    delete_run(dataset, key)
    after = everything(dataset)
    assert {**after, "files": None, "folder": None} == {**before, "files": None, "folder": None}
    assert (tmp_path / "out" / "labels.csv").exists()
