"""export_dataset: what FiftyOne reads back is what was exported, the manifest says where each came from, and a
broken export leaves nothing."""

from __future__ import annotations

import csv
import errno
import os
from collections import Counter
from pathlib import Path

import fiftyone as fo
import pytest
from evenset import delete_run, export_dataset, list_runs, resume_run, review_labels, split_dataset
from evenset.workflows.data import export_folders
from evenset.workflows.exporting import images as image_copies
from evenset.workflows.exporting.file_names import folder_names, image_names, safe_name
from evenset.workflows.exporting.manifest import safe_cell

QUIET = dict(progress=False)


def manifest(folder):
    with Path(folder, "labels.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def content(dataset, field="ground_truth"):
    """Bytes of each image and its label: what an export must keep."""
    paths, labels = dataset.values(["filepath", f"{field}.label"])
    return Counter((Path(path).read_bytes(), label) for path, label in zip(paths, labels, strict=True))


@pytest.fixture
def read_back():
    """Datasets that FiftyOne imports from a folder."""
    made = []

    def read(folder, kind, **kwargs):
        made.append(fo.Dataset.from_dir(str(folder), dataset_type=kind, progress=False, **kwargs))
        return made[-1]

    yield read
    for dataset in made:
        dataset.delete()


KINDS = {
    "folders": fo.types.ImageClassificationDirectoryTree,
    "json": fo.types.FiftyOneImageClassificationDataset,
    "fiftyone": fo.types.FiftyOneDataset,
}


@pytest.mark.parametrize("format", KINDS)
def test_fiftyone_reads_back_each_split_image_by_image_and_label_by_label(digits, tmp_path, read_back, format):
    dataset = digits(120, labelled=100)
    split_dataset(dataset, "ground_truth", **QUIET)
    results = export_dataset(dataset, tmp_path / "out", "ground_truth", format=format, **QUIET)

    for tag in ("train", "val", "test"):
        again = read_back(tmp_path / "out" / tag, KINDS[format])
        assert content(again) == content(dataset.match_tags(tag))
    assert results.images == 100 and results.left_out == {"without a label": 20}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "README.md",
        "labels.csv",
        "test",
        "train",
        "val",
    ]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_without_splits_all_are_in_one_folder_and_fiftyones_format_keeps_every_field(digits, tmp_path, read_back):
    dataset = digits(40, labelled=30)
    dataset.limit(5).tag_samples("mine")
    before = fo.list_datasets()
    export_dataset(dataset, tmp_path / "out", "ground_truth", format="fiftyone", **QUIET)
    assert fo.list_datasets() == before
    again = read_back(tmp_path / "out", fo.types.FiftyOneDataset)
    assert content(again) == content(dataset.exists("ground_truth"))
    assert again.values("truth") == dataset.exists("ground_truth").values("truth")
    assert again.count_sample_tags() == {"mine": 5} and again.list_runs() == []
    assert dataset.values("filepath") == dataset.values("filepath") and Path(dataset.first().filepath).exists()


def test_csv_has_a_line_for_each_copied_image_which_fiftyone_reads_too(digits, tmp_path, read_back):
    dataset = digits(60, labelled=50)
    key = split_dataset(dataset, "ground_truth", **QUIET).run_key
    export_dataset(dataset, tmp_path / "out", "ground_truth", format="csv", **QUIET)
    rows = manifest(tmp_path / "out")
    by_id = {sample.id: sample for sample in dataset}

    assert len(rows) == 50 and list(rows[0]) == ["id", "file", "label", "origin", "confidence", "split", "run"]
    for row in rows:
        sample = by_id[row["id"]]
        assert row["label"] == sample.ground_truth.label and row["split"] in sample.tags
        assert (tmp_path / "out" / row["file"]).read_bytes() == Path(sample.filepath).read_bytes()
        assert (row["origin"], row["confidence"], row["run"]) == ("labelled", "", "")
    options = dict(data_path=str(tmp_path / "out"), labels_path="labels.csv", media_field="file", fields=["label"])
    again = read_back(tmp_path / "out", fo.types.CSVDataset, **options)
    assert Counter(again.values("label")) == Counter(dataset.exists("ground_truth").values("ground_truth.label"))
    readme = (tmp_path / "out" / "README.md").read_text()
    assert key in readme and "50 images were exported" in readme and "| all |" in readme


