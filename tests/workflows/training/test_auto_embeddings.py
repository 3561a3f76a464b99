"""embeddings="auto": vectors that are there come first, then an encoder that can be had, then the images."""

from __future__ import annotations

import time

import numpy as np
import pytest
from evenset import auto_label, find_mistakes, list_embeddings, load_results, resume_run
from evenset.models import offline
from evenset.models.encoders import weights
from evenset.workflows.training import auto_embeddings
from PIL import Image

CHOSEN = "Embeddings, chosen automatically:"


@pytest.fixture(autouse=True)
def nothing_cached(monkeypatch, tmp_path):
    """No weights on this machine, and no server."""
    monkeypatch.setattr(weights, "hub_file", lambda *names: None)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(offline, "out_of_reach", lambda address: "the server does not answer")


@pytest.fixture
def photos(make_dataset, tmp_path):
    """Photos of 80 px in two colours, half of them labelled."""
    rng = np.random.default_rng(0)
    paths, truth = [], ["red" if i % 2 else "blue" for i in range(40)]
    for i, name in enumerate(truth):
        pixels = rng.integers(0, 60, (80, 96, 3))
        pixels[..., 0 if name == "red" else 2] += 150
        paths.append(tmp_path / f"{i:02d}.png")
        Image.fromarray(pixels.astype(np.uint8)).save(paths[-1])
    return make_dataset(paths, [name if i < 24 else None for i, name in enumerate(truth)], truth=truth)


@pytest.fixture
def can_be_had(monkeypatch, tiny):
    """An encoder whose weights are here, in the place of the best one."""
    candidate = auto_embeddings.Candidate(f"timm/{tiny}", "a tiny ViT", 1, 1.0)
    monkeypatch.setattr(type(candidate), "is_here", property(lambda self: self == candidate))
    monkeypatch.setattr(auto_embeddings, "SMALL", candidate)
    monkeypatch.setattr(auto_embeddings, "BASE", candidate)
    return candidate.name


def chosen(results):
    (note,) = [note for note in results.notes if note.startswith(CHOSEN)]
    return note.removeprefix(CHOSEN).strip()


def recorded(dataset, results):
    return dataset.get_run_info(results.run_key).config.inputs["embeddings"]


@pytest.mark.parametrize("learn", [auto_label, find_mistakes])
def test_a_field_of_vectors_comes_first(clusters, learn):
    dataset = clusters(60, 45, classes=2)
    results = learn(dataset, "ground_truth", progress=False)
    assert chosen(results) == "vector, as it has a vector for each sample."
    assert recorded(dataset, results) == "vector"
    assert any(CHOSEN in line for line in load_results(dataset, results.run_key).log)


def test_fields_that_are_no_vectors_of_every_sample_are_passed_over(clusters):
    dataset = clusters(60, 45, classes=2)
    rows = [list(row) for row in dataset.values("vector")]
    dataset.set_values("a_gap", [None if i == 7 else row for i, row in enumerate(rows)])
    dataset.set_values("b_plot", [row[:2] for row in rows])
    dataset.set_values("c_learned", [np.array(row) for row in rows])
    field = dataset.get_field("c_learned")
    field.description = "learned from labels by evenset_train_resnet_1"
    field.save()
    dataset.set_values("d_good", [np.array(row) for row in rows])
    dataset.delete_sample_field("vector")
    assert recorded(dataset, auto_label(dataset, "ground_truth", progress=False)) == "d_good"


def test_the_embeddings_of_a_brain_run_are_found(clusters):
    import fiftyone.brain as fob

    dataset = clusters(60, 45, classes=2)
    rows = np.array([list(row) for row in dataset.values("vector")])
    dataset.delete_sample_field("vector")
    fob.compute_visualization(dataset, points=rows[:, :2], brain_key="plot")
    fob.compute_similarity(dataset, brain_key="mine", backend="sklearn", embeddings=rows)
    assert recorded(dataset, auto_label(dataset, "ground_truth", progress=False)) == "mine"


def test_photos_go_to_the_best_encoder_that_can_be_had(photos, can_be_had):
    results = auto_label(photos, "ground_truth", progress=False)
    assert recorded(photos, results) == can_be_had and can_be_had in chosen(results)
    assert list_embeddings(photos).rows[0]["images"] == 40


def test_a_resume_does_not_choose_again(photos, can_be_had, monkeypatch):
    def stop(phase, done, total, note):
        if phase == "spreading labels":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        auto_label(photos, "ground_truth", progress=stop)
    photos.set_values("later", list(np.random.default_rng(0).normal(size=(40, 8))))
    monkeypatch.setattr(auto_embeddings, "vector_sources", lambda samples: pytest.fail("chosen again"))
    results = resume_run(photos, "evenset_auto_label_1", progress=False)
    assert recorded(photos, results) == can_be_had and can_be_had in chosen(results)


def test_offline_it_says_so_at_once_and_goes_on(photos):
    heard, started = [], time.monotonic()

    def listen(phase, done, total, note):
        if CHOSEN in note:
            heard.append((time.monotonic() - started, note))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        auto_label(photos, "ground_truth", progress=listen)
    (seconds, note), *_ = heard
    assert "HF_HUB_OFFLINE is set" in note and "the server does not answer" in note and "give embeddings=" in note
    assert auto_embeddings.OWN in note and seconds < 10  # torch is imported on the way


def test_offline_a_run_on_photos_ends(photos):
    results = auto_label(photos, "ground_truth", members="graph", progress=False)
    assert recorded(photos, results) is None


