"""auto_label(after=): goes on from an earlier run on more labels, and never learns from what that run held out."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from evenset import auto_label, delete_run, load_results, resume_run, review_labels, stop_run
from evenset.models.classifiers import resnet
from evenset.models.settings import ResNetSettings
from evenset.workflows.data import folders
from evenset.workflows.labeling.warm_start import inherit
from evenset.workflows.runs import records
from evenset.workflows.training.partition import Split

FIRST, SECOND = "evenset_auto_label_1", "evenset_auto_label_2"
QUICK = dict(epochs=4, min_updates=4, self_training_rounds=0, augmentation="none", precision="fp32", progress=False)


def label(dataset, **settings):
    usual = dict(embeddings="vector", progress=False, random_labels=True, target_precision=0.9)
    return auto_label(dataset, "ground_truth", **{**usual, **settings})


def again(dataset, **settings):
    return label(dataset, **{"output_field": "auto_label_2", "after": FIRST, **settings})


def give_labels(dataset, count=None):
    """Labels the next samples that have none, as a person would; returns their ids."""
    bare = dataset.match({"ground_truth": None}).limit(count or len(dataset))
    ids, names = bare.values(["id", "truth"])
    dataset.set_values(
        "ground_truth", dict(zip(ids, [fo.Classification(label=name) for name in names], strict=True)), key_field="id"
    )
    return set(ids)


def parts(dataset, key):
    with np.load(folders.run_folder(dataset, key) / "parts.npz") as kept:
        return {
            part: set(kept["ids"][kept["parts"] == part].tolist())
            for part in (Split.TRAIN, Split.VALIDATION, Split.HELD_OUT)
        }


def test_what_was_held_out_stays_held_out_and_all_that_is_new_trains(clusters):
    dataset = clusters(300, 100, spread=1.5)
    label(dataset)
    before = parts(dataset, FIRST)
    new = give_labels(dataset, 40)

    results = again(dataset)

    after = parts(dataset, SECOND)
    assert after[Split.HELD_OUT] == before[Split.HELD_OUT] and len(after[Split.HELD_OUT]) == results.held_out == 50
    assert after[Split.TRAIN] == before[Split.TRAIN] | new and after[Split.VALIDATION] == set()
    assert results.labelled == 140 and dataset.has_field("auto_label") and dataset.has_field("auto_label_2")


@pytest.mark.slow
def test_a_third_round_leaves_out_what_the_first_held_out(clusters):
    dataset = clusters(300, 100)
    label(dataset)
    again(dataset)
    again(dataset, after=SECOND, output_field="third")
    assert parts(dataset, "evenset_auto_label_3") == parts(dataset, FIRST)


@pytest.mark.slow
def test_new_samples_of_a_group_that_was_held_out_do_not_train(clusters):
    dataset = clusters(200, 100)
    pairs = [str(number % 100) for number in range(200)]  # a labelled sample, and one that is labelled later
    dataset.set_values("patient", pairs)
    label(dataset, group_field="patient")
    held = parts(dataset, FIRST)[Split.HELD_OUT]
    twins = {pairs[number] for number, i in enumerate(dataset.values("id")) if i in held}
    give_labels(dataset)

    again(dataset, group_field="patient")

    after, patients = parts(dataset, SECOND), dict(zip(dataset.values("id"), pairs, strict=True))
    assert after[Split.HELD_OUT] == held
    assert not {patients[i] for i in after[Split.TRAIN]} & twins and len(after[Split.TRAIN]) == 200 - 2 * len(twins)


@pytest.mark.slow
def test_a_held_out_label_that_evenset_corrected_trains_as_any_that_it_wrote(clusters):
    dataset = clusters(240, 120)
    label(dataset)
    wrong = min(parts(dataset, FIRST)[Split.HELD_OUT])
    review_labels(dataset.select(wrong), "auto_label", action="correct", label="class 0", progress=False)

    again(dataset)

    after = parts(dataset, SECOND)
    assert wrong in after[Split.TRAIN] and after[Split.HELD_OUT] == parts(dataset, FIRST)[Split.HELD_OUT] - {wrong}


@pytest.mark.slow
def test_a_label_that_only_an_earlier_round_learned_from_never_counts_as_unseen(clusters):
    dataset = clusters(240, 120)
    label(dataset, random_labels=False)
    once = sorted(parts(dataset, FIRST)[Split.TRAIN])[:5]
    labels = dict(zip(once, dataset.select(once, ordered=True).values("ground_truth"), strict=True))
    dataset.select(once).clear_sample_field("ground_truth")
    again(dataset, random_labels=False)
    again(dataset, random_labels=False, after=SECOND, output_field="third")
    dataset.set_values("ground_truth", labels, key_field="id")
    assert not set(once) & parts(dataset, "evenset_auto_label_3")[Split.TRAIN]

    held = parts(dataset, FIRST)[Split.HELD_OUT]
    results = label(dataset, embeddings=None, run="evenset_auto_label_3", output_field="by", random_labels=False)

    assert results.held_out == len(held)  # and none of `once`


@pytest.fixture
def pictures(digits, finished):
    def make():
        dataset = digits(n=120, labelled=80)
        auto_label(dataset, "ground_truth", **QUICK)
        return dataset

    return finished("a first round on pictures", make)


@pytest.mark.slow
def test_the_network_goes_on_from_the_checkpoint_in_a_part_of_the_epochs(pictures):
    still = dict(QUICK, learning_rate=1e-7, members="resnet", output_field="auto_label_2")  # it stays where it begins
    auto_label(pictures, "ground_truth", **still, after=FIRST)
    auto_label(pictures, "ground_truth", **{**still, "output_field": "anew"}, seed=1)

    first, second, anew = (last_layer(pictures, key) for key in (FIRST, SECOND, "evenset_auto_label_3"))
    assert np.abs(first - second).max() < 1e-4 < np.abs(first - anew).max()
    assert [len(load_results(pictures, key).curves) for key in (FIRST, SECOND)] == [4, 1]
    held, tuning = (parts(pictures, FIRST)[part] for part in (Split.HELD_OUT, Split.VALIDATION))
    assert (
        held
        and tuning
        and (parts(pictures, SECOND)[Split.HELD_OUT], parts(pictures, SECOND)[Split.VALIDATION]) == (held, tuning)
    )


def last_layer(dataset, key):
    model, _ = resnet.load(folders.run_folder(dataset, key) / "checkpoint.safetensors")
    return model.head.weight.detach().numpy()


@pytest.mark.slow
def test_where_nothing_chose_the_epoch_nothing_that_trained_does_now(pictures):
    path = folders.run_folder(pictures, FIRST) / "parts.npz"
    kept = dict(np.load(path))
    np.savez(path, **{**kept, "parts": np.where(kept["parts"] == Split.VALIDATION, Split.TRAIN, kept["parts"])})

    auto_label(pictures, "ground_truth", after=FIRST, output_field="two", **QUICK)

    assert parts(pictures, SECOND)[Split.VALIDATION] == set() and parts(pictures, SECOND) == parts(pictures, FIRST)


def test_a_class_that_is_new_gets_a_row_of_its_own_and_the_others_keep_theirs(tmp_path):
    mean = std = np.array([0.5])
    before = resnet.build(2, 1, 16, mean, std, ResNetSettings(seed=1, weights="none"))
    resnet.save(before, tmp_path / "old.safetensors", dict(names=["cat", "dog"]))
    now = resnet.build(3, 1, 16, mean, std, ResNetSettings(seed=2, weights="none"))
    fresh = now.head.weight.detach().clone()

    resnet.load_earlier_checkpoint(now, tmp_path / "old.safetensors", ["ape", "cat", "dog"])

    assert (now.head.weight[1:] == before.head.weight).all() and (now.head.weight[0] == fresh[0]).all()
    assert (now.network.layer4[0].conv1.weight == before.network.layer4[0].conv1.weight).all()


@pytest.mark.slow
def test_images_are_described_once_for_all_rounds_while_nothing_changes(pictures):
    def described(field):
        phases = []
        auto_label(
            pictures, "ground_truth", after=FIRST, members="graph", output_field=field,
            progress=lambda phase, *_: phases.append(phase),
        )  # fmt: skip
        return "computing image features" in phases

    assert not described("two")
    features = [folders.run_folder(pictures, key) / "features.npz" for key in (FIRST, SECOND)]
    one, two = (dict(np.load(path)) for path in features)
    assert all(np.array_equal(one[name], two[name]) for name in one)
    later = time.time() + 10
    os.utime(pictures.first().filepath, (later, later))
    assert described("three")


@pytest.mark.slow
def test_a_round_that_was_stopped_goes_on_as_if_it_had_not_been(pictures):
    def stop(phase, done, total, note):
        if phase.startswith("ResNet: training"):
            stop_run(pictures, SECOND)

    with pytest.raises(Exception, match="was stopped"):
        auto_label(
            pictures, "ground_truth", after=FIRST, output_field="two", **{**QUICK, "progress": stop, "epochs": 8}
        )
    resume_run(pictures, SECOND, progress=False)
    auto_label(pictures, "ground_truth", after=FIRST, output_field="three", **{**QUICK, "epochs": 8})
    pictures.reload()
    assert pictures.values("two.confidence") == pictures.values("three.confidence")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (dict(after="evenset_auto_label_7"), "no run 'evenset_auto_label_7'"),
        (dict(run=FIRST), "leave run and validation out"),
        (dict(validation="some", embeddings=None), "leave run and validation out"),
        (dict(random_labels=True), f"the held-out labels of {FIRST} are not a random draw"),
    ],
)
def test_what_has_no_next_round_is_refused(clusters, refused, settings, words):
    dataset = clusters()
    label(dataset, random_labels=False)
    with refused(dataset, words):
        again(dataset, **{"random_labels": False, **settings})


@pytest.mark.slow
def test_a_run_that_cannot_be_gone_on_from_says_why(clusters, refused):
    dataset = clusters()
    dataset.clone_sample_field("ground_truth", "other")
    label(dataset)
    label(dataset, embeddings=None, run=FIRST, output_field="by_run", random_labels=False)
    review_labels(dataset.match({"auto_label.status": "accepted"}).limit(1), "auto_label", progress=False)
    with refused(dataset, f"{SECOND} trained nothing, as it predicted by {FIRST}"):
        again(dataset, after=SECOND, output_field="three", random_labels=False)
    with refused(dataset, "is a run of review_labels"):
        again(dataset, after="evenset_review_labels_1", output_field="three")
    with refused(dataset, "learned from 'ground_truth', and this is about 'other'"):
        auto_label(dataset, "other", embeddings="vector", after=FIRST, output_field="three", progress=False)
    records.save_record(dataset, dataclasses.replace(records.read_record(dataset, FIRST), state="failed"))
    with refused(dataset, f"{FIRST} is failed"):
        again(dataset, output_field="three")


@pytest.mark.slow
def test_another_architecture_cannot_go_on(pictures, refused):
    with refused(pictures, "trained a resnet18, not a resnet34"):
        auto_label(pictures, "ground_truth", after=FIRST, architecture="resnet34", output_field="two", progress=False)


@pytest.mark.slow
def test_the_round_outlives_the_run_that_it_went_on_from(clusters):
    dataset = clusters()
    label(dataset)
    again(dataset)
    delete_run(dataset, FIRST)
    again(dataset, after=SECOND, output_field="third")
    assert Path(folders.run_folder(dataset, "evenset_auto_label_3") / "parts.npz").exists()


def test_a_next_round_takes_over_what_it_is_not_given(clusters):
    dataset = clusters()
    dataset.set_values("patient", dataset.values("id"))
    classes = {"class 0": ["zero"], "class 1": [], "class 2": []}
    label(dataset, classes=classes, group_field="patient")

    auto_label(dataset, "ground_truth", output_field="second", after=FIRST, progress=False)
    auto_label(
        dataset, "ground_truth", output_field="third", after=FIRST, target_precision=0.8, random_labels=False,
        classes=sorted(classes), progress=False,
    )  # fmt: skip

    second, third = (records.read_record(dataset, f"evenset_auto_label_{number}") for number in (2, 3))
    inputs = dict(embeddings="vector", classes=classes, group_field="patient")
    assert {name: second.inputs[name] for name in inputs} == inputs
    assert (second.settings["random_labels"], second.settings["target_precision"]) == (True, 0.9)
    assert third.inputs["classes"] == sorted(classes) and third.inputs["embeddings"] == "vector"
    assert (third.settings["random_labels"], third.settings["target_precision"]) == (False, 0.8)


@pytest.mark.slow
def test_images_alone_take_over_no_vectors(clusters):
    dataset = clusters()
    label(dataset)
    inputs = dict(embeddings=None, classes=None, group_field=None)
    arguments, settings = inherit(dataset, FIRST, inputs, dict(members="resnet"))
    assert arguments == inputs and settings["target_precision"] == 0.9 and "text_encoder" not in settings


@pytest.mark.slow
def test_an_array_of_an_earlier_round_is_not_taken_for_a_name(clusters):
    dataset = clusters()
    label(dataset)
    record = records.read_record(dataset, FIRST)
    phrase = dict(record.inputs, embeddings="array of shape (240, 8)")
    records.save_record(dataset, dataclasses.replace(record, inputs=phrase))
    inputs = dict(embeddings=None, classes=None, group_field=None)
    assert inherit(dataset, FIRST, inputs, {})[0]["embeddings"] is None


@pytest.mark.slow
def test_embeddings_that_are_gone_are_named_with_the_remedy(clusters, refused):
    dataset = clusters()
    label(dataset)
    dataset.rename_sample_field("vector", "other")
    words = f"after: {FIRST} learned from the embeddings 'vector'", "neither a field", "Give embeddings= another field"
    with refused(dataset, *words):
        auto_label(dataset, "ground_truth", output_field="second", after=FIRST, progress=False)
    again(dataset, embeddings="other")
