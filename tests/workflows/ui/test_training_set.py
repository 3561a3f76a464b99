"""Labels outside the newest split, and whether something changed since the export."""

from __future__ import annotations

from evenset import balance_classes, delete_run, export_dataset, review_labels, split_dataset
from evenset.workflows.ui import overview
from evenset.workflows.ui.training_set import tagged, training_set

QUIET = dict(progress=False)


def look(dataset):
    return training_set(dataset, "ground_truth", overview.finished(dataset, "ground_truth"), has_synthetic=False)


def test_labels_that_come_after_the_split_are_counted_and_an_extension_takes_them(digits):
    import fiftyone as fo

    dataset = digits(n=60, size_px=8, labelled=40)
    assert (look(dataset).unsplit, look(dataset).extend) == (0, None)
    split_dataset(dataset, "ground_truth", val=0.0, test=0.2, near_duplicates=False, **QUIET)
    assert look(dataset).unsplit == 0
    late = dataset.skip(40).limit(3)
    late.set_values("ground_truth", [fo.Classification(label="1")] * 3)
    last = look(dataset)
    assert last.unsplit == 3 and (last.extend["keep"], last.extend["val"], last.extend["test"]) == (True, 0.0, 0.2)
    split_dataset(dataset, "ground_truth", **last.extend, **QUIET)
    assert look(dataset).unsplit == 0 and dataset.count_sample_tags().keys() == {"train", "test"}


def test_copies_of_training_images_are_in_no_part_until_the_split_is_extended(digits):
    dataset = digits(n=60, size_px=8, labelled=60)
    dataset.match({"truth": "9"}).skip(2).set_field("ground_truth", None).save()
    split_dataset(dataset, "ground_truth", val=0.0, test=0.2, near_duplicates=False, **QUIET)
    tag = look(dataset).train_tag
    added = balance_classes(tagged(dataset, tag), "ground_truth", source="augment", **QUIET).added
    assert tag == "train" and look(dataset).unsplit == added > 0

    dataset.match_tags("synthetic").limit(1).tag_samples("test")
    assert look(dataset).unsplit == added - 1
    dataset.match_tags("synthetic").untag_samples("test")
    split_dataset(dataset, "ground_truth", **look(dataset).extend, **QUIET)
    assert look(dataset).unsplit == 0


def test_what_changes_after_the_export_is_told(suggestions, tmp_path):
    dataset = suggestions(["cat", "dog", "cat"], ["cat", "dog", None])
    settings = dict(splits="none", decode_images=False, format="csv", **QUIET)
    for sample in dataset:
        (path := tmp_path / f"{sample.id}.png").write_bytes(b"image")
        sample["filepath"] = str(path)
        sample.save()
    assert not look(dataset).is_exported and look(dataset).export == {}
    export_dataset(dataset, tmp_path / "one", "ground_truth", **settings)
    assert look(dataset).is_exported
    key = review_labels(dataset, "auto_label", **QUIET).run_key
    last = look(dataset)
    assert not last.is_exported and last.export == dict(labels="labelled, reviewed, accepted")
    delete_run(dataset, key)
    assert look(dataset).is_exported
