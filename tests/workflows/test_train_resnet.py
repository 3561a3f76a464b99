"""train_resnet on digits of 8 px: what it learns, writes and keeps, and that a kill changes none of it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from evenset import (
    auto_label,
    compare_methods,
    delete_run,
    find_mistakes,
    list_runs,
    load_results,
    resume_run,
    stop_run,
    train_gcn,
    train_resnet,
)
from evenset.models.classifiers import resnet, resnet_prediction
from evenset.models.images.reader import Images
from evenset.models.probabilities import softmax
from evenset.models.settings import ImageSettings, ResNetSettings
from evenset.workflows.training.partition import Split
from PIL import Image

SMALL = dict(
    size_px=8,
    epochs=2,
    min_updates=1,
    batch_size=16,
    augmentation="none",
    precision="fp32",
    weights="none",
    device="cpu",
)


def train(samples, **settings):
    return train_resnet(samples, "ground_truth", **{"progress": False, **SMALL, **settings})


def folder_of(dataset, key: str) -> Path:
    import fiftyone as fo

    return Path(fo.config.default_dataset_dir) / "evenset" / str(dataset._doc.id) / key


def parts_of(dataset, results) -> np.ndarray:
    with np.load(folder_of(dataset, results.run_key) / "parts.npz") as kept:
        assert kept["ids"].tolist() == dataset.values("id")
        return kept["parts"]


def test_it_learns_digits_and_predicts_every_sample(digits):
    dataset = digits(n=300, size_px=8, labelled=240)
    given = dataset.values("ground_truth.label")

    results = train(dataset, epochs=6)

    said, confidence, margin = dataset.values(["resnet.label", "resnet.confidence", "resnet.margin"])
    hidden = np.array(dataset.values("truth"))[240:]
    assert (np.array(said)[240:] == hidden).mean() > 0.6  # a guess is right one time in ten
    assert all(0 < m <= c <= 1 for m, c in zip(margin, confidence, strict=True))
    assert dataset.values("ground_truth.label") == given
    assert results.trained + results.validated == 240 and 30 < results.validated < 40 and results.epochs == 6
    assert np.sum(results.confusion) == results.validated
    assert np.trace(results.confusion) / results.validated == results.accuracy > 0.6
    assert results.curves[-1]["loss"] < results.curves[0]["loss"] / 2
    assert [epoch["epoch"] for epoch in results.curves] == list(range(1, 7))
    assert all(len(epoch["recall"]) == 10 for epoch in results.curves)
    assert load_results(dataset, results.run_key) == results
    assert f"accuracy {100 * results.accuracy:.1f} % on validation" in str(results)


def test_vectors_that_learned_from_labels_are_refused_where_held_out_labels_have_to_be_unseen(digits, refused):
    dataset = digits(n=60, labelled=40)
    train(dataset, embeddings_field="vector")
    for workflow in (auto_label, find_mistakes, compare_methods):
        with refused(dataset, "'vector' was learned from labels by evenset_train_resnet_1", "leave embeddings out"):
            workflow(dataset, "ground_truth", embeddings="vector", progress=False)

    results = train_gcn(dataset, "ground_truth", embeddings="vector", epochs=2, progress=False)

    assert any("the accuracy is too good" in note for note in results.notes)


@pytest.mark.slow
def test_the_checkpoint_holds_all_that_it_takes_to_predict_the_same(digits):
    dataset = digits(n=60, labelled=40)
    results = train(dataset, embeddings_field="vector", grayscale=True)

    model, notes = resnet.load(Path(results.checkpoint))
    assert notes["names"] == results.names == [str(i) for i in range(10)]
    images = Images(dataset.values("filepath"), ImageSettings(**notes["images"]), notes["size_px"], notes["channels"])
    (found,) = resnet_prediction.predict(model, images.batches(60), ResNetSettings(precision="fp32", device="cpu"))
    probabilities = softmax(found[1])

    assert [notes["names"][i] for i in probabilities.argmax(1)] == dataset.values("resnet.label")
    assert np.allclose(probabilities.max(1), dataset.values("resnet.confidence"), atol=1e-6)
    assert np.allclose(found[2], np.stack(dataset.values("vector")), atol=1e-5)


@pytest.mark.slow
def test_another_run_predicts_by_the_checkpoint(digits):
    dataset = digits(n=60, labelled=40)
    trained = train(dataset, logit_adjustment=0.0)
    again = auto_label(dataset, run=trained.run_key, precision="fp32", device="cpu", progress=False)
    assert (
        dataset.values("auto_label.resnet_label")
        == dataset.values("resnet.label")
        == dataset.values("auto_label.label")
    )
    assert np.allclose(dataset.values("auto_label.resnet_confidence"), dataset.values("resnet.confidence"), atol=1e-6)
    assert (again.promise, again.accepted) == ("none", 0)  # it has no threshold: a person has to look
    assert set(dataset.values("auto_label.status")) == {"review"}


@pytest.mark.slow
def test_the_same_seed_gives_the_same_fields_and_another_does_not(digits):
    dataset = digits(n=60, labelled=40)
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        train(dataset, output_field=name, seed=seed, augmentation="light")
    one, two, three = (dataset.values(f"{name}.confidence") for name in ("one", "two", "three"))
    assert one == two and one != three


@pytest.mark.slow
def test_validation_and_test_are_given_by_tag_or_by_view(digits):
    dataset = digits(n=90, labelled=80)
    ids = dataset.values("id")
    dataset.select(ids[:12]).tag_samples("check")
    inspected = dataset.select(ids[12:30])

    results = train(dataset, validation="check", test=inspected)

    parts = parts_of(dataset, results)
    assert (parts[:12] == Split.VALIDATION).all() and (parts[12:30] == Split.TEST).all()
    assert (parts[30:80] == Split.TRAIN).all() and (parts[80:] == 0).all()
    assert (results.trained, results.validated) == (50, 12)
    truth, said = np.array(dataset.values("truth")), np.array(dataset.values("resnet.label"))
    assert results.test_accuracy == (truth == said)[12:30].mean() and results.test_loss > 0
    assert "on test" in str(results) and "test_recall" in results.rows[0]

    picture = np.asarray(Image.open(results.picture))
    assert picture.ndim == 3 and min(picture.shape[:2]) > 90
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 10  # tiles and words, not an empty sheet


def test_parts_that_cannot_be_are_refused_before_work_starts(digits, refused):
    dataset = digits(n=40, labelled=30)
    dataset.limit(6).tag_samples("one")
    dataset.skip(5).limit(6).tag_samples("two")
    with refused(dataset, "test: no sample has the tag 'none'"):
        train(dataset, test="none")
    with refused(dataset, "validation: the view is empty"):
        train(dataset, validation=dataset.limit(0))
    with refused(dataset, "validation and test share 1 sample", dataset.values("id")[5]):
        train(dataset, validation="one", test="two")


def test_a_part_without_a_label_is_refused(digits):
    dataset = digits(n=40, labelled=30)
    dataset.skip(30).tag_samples("bare")
    with pytest.raises(ValueError, match="none of the 10 samples given as validation has a label and an image"):
        train(dataset, validation="bare")
    dataset.reload()
    assert not dataset.has_field("resnet")


@pytest.mark.slow
def test_a_group_stays_on_one_side(digits):
    dataset = digits(n=120, labelled=120)
    dataset.set_values("patient", [f"patient {i // 4}" for i in range(120)])
    parts = parts_of(dataset, train(dataset, epochs=1, group_field="patient")).reshape(30, 4)
    assert (parts == parts[:, :1]).all() and set(parts[:, 0]) == {Split.TRAIN, Split.VALIDATION}
    with pytest.raises(ValueError, match="no field 'doctor' to group by"):
        train(dataset, output_field="other", group_field="doctor")


@pytest.mark.slow
def test_near_duplicates_stay_on_one_side(digit_files, make_dataset):
    """Each image comes three times: as it is, as another file format, and at another size."""
    paths, labels = digit_files(60, 24)
    files = []
    for path in paths:
        image = Image.open(path)
        image.save(path.replace(".png", ".jpg"), quality=98)
        image.resize((48, 48), Image.Resampling.BICUBIC).save(path.replace(".png", "-large.png"))
        files += [path, path.replace(".png", ".jpg"), path.replace(".png", "-large.png")]
    dataset = make_dataset(files, np.repeat(labels, 3).tolist())

    results = auto_label(dataset, "ground_truth", progress=False, validation_fraction=0.3, **{**SMALL, "epochs": 1})

    parts = parts_of(dataset, results).reshape(60, 3)
    assert (parts == parts[:, :1]).all()
    assert set(parts[:, 0]) == {Split.TRAIN, Split.VALIDATION, Split.HELD_OUT}


@pytest.mark.slow
def test_a_class_with_one_label_is_learned_from(digits):
    dataset = digits(n=60, labelled=50)
    sample = dataset.first()
    dataset.set_values("ground_truth.label", {sample.id: "odd"}, key_field="id")
    results = train(dataset)
    assert "odd" in results.names and parts_of(dataset, results)[0] == Split.TRAIN
    (note,) = results.notes
    assert "odd" in note and note in str(results)


@pytest.mark.slow
def test_auto_label_trains_a_resnet_from_the_images(digits, everything):
    dataset = digits(n=220, size_px=8, labelled=160)
    before = everything(dataset)

    settings = {**SMALL, "epochs": 8, "calibration_fraction": 0.25, "members": "resnet"}
    results = auto_label(dataset, "ground_truth", random_labels=True, progress=False, **settings)

    status, label, own = dataset.values(["auto_label.status", "auto_label.label", "auto_label.resnet_label"])
    truth = dataset.values("truth")
    hidden = np.array(status) != "labelled"
    assert hidden.sum() == 60 and results.held_out == 40
    assert np.array(label)[hidden].tolist() == np.array(own)[hidden].tolist()
    assert (np.array(label) == np.array(truth))[hidden].mean() > 0.3  # a guess is right one time in ten
    assert (np.array(label) == np.array(truth))[~hidden].all()
    assert len(results.curves) == 8
    delete_run(dataset, results.run_key)
    assert everything(dataset) == before


def logits_of(dataset, results) -> np.ndarray:
    with np.load(folder_of(dataset, results.run_key) / "predictions.npz") as kept:
        return kept["logits"]


TRAINING = """
    import os, signal
    import fiftyone as fo, evenset
    from evenset.models.classifiers import resnet_training
    resnet_training.SAVE_SECONDS = 0
    def watch(phase, done, total, note):
        print(phase, done, flush=True)
        if (phase, done) == {end!r}:
            os.kill(os.getpid(), signal.SIGKILL)
    dataset = fo.load_dataset({name!r})
    try:
        evenset.train_resnet(dataset, "ground_truth", progress=watch, **{settings!r})
    except BaseException as error:
        print(type(error).__name__, error, flush=True)
