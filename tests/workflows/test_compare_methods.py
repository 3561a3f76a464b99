"""compare_methods: what it writes and scores, that held-out labels are hidden, and that a kill changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
from evenset import compare_methods, delete_run, load_results
from evenset.workflows import methods as learners
from fiftyone import ViewField as F
from sklearn.metrics import f1_score

TINY = dict(size_px=8, augmentation="none", precision="fp32", weights="none", device="cpu")
QUICK = dict(epochs=1, minimum_steps=1, batch_size=16)  # of the ResNet, a row of its own
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
    assert load_results(dataset, results.run_key)["text"] == str(results)


def test_all_methods_learn_digits(digits):
    dataset = digits(n=160, size_px=8, labelled=120)
    dataset.set_values("zero", [label == "0" for label in dataset.values("truth")])
    results = compare_methods(
        dataset,
        "ground_truth",
        settings_of={
            "resnet": QUICK,
            "image gcn": {"train_backbone": False, "graph_epochs": 2},
            "ensemble": QUICK,
            "resnet sgd": {"method": "resnet", "optimizer": "sgd", **QUICK},
        },
        rules={"0": F("zero")},
        seeds=1,
        robustness=True,
        strengths="4",
        attacked=10,
        progress=False,
        **TINY,
    )

    rows = {one["method"]: one for one in results.scores}
    assert list(rows) == [*learners.METHODS, "resnet sgd"]
    truth = np.array(dataset.match(F("compare") == "held out").values("ground_truth.label"))
    assert rows["rules"]["accuracy"] == rows["rules"]["coverage"] == (truth == "0").mean()
    for name in ("hog + svm", "k-nn", "gcn", "laplace", "ensemble"):
        assert rows[name]["accuracy"] > 0.5, name  # a guess is right one time in ten
    assert rows["ensemble"]["seconds"] > rows["resnet"]["seconds"]  # its members count, though they were there
    attacked = {name: {key for key in row if "/255" in key} for name, row in rows.items()}
    assert attacked.pop("resnet") == attacked.pop("resnet sgd") == {"FGSM 4/255", "PGD 4/255"}
    assert not any(attacked.values())
    assert dataset.count("compare_rules") == (truth == "0").sum()
    assert set(results.fields.values()) >= {
        "compare_hog_svm",
        "compare_k_nn",
        "compare_image_gcn",
        "compare_resnet_sgd",
    }


def test_a_comparison_is_undone_with_its_fields_views_and_evaluations(clusters, everything):
    dataset = clusters()
    before = everything(dataset)
    results = compare(dataset)
    assert dataset.list_evaluations() == ["compare_gcn_eval", "compare_laplace_eval"]

    delete_run(dataset, results.run_key)

    assert everything(dataset) == before and dataset.list_evaluations() == []
