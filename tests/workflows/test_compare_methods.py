"""compare_methods: what it writes and scores, that held-out labels are hidden, and that a kill changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
from evenset import auto_label, compare_methods, delete_run, load_results, resume_run
from evenset.workflows.comparison.methods import METHODS
from evenset.workflows.comparison.results import interval, score
from fiftyone import ViewField as F
from sklearn.metrics import f1_score

TINY = dict(size_px=8, augmentation="none", precision="fp32", weights="none", device="cpu")
QUICK = dict(epochs=1, min_updates=1, batch_size=16)  # of the ResNet, a row of its own
VECTORS = dict(methods=["gcn", "laplace"], embeddings="vector", seeds=2, epochs=10, progress=False)


def compare(samples, **settings):
    return compare_methods(samples, "ground_truth", **{**VECTORS, **settings})


def test_methods_are_scored_on_the_same_held_out_labels_and_fiftyone_agrees(clusters):
    dataset = clusters(spread=2.0)
    results = compare(dataset)

    held = dataset.match(F("compare") == "held out")
    assert results.held_out[0] == len(held) and results.trained[0] == len(dataset.match(F("compare") == "trained"))
    assert results.held_out[0] + results.trained[0] == 120 and 30 <= results.held_out[0] <= 38
    truth = np.array(held.values("ground_truth.label"))
    for name in ("gcn", "laplace"):
        said = np.array(held.values(f"compare_{name}.label"), dtype=str)
        (first,) = [one for one in results.scores if (one["method"], one["seed"]) == (name, 0)]
        assert first["accuracy"] == (said == truth).mean() > 0.6  # a guess is right one time in three
        assert first["macro_f1"] == pytest.approx(f1_score(truth, said, average="macro"))
        assert first["coverage"] == 1.0
        evaluation = dataset.load_evaluation_results(results.evaluations[name])
        assert evaluation.metrics()["accuracy"] == pytest.approx(first["accuracy"])
        assert held.values(f"compare_{name}_eval") == (said == truth).tolist()
    assert dataset.count("compare_gcn") == len(held)
    assert len(dataset.load_saved_view(results.views["held out"])) == len(held)
    assert [one["method"] for one in results.rows] == ["gcn", "laplace"]
    assert load_results(dataset, results.run_key) == results


@pytest.mark.slow
def test_all_methods_learn_digits(digits):
    dataset = digits(n=160, size_px=8, labelled=120)
    dataset.set_values("zero", [label == "0" for label in dataset.values("truth")])
    results = compare_methods(
        dataset,
        "ground_truth",
        settings_of={
            "resnet": QUICK,
            "image gcn": {"train_backbone": False, "graph_epochs": 2},
            "resnet sgd": {"method": "resnet", "optimizer": "sgd", **QUICK},
        },
        rules={"0": F("zero")},
        seeds=1,
        robustness=True,
        attack_epsilons="4",
        max_attacked_images=10,
        progress=False,
        **TINY,
    )

    rows = {one["method"]: one for one in results.scores}
    assert list(rows) == [*METHODS, "resnet sgd"]
    truth = np.array(dataset.match(F("compare") == "held out").values("ground_truth.label"))
    assert rows["rules"]["accuracy"] == rows["rules"]["coverage"] == (truth == "0").mean()
    for name in ("hog + svm", "k-nn", "gcn", "laplace", "ensemble"):
        assert rows[name]["accuracy"] > 0.5, name  # a guess is right one time in ten
    assert rows["ensemble"]["seconds"] > rows["resnet"]["seconds"]  # its members count, though they were there
    attacked = {name: {key for key in row if "_255" in key} for name, row in rows.items()}
    assert attacked.pop("resnet") == attacked.pop("resnet sgd") == {"fgsm_4_255", "pgd_4_255"}
    assert not any(attacked.values())
    assert dataset.count("compare_rules") == (truth == "0").sum()
    assert set(results.fields.values()) >= {
        "compare_hog_svm",
        "compare_k_nn",
        "compare_image_gcn",
        "compare_resnet_sgd",
    }


def suggested_by_auto_label(dataset, **settings):
    """What auto_label says of the samples with the tag "test", once they have no label."""
    dataset.match_tags("test").set_values("ground_truth", [None] * dataset.match_tags("test").count())
    auto_label(dataset, "ground_truth", calibration_fraction=0, progress=False, **settings)
    return dataset.match_tags("test").values("auto_label.label")


@pytest.mark.slow
def test_the_ensemble_is_what_auto_label_deploys_on_images(digits):
    dataset = digits(n=90, size_px=8, labelled=90)
    dataset.skip(60).tag_samples("test")
    small = dict(QUICK, epochs=4, learning_rate=0.01)
    rows = {"resnet": small, "ensemble": {}}
    compare_methods(dataset, "ground_truth", methods=(), settings_of=rows, test="test", seeds=1, progress=False, **TINY)
    said = dataset.match_tags("test").values(["compare_ensemble.label", "compare_resnet.label"])

    assert said[0] == suggested_by_auto_label(dataset, **small, **TINY)
    assert said[0] != said[1]  # the graph has a say


@pytest.mark.slow
def test_the_ensemble_is_what_auto_label_deploys_on_vectors(clusters):
    dataset = clusters(spread=2.5)  # its images are not there
    dataset.limit(30).tag_samples("test")
    compare(dataset, methods=["ensemble", "laplace"], test="test", seeds=1)
    said = dataset.match_tags("test").values(["compare_ensemble.label", "compare_laplace.label"])

    assert said[0] == suggested_by_auto_label(dataset, embeddings="vector")
    assert said[0] != said[1]


def test_a_comparison_is_undone_with_its_fields_views_and_evaluations(clusters, everything):
    dataset = clusters()
    before = everything(dataset)
    results = compare(dataset)
    assert dataset.list_evaluations() == ["compare_gcn_eval", "compare_laplace_eval"]

    delete_run(dataset, results.run_key)

    assert everything(dataset) == before and dataset.list_evaluations() == []


@pytest.mark.slow
def test_a_sidebar_that_the_user_arranged_stays_as_it_was(clusters, everything):
    import fiftyone as fo

    dataset = clusters()
    dataset.app_config.sidebar_groups = [fo.SidebarGroupDocument(name="mine", paths=["vector", "truth"])]
    dataset.save()
    before = everything(dataset)
    results = compare(dataset, seeds=1)
    assert everything(dataset)["app"] != before["app"]  # FiftyOne gave each evaluation a group there

    delete_run(dataset, results.run_key)

    assert everything(dataset) == before


# Held-out labels


@pytest.mark.slow
def test_no_held_out_label_is_learned_from(clusters):
    """The labels of the test samples are turned to others: the scores change, what is said of them does not."""
    said = []
    for turn in (0, 1):
        dataset = clusters(spread=2.0)
        test = dataset.limit(30)
        test.tag_samples("test")
        labels = [f"class {(int(label[-1]) + turn) % 3}" for label in test.values("ground_truth.label")]
        test.set_values("ground_truth.label", labels)
        methods = ["gcn", "laplace", "ensemble", "rules"]
        results = compare(dataset, test="test", rules="class 0: True", methods=methods, seeds=1)
        said.append([dataset.values([f"{field}.label", f"{field}.confidence"]) for field in results.fields.values()])
        accuracy = {one["method"]: one["accuracy"] for one in results.scores}
        assert (accuracy["gcn"] > 0.6) == (turn == 0)

    assert said[0] == said[1]


@pytest.mark.slow
def test_a_resnet_and_traditional_methods_see_no_held_out_label_either(digits, monkeypatch):
    """Every method is handed labels in which those of the test samples are missing."""
    dataset = digits(n=60, size_px=8, labelled=60)
    seen = {}

    def spy(name, inner):
        def method(trial):
            labels, part = trial.labels, trial.train_then_test()
            assert (labels[trial.split.test] == -1).all() and (part.class_ids[len(trial.split.train) :] == -1).all()
            seen[name] = part.ids[len(trial.split.train) :].tolist()
            return inner(trial)

        return method

    for name in ("hog + svm", "k-nn"):
        function, kinds = METHODS[name]
        monkeypatch.setitem(METHODS, name, (spy(name, function), kinds))
    compare_methods(dataset, "ground_truth", methods=["hog + svm", "k-nn"], seeds=1, progress=False, size_px=8)

    held = dataset.match(F("compare") == "held out").values("id")
    assert sorted(seen["hog + svm"]) == sorted(seen["k-nn"]) == sorted(held)


def test_labels_that_evenset_gave_train_and_do_not_score(clusters):
    import fiftyone as fo

    dataset = clusters(n=90, labelled=90)
    dataset.add_sample_field("ground_truth.evenset_run", fo.StringField)
    dataset.limit(60).set_values("ground_truth.evenset_run", ["evenset_auto_label_1"] * 60)

    results = compare(dataset, test_fraction=0.5, seeds=1)

    parts = dataset.values("compare")
    assert "held out" not in parts[:60] and parts[60:].count("held out") == results.held_out[0] == 15
    assert "60 labels came from Evenset or a queue, and trained without scoring." in results.notes


@pytest.mark.slow
def test_groups_and_copies_of_an_image_stay_on_one_side(digits):
    dataset = digits(n=80, size_px=8, labelled=80)
    paths = dataset.values("filepath")
    copies = dict(zip(dataset.values("id")[:20], paths[20:40], strict=True))  # the same image in two samples
    dataset.set_values("filepath", copies, key_field="id")
    dataset.set_values("ground_truth.label", ["0", "1"] * 40)
    dataset.set_values("patient", [f"{i // 4}" for i in range(80)])

    results = compare_methods(
        dataset, "ground_truth", methods="k-nn", group_field="patient", seeds=3, progress=False, size_px=8
    )

    held = np.array(dataset.values("compare")) == "held out"
    assert 0 < held.sum() == results.held_out[0]
    for first in range(0, 80, 4):
        assert len(set(held[first : first + 4])) == 1
    assert (held[:20] == held[20:40]).all()


def test_training_samples_that_are_like_a_test_sample_are_left_out(clusters):
    dataset = clusters(n=60, labelled=60)
    dataset.set_values("video", [f"{i // 2}" for i in range(60)])
    dataset[:21].tag_samples("test")

    results = compare(dataset, test="test", group_field="video", seeds=1)

    parts = dataset.values("compare")
    assert parts[:21] == ["held out"] * 21 and parts[21] is None and parts[22:] == ["trained"] * 38
    assert (results.trained, results.held_out) == ([38], [21])


@pytest.mark.slow
def test_each_repetition_draws_another_part_and_the_same_seed_the_same(clusters):
    dataset = clusters(spread=2.5)
    one = compare(dataset, seeds=3)
    two = compare(dataset, seeds=1, seed=2, output_field="again")

    assert len({score["accuracy"] for score in one.scores if score["method"] == "gcn"}) > 1
    timeless = [
        {key: value for key, value in score.items() if key != "seconds"} for score in (*one.scores, *two.scores)
    ]
    assert [score for score in timeless[:6] if score["seed"] == 2] == timeless[6:]


# Settings


@pytest.mark.slow
def test_rows_have_settings_of_their_own(clusters):
    dataset = clusters(spread=2.5)
    rows = {"gcn": {"epochs": 1}, "GCN, 30 epochs": {"method": "gcn", "epochs": 30}, "two": {"method": "laplace"}}

    results = compare(dataset, methods=(), settings_of=rows, neighbours=2, seeds=1)

    assert [one["method"] for one in results.rows] == list(rows)
    assert results.fields["GCN, 30 epochs"] == "compare_gcn_30_epochs"
    confidence = [
        np.array(dataset.match(F("compare") == "held out").values(f"{field}.confidence"))
        for field in list(results.fields.values())[:2]
    ]
    assert confidence[1].mean() > confidence[0].mean() + 0.1  # an epoch alone says little
    with np.load(learned(dataset, results, "laplace")) as kept:
        assert len(kept["probabilities"]) == results.held_out[0]


def learned(dataset, results, method):
    from evenset.workflows.data.folders import run_folder

    (path,) = run_folder(dataset, results.run_key).glob(f"{method}_0_*.npz")
    return path


# Kills


def test_a_run_that_was_stopped_goes_on_and_ends_as_one_that_was_not(clusters, monkeypatch):
    dataset = clusters(spread=2.0)
    whole = compare(dataset, output_field="whole", rules="class 1: True", methods=["gcn", "laplace", "rules"])
    before, kinds = METHODS["laplace"]
    calls = []

    def stopped(trial):
        raise KeyboardInterrupt

    monkeypatch.setitem(METHODS, "laplace", (stopped, kinds))
    with pytest.raises(KeyboardInterrupt):
        compare(dataset, output_field="cut", rules="class 1: True", methods=["gcn", "laplace", "rules"])
    assert not dataset.has_field("cut") and not dataset.has_field("cut_gcn")
    key = dataset.list_runs()[-1]

    def counted(trial):
        calls.append(trial.split.seed)
        return before(trial)

    monkeypatch.setitem(METHODS, "laplace", (counted, kinds))
    monkeypatch.setitem(METHODS, "gcn", (stopped, METHODS["gcn"][1]))  # it is done, and kept
    dataset.match_tags("nothing")  # what the caller has in hand does not matter
    resumed = resume_run(dataset, key, progress=False)

    assert calls == [0, 1]
    for name in ("gcn", "laplace", "rules"):
        columns = [f"{field}_{name}.{part}" for field in ("whole", "cut") for part in ("label", "confidence")]
        values = dataset.values(columns)
        assert values[:2] == values[2:]
    assert dataset.values("whole") == dataset.values("cut")
    assert [{**one, "seconds": 0} for one in resumed.scores] == [{**one, "seconds": 0} for one in whole.scores]


# Numbers


def test_the_interval_is_students():
    mean, low, high = interval([0.8, 0.9, 1.0])

    assert (mean, low, high) == pytest.approx((0.9, 0.9 - 4.302653 * 0.1 / 3**0.5, 0.9 + 4.302653 * 0.1 / 3**0.5))
    assert np.isnan(interval([0.8])[1:]).all()


def test_abstaining_is_not_right_and_lowers_coverage():
    probabilities = np.array([[0.9, 0.1], [np.nan, np.nan], [0.2, 0.8], [0.6, 0.4]])

    found = score(probabilities, np.array([0, 0, 1, 1]))

    assert found == dict(accuracy=0.5, macro_f1=pytest.approx((0.5 + 2 / 3) / 2), coverage=0.75)
