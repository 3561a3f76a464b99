"""check_dataset finds what was planted, exactly; a clean dataset is left in peace, and an undo leaves no trace."""

from __future__ import annotations

from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from evenset import check_dataset, delete_run, list_runs, load_results, resume_run
from evenset.models.errors import ImageError
from evenset.tests.workflows.planted_photos import blurred, scaled, tiles, write, write_tiles
from evenset.workflows.checking import measuring
from evenset.workflows.runs.run import RunStopped

QUIET = dict(progress=False)


@pytest.fixture
def photos(tmp_path, make_dataset):
    """photos(more={}, labels=None): 30 different photographs, then a file each: name -> image, or bytes."""

    def make(more=None, labels=None):
        folder = tmp_path / "photos"
        paths = write_tiles(folder)
        for name, content in (more or {}).items():
            if isinstance(content, bytes):
                (folder / name).write_bytes(content)
            path = str(folder / name)
            paths.append(path if isinstance(content, bytes) else write(folder, content, name))
        return make_dataset(paths, labels)

    return make


def names_of(dataset, problem, field="check"):
    """The file names of the samples that have a problem."""
    return sorted(Path(path).name for path in dataset.match({f"{field}.problems": problem}).values("filepath"))


def test_what_was_planted_is_found_and_nothing_else(photos, tmp_path):
    pieces = tiles()
    exact = (tmp_path / "original.png", pieces[1])
    exact[1].save(exact[0])
    dataset = photos(
        {
            "damaged.png": exact[0].read_bytes()[:700],
            "copy.png": exact[0].read_bytes(),
            "encoded.jpg": pieces[3],
            "resized.png": pieces[5].resize((60, 60)),
            "cropped.png": pieces[7].crop((4, 3, 97, 98)),
            "mirrored.jpg": pieces[20].transpose(0).resize((80, 80)),
            "dark.png": scaled(pieces[9].transpose(1), 0.1),
            "bright.png": scaled(pieces[11].transpose(1), 0.1, 225),
            "gray.png": scaled(pieces[2].transpose(1), 0.2, 100),
            "blurred.png": blurred(pieces[14].transpose(1), 3),
            "tiny.png": pieces[16].transpose(1).resize((12, 12)),
            "long.png": pieces[18].transpose(1).crop((0, 0, 100, 25)).resize((400, 100)),
        }
    )

    results = check_dataset(dataset, **QUIET)

    assert names_of(dataset, "unreadable") == ["damaged.png"]
    assert names_of(dataset, "exact duplicate") == ["001.png", "copy.png"]
    near = ["003.png", "005.png", "007.png", "020.png", "cropped.png", "encoded.jpg", "mirrored.jpg", "resized.png"]
    assert names_of(dataset, "near duplicate") == near
    assert names_of(dataset, "dark") == ["dark.png"]
    assert "bright.png" in names_of(dataset, "bright") and len(names_of(dataset, "bright")) <= 2  # a sunlit wall
    assert (
        {"dark.png", "gray.png", "bright.png"}
        <= set(names_of(dataset, "low contrast"))
        <= {*("dark.png", "gray.png", "bright.png", "long.png")}
    )
    assert "blurred.png" in names_of(dataset, "blurred")
    assert set(names_of(dataset, "blurred")) <= {"blurred.png", "long.png"}  # which was enlarged
    assert names_of(dataset, "tiny") == ["tiny.png"]
    assert names_of(dataset, "odd shape") == ["long.png"]
    assert "label conflict" not in results.counts and "split leak" not in results.counts
    assert results.counts["near duplicate"] == 8 and results.samples == 42
    (damaged,) = results.unreadable
    assert "damaged.png" in results.unreadable[damaged] and dataset[damaged].check.reason == results.unreadable[damaged]
    row = {row["problem"]: row for row in results.rows}["near duplicates"]
    assert (row["samples"], row["groups"], row["view"]) == (8, 4, "check: near duplicates")
    assert "similarity from 0.9" in row["limit"] and "redundant" in row["remedy"]
    assert "of 42 samples have a problem" in str(results)
    lines = str(results).splitlines()
    found = [row["problem"] for row in results if row["samples"]]
    assert all(sum(line.startswith(name) for line in lines) == 1 for name in found)
    assert sum(line.startswith("nothing else: ") for line in lines) == (len(found) < len(results.rows))


