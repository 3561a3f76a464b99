"""train_gcn over samples and inside images: what it writes, where it says nothing, and that a kill changes nothing."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from evenset import delete_run, list_runs, load_results, resume_run, stop_run, train_gcn, train_resnet
from evenset.models.checkpoints import load_tensors
from evenset.models.graphs import gcn, image_gcn, image_nodes
from evenset.models.graphs import nearest_neighbours as graphs
from evenset.models.settings import GCNSettings, GraphSettings, ImageGraphSettings
from evenset.workflows.runs.run import RunStopped
from evenset.workflows.training.partition import Split
from PIL import Image

FAST = dict(epochs=20, hidden_channels=16)
RESNET = dict(size_px=8, epochs=1, min_updates=1, augmentation="none", precision="fp32", weights="none", device="cpu")
PATCHES = dict(graph="image", graph_epochs=4, node_channels=16, **RESNET)
SLOW = pytest.mark.slow
CUT = dict(graph="image", nodes="superpixels", superpixels=12, graph_epochs=4, node_channels=16, device="cpu")


def train(samples, **settings):
    return train_gcn(samples, "ground_truth", **{"progress": False, **settings})


def over_vectors(samples, **settings):
    return train(samples, **{"embeddings": "vector", **FAST, **settings})


def folder_of(dataset, results) -> Path:
    return Path(results.checkpoint).parent


def parts_of(dataset, results) -> np.ndarray:
    with np.load(folder_of(dataset, results) / "parts.npz") as kept:
        assert kept["ids"].tolist() == dataset.values("id")
        return kept["parts"]


def columns(dataset, *names, field="gcn"):
    dataset.reload()
    return [np.array(values, dtype=object) for values in dataset.values([f"{field}.{name}" for name in names])]


# Over samples


def test_every_sample_is_predicted_from_its_neighbours(clusters):
    dataset = clusters(300, 60, spread=1.3)
    given = dataset.values("ground_truth.label")

    results = over_vectors(dataset, neighbours=10)

    label, confidence, margin = columns(dataset, "label", "confidence", "margin")
    truth = np.array(dataset.values("truth"), dtype=object)
    assert (label == truth)[60:].mean() > 0.95
    assert all(0 < m <= c <= 1 for m, c in zip(margin, confidence, strict=True))
    assert dataset.values("ground_truth.label") == given
    parts = parts_of(dataset, results)
    assert (parts[60:] == 0).all() and set(parts[:60]) == {Split.TRAIN, Split.VALIDATION}
    assert (results.trained, results.validated) == ((parts == Split.TRAIN).sum(), (parts == Split.VALIDATION).sum())
    assert results.accuracy == (label == truth)[parts == Split.VALIDATION].mean()
    assert np.trace(results.confusion) / np.sum(results.confusion) == results.accuracy
    assert (results.samples, results.abstained, results.epochs, results.graph_recall) == (300, 0, 20, 1.0)
    assert results.curves[-1]["loss"] < results.curves[0]["loss"]
    assert load_results(dataset, results.run_key) == results
    assert "10 neighbours a sample, 100.0 % of the exact ones" in str(results)


def test_the_checkpoint_and_the_graph_give_the_same_predictions(clusters):
    dataset = clusters(120, 40)
    results = over_vectors(dataset)

    tensors, notes = load_tensors(Path(results.checkpoint))
    vectors = np.stack(dataset.values("vector"))
    model = gcn.build(8, 3, GCNSettings(**notes["settings"]))
    model.load_state_dict(tensors)
    found = gcn.predict(model, *gcn.prepare(graphs.build(vectors, GraphSettings()), vectors, GCNSettings()))

    label, confidence = columns(dataset, "label", "confidence")
    assert [notes["names"][i] for i in found.argmax(1)] == label.tolist()
    np.testing.assert_allclose(found.max(1), confidence.astype(float), atol=1e-5)
    assert notes["vectors"] == "vector"


def test_without_vectors_they_are_made_from_the_images(digits):
    dataset = digits(n=200, size_px=16, labelled=100)

    results = train(dataset, epochs=40)

    (label,) = columns(dataset, "label")
    assert (label == np.array(dataset.values("truth"), dtype=object))[100:].mean() > 0.8  # a guess: one in ten
    assert results.abstained == 0 and results.skipped == {}


def test_pieces_of_the_graph_without_a_label_are_left_alone_and_counted(clusters):
    dataset = clusters(120, 60)
    vectors = np.stack(dataset.values("vector"))
    vectors[90:] += 1000  # far from all that have a label
    dataset.set_values("vector", list(vectors))

    results = over_vectors(dataset, neighbours=4, metric="euclidean")

    (label,) = columns(dataset, "label")
    assert [i for i, name in enumerate(label) if name is None] == list(range(90, 120))
    assert results.abstained == 30
    (note,) = results.notes
    assert note.startswith("30 samples have no prediction: no edge leads to a label that trains")
    assert note in str(results)


def test_a_label_that_cannot_be_scored_is_told(clusters):
    dataset = clusters(120, 90)
    vectors = np.stack(dataset.values("vector"))
    vectors[80:] += 1000
    dataset.set_values("vector", list(vectors))
    dataset.skip(80).limit(10).tag_samples("far")

    results = over_vectors(dataset, neighbours=4, metric="euclidean", validation="far")

    assert (results.validated, results.accuracy, results.abstained) == (0, None, 40)
    assert "10 of them with a label that could not be scored" in results.notes[0]
    assert "accuracy unknown on validation" in str(results)


def test_a_vector_of_zeros_has_no_direction_and_no_prediction(clusters):
    dataset = clusters(60, 30)
    vectors = dataset.values("vector")
    vectors[40] = np.zeros(8, dtype=np.float32)
    dataset.set_values("vector", vectors)

    results = over_vectors(dataset)

    assert columns(dataset, "label")[0][40] is None and results.abstained == 1


def test_fewer_samples_than_neighbours(clusters):
    dataset = clusters(12, 12)
    results = over_vectors(dataset, neighbours=50)

    assert None not in columns(dataset, "label")[0]
    assert "11 neighbours a sample" in results.graph
    assert "Only 12 samples can be compared: each is joined to all others, not to 50." in results.notes


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda vectors: [*vectors[:7], None, *vectors[8:]], "no vector in 'vector' for 1 sample, the first is {id}"),
        (
            lambda vectors: [*vectors[:7], vectors[7] * np.nan, *vectors[8:]],
            "in 1 vector of 'vector', the first is of sample {id}",
        ),
        (
            lambda vectors: [*vectors[:7], vectors[7][:5], *vectors[8:]],
            "the vectors of 'vector' differ in length: [5, 8]",
        ),
    ],
    ids=["missing", "NaN", "other length"],
)
def test_vectors_that_cannot_be_compared_are_refused(clusters, refused, spoil, words):
    dataset = clusters(30, 20)
    dataset.set_values("vector", spoil(dataset.values("vector")))

    with refused(dataset, words.format(id=dataset.values("id")[7])):
        over_vectors(dataset)


def test_a_class_with_one_label_is_learned_from_and_named(clusters):
    dataset = clusters(60, 40)
    dataset.set_values("ground_truth.label", {dataset.first().id: "odd"}, key_field="id")

    results = over_vectors(dataset)

    assert parts_of(dataset, results)[0] == Split.TRAIN
    assert "odd" in results.notes[0] and results.rows[-1] == {"class": "odd", "labels": 1, "recall": None}


def test_validation_and_test_are_given_and_a_group_stays_together(clusters):
    dataset = clusters(90, 80)
    dataset.limit(12).tag_samples("check")
    results = over_vectors(dataset, validation="check", test=dataset.skip(12).limit(10))

    parts = parts_of(dataset, results)
    assert (
        (parts[:12] == Split.VALIDATION).all()
        and (parts[12:22] == Split.TEST).all()
        and (parts[22:80] == Split.TRAIN).all()
    )
    label, truth = columns(dataset, "label")[0], np.array(dataset.values("truth"), dtype=object)
    assert results.test_accuracy == (label == truth)[12:22].mean() and "on test" in str(results)

    dataset.set_values("patient", [f"patient {i // 5}" for i in range(90)])
    parts = parts_of(dataset, over_vectors(dataset, output_field="other", group_field="patient"))[:80].reshape(16, 5)
    assert (parts == parts[:, :1]).all() and set(parts[:, 0]) == {Split.TRAIN, Split.VALIDATION}


def test_labels_that_validate_have_no_part_in_the_training(clusters):
    """Their labels are all made wrong: the predictions stay what they were."""
    dataset = clusters(120, 80)
    dataset.limit(20).tag_samples("check")
    over_vectors(dataset, validation="check")
    names = {f"class {i}": f"class {(i + 1) % 3}" for i in range(3)}
    wrong = [names[label] for label in dataset.limit(20).values("ground_truth.label")]
    dataset.limit(20).set_values("ground_truth.label", wrong)

    results = over_vectors(dataset, output_field="again", validation="check")

    assert (columns(dataset, "confidence")[0] == columns(dataset, "confidence", field="again")[0]).all()
    assert results.accuracy < 0.2


# Inside images


@pytest.mark.slow
def test_patches_are_learned_and_show_their_evidence_and_all_is_taken_back(digits, everything):
    dataset = digits(n=120, size_px=16, labelled=80)
    before = everything(dataset)

    results = train(dataset, heatmap_field="why", **{**PATCHES, "graph_epochs": 15, "epochs": 4})

    label, confidence = columns(dataset, "label", "confidence")
    assert (label == np.array(dataset.values("truth"), dtype=object))[80:].mean() > 0.4  # a guess: one in ten
    heat = dataset.values("why.map")
    assert all(map_.dtype == np.float32 and map_.shape == (8, 8) for map_ in heat)
    assert all(np.abs(map_).max() == 1 for map_ in heat)
    assert len(np.unique(heat[0])) > 8  # places of the image, not one for all
    assert dataset.values("why.range") == [[-1, 1]] * 120
    assert results.graph == "4 x 4 patches an image, of 128 features, mean of their scores"
    assert results.epochs == len(results.curves) == 15
    assert results.notes[0].startswith("The ResNet alone: ")
    assert len((folder_of(dataset, results) / "resnet_curves.jsonl").read_text().split()) > 4
    assert not (folder_of(dataset, results) / "maps.npy").exists()  # what only a resume needs is gone

    delete_run(dataset, results.run_key)
    assert everything(dataset) == before


def test_heat_maps_add_up_to_the_score_of_the_label(digits):
    """Each map is the contributions, over the strongest: with attention and superpixels, painted pixel by pixel."""
    dataset = digits(n=40, size_px=16, labelled=30)
    results = train(dataset, heatmap_field="why", **CUT, aggregation="attention")

    model, notes = image_gcn.load(Path(results.checkpoint), ImageGraphSettings(**_settings(results)))
    with np.load(folder_of(dataset, results) / "superpixels_00000000.npz") as kept:
        found = {name: kept[name] for name in kept.files}
    from evenset.models.graphs.image_nodes import SuperpixelGraphs

    fetch = SuperpixelGraphs(**{name: found[name] for name in ("features", "edges", "nodes", "joins")})
    ((_, logits, contributions),) = image_gcn.predict(model, fetch, np.arange(40))
    assert [notes["names"][i] for i in logits.argmax(1)] == columns(dataset, "label")[0].tolist()
    for i, map_ in enumerate(dataset.values("why.map")):
        own = contributions[i, : found["nodes"][i], logits[i].argmax()]
        nodes = [map_[found["places"][i] == number] for number in range(found["nodes"][i])]
        assert all(len(np.unique(node)) == 1 for node in nodes)
        painted = np.array([node[0] for node in nodes])
        assert painted.sum() * np.abs(own).max() == pytest.approx(logits[i].max(), abs=1e-4)


def _settings(results) -> dict:
    return load_tensors(Path(results.checkpoint))[1]["settings"]


@pytest.mark.parametrize(("size", "shape"), [((24, 16), (11, 16)), ((16, 24), (16, 11))])
@pytest.mark.slow
def test_a_heat_map_has_the_shape_of_its_image(digits, size, shape):
    dataset = digits(n=40, size_px=16, labelled=30)
    for path in dataset.values("filepath"):
        Image.open(path).resize(size).save(path)

    train(dataset, heatmap_field="why", size_px=16, **CUT)

    assert {map_.shape for map_ in dataset.values("why.map")} == {shape}


@pytest.mark.slow
def test_a_resnet_that_was_trained_is_taken_as_it_is(digits):
    dataset = digits(n=80, labelled=60)
    trained = train_resnet(dataset, "ground_truth", progress=False, **RESNET)

    results = train(dataset, **{**PATCHES, "weights": trained.checkpoint, "train_backbone": False})

    assert not (folder_of(dataset, results) / "checkpoint.safetensors").exists()
    assert results.notes == [] and results.epochs == 4 and results.trained + results.validated == 60


def test_too_small_images_are_refused_where_the_size_is_told_and_fail_with_the_reason_where_not(digits, refused):
    dataset = digits(n=40, size_px=8, labelled=30)
    small = {**CUT, "superpixels": 60}
    with refused(dataset, "images of 8 x 8 px are too small for 60 superpixels", "superpixels=16"):
        train(dataset, size_px=8, **small)
    with pytest.raises(ValueError, match="images of 8 x 8 px are too small for 60 superpixels"):
        train(dataset, **small)
    dataset.reload()
    assert not dataset.has_field("gcn")
    assert train(dataset, size_px=16, **small).abstained == 0


@pytest.mark.slow
def test_images_of_one_colour_are_predicted_and_bad_files_are_left_out(digits):
    dataset = digits(n=60, size_px=16, labelled=40)
    ids, paths = dataset.values(["id", "filepath"])
    for number, gray in ((3, 0), (50, 255)):
        Image.new("L", (16, 16), gray).save(paths[number])
    Path(paths[5]).write_bytes(Path(paths[5]).read_bytes()[:60])
    shutil.copy(__file__, paths[55])

    for field, settings in (("cut", CUT), ("patches", PATCHES), ("samples", FAST)):
        heat = {"heatmap_field": f"{field}_why"} if "graph" in settings else {}
        results = train(dataset, output_field=field, **heat, **settings)

        assert set(results.skipped) == {ids[5], ids[55]}
        assert "is damaged or cut off" in results.skipped[ids[5]] and "is not an image" in results.skipped[ids[55]]
        label, confidence = columns(dataset, "label", "confidence", field=field)
        empty = [i for i, name in enumerate(label) if name is None]
        assert empty == [5, 55]
        assert all(value is None or 0 <= value <= 1 for value in confidence)
        if heat:
            maps = dataset.values(f"{field}_why.map")
            assert [i for i, map_ in enumerate(maps) if map_ is None] == [5, 55]
            assert all(np.isfinite(map_).all() for map_ in maps if map_ is not None)


# Arguments


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (dict(graph="pixels"), "graph has to be one of samples, image, not 'pixels'"),
        (dict(graph="image", embeddings="vector"), "embeddings are of graph='samples'"),
        (dict(embeddings="vector", heatmap_field="why"), "heatmap_field is of graph='image'"),
        (dict(embeddings="vectors"), "'vectors' is neither a field of"),
        (dict(embeddings="vector", output_field="vector"), "output_field 'vector' is an input"),
        (dict(graph="image", heatmap_field="gcn"), "output_field 'gcn' is an input"),
        (dict(graph="image", train_backbone=False, weights="none"), "an untrained ResNet has nothing to show"),
        (dict(embeddings="vector", neighbours=0), "neighbours has to be from 1 to 200, not 0"),
    ],
)
def test_arguments_that_cannot_be_are_refused(clusters, refused, settings, words):
    with refused(clusters(20, 10), words):
        train(clusters(20, 10), **settings)


def test_a_setting_of_the_other_graph_is_no_setting(clusters):
    with pytest.raises(TypeError, match="no setting is called 'superpixels'"):
        over_vectors(clusters(20, 10), superpixels=4)


# Killed


TRAINING = """
    import os, signal
    import fiftyone as fo, evenset
    def watch(phase, done, total, note):
        print(phase, done, flush=True)
        if (phase, done) == {end!r}:
            os.kill(os.getpid(), signal.SIGKILL)
    dataset = fo.load_dataset({name!r})
    evenset.train_gcn(dataset, "ground_truth", progress=watch, **{settings!r})
