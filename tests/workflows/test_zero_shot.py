"""auto_label(text_encoder=): the names of the classes are evidence, with labels and without."""

from __future__ import annotations

import uuid
from collections import Counter

import fiftyone as fo
import numpy as np
import pytest
from evenset import auto_label, delete_run, load_results, resume_run, review_labels, set_target, stop_run
from evenset.models.encoders import text_image
from evenset.tests.models.encoders.tiny_models import ColourEncoder, write_model
from evenset.workflows.runs import records
from evenset.workflows.ui import review_queue
from evenset.workflows.ui.review_queue import Decision
from PIL import Image

COLOURS = {"red": (200, 60, 60), "green": (60, 200, 60), "blue": (60, 60, 200)}
NAMES = list(COLOURS)
FIELDS = ("auto_label", "ground_truth")
FIRST = "evenset_auto_label_1"


@pytest.fixture
def colours(tmp_path, make_dataset):
    """colours(n, labelled, noise): images of three colours, in random order; all have the text `truth`."""

    def make(n=90, labelled=0, noise=60.0, label_field=True):
        rng = np.random.default_rng(0)
        truth = [NAMES[i] for i in rng.permutation(np.arange(n) % 3)]
        folder = tmp_path / uuid.uuid4().hex[:8]
        folder.mkdir()
        for number, name in enumerate(truth):
            pixels = np.clip(COLOURS[name] + rng.normal(0, noise, 3), 0, 255).astype(np.uint8)
            Image.fromarray(np.tile(pixels, (8, 8, 1))).save(folder / f"{number:03d}.png")
        labels = [name if number < labelled else None for number, name in enumerate(truth)]
        return make_dataset(sorted(folder.iterdir()), labels if label_field else None, truth=truth)

    return make


@pytest.fixture
def encoder(monkeypatch):
    """The encoder that every name leads to."""
    planted = ColourEncoder()
    monkeypatch.setattr(text_image, "load", lambda name, device: planted)
    return planted


def label(dataset, **settings):
    usual = dict(classes=NAMES, text_encoder="colours", progress=False)
    return auto_label(dataset, "ground_truth", **{**usual, **settings})


def accuracy(dataset, field="auto_label"):
    pairs = zip(*dataset.values([f"{field}.label", "truth"]), strict=True)
    return np.mean([suggestion == truth for suggestion, truth in pairs])


@pytest.mark.parametrize("label_field", [True, False])
def test_names_alone_suggest_for_every_sample_and_accept_nothing(colours, encoder, label_field):
    dataset = colours(label_field=label_field)

    results = label(dataset)

    assert (results.accepted, results.review, results.labelled, results.held_out) == (0, 90, 0, 0)
    assert accuracy(dataset) > 0.85 and set(dataset.values("auto_label.status")) == {"review"}
    (member,) = results.members
    assert (member["member"], member["weight"]) == ("zero-shot", 1) and "names" in member["description"]
    (note,) = [note for note in results.notes if "No label was held out" in note]
    assert f"after='{FIRST}'" in note and "names of the classes alone" in note
    assert dataset.get_field("ground_truth").document_type is fo.Classification
    assert dataset.count("ground_truth.label") == 0
    delete_run(dataset, FIRST)
    assert dataset.has_field("ground_truth") and not dataset.has_field("auto_label")


def test_the_first_review_mixes_typical_and_uncertain_samples_of_all_classes(colours, encoder):
    dataset = colours(noise=40.0)
    results = label(dataset)

    view = dataset.load_saved_view(results.views["review"])
    suggested, margins = (view.values(f"auto_label.{name}") for name in ("label", "margin"))
    assert view.values("auto_label.review_rank") == list(range(1, 91))
    assert all(set(suggested[first : first + 3]) == set(NAMES) for first in range(0, 30, 3))  # a turn of each class
    for first in (0, 6, 12):  # three typical ones, three uncertain ones
        assert min(margins[first : first + 3]) > max(margins[first + 3 : first + 6])
    for expected in view.values("id")[:3]:
        shown, _ = review_queue.first(dataset, *FIELDS, [])
        assert shown == expected
        review_queue.decide(dataset, *FIELDS, Decision(shown, "accept"), "one")
    assert len(dataset.load_saved_view(results.views["review"])) == 87


def test_what_was_reviewed_teaches_the_next_round(colours, encoder):
    dataset = colours(label_field=False)
    label(dataset, classes={"red": ["crimson"], "green": [], "blue": []})
    first = dataset.select(dataset.load_saved_view("auto_label: review").limit(30).values("id"))
    for name in NAMES:
        chosen = first.match({"truth": name})
        review_labels(chosen, "auto_label", action="correct", label=name, seen=True, progress=False)

    results = auto_label(dataset, "ground_truth", output_field="second", after=FIRST, progress=False)

    assert results.labelled == 30 and {row["member"] for row in results.members} > {"zero-shot", "gcn", "regression"}
    assert any("came from Evenset or a queue" in note for note in results.notes)  # a queue does not calibrate
    record = records.read_record(dataset, "evenset_auto_label_2")
    assert record.settings["text_encoder"] == "colours" and record.inputs["classes"]["red"] == ["crimson"]
    assert not dataset.has_field("second.review_rank") and accuracy(dataset, "second") > 0.85


