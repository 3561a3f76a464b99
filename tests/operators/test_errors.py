"""An operator that fails says so in a sentence, also where FiftyOne would lose the error: after the bar has begun."""

from __future__ import annotations

import pytest
from evenset import auto_label, review_labels
from evenset.workflows.data import locks

KEY = "evenset_auto_label_1"


def check(answer, sentence: str) -> None:
    """The last page is an alert with the sentence, and a notice repeats it; no traceback, no path of the code."""
    assert answer.sent[0]["operator_uri"] in ("set_progress", "show_output")
    assert [severity for severity, _ in answer.alerts] == ["error"]
    assert sentence in answer.alerts[0][1]
    assert answer.notices == [("error", answer.alerts[0][1])]
    assert not {"Traceback", "site-packages", 'File "'} & {*answer.alerts[0][1].split()}
    assert "\n" not in answer.alerts[0][1]


@pytest.fixture
def suggested(clusters, finished):
    def make():
        dataset = clusters(n=300, labelled=150)
        auto_label(dataset, "ground_truth", embeddings="vector", target_precision=0.9, progress=False)
        return dataset

    return finished("150 suggestions", make)


def test_preprocess_images(app, make_dataset):
    dataset = make_dataset(["/nowhere/1.png", "/nowhere/2.png"])

    check(app.execute(dataset, "preprocess_images", {}), "None of the 2 images can be read")
    assert "preprocessed_path" not in dataset.get_field_schema()


@pytest.mark.slow
def test_train_resnet(app, make_dataset):
    dataset = make_dataset([f"/nowhere/{i}.png" for i in range(8)], ["cat", "dog"] * 4)

    check(app.execute(dataset, "train_resnet", dict(label_field="ground_truth")), "can be read")


@pytest.mark.slow
def test_train_gcn(app, clusters, make_dataset):
    dataset, params = clusters(), dict(label_field="ground_truth", embeddings="vector")
    dataset.set_values("vector", [None] * len(dataset))
    check(app.execute(dataset, "train_gcn", params), "No vector in 'vector' for 240 samples")
    bad = make_dataset([f"/nowhere/{i}.png" for i in range(8)], ["cat", "dog"] * 4)
    check(app.execute(bad, "train_gcn", dict(label_field="ground_truth", graph="image")), "can be read")
    assert "gcn" not in {*dataset.get_field_schema(), *bad.get_field_schema()}


def test_auto_label(app, clusters):
    dataset = clusters()
    dataset.set_values("vector", [None] * len(dataset))

    check(app.execute(dataset, "auto_label", dict(label_field="ground_truth", embeddings="vector")), "'vector'")
    assert "auto_label" not in dataset.get_field_schema()


@pytest.mark.slow
def test_review_labels(app, suggested):
    with locks.lock_field(suggested, "ground_truth"):
        check(
            app.execute(suggested, "review_labels", dict(field="auto_label")), "Another run is writing 'ground_truth'"
        )
    assert suggested.count("ground_truth.evenset_run") == 0


def test_audit_labels(app, suggested):
    review_labels(suggested, "auto_label", progress=False)  # so that none is left
    check(app.execute(suggested, "audit_labels", dict(field="auto_label")), "is accepted in 'auto_label'")


@pytest.mark.slow
def test_find_mistakes(app, clusters):
    dataset, params = clusters(60, 60), dict(label_field="ground_truth", embeddings="vector")
    dataset.set_values("vector", [None] * len(dataset))
    check(app.execute(dataset, "find_mistakes", params), "No vector in 'vector' for 60 samples")
    assert "mistake" not in dataset.get_field_schema()


def test_delete_run(app, suggested):
    with locks.lock_field(suggested, "auto_label"):
        check(app.execute(suggested, "delete_run", dict(run_key=KEY)), "Another run is writing 'auto_label'")
    assert suggested.count("auto_label") == 300


@pytest.mark.slow
def test_resume_run(app, suggested):
    check(app.execute(suggested, "resume_run", dict(run_key=KEY)), f"{KEY} is done")


def test_stop_run(app, suggested):
    check(app.execute(suggested, "stop_run", dict(run_key=KEY)), f"{KEY} is not running")


@pytest.mark.parametrize(
    "operator", ["train_resnet", "train_gcn", "review_labels", "audit_labels", "find_mistakes", "delete_run"]
)
def test_what_is_not_chosen_is_named(app, suggested, operator):
    check(app.execute(suggested, operator, {}), "Nothing is chosen for")
