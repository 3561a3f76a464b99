"""The forecast before auto_label runs: it warns exactly where no held-out labels can show the target."""

from __future__ import annotations

import pytest
from evenset import auto_label
from evenset.models.settings import AutoLabelSettings
from evenset.workflows.ui.forecast import count_calibrating, forecast


def labelled(make_dataset, count):
    return make_dataset(
        [f"/nowhere/{i}.png" for i in range(200)], [*["cat", "dog"] * (count // 2), *[None] * 200][:200]
    )


@pytest.mark.parametrize(("labels", "warns"), [(44, True), (88, True), (90, False)])  # 45 are needed, half is held out
def test_it_warns_where_too_few_labels_are_held_out(make_dataset, labels, warns):
    sentence = forecast(labelled(make_dataset, labels), "ground_truth", AutoLabelSettings())
    assert (sentence is not None) == warns
    if warns:
        assert "95.0 % takes 45 held-out labels" in sentence and f"{labels} labels {labels // 2} would" in sentence


def test_it_names_the_highest_target_that_the_labels_can_show(make_dataset):
    dataset = labelled(make_dataset, 44)  # 22 held out are enough for 90 % exactly
    assert forecast(dataset, "ground_truth", AutoLabelSettings()).endswith("accepted: 90.0 % takes 22.")
    assert "no lower target" in forecast(labelled(make_dataset, 8), "ground_truth", AutoLabelSettings())
    none_held_out = AutoLabelSettings(calibration_fraction=0.0, target_precision=0.8)
    assert "44 labels 0 would be held out" in forecast(dataset, "ground_truth", none_held_out)


def test_labels_that_a_queue_chose_are_not_counted(make_dataset):
    dataset = labelled(make_dataset, 100)
    assert forecast(dataset, "ground_truth", AutoLabelSettings()) is None
    for name, values in {
        "evenset_run": ["evenset_review_labels_1"] * 60 + [None] * 40,
        "evenset_review": ["seen"] * 50 + ["bulk"] * 10 + [None] * 40,
        "evenset_selection": ["queue"] * 40 + ["random"] * 20 + [None] * 40,
    }.items():
        dataset.limit(100).set_values(f"ground_truth.{name}", values)
    dataset.add_dynamic_sample_fields()
    assert count_calibrating(dataset, "ground_truth") == 50  # 40 of the user's own, 10 seen ones of a random draw
    assert forecast(dataset, "ground_truth", AutoLabelSettings()) is not None


def test_where_it_warns_a_run_accepts_nothing_and_says_the_same(clusters):
    dataset = clusters(200, 60, spread=0.3)
    assert "takes 45 held-out labels" in forecast(dataset, "ground_truth", AutoLabelSettings())
    results = auto_label(dataset, "ground_truth", embeddings="vector", members="graph", progress=False)
    assert results.accepted == 0 and any("takes 45 held-out labels" in note for note in results.notes)