def test_members_of_a_group_stand_side_by_side_and_one_of_each_is_kept(photos):
    pieces = tiles()
    dataset = photos({f"copy {number}.png": pieces[number].resize((60, 60)) for number in (2, 5, 8)})

    check_dataset(dataset, bright_above=0.95, **QUIET)

    view = dataset.load_saved_view("check: near duplicates")
    numbers = view.values("check.group")
    assert numbers == [1, 1, 2, 2, 3, 3]
    kept = view.match({"check.redundant": False}).values("filepath")
    assert [Path(path).name for path in kept] == ["002.png", "005.png", "008.png"]  # the larger ones
    assert dataset.match({"check.redundant": True}).count() == 3
    assert dataset.list_saved_views() == ["check: near duplicates"]


def test_duplicates_with_different_labels_and_spellings_of_one_label(photos):
    pieces = tiles()
    labels = ["cat"] * 28 + ["Cat", "cat "] + ["dog", "Cat"]
    dataset = photos({"dog.jpg": pieces[4], "same.jpg": pieces[6]}, labels)

    results = check_dataset(dataset, label_field="ground_truth", **QUIET)

    assert names_of(dataset, "label conflict") == ["004.png", "dog.jpg"]  # "Cat" and "cat" are the same
    assert names_of(dataset, "label spelling") == ["028.png", "029.png", "same.jpg"]
    assert results.counts["label conflict"] == 2 and results.counts["label spelling"] == 3
    assert "Spellings of one label: 'cat' (28), 'Cat' (2), 'cat ' (1)." in results.notes
    assert dataset.load_saved_view("check: spellings of one label").count() == 3


@pytest.mark.parametrize("by", ["tags", "field"])
def test_duplicates_in_several_splits_are_leaks(photos, by):
    pieces = tiles()
    dataset = photos({"near.jpg": pieces[0], "inside.png": pieces[2].resize((60, 60)), "none.png": pieces[4]})
    splits = ["train"] * 20 + ["test"] * 10 + ["test", "train", None]
    if by == "tags":
        dataset.set_values("tags", [[name, "mine"] if name else [] for name in splits])
        dataset[dataset.values("id")[9]].tags = ["train", "test"]
        dataset.match({"filepath": {"$regex": "009.png"}}).tag_samples("test")
    else:
        dataset.set_values("part", splits)

    results = check_dataset(dataset, splits=["train", "test"] if by == "tags" else "part", **QUIET)

    both = ["009.png"] if by == "tags" else []
    assert names_of(dataset, "split leak") == ["000.png", *both, "near.jpg"]
    assert results.counts["split leak"] == 2 + len(both)
    assert results.splits == (["train", "test"] if by == "tags" else "part")


def test_vectors_propose_pairs_that_thumbnails_do_not_and_thumbnails_confirm_them(photos):
    dataset = photos({"copy.jpg": tiles()[3]})
    vectors = np.random.default_rng(0).normal(size=(31, 16))
    vectors[30] = vectors[3] + 0.01
    vectors[8] = vectors[9]  # the same vector, but another picture
    dataset.set_values("vector", list(vectors))

    results = check_dataset(dataset, **QUIET)

    assert names_of(dataset, "near duplicate") == ["003.png", "copy.jpg"]
    assert "Near duplicates were sought among the nearest images by vector and by thumbnails." in results.notes
    by_pixels = check_dataset(dataset, embeddings=None, output_field="again", **QUIET)
    assert "Near duplicates were sought among the nearest images by thumbnails." in by_pixels.notes
    assert names_of(dataset, "near duplicate", "again") == ["003.png", "copy.jpg"]


def test_clean_digits_are_left_in_peace(digits):
    dataset = digits(600)

    results = check_dataset(dataset, label_field="ground_truth", **QUIET)

    assert results.flagged <= 6
    assert sum(results.counts.values()) <= 6


def test_a_dataset_of_which_nothing_is_wrong_says_so(photos):
    dataset = photos()

    results = check_dataset(dataset, bright_above=0.95, **QUIET)

    assert results.flagged == 0 and results.views == {} and dataset.list_saved_views() == []
    assert "nothing is wrong with the 30 samples" in str(results)
    assert "\nnothing of these: unreadable, exact duplicates, " in str(results) and len(str(results).splitlines()) == 5
    assert dataset.first().check.problems == [] and dataset.first().check.brightness > 0


def test_results_load_as_they_were(photos):
    dataset = photos({"copy.jpg": tiles()[3]})
    results = check_dataset(dataset, **QUIET)
    saved = load_results(dataset, results.run_key)
    values = saved if isinstance(saved, dict) else vars(saved)
    assert {name: values[name] for name in vars(results) if name != "run_key"} == {
        name: value for name, value in vars(results).items() if name != "run_key"
    }