@pytest.fixture
def reviewed(suggestions, digit_files):
    """Ten suggestions: two of labelled samples, two seen, one corrected, one accepted in bulk, two left, one in review
    and accepted by force, one without a label."""
    dataset = suggestions(["cat"] * 10, ["own", "own", *[None] * 8])
    paths, _ = digit_files(10)
    dataset.set_values("filepath", paths)
    ids = dataset.values("id")
    dataset.set_values("auto_label.status", dict.fromkeys(ids[8:], "review"), key_field="id")
    review_labels(dataset.select(ids[2:4]), "auto_label", seen=True, **QUIET)
    review_labels(dataset.select(ids[4]), "auto_label", action="correct", label="dog", new_class=True, **QUIET)
    review_labels(dataset.select(ids[5]), "auto_label", **QUIET)
    review_labels(dataset.select(ids[8]), "auto_label", status="review", force=True, **QUIET)
    confidences = dataset.values("auto_label.confidence")
    dataset.set_values("auto_label.confidence", [0.91 if number == 6 else c for number, c in enumerate(confidences)])
    return dataset


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("labelled", {"labelled": ["own", "own"]}),
        ("reviewed", {"reviewed": ["cat", "cat", "dog"]}),
        ("accepted", {"accepted": ["cat", "cat", "cat"]}),
        ("unseen", {"unseen": ["cat"]}),
        ("labelled, reviewed", {"labelled": ["own", "own"], "reviewed": ["cat", "cat", "dog"]}),
        (["reviewed", "accepted"], {"reviewed": ["cat", "cat", "dog"], "accepted": ["cat", "cat", "cat"]}),
    ],
)
def test_only_the_wanted_labels_are_exported_with_their_origin(reviewed, tmp_path, labels, expected):
    ids = reviewed.values("id")
    results = export_dataset(reviewed, tmp_path / "out", "ground_truth", labels=labels, **QUIET)
    rows = manifest(tmp_path / "out")

    found = {}
    for row in rows:
        found.setdefault(row["origin"], []).append(row["label"])
    assert found == expected
    assert results.origins == {origin: len(names) for origin, names in expected.items()}
    left = {  # the two that auto_label accepted have no label of their own
        "with a label of your own": 2 * ("labelled" not in expected),
        "with a reviewed suggestion": 3 * ("reviewed" not in expected),
        "accepted in bulk": "accepted" not in expected,
        "accepted unseen although up for review": "unseen" not in expected,
        "without a label": 1 if "accepted" in expected else 3,
    }
    assert results.left_out == {reason: count for reason, count in left.items() if count}
    runs = {row["id"]: (row["run"], row["confidence"]) for row in rows}
    if "accepted" in expected:
        assert runs[ids[6]] == ("evenset_auto_label_1", "0.91")
        assert runs[ids[5]] == ("evenset_review_labels_3", "")
    if "reviewed" in expected:
        assert runs[ids[4]] == ("evenset_review_labels_2", "")


def test_accepted_suggestions_are_labels_in_fiftyones_format(reviewed, tmp_path, read_back):
    export_dataset(reviewed, tmp_path / "out", "ground_truth", labels="accepted", format="fiftyone", **QUIET)
    again = read_back(tmp_path / "out", fo.types.FiftyOneDataset)
    assert again.values("ground_truth.label") == ["cat"] * 3 and 0.91 in again.values("ground_truth.confidence")
    assert reviewed.count("ground_truth") == 7


def test_labels_accepted_in_bulk_are_counted_beside_missing_ones_with_the_argument_that_adds_them(reviewed, tmp_path):
    text = str(export_dataset(reviewed, tmp_path / "out", "ground_truth", **QUIET))
    assert "3 samples left out: without a label." in text
    assert "1 sample left out: accepted in bulk (labels='labelled, reviewed, accepted' exports them too)." in text
    assert "accepted unseen although up for review (labels='labelled, reviewed, unseen' exports" in text
    readme = (tmp_path / "out" / "README.md").read_text()
    assert "- 1 sample left out: accepted in bulk\n" in readme


def test_the_readme_has_settings_in_words(reviewed, tmp_path):
    review_labels(reviewed, "auto_label", labels={reviewed.last().id: "cat"}, **QUIET)
    export_dataset(reviewed, tmp_path / "out", "ground_truth", labels="labelled, accepted", **QUIET)
    readme = (tmp_path / "out" / "README.md").read_text()
    assert "  - labels: labelled, accepted\n" in readme and "  - new class: on\n" in readme
    assert not set("{}[]") & set(readme) and "=" not in readme.partition("## Runs")[2]


