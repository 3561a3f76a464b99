"""Bad files: images that cannot be read are skipped, counted and listed; checkpoints that do not fit are refused."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from evenset import auto_label, load_results, preprocess_images, train_resnet
from PIL import Image

QUICK = dict(size_px=8, epochs=1, min_updates=1, batch_size=16, augmentation="none", precision="fp32", progress=False)


def label(samples, **settings):
    return auto_label(samples, "ground_truth", **{**QUICK, "weights": "none", **settings})


def train(samples, **settings):
    return train_resnet(samples, "ground_truth", **{**QUICK, "weights": "none", **settings})


@pytest.fixture(
    params=[pytest.param(label, marks=pytest.mark.slow, id="auto_label"), pytest.param(train, id="train_resnet")]
)
def learn(request):
    """Each workflow that learns from images."""
    return request.param


def remove(path: Path):
    path.unlink()


def empty(path: Path):
    path.write_bytes(b"")


def cut(path: Path):
    path.write_bytes(path.read_bytes()[:-40])


def write_text(path: Path):
    path.write_text("no image at all")


def put_folder(path: Path):
    path.unlink()
    path.mkdir()


def enlarge(path: Path):
    with path.open("ab") as file:
        file.write(bytes(60_000))


def flip(path: Path):
    """One byte of a PNG's data: Pillow alone reads the rest of it as black, without a word."""
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 40] ^= 0xFF
    path.write_bytes(data)


def close_early(path: Path):
    """Half of a JPEG, with an end marker: libjpeg alone fills it up with gray."""
    file = io.BytesIO()
    Image.open(path).resize((64, 64)).save(file, "JPEG")
    data = file.getvalue()
    path.write_bytes(data[: len(data) - 300] + b"\xff\xd9")


def widen(path: Path):
    Image.new("L", (400, 50)).save(path)


BAD = [
    (remove, "does not exist"),
    (empty, "is empty (0 bytes)"),
    (cut, "is damaged or cut off"),
    (flip, "is damaged or cut off"),
    (close_early, "is damaged or cut off"),
    (write_text, "is not an image"),
    (put_folder, "is a folder"),
    (enlarge, "more than max_megabytes=0.05"),
    (widen, "400 x 50 pixels (0.02 megapixels), more than max_megapixels=0.01"),
]


def test_files_that_cannot_be_read_are_skipped_counted_and_listed(digits, learn):
    """Every kind of damage at once, to a labelled image (whose class it would teach) and to an unlabelled one."""
    dataset = digits(60, labelled=40)
    ids, paths, given = dataset.values(["id", "filepath", "ground_truth.label"])
    damaged = {}
    for number, (damage, words) in enumerate(BAD):
        for row in (number, 45 + number):
            damage(Path(paths[row]))
            damaged[row] = words

    results = learn(dataset, max_megabytes=0.05, max_megapixels=0.01, output_field="found")

    assert set(results.skipped) == {ids[row] for row in damaged}
    for row, words in damaged.items():
        assert paths[row] in results.skipped[ids[row]] and words in results.skipped[ids[row]]
    assert f"{len(damaged)} images could not be read" in str(results)
    assert load_results(dataset, results.run_key).skipped == results.skipped
    found = dataset.values("found.label")
    assert all(found[row] is not None for row in range(60) if row not in damaged)
    assert all(found[row] is None for row in damaged if row >= 45)
    assert dataset.values("ground_truth.label") == given


def test_a_label_whose_image_is_damaged_is_kept_and_not_learned(digits):
    dataset = digits(60, labelled=40)
    paths, given = dataset.values(["filepath", "ground_truth.label"])
    empty(Path(paths[0]))
    results = label(dataset)
    assert dataset.first().auto_label.label == given[0] and dataset.first().auto_label.status == "labelled"
    assert dataset.first().auto_label.margin is None
    assert (results.labelled, results.accepted + results.review) == (40, 20)


def test_where_no_labelled_image_can_be_read(digits, everything, learn):
    dataset = digits(30, labelled=20)
    before = everything(dataset)
    for path in dataset.limit(20).values("filepath"):
        empty(Path(path))
    with pytest.raises(ValueError, match="00000.png is empty"):
        learn(dataset)
    after = everything(dataset)
    for part in ("schema", "samples", "views", "app"):
        assert after[part] == before[part], part


@pytest.mark.slow
def test_samples_with_the_same_file_get_the_same_prediction(digits):
    """And they stay on one side: what trained on the one would be no test on the other."""
    dataset = digits(60, labelled=40)
    paths = dataset.values("filepath")
    dataset.set_values("filepath", paths[:20] + paths[:20] + paths[40:50] * 2)

    results = label(dataset)

    assert (results.samples, results.skipped) == (60, {})
    found = dataset.values(["auto_label.resnet_label", "auto_label.resnet_confidence"])
    assert [column[:20] for column in found] == [column[20:40] for column in found]
    assert [column[40:50] for column in found] == [column[50:] for column in found]


