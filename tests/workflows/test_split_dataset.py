"""split_dataset: exact counts, no leak by duplicates, groups or synthetic samples, and an undo that leaves no trace."""

from __future__ import annotations

from collections import Counter

import fiftyone as fo
import numpy as np
import pytest
from evenset import delete_run, list_runs, resume_run, split_dataset
from evenset.workflows.data import items, sample_tags
from evenset.workflows.data.folders import run_folder
from PIL import Image

QUIET = dict(progress=False)
TAGS = ("train", "val", "test")


def side(dataset, *ids):
    """Tags of a split that these samples have, a text each."""
    tags = dict(zip(*dataset.values(["id", "tags"]), strict=True))
    return ["+".join(tag for tag in TAGS if tag in tags[i]) for i in ids]


def counts(dataset):
    return {tag: Counter(items.values(dataset.match_tags(tag), ["id", "ground_truth.label"])[1]) for tag in TAGS}


def labelled(dataset, is_labelled=True):
    """The samples with a label, or without."""
    rows = zip(*items.values(dataset, [items.SAMPLE_ID, "ground_truth.label"]), strict=True)
    return dataset.select([i for i, label in rows if (label is not None) == is_labelled])


def label_of(noun, name):
    """A sample's label, or a box around the whole image."""
    if noun == items.SAMPLE:
        return name and fo.Classification(label=name)
    return fo.Detections(detections=[fo.Detection(label=name, bounding_box=[0, 0, 1, 1])])


def scan(noun, digits):
    """300 digits, of which each of the ten classes has twenty labelled ones."""
    dataset = digits(300, labelled=0)
    left = Counter({str(digit): 20 for digit in range(10)})
    labels = []
    for truth in dataset.values("truth"):
        left[truth] -= 1
        labels.append(label_of(noun, truth if left[truth] >= 0 else None))
    kind = fo.Classification if noun == items.SAMPLE else fo.Detections
    dataset.delete_sample_field("ground_truth")
    dataset.add_sample_field("ground_truth", fo.EmbeddedDocumentField, embedded_doc_type=kind)
    dataset.set_values("ground_truth", labels)
    return dataset


@pytest.fixture
def scans(digits):
    """Each sample has one label, or none."""
    return lambda: scan(items.SAMPLE, digits)


@pytest.fixture
def labelled_scans(noun, digits):
    """The same, and with a box in each sample."""
    return scan(noun, digits)


def test_each_class_is_split_in_the_fractions_and_the_rest_gets_no_tag(labelled_scans, noun):
    dataset = labelled_scans
    results = split_dataset(dataset, "ground_truth", **QUIET)

    assert counts(dataset) == {
        "train": Counter({str(k): 16 for k in range(10)}),
        "val": Counter({str(k): 2 for k in range(10)}),
        "test": Counter({str(k): 2 for k in range(10)}),
    }
    assert results.counts == {"train": 160, "val": 20, "test": 20} and results.added == 200
    assert results.rows[0] == {"class": "0", "train": 16, "val": 2, "test": 2} and len(results.rows) == 10
    assert results.missing == {} and results.skipped == {}
    assert f"100 {'samples' if noun == 'sample' else 'boxes'} without a label got no tag" in str(results)
    assert list_runs(dataset).rows[0]["key"] == results.run_key == "evenset_split_dataset_1"


def test_an_undo_leaves_no_trace_and_the_users_own_tags(labelled_scans, everything):
    dataset = labelled_scans
    dataset.limit(20).tag_samples("mine")
    before = everything(dataset)
    key = split_dataset(dataset, "ground_truth", **QUIET).run_key

    undone = delete_run(dataset, key)

    assert undone.tags == 200 and "200 tags" in str(undone)
    after = everything(dataset)
    assert {**after, "files": [], "folder": None} == {**before, "files": [], "folder": None}


def test_tags_that_others_gave_since_stay_and_are_named(labelled_scans):
    dataset = labelled_scans
    key = split_dataset(dataset, "ground_truth", **QUIET).run_key
    (other,) = labelled(dataset, False).limit(1).values("id")
    dataset.select(other).tag_samples("val")
    dataset.match_tags("train").limit(5).untag_samples("train")

    undone = delete_run(dataset, key)

    assert undone.tags == 195 and side(dataset, other) == ["val"]
    assert undone.left == [f"1 sample keeps the tag 'val', which {key} did not give"]
    assert dataset.count_sample_tags() == {"val": 1}