def test_synthetic_samples_are_left_out_unless_they_are_asked_for(digits, digit_files, tmp_path):
    dataset = digits(20, labelled=20)
    dataset.add_sample_field("synthetic", fo.EmbeddedDocumentField, embedded_doc_type=fo.DynamicEmbeddedDocument)
    for name in ("run", "nearest_real_id"):
        dataset.add_sample_field(f"synthetic.{name}", fo.StringField)
    made = fo.DynamicEmbeddedDocument(run="evenset_balance_classes_1")
    paths, _ = digit_files(3, seed=5)
    label = fo.Classification(label="0")
    dataset.add_samples(
        [
            fo.Sample(filepath=paths[0], tags=["synthetic"], synthetic=made, ground_truth=label),
            fo.Sample(filepath=paths[1], tags=["synthetic", "rejected"], synthetic=made),
        ],
        progress=False,
    )
    assert export_dataset(dataset, tmp_path / "a", "ground_truth", **QUIET).left_out == {"synthetic": 2}
    results = export_dataset(dataset, tmp_path / "b", "ground_truth", include_synthetic=True, **QUIET)
    assert results.origins == {"labelled": 20, "synthetic": 1} and results.left_out == {"synthetic": 1}
    (row,) = [row for row in manifest(tmp_path / "b") if row["origin"] == "synthetic"]
    assert row["run"] == "evenset_balance_classes_1"


def test_class_names_become_folders_that_every_file_system_tells_apart(digit_files, make_dataset, tmp_path, read_back):
    names = ["a/b", "a%2Fb", "Cat", "cat", "..", ".hidden", "_unlabeled", "CON", "x.", "=1+1", "ünï", "a|b*_c"]
    paths, _ = digit_files(len(names))
    dataset = make_dataset(paths, names)
    results = export_dataset(dataset, tmp_path / "out", "ground_truth", **QUIET)

    folders = folder_names(sorted(names))
    assert len({folder.casefold() for folder in folders.values()}) == len(names)
    assert folders["a/b"] == "a%2Fb" and folders["Cat"] == "Cat" and folders["cat"] == "cat-2"
    again = read_back(tmp_path / "out", fo.types.ImageClassificationDirectoryTree)
    assert sorted(again.values("ground_truth.label")) == sorted(folders.values())
    rows = manifest(tmp_path / "out")
    assert {row["label"].lstrip("'") for row in rows} == set(names)
    assert all((tmp_path / "out" / row["file"]).is_file() for row in rows)
    assert any("folder of another name" in note for note in results.notes)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir() and "digits" not in path.name) == ["out"]


def test_files_of_one_name_get_numbers_also_where_only_case_or_ending_differs(tmp_path):
    paths = ["/a/x.png", "/b/x.png", "/c/X.PNG", "/d/x.jpg", "/e/x-2.png", "/f/.x.png"]
    assert image_names(paths) == ["x.png", "x-2.png", "X-3.PNG", "x-4.jpg", "x-2-2.png", "%2Ex.png"]
    assert len(safe_name("x" * 5000 + ".png").encode()) <= 150 and safe_name("x" * 5000 + ".png").endswith(".png")


@pytest.mark.parametrize("format", ["folders", "json", "csv", "fiftyone"])
def test_images_of_one_name_are_all_exported(digit_files, make_dataset, tmp_path, format):
    first, labels = digit_files(10)
    second, more = digit_files(10, seed=1)
    dataset = make_dataset([*first, *second], [*labels, *more])
    results = export_dataset(dataset, tmp_path / "out", "ground_truth", format=format, **QUIET)
    rows = manifest(tmp_path / "out")
    paths = dict(zip(*dataset.values(["id", "filepath"]), strict=True))
    assert len({row["file"] for row in rows}) == 20 and "10 files have another name here" in str(results)
    for row in rows:
        assert (tmp_path / "out" / row["file"]).read_bytes() == Path(paths[row["id"]]).read_bytes()


def test_no_spreadsheet_executes_a_label_and_numbers_stay(digit_files, make_dataset, tmp_path):
    names = ["=cmd|' /C calc'!A0", "+1", "-1", "@x", "plain", "-x"]
    paths, _ = digit_files(len(names))
    dataset = make_dataset(paths, names)
    results = export_dataset(dataset, tmp_path / "a", "ground_truth", format="csv", **QUIET)
    assert [row["label"] for row in manifest(tmp_path / "a")] == [
        "'=cmd|' /C calc'!A0",
        "+1",
        "-1",
        "'@x",
        "plain",
        "'-x",
    ]
    assert any("3 labels begin with = + - or @" in note for note in results.notes)
    export_dataset(dataset, tmp_path / "b", "ground_truth", format="csv", escape_formulas=False, **QUIET)
    assert [row["label"] for row in manifest(tmp_path / "b")] == names
    assert safe_cell("\t=1") == "'\t=1"