"""


def test_superpixels_are_cut_once_a_run_on_as_many_threads_as_there_are(digits, monkeypatch):
    dataset, cut, at_work = digits(n=60, size_px=16, labelled=40), [], set()
    meet, superpixels = threading.Barrier(2), image_nodes.superpixels

    def counted(image, settings):
        cut.append(image.tobytes())
        if len(cut) <= 2:
            meet.wait(60)  # raises where the second image waits for the first
        at_work.add(threading.get_ident())
        return superpixels(image, settings)

    def stop(phase, done, total, note):
        if (phase, done) == ("training the graph", 2):
            stop_run(dataset, "evenset_train_gcn_1")

    monkeypatch.setattr(image_nodes, "superpixels", counted)
    with pytest.raises(RunStopped):
        train(dataset, heatmap_field="why", threads=2, progress=stop, **CUT)
    resume_run(dataset, "evenset_train_gcn_1", progress=False)

    assert len(cut) == len(set(cut)) == 60 and len(at_work) == 2 and threading.get_ident() not in at_work


@pytest.mark.parametrize(
    ("settings", "end"),
    [
        pytest.param(dict(embeddings="vector", **FAST), ("training the GCN", 10), id="samples"),
        pytest.param(dict(heatmap_field="why", **CUT), ("training the graph", 2), id="superpixels", marks=SLOW),
        pytest.param(dict(heatmap_field="why", **PATCHES), ("writing heat maps", 60), id="patches", marks=SLOW),
    ],
)
def test_a_killed_run_goes_on_and_ends_bit_for_bit_as_one_that_was_not(digits, elsewhere, settings, end):
    """Two runs of one seed, one of them cut in two, in two processes: every field is the same."""
    dataset = digits(n=60, size_px=16, labelled=40)
    dataset.set_values("vector", list(np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)))
    killed = elsewhere(TRAINING.format(end=end, name=dataset.name, settings=settings))
    output = killed.communicate(timeout=200)
    assert killed.returncode < 0, output
    row = list_runs(dataset).rows[-1]
    assert row["state"] == "stopped"
    labelled, vectors = dataset.limit(40), dataset.values("vector")
    given = labelled.values("ground_truth.label")
    labelled.set_values("ground_truth.label", ["other"] * 40)  # what was there at first counts
    dataset.set_values("vector", [vector * 0 for vector in vectors])

    results = resume_run(dataset, row["key"], progress=False)

    labelled.set_values("ground_truth.label", given)
    dataset.set_values("vector", vectors)
    own = {**settings, "output_field": "whole"} | (
        {"heatmap_field": "whole_why"} if "heatmap_field" in settings else {}
    )
    whole = train(dataset, **own)
    for column in ("label", "confidence", "margin"):
        assert dataset.values(f"gcn.{column}") == dataset.values(f"whole.{column}")
    if "heatmap_field" in settings:
        maps = zip(dataset.values("why.map"), dataset.values("whole_why.map"), strict=True)
        assert all(np.array_equal(one, other) for one, other in maps)
    assert results.curves == whole.curves and results.rows == whole.rows and results.notes == whole.notes