@pytest.mark.slow
def test_paths_with_spaces_unicode_and_links(digits, tmp_path, learn):
    dataset = digits(40, labelled=30)
    paths = [Path(path) for path in dataset.values("filepath")]
    plain = learn(dataset, output_field="plain")
    folder = tmp_path / "Bilder für Ünal – 写真 🙂" / "it's 50% [a b]*?"
    folder.mkdir(parents=True)
    shelf = tmp_path / "shelf"
    shelf.symlink_to(folder, target_is_directory=True)
    for number, path in enumerate(paths):
        target = folder / f"{number} – ñandú\n.png"
        if number % 2:
            target.symlink_to(path)  # a link to the file
        else:
            path.rename(target)
    dataset.set_values("filepath", [str(shelf / f"{number} – ñandú\n.png") for number in range(40)])

    results = learn(dataset, output_field="odd")

    assert plain.skipped == results.skipped == {}
    assert dataset.values("odd.label") == dataset.values("plain.label")
    assert dataset.values("odd.margin") == dataset.values("plain.margin")


@pytest.mark.slow
def test_a_link_that_leads_nowhere_or_in_a_circle_is_skipped(digits, tmp_path):
    dataset = digits(40, labelled=30)
    ids, paths = dataset.values(["id", "filepath"])
    for path, target in ((paths[0], tmp_path / "gone.png"), (paths[1], paths[1])):
        os.unlink(path)
        os.symlink(target, path)
    results = label(dataset)
    assert set(results.skipped) == set(ids[:2])
    assert paths[0] in results.skipped[ids[0]] and "gone.png, which does not exist" in results.skipped[ids[0]]
    assert paths[1] in results.skipped[ids[1]]


@pytest.mark.slow
def test_an_image_that_is_used_all_the_same_is_named_in_the_notes(digits, learn):
    """Values that stand for missing ones are clipped, wherever the image stands."""
    dataset = digits(60, labelled=40)
    rows = [3, 50]
    for row in rows:
        path = Path(dataset.values("filepath")[row])
        values = np.asarray(Image.open(path)).astype(np.float32)
        values[0, 0] = -9999
        Image.fromarray(values).save(path, "TIFF")

    results = learn(dataset)

    assert results.skipped == {}
    noted = [note for note in results.notes if "-9999" in note]
    assert sorted(note.partition(":")[0] for note in noted) == [dataset.values("filepath")[row] for row in rows]
    assert load_results(dataset, results.run_key).notes == results.notes


def test_copies_that_are_worth_a_look_are_listed(digits):
    """libjpeg warns of bytes behind the data of a JPEG, and names no file."""
    dataset = digits(6, labelled=0)
    path = Path(dataset.first().filepath)
    file = io.BytesIO()
    Image.open(path).save(file, "JPEG")
    data = file.getvalue()
    path.write_bytes(data[:-2] + bytes(range(1, 60)) + data[-2:])

    results = preprocess_images(dataset, progress=False)

    assert (results.written, results.skipped, list(results.doubtful)) == (6, {}, [dataset.first().id])
    assert str(path) in results.doubtful[dataset.first().id] and "extraneous bytes" in str(results.doubtful)
    assert "images to look at: 1, results.doubtful says why" in str(results)
    assert load_results(dataset, results.run_key).doubtful == results.doubtful


def test_a_path_of_a_cloud_says_that_files_have_to_be_local(digits):
    dataset = digits(40, labelled=30)
    ids = dataset.values("id")
    addresses = ["s3://bucket/a b.png", "gs://bucket/a.png", "https://host/a.png?size=5", "abfs://c@host/a.png"]
    addresses += ["file:///home/a.png", "az://bucket/a.png", "http://host/a.png"]
    for sample_id, address in zip(ids, addresses, strict=False):
        sample = dataset[sample_id]
        sample.filepath = address  # FiftyOne makes a path of it
        sample.save()

    skipped = label(dataset).skipped

    assert set(skipped) == set(ids[:7])
    for sample_id, address in zip(ids, addresses, strict=False):
        assert address.replace("///", "//") in skipped[sample_id] and "download the media first" in skipped[sample_id]
        assert "restore" not in skipped[sample_id]


# Checkpoints


def test_a_checkpoint_of_another_architecture(digits, refused, learn, tmp_path):
    from safetensors.torch import save_file
    from torchvision.models import resnet34

    path = tmp_path / "other.safetensors"
    save_file(resnet34(weights=None).state_dict(), path)
    dataset = digits(20, labelled=12)
    with refused(dataset, str(path), "does not fit resnet18", "layer1.2"):
        learn(dataset, weights=str(path))


def test_a_checkpoint_with_code_in_it_is_refused_and_the_code_does_not_run(digits, refused, learn, tmp_path):
    marker, path = tmp_path / "ran", tmp_path / "trap.pth"

    class Trap:
        def __reduce__(self):
            return Path.touch, (marker,)

    path.write_bytes(pickle.dumps({"state_dict": Trap()}, protocol=2))
    dataset = digits(20, labelled=12)
    with refused(dataset, str(path), "could run code", "state_dict()"):
        learn(dataset, weights=str(path))
    assert not marker.exists()
    pickle.loads(path.read_bytes())
    assert marker.exists()  # it was a trap indeed


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("gone.pth", None, "is not a file"),
        ("empty.pth", b"", "is damaged"),
        ("empty.safetensors", b"", "is damaged"),
        ("junk.safetensors", b"junk" * 99, "is damaged"),
        ("junk.pth", b"junk" * 99, "more than tensors"),
    ],
)
def test_a_checkpoint_that_is_missing_or_damaged(digits, refused, tmp_path, name, content, words):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    dataset = digits(20, labelled=12)
    with refused(dataset, str(path), words):
        train(dataset, weights=str(path))