def test_images_that_cannot_be_read_are_left_out_and_listed(digits, tmp_path):
    dataset = digits(30, labelled=30)
    gone, broken, *_ = dataset
    os.unlink(gone.filepath)
    Path(broken.filepath).write_bytes(b"\x89PNG not really")
    results = export_dataset(dataset, tmp_path / "out", "ground_truth", **QUIET)
    assert set(results.skipped) == {gone.id, broken.id} and results.images == len(manifest(tmp_path / "out")) == 28
    assert "- 2 images left out: cannot be read" in (tmp_path / "out" / "README.md").read_text()
    results = export_dataset(dataset, tmp_path / "raw", "ground_truth", decode_images=False, **QUIET)
    assert set(results.skipped) == {gone.id}


def test_no_readable_image_is_refused_and_leaves_nothing(clusters, tmp_path):
    with pytest.raises(ValueError, match="none of the 60 images can be read, the first because /nowhere"):
        export_dataset(clusters(60, 60), tmp_path / "out", "ground_truth", **QUIET)
    assert list(tmp_path.iterdir()) == []


def test_folders_that_cannot_be_used_are_refused_by_name(digits, tmp_path, refused):
    dataset = digits(20, labelled=20)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name, words in {
        "full": "is not empty: choose a new folder",
        "file": "is a file or a link",
        "no/where": "does not exist: make that first",
        "x" * 250: "a name of more than 200 bytes",
        "\ud800": "",
    }.items():
        with refused(dataset, "folder", words):
            export_dataset(dataset, str(tmp_path / name), "ground_truth", **QUIET)
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    assert export_dataset(dataset, tmp_path / "empty", "ground_truth", **QUIET).images == 20


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (dict(labels="all"), ["labels has to be some of labelled, reviewed, accepted, unseen, not 'all'"]),
        (dict(labels="accepted"), ["has a label in 'ground_truth' that is accepted", "name other labels"]),
        (dict(suggestions="truth"), ["'truth'"]),
        (dict(splits="train, val"), ["none of the 20 samples", "splits (train, val)", "split_dataset"]),
        (dict(splits=" "), ["splits has to be tags"]),
        (dict(format="tfrecord"), ["format has to be one of auto, folders, fiftyone, csv, json, coco"]),
        (dict(label_field="truth"), ["'truth'", "fo.Classification"]),
    ],
)
def test_bad_arguments_are_refused(digits, tmp_path, refused, arguments, words):
    dataset = digits(30, labelled=20)
    with refused(dataset, *words):
        export_dataset(dataset, tmp_path / "out", **{"label_field": "ground_truth", **arguments}, **QUIET)
    assert not (tmp_path / "out").exists()


def test_a_sample_in_two_splits_is_refused(digits, tmp_path, refused):
    dataset = digits(30, labelled=30)
    dataset.limit(2).tag_samples(["a", "b"])
    with refused(dataset, f"sample {dataset.first().id} has the tags 'a' and 'b' of splits"):
        export_dataset(dataset, tmp_path / "out", "ground_truth", splits=["a", "b"], **QUIET)


def test_tags_of_the_users_own_can_be_splits_and_none_is_one_folder(digits, tmp_path):
    dataset = digits(30, labelled=30)
    split_dataset(dataset, "ground_truth", **QUIET)
    dataset.limit(12).tag_samples("fold/1")
    results = export_dataset(dataset, tmp_path / "a", "ground_truth", splits="fold/1", **QUIET)
    assert results.images == 12 and results.left_out == {"in none of the splits": 18}
    assert (tmp_path / "a" / "fold%2F1").is_dir() and {row["split"] for row in manifest(tmp_path / "a")} == {"fold/1"}
    results = export_dataset(dataset, tmp_path / "b", "ground_truth", splits="none", **QUIET)
    assert results.images == 30 and not (tmp_path / "b" / "train").exists()