def test_duplicates_mirrored_copies_and_same_files_stay_on_one_side(labelled_scans, noun):
    dataset = labelled_scans
    pairs, samples = [], []
    for number, sample in enumerate(labelled(dataset).limit(24)):
        path, image = sample.filepath.replace(".png", "-copy.png"), Image.open(sample.filepath)
        if number % 3 == 0:
            image.save(path)
        elif number % 3 == 1:
            image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(path)
        else:
            path = sample.filepath
        samples.append(fo.Sample(filepath=path, ground_truth=sample.ground_truth.copy()))
        pairs.append(sample.id)
    copies = dataset.add_samples(samples, progress=False)

    results = split_dataset(dataset, "ground_truth", **QUIET)

    assert side(dataset, *pairs) == side(dataset, *copies)
    assert results.groups >= 24 and "of near-duplicates" in str(results)
    assert all(len(split) == 10 for split in counts(dataset).values())


def test_without_near_duplicates_only_the_same_file_counts_and_no_image_is_read(clusters):
    dataset = clusters(90, 90)  # its files do not exist
    first = dataset.first()
    (again,) = dataset.add_samples([fo.Sample(filepath=first.filepath, ground_truth=first.ground_truth.copy())])
    results = split_dataset(dataset, "ground_truth", near_duplicates=False, **QUIET)
    assert results.added == 91 and results.groups == 1 and results.skipped == {}
    assert side(dataset, first.id) == side(dataset, again)


def test_vectors_tell_near_duplicates_where_they_are_given(clusters):
    dataset = clusters(90, 90)
    twins = dataset.limit(12).values("id")
    copies = dataset.add_samples(
        [
            fo.Sample(
                filepath=f"/nowhere/{s.id}.png", ground_truth=s.ground_truth.copy(), vector=np.array(s.vector) * 3
            )
            for s in dataset.limit(12)
        ],
        progress=False,
    )
    for embeddings in ("vector", "auto"):
        results = split_dataset(dataset, "ground_truth", embeddings=embeddings, min_similarity=0.9999, **QUIET)
        assert side(dataset, *twins) == side(dataset, *copies) and results.groups == 12
        assert dataset.get_run_info(results.run_key).config.inputs["embeddings"] == "vector"
        delete_run(dataset, results.run_key)


def test_samples_of_one_group_stay_on_one_side_and_classes_stay_everywhere(labelled_scans):
    dataset = labelled_scans
    dataset.set_values("patient", [f"p{number // 4}" for number in range(300)])
    split_dataset(dataset, "ground_truth", group_field="patient", seed=3, **QUIET)

    sides = {}
    for patient, i in zip(*labelled(dataset).values(["patient", "id"]), strict=True):
        sides.setdefault(patient, set()).update(side(dataset, i))
    assert all(len(one) == 1 for one in sides.values())
    assert {tag for one in sides.values() for tag in one} == set(TAGS)
    assert all(len(split) == 10 for split in counts(dataset).values())


def test_one_group_of_all_is_refused(labelled_scans, refused):
    dataset = labelled_scans
    dataset.set_values("patient", ["p"] * 300)
    with refused(dataset, "patient", "all labelled samples"):
        split_dataset(dataset, "ground_truth", group_field="patient", **QUIET)


@pytest.fixture
def augmented(scans):
    """Two synthetic samples of each of the first 60 labelled ones, as balance_classes adds them."""

    def make():
        dataset = scans()
        dataset.add_sample_field("synthetic", fo.EmbeddedDocumentField, embedded_doc_type=fo.DynamicEmbeddedDocument)
        for name in ("run", "nearest_real_id"):
            dataset.add_sample_field(f"synthetic.{name}", fo.StringField)
        samples = []
        for number, real in enumerate(dataset.exists("ground_truth").limit(60)):
            for copy in range(2):
                path = real.filepath.replace(".png", f"-{copy}.png")
                noise = np.random.default_rng(2 * number + copy).integers(0, 255, (16, 16), dtype=np.uint8)
                Image.fromarray(noise).save(path)
                source = fo.DynamicEmbeddedDocument(run="evenset_balance_classes_1", nearest_real_id=real.id)
                label = fo.Classification(label=real.ground_truth.label)
                samples.append(fo.Sample(filepath=path, tags=["synthetic"], synthetic=source, ground_truth=label))
        samples[0].tags.append("rejected")
        dataset.add_samples(samples, progress=False)
        return dataset

    return make