def test_tags_are_added_and_an_undo_removes_no_other(photos, everything):
    dataset = photos({"one.jpg": tiles()[3], "two.jpg": tiles()[5]})
    dataset.select(dataset.values("id")[3]).tag_samples("check: near duplicate")  # by a person
    dataset.tag_samples("mine")
    dataset.save_view("mine", dataset.limit(2))
    before = everything(dataset)

    results = check_dataset(dataset, tags=True, **QUIET)

    assert dataset.count_sample_tags()["check: near duplicate"] == 4
    undone = delete_run(dataset, results.run_key)
    assert undone.tags > 3 and "tags" in str(undone)
    assert everything(dataset) == before


def test_a_stopped_run_goes_on_where_it_was_and_ends_with_the_same_field(photos, everything, monkeypatch):
    dataset = photos({"copy.jpg": tiles()[3]})
    monkeypatch.setattr(measuring, "BLOCK_IMAGES", 16)
    before = everything(dataset)
    seen = []

    def stop(phase, done, total, note):
        seen.append((phase, done))
        if done == 31:
            raise RunStopped("enough")

    with pytest.raises(RunStopped):
        check_dataset(dataset, tags=True, progress=stop)
    stopped = everything(dataset)
    assert all(stopped[part] == before[part] for part in ("schema", "samples", "views", "app"))
    (key,) = stopped["runs"]
    counts = []
    results = resume_run(dataset, key, progress=lambda phase, done, total, note: counts.append((phase, done)))

    assert min(done for phase, done in counts if phase == "looking at images") > 16
    whole = check_dataset(dataset, output_field="whole", **QUIET)
    assert results.counts == whole.counts
    assert [doc.problems for doc in dataset.values("check")] == [doc.problems for doc in dataset.values("whole")]
    for run in (whole, results):
        delete_run(dataset, run.run_key)
    assert everything(dataset) == before


def test_samples_deleted_before_a_resume_are_not_measured_again(photos, monkeypatch):
    dataset = photos()
    monkeypatch.setattr(measuring, "BLOCK_IMAGES", 8)

    def stop(phase, done, total, note):
        if phase == "searching for near duplicates":
            raise RunStopped("enough")

    with pytest.raises(RunStopped):
        check_dataset(dataset, progress=stop)
    dataset.delete_samples(dataset.values("id")[::5])
    for path in dataset.values("filepath"):
        Path(path).unlink()

    results = resume_run(dataset, list_runs(dataset).rows[0]["key"], progress=False)

    assert results.samples == 24 and results.counts["unreadable"] == 0


def test_synthetic_samples_are_left_out(photos):
    dataset = photos({"generated.png": tiles()[3]})
    dataset.add_sample_field("synthetic", fo.EmbeddedDocumentField, embedded_doc_type=fo.DynamicEmbeddedDocument)
    dataset.skip(30).tag_samples("synthetic")

    results = check_dataset(dataset, **QUIET)

    assert (results.synthetic, results.samples, results.counts["near duplicate"]) == (1, 30, 0)
    assert "1 synthetic sample was left out." in results.notes


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (dict(splits="part"), "has no field 'part': name a field whose values are the splits, or list two tags"),
        (dict(splits=["train", "test"]), "splits: no sample has the tag 'test': the tags are train"),
        (dict(splits=["train"]), "splits has to be a field, or two tags or more, not ['train']"),
        (dict(splits="same"), "splits: the field 'same' has one value, 'train', in these samples"),
        (dict(splits="many"), "splits: the field 'many' holds ListField: it needs one value a sample"),
        (dict(splits=5), "splits has to be a list of tags, a field or None, not 5"),
        (dict(label_field="labels"), "has no field 'labels'"),
        (dict(output_field="same"), "the field 'same' exists: choose another output_field"),
        (dict(embeddings="nothing"), "'nothing' is neither a field"),
        (dict(dark_below=2.0), "dark_below has to be from 0 to 1, not 2.0"),
    ],
)
def test_a_bad_argument_is_refused(photos, everything, arguments, sentence):
    dataset = photos()
    dataset.tag_samples("train")
    dataset.set_values("same", ["train"] * 30)
    dataset.set_values("many", [["train"]] * 30)
    before = everything(dataset)

    with pytest.raises(ValueError) as error:
        check_dataset(dataset, **arguments, **QUIET)

    assert sentence in str(error.value) and everything(dataset) == before


def test_what_cannot_be_checked_is_refused(make_dataset, tmp_path):
    with pytest.raises(ValueError, match="is empty"):
        check_dataset(make_dataset([]), **QUIET)
    with pytest.raises(ValueError, match="'video'"):
        check_dataset(make_dataset([tmp_path / "film.mp4"]), **QUIET)
    dataset = make_dataset([f"/nowhere/{number}.png" for number in range(3)])
    with pytest.raises(ImageError, match="none of the 3 images can be read, the first because .* does not exist"):
        check_dataset(dataset, **QUIET)
    dataset.reload()
    assert not dataset.has_sample_field("check")