"""


@pytest.mark.slow
def test_a_killed_training_goes_on_and_ends_bit_for_bit_as_one_that_was_not(digits, elsewhere):
    dataset = digits(n=80, labelled=60)
    dataset.limit(10).tag_samples("check")
    settings = {**SMALL, "epochs": 4, "augmentation": "light", "validation": "check"}
    killed = elsewhere(TRAINING.format(end=("training", 2), name=dataset.name, settings=settings))
    output = killed.communicate(timeout=200)
    assert killed.returncode < 0, output
    row = list_runs(dataset).rows[-1]
    assert row["state"] == "stopped" and not dataset.has_field("resnet")
    with (folder_of(dataset, row["key"]) / "curves.jsonl").open("a") as file:
        file.write('\n{"epoch": 3, "lo')  # a kill in the middle of a line
    dataset.untag_samples("check")  # what was chosen at first counts

    epochs = []
    results = resume_run(dataset, row["key"], progress=lambda phase, done, *_: epochs.append((phase, done)))

    assert [done for phase, done in epochs if phase == "training"] == [3, 4]
    dataset.limit(10).tag_samples("check")
    whole = train(dataset, output_field="whole", **{**settings, "progress": False})
    assert (logits_of(dataset, results) == logits_of(dataset, whole)).all()
    assert dataset.values("resnet.confidence") == dataset.values("whole.confidence")
    assert results.curves == whole.curves and results.validated == 10
    assert not list(folder_of(dataset, results.run_key).glob("last*"))  # what only a resume needs is gone


@pytest.mark.slow
def test_a_training_is_stopped_from_another_process_and_goes_on(digits, elsewhere, everything):
    dataset = digits(n=80, labelled=60)
    before = everything(dataset)
    settings = {**SMALL, "epochs": 100_00, "patience": 10_000}
    running = elsewhere(TRAINING.format(end=None, name=dataset.name, settings=settings))
    while not (line := running.stdout.readline()).startswith("training"):
        assert line, running.communicate()
    (row,) = list_runs(dataset).rows
    assert row["state"] == "running"
    with pytest.raises(ValueError, match="is running: only a stopped or failed run can be resumed"):
        resume_run(dataset, row["key"])
    with pytest.raises(ValueError, match="is running: stop it first"):
        delete_run(dataset, row["key"])

    asked = time.monotonic()
    stop_run(dataset, row["key"])
    output = running.communicate(timeout=60)[0]

    assert time.monotonic() - asked < 30  # not after ten thousand epochs
    assert "RunStopped" in output and "evenset.resume_run resumes it" in output
    after = everything(dataset)
    for part in ("schema", "samples", "views", "app"):
        assert after[part] == before[part], part
    assert list_runs(dataset).rows[0]["state"] == "stopped"
    with pytest.raises(ValueError, match="is not running"):
        stop_run(dataset, row["key"])
    delete_run(dataset, row["key"])
    assert everything(dataset) == before


def test_bad_files_are_counted_listed_and_left_out(digits):
    dataset = digits(n=60, labelled=40)
    ids, paths = dataset.values(["id", "filepath"])
    Path(paths[3]).write_bytes(Path(paths[3]).read_bytes()[:60])
    Path(paths[50]).unlink()
    shutil.copy(__file__, paths[55])

    results = train(dataset)

    assert set(results.skipped) == {ids[3], ids[50], ids[55]}
    assert "is damaged or cut off" in results.skipped[ids[3]]
    assert "does not exist" in results.skipped[ids[50]] and "is not an image" in results.skipped[ids[55]]
    said = dataset.values("resnet.label")
    assert [i for i, label in enumerate(said) if label is None] == [3, 50, 55]
    assert results.trained + results.validated == 39
    assert "3 images could not be read: results.skipped lists them" in str(results)


def test_weights_that_cannot_be_downloaded_are_refused_before_images_are_read(make_dataset, tmp_path, monkeypatch):
    from evenset.models.classifiers import pretrained
    from evenset.models.errors import InvalidInput

    def refuse(architecture):
        raise InvalidInput("there is no server")

    monkeypatch.setattr(pretrained, "imagenet_weights", refuse)
    for number in range(8):
        Image.new("RGB", (80, 80), (30 * number, 0, 0)).save(tmp_path / f"{number}.png")
    dataset = make_dataset([tmp_path / f"{number}.png" for number in range(8)], ["cat", "dog"] * 4)

    for weights in ("auto", "imagenet"):
        with pytest.raises(ValueError, match="there is no server"):
            train_resnet(dataset, "ground_truth", weights=weights, progress=False)
    assert list_runs(dataset).rows == []  # images are read inside a run
    assert train(dataset, weights="auto").trained > 0  # of 8 px, which needs none


def test_a_device_that_is_not_there_is_refused_before_images_are_read(digits):
    import torch

    device = "cuda" if not torch.cuda.is_available() else "mps"
    dataset = digits(n=40, size_px=8, labelled=40)

    with pytest.raises(ValueError, match="not available on this machine"):
        train(dataset, device=device)
    assert list_runs(dataset).rows == []