def test_synthetic_samples_are_in_train_alone_and_only_where_their_source_is(augmented):
    dataset = augmented()
    results = split_dataset(dataset, "ground_truth", **QUIET)

    synthetic = dataset.match_tags("synthetic")
    usable = synthetic.match_tags("rejected", bool=False)
    expected = [
        "train" if source == "train" else "" for source in side(dataset, *usable.values("synthetic.nearest_real_id"))
    ]
    assert side(dataset, *usable.values("id")) == expected and 0 < expected.count("") < 60
    assert side(dataset, *synthetic.match_tags("rejected").values("id")) == [""]
    real = dataset.match_tags("synthetic", bool=False)
    assert [len(real.match_tags(tag)) for tag in TAGS] == [160, 20, 20]
    assert f"{expected.count('')} synthetic samples got no tag" in str(results)
    assert sum(row["synthetic"] for row in results.rows) == expected.count("train")


def test_classes_that_are_too_small_are_named_with_the_reason(digit_files, make_dataset):
    paths, _ = digit_files(28)
    labels = ["many"] * 20 + ["one"] + ["two"] * 2 + ["video"] * 5
    dataset = make_dataset(paths, labels)
    dataset.set_values("clip", [f"clip {number}" for number in range(23)] + ["clip 99"] * 5)
    results = split_dataset(dataset, "ground_truth", group_field="clip", **QUIET)

    assert results.missing == {
        "one": "none in val and test: it has 1 real sample that can be read",
        "two": "none in val: it has 2 real samples that can be read",
        "video": "none in val and test: its 5 real samples are in 1 group, which stays on one side",
    }
    assert counts(dataset)["test"] == Counter(many=2, two=1) and "Not in every part: one (none in val" in str(results)


def test_unlabelled_samples_are_split_too_where_that_is_asked_for(labelled_scans):
    dataset = labelled_scans
    results = split_dataset(dataset, "ground_truth", unlabelled="split", **QUIET)
    assert results.counts == {"train": 240, "val": 30, "test": 30}
    assert results.rows[-1] == {"class": "(no label)", "train": 80, "val": 10, "test": 10}


def test_a_part_of_fraction_0_gets_no_tag(scans):
    dataset = scans()
    results = split_dataset(dataset, "ground_truth", train=0.75, val=0, test=0.25, test_tag="exam", **QUIET)
    assert results.counts == {"train": 150, "test": 50} and results.tags == {"train": "train", "test": "exam"}
    assert dataset.count_sample_tags() == {"train": 150, "exam": 50}


def test_the_seed_fixes_the_split(scans):
    dataset = scans()

    def draw(seed):
        results = split_dataset(dataset, "ground_truth", seed=seed, **QUIET)
        ids = {tag: dataset.match_tags(tag).values("id") for tag in TAGS}
        delete_run(dataset, results.run_key)
        return ids

    first = draw(0)
    assert draw(0) == first and draw(1) != first


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (dict(train=0.8, val=0.2), ["train, val and test have to sum to 1, not 1.1"]),
        (dict(train=1.0, val=0, test=0), ["val and test are 0"]),
        (dict(train=0.9, val=-0.1, test=0.2), ["val has to be from 0 to 0.98"]),
        (dict(val_tag="Train"), ["train_tag, val_tag and test_tag have to differ"]),
        (dict(train_tag="synthetic"), ["'synthetic'", "choose another name"]),
        (dict(keep=True), ["keep extends a split", "leave keep out"]),
    ],
)
def test_bad_settings_are_refused(scans, refused, settings, words):
    with refused(dataset := scans(), *words):
        split_dataset(dataset, "ground_truth", **settings, **QUIET)


def test_no_labels_are_refused(digits, refused):
    with refused(dataset := digits(20, labelled=0), "no real sample has a label in 'ground_truth'"):
        split_dataset(dataset, "ground_truth", **QUIET)