@pytest.mark.parametrize("learn", [auto_label, find_mistakes])
def test_offline_a_resnet_on_photos_starts_from_random_weights(photos, learn, monkeypatch):
    monkeypatch.setattr(auto_embeddings, "MIN_FINE_TUNING_LABELS", 1)

    def stop(phase, done, total, note):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(photos, "ground_truth", progress=stop)

    (key,) = photos.list_runs()
    assert photos.get_run_info(key).config.settings["weights"] == "none"


def test_small_images_keep_todays_path_and_choose_without_a_network(digits, monkeypatch):
    monkeypatch.setattr(auto_embeddings, "candidates", lambda on_gpu: pytest.fail("looked for an encoder"))
    dataset = digits(60, 16, labelled=40)
    results = auto_label(dataset, "ground_truth", members="graph", progress=False)
    assert recorded(dataset, results) is None and "images of 16 px are too small" in chosen(results)


@pytest.mark.parametrize("given", [dict(members="resnet"), dict(validation="some"), dict(epochs=1, min_updates=1)])
def test_arguments_that_need_images_keep_todays_path(clusters, refused, given):
    """The files of these vectors do not exist: who looks at them, finds none."""
    dataset = clusters(60, 60, classes=2)
    dataset.limit(12).tag_samples("some")
    with pytest.raises(ValueError, match="can be read|/nowhere"):
        auto_label(dataset, "ground_truth", progress=False, **given)


@pytest.fixture
def many_labels(digits, monkeypatch):
    """Digits with a field of vectors, and labels enough for a ResNet, which is quick."""
    from evenset.workflows.labeling import inputs

    monkeypatch.setattr(auto_embeddings, "MIN_FINE_TUNING_LABELS", 4)
    monkeypatch.setattr(inputs, "trains_resnet", lambda settings: False)
    dataset = digits(90, 8, labelled=70)
    images = [np.asarray(Image.open(path), dtype=np.float32).ravel() for path in dataset.values("filepath")]
    dataset.set_values("pixels", images)
    return dataset


QUICK = dict(epochs=1, min_updates=1, calibration_fraction=0.2, progress=False)


@pytest.mark.slow
def test_with_many_labels_a_resnet_takes_part_beside_the_vectors(many_labels):
    results = auto_label(many_labels, "ground_truth", **QUICK)
    weights = {row["member"]: row["weight"] for row in results.members}
    assert {"resnet", "regression"} <= weights.keys()
    assert recorded(many_labels, results) == "pixels" and "A ResNet on the images takes part" in chosen(results)
    assert many_labels.count("auto_label.resnet_label") == many_labels.count("auto_label.gcn_label") == 90


@pytest.mark.slow
def test_a_next_round_goes_on_from_that_resnet(many_labels):
    first = auto_label(many_labels, "ground_truth", **QUICK)
    results = auto_label(many_labels, "ground_truth", after=first.run_key, output_field="second", **QUICK)
    assert "resnet" in {row["member"] for row in results.members}
    assert recorded(many_labels, results) == "pixels"


@pytest.mark.slow
def test_its_checkpoint_labels_images_without_vectors(many_labels):
    key = auto_label(many_labels, "ground_truth", **QUICK).run_key
    others = many_labels.limit(10).clone()
    others.delete_sample_field("pixels")
    auto_label(others, run=f"{many_labels.name}/{key}", output_field="by_resnet", progress=False)
    assert others.count("by_resnet.label") == 10


@pytest.mark.slow
@pytest.mark.parametrize("without", [dict(members="graph"), dict(embeddings="pixels")])
def test_a_resnet_beside_vectors_can_be_left_out(many_labels, without):
    results = auto_label(many_labels, "ground_truth", **{**QUICK, **without})
    assert "resnet" not in {row["member"] for row in results.members}
    assert not any("A ResNet" in note for note in results.notes)


@pytest.mark.slow
def test_an_image_that_cannot_be_read_is_labelled_by_its_vector(many_labels):
    path = many_labels.last().filepath
    with open(path, "wb") as file:
        file.write(b"no image")
    results = auto_label(many_labels, "ground_truth", **QUICK)
    assert many_labels.last()["auto_label"].label and not results.skipped


def test_none_is_the_images(clusters):
    with pytest.raises(ValueError, match="can be read|/nowhere"):
        auto_label(clusters(60, 60, classes=2), "ground_truth", embeddings=None, progress=False)


@pytest.mark.slow
def test_the_next_round_takes_the_vectors_of_the_last(clusters):
    dataset = clusters(90, 60)
    dataset.set_values("other", [row[::-1] for row in dataset.values("vector")])
    first = auto_label(dataset, "ground_truth", embeddings="other", progress=False)
    second = auto_label(dataset, "ground_truth", after=first.run_key, output_field="second", progress=False)
    assert recorded(dataset, second) == "other"


def test_few_labels_of_small_images_are_judged_without_a_resnet(digits):
    dataset = digits(90, 8, labelled=90)
    wrong = dataset.first()
    wrong["ground_truth"].label = str((int(wrong["truth"]) + 1) % 10)
    wrong.save()
    results = find_mistakes(dataset, "ground_truth", progress=False)
    assert "No ResNet takes part" in chosen(results) and results.planted
    assert dataset.values("mistake.rank")[0] == 1 and dataset.first()["mistake"].label == wrong["truth"]
    assert dataset.count("mistake.margin") == 0  # a ResNet's