@pytest.mark.parametrize("moment", ["copying images", "writing labels", "finishing"])
def test_an_export_that_breaks_off_leaves_nothing_and_can_be_resumed(digits, tmp_path, moment):
    dataset = digits(30, labelled=30)
    place = tmp_path / "place"
    place.mkdir()

    def break_off(phase, done, total, note):
        if phase == moment:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_dataset(dataset, place / "out", "ground_truth", progress=break_off)
    assert list(place.iterdir()) == []
    assert resume_run(dataset, "evenset_export_dataset_1", progress=False).images == 30
    assert [path.name for path in place.iterdir()] == ["out"]


def test_a_full_disk_is_said_and_leaves_nothing(digits, tmp_path, monkeypatch):
    dataset = digits(30, labelled=30)
    place = tmp_path / "place"
    place.mkdir()
    real, written = Path.write_bytes, []

    def write_bytes(path, content):
        written.append(path)
        if len(written) > 9 and place in path.parents:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, content)

    monkeypatch.setattr(image_copies.Path, "write_bytes", write_bytes)
    with pytest.raises(OSError, match="disk of .* is full: 30 images did not fit"):
        export_dataset(dataset, place / "out", "ground_truth", **QUIET)
    assert list(place.iterdir()) == []


def test_too_little_room_is_refused_before_anything_is_copied(digits, tmp_path, monkeypatch, refused):
    monkeypatch.setattr(image_copies.shutil, "disk_usage", lambda path: type("Usage", (), dict(free=10)))
    with refused(dataset := digits(20, labelled=20), "folder", "MB free: make room"):
        export_dataset(dataset, tmp_path / "out", "ground_truth", **QUIET)


def test_an_undo_removes_the_record_and_leaves_the_folder(digits, tmp_path, everything):
    dataset = digits(20, labelled=20)
    before = everything(dataset)
    key = export_dataset(dataset, tmp_path / "out", "ground_truth", **QUIET).run_key
    assert list_runs(dataset).rows[0]["state"] == "done"

    undone = delete_run(dataset, key)

    assert undone.left == [f"the exported folder {tmp_path / 'out'} stays: delete it by hand"]
    after = everything(dataset)
    assert {**after, "files": [], "folder": None} == {**before, "files": [], "folder": None}
    assert len(manifest(tmp_path / "out")) == 20


def test_the_readme_has_counts_runs_and_flags_but_no_place_on_this_machine(digits, tmp_path):
    dataset = digits(40, labelled=40)
    results = split_dataset(dataset, "ground_truth", seed=7, **QUIET)
    exported = export_dataset(dataset, tmp_path / "out", "ground_truth", **QUIET)
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")

    totals = [sum(row[tag] for row in exported.rows) for tag in ("train", "val", "test")]
    assert totals == [*results.counts.values()] and f"| all | {' | '.join(map(str, totals))} |" in text
    assert f"`{results.run_key}`" in text and "  - seed: 7\n" in text and f"fiftyone {fo.__version__}" in text
    assert str(tmp_path) not in text and "licences of their sources" in text
    assert text.count("fo.Dataset.from_dir(") == 3


@pytest.mark.slow
def test_what_a_killed_export_left_goes_with_its_run(digits, tmp_path, elsewhere):
    dataset = digits(30, labelled=30)
    place = tmp_path / "place"
    place.mkdir()
    process = elsewhere(f"""
        import os, evenset, fiftyone as fo

        def kill(phase, done, total, note):
            if phase == "writing labels":
                os._exit(9)

        evenset.export_dataset(
            fo.load_dataset({dataset.name!r}), {str(place / "out")!r}, "ground_truth", progress=kill
        )
    """)
    assert process.wait(timeout=300) == 9, process.stderr.read()
    (left,) = place.iterdir()
    assert left.name.startswith(".out.evenset_export_dataset_1-") and list(left.rglob("*.png"))
    (left / "sub").mkdir()

    delete_run(dataset, "evenset_export_dataset_1")

    assert list(place.iterdir()) == []


def test_a_folder_without_the_mark_of_the_run_is_never_removed(digits, tmp_path):
    dataset = digits(20, labelled=20)
    key = export_dataset(dataset, tmp_path / "out", "ground_truth", **QUIET).run_key
    (tmp_path / ".mine").mkdir()
    (tmp_path / ".mine" / "photo.png").write_text("mine")
    export_folders.remove_unfinished(dataset, key, [str(tmp_path / ".mine"), str(tmp_path / "out"), "/"])
    assert (tmp_path / ".mine" / "photo.png").exists() and len(manifest(tmp_path / "out")) == 20