def test_tags_that_are_taken_are_refused_with_the_remedy(labelled_scans, refused):
    dataset = labelled_scans
    dataset.limit(3).tag_samples("val")
    with refused(dataset, "3 samples have the tag 'val'", "keep=True", "val_tag"):
        split_dataset(dataset, "ground_truth", **QUIET)
    results = split_dataset(dataset, "ground_truth", val_tag="valid", **QUIET)
    with refused(dataset, "the tag 'train'", f"evenset.delete_run(dataset, '{results.run_key}')"):
        split_dataset(dataset, "ground_truth", **QUIET)
    delete_run(dataset, results.run_key)
    assert dataset.count_sample_tags() == {"val": 3}


def test_a_split_is_extended_to_new_samples_without_moving_the_old(labelled_scans, noun):
    dataset = labelled_scans
    first = split_dataset(dataset, "ground_truth", **QUIET)
    before = {tag: set(dataset.match_tags(tag).values("id")) for tag in TAGS}
    new = labelled(dataset, False)
    truth = new.values(["id", "truth"])
    dataset.set_values(
        "ground_truth", {i: label_of(noun, name) for i, name in zip(*truth, strict=True)}, key_field="id"
    )
    held_out = dataset.match_tags("test").first()
    (twin,) = dataset.add_samples(
        [fo.Sample(filepath=held_out.filepath, ground_truth=held_out.ground_truth.copy())], progress=False
    )
    view = dataset.select([*truth[0], twin])  # the new ones alone: the others are looked at all the same

    results = split_dataset(view, "ground_truth", keep=True, **QUIET)

    assert all(before[tag] <= set(dataset.match_tags(tag).values("id")) for tag in TAGS)
    assert side(dataset, twin) == ["test"] and results.added == 101
    assert sum(results.counts.values()) == 301 and abs(results.counts["train"] - 241) <= 6
    assert "200 samples kept the part of an earlier split" in str(results)
    undone = delete_run(dataset, results.run_key)
    assert undone.tags == 101 and {tag: set(dataset.match_tags(tag).values("id")) for tag in TAGS} == before
    assert delete_run(dataset, first.run_key).tags == 200 and dataset.count_sample_tags() == {}


def test_keep_refuses_a_sample_with_two_of_the_tags(labelled_scans, refused):
    dataset = labelled_scans
    split_dataset(dataset, "ground_truth", **QUIET)
    (both,) = dataset.match_tags("val").limit(1).values("id")
    dataset.select(both).tag_samples("train")
    with refused(dataset, f"sample {both} has the tags 'train' and 'val'"):
        split_dataset(dataset, "ground_truth", keep=True, **QUIET)


def test_images_that_cannot_be_read_get_no_tag_and_are_listed(labelled_scans, noun):
    dataset = labelled_scans
    bad = labelled(dataset).first()
    with open(bad.filepath, "wb") as file:
        file.write(b"no image")
    results = split_dataset(dataset, "ground_truth", **QUIET)
    assert list(results.skipped) == [bad.id] and side(dataset, bad.id) == [""] and results.added == 199


def test_a_split_that_breaks_off_leaves_no_tag_and_a_resume_ends_as_if_it_had_not(labelled_scans, monkeypatch):
    dataset = labelled_scans
    real, calls = sample_tags._tag, []

    def tag_once(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise RuntimeError("the power went")
        real(*arguments)

    monkeypatch.setattr(sample_tags, "_tag", tag_once)
    with pytest.raises(RuntimeError):
        split_dataset(dataset, "ground_truth", **QUIET)
    assert dataset.count_sample_tags() == {}
    results = resume_run(dataset, "evenset_split_dataset_1", progress=False)
    assert results.counts == {"train": 160, "val": 20, "test": 20} == dataset.count_sample_tags()


def test_tags_without_their_list_are_not_guessed(scans, refused):
    dataset = scans()
    key = split_dataset(dataset, "ground_truth", **QUIET).run_key
    (run_folder(dataset, key) / sample_tags.FILE).unlink()
    with refused(dataset, f"the tags that {key} gave cannot be told from others", f"dataset.delete_run('{key}')"):
        delete_run(dataset, key)