@pytest.mark.slow
def test_labels_that_a_start_without_labels_has_not_seen_calibrate_its_next_round(colours, encoder):
    dataset = colours(150, noise=20.0)
    label(dataset)
    chosen = dataset.limit(100)
    chosen.set_values("ground_truth", [fo.Classification(label=name) for name in chosen.values("truth")])

    results = label(dataset, output_field="second", after=FIRST, random_labels=True, target_precision=0.8)

    assert results.held_out >= 10 and results.accepted > 30
    assert not any("stays held out" in note for note in results.notes)


@pytest.mark.parametrize("embeddings", [None, "vector"])
def test_the_member_that_knows_the_classes_decides_and_none_weighs_more(colours, encoder, embeddings):
    dataset = colours(150, labelled=120, noise=20.0)
    if embeddings:  # that know nothing of colours
        dataset.set_values("vector", list(np.random.default_rng(1).normal(size=(150, 6)).astype(np.float32)))

    results = label(dataset, classes=None, embeddings=embeddings, target_precision=0.8)

    members = {row["member"]: row for row in results.members}
    assert members["zero-shot"]["cross_fitted_accuracy"] == 1
    assert members["zero-shot"]["held_out_correct"] == results.held_out
    assert accuracy(dataset) > 0.95
    if embeddings:
        heaviest = max(row["weight"] for row in results.members)  # members that say nothing do no harm, and share it
        assert members["zero-shot"]["weight"] == pytest.approx(heaviest, abs=1e-3), str(results)


def test_a_wrong_text_encoder_does_no_harm(colours, encoder, monkeypatch):
    dataset = colours(150, labelled=120, noise=20.0)
    monkeypatch.setattr(encoder.__class__, "text_vectors", lambda self, texts: np.roll(TEXT_VECTORS(self, texts), 1, 1))

    results = label(dataset, target_precision=0.8)

    members = {row["member"]: row for row in results.members}
    assert members["zero-shot"]["cross_fitted_accuracy"] == 0
    assert accuracy(dataset) > 0.95


TEXT_VECTORS = ColourEncoder.text_vectors


@pytest.mark.slow
def test_an_unreadable_image_is_listed_and_gets_no_suggestion(colours, encoder):
    dataset = colours()
    sample = dataset.first()
    with open(sample.filepath, "wb") as file:
        file.write(b"no image")

    results = label(dataset)

    assert list(results.skipped) == [sample.id] and results.review == 89
    dataset.reload()
    assert dataset[sample.id].auto_label is None
    dataset.set_values("vector", list(np.random.default_rng(1).normal(size=(90, 6)).astype(np.float32)))
    chosen = dataset.limit(40)
    chosen.set_values("ground_truth", [fo.Classification(label=name) for name in chosen.values("truth")])
    label(dataset, embeddings="vector", output_field="second")
    assert dataset[sample.id].second.status == "labelled" and dataset.count("second.label") == 90


def test_a_stopped_start_encodes_each_image_once(colours, encoder):
    dataset = colours(label_field=False)

    def stop(phase, done, total, note):
        if phase == "writing labels":
            stop_run(dataset, FIRST)

    with pytest.raises(Exception, match="was stopped"):
        label(dataset, progress=stop)
    resume_run(dataset, FIRST, progress=False)

    assert encoder.encoded == 90 and load_results(dataset, FIRST).review == 90


@pytest.mark.slow
def test_its_model_serves_another_dataset(colours, encoder):
    dataset, other = colours(150, labelled=60, noise=20.0), colours(30)
    label(dataset)

    auto_label(other, run=f"{dataset.name}/{FIRST}", progress=False)

    assert accuracy(other) > 0.9


def test_a_real_model_works_from_its_folder(colours, tmp_path):
    dataset = colours(30, label_field=False)

    results = label(
        dataset, text_encoder=write_model(tmp_path / "model", "siglip"), prompts="a {class}; photo of {class}"
    )

    assert results.review == 30 and set(dataset.distinct("auto_label.label")) <= set(NAMES)
    assert Counter(dataset.values("auto_label.status")) == {"review": 30}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (dict(text_encoder=None), "label a few of each class first, two at least, or give text_encoder"),
        (dict(classes=None), "classes: text_encoder compares images with names"),
        (dict(classes=["red"]), "classes: text_encoder compares images with names"),
        (dict(members="resnet"), "leave text_encoder out"),
        (dict(validation="some"), "with text_encoder= there is none"),
        (dict(prompts="a photo"), "prompts: 'a photo' has no {class}"),
        (dict(classes=["red", "red"]), "classes names 'red' twice"),
        (dict(text_encoder="./none"), "there is no folder './none'"),
    ],
)
def test_what_cannot_begin_says_why(colours, refused, settings, words):
    dataset = colours(6)
    with refused(dataset, words):
        label(dataset, **settings)


def test_a_label_field_that_cannot_be_made_is_refused(colours, encoder, refused):
    dataset = colours(6, label_field=False)
    with refused(dataset, "label_field '2nd'"):
        auto_label(dataset, "2nd", classes=NAMES, text_encoder="colours", progress=False)
    with refused(dataset, "has no field 'ground_truth'"):
        label(dataset, text_encoder=None)


def test_no_target_can_be_set_without_labels(colours, encoder):
    dataset = colours(12)
    label(dataset)
    with pytest.raises(ValueError, match="held no label out"):
        set_target(dataset, FIRST, 0.8)
