"""Train GCN in the App: what it answers, and that what was put in for one graph does not reach the other."""

from __future__ import annotations

import pytest
from evenset import delete_run, load_results
from evenset.workflows.runs import records

KEY = "evenset_train_gcn_1"
FORM = dict(label_field="ground_truth", embeddings="vector", heatmap_field="why", neighbours=5, superpixels=12)


@pytest.mark.slow
def test_synthetic_samples_are_learned_from_and_get_no_prediction(app, clusters):
    dataset = clusters(60, 50)
    made = dataset.limit(6)
    made.tag_samples("synthetic")

    params = dict(label_field="ground_truth", embeddings="vector", epochs=2, include_synthetic=True)
    answer = app.execute(dataset, "train_gcn", params)

    assert answer.labels[0].endswith("of the validation labels are predicted correctly")
    dataset.reload()
    assert records.read_record(dataset, KEY).inputs["include_synthetic"] is True
    assert dataset.count("gcn.label") == 54 and not made.count("gcn.label")


@pytest.mark.parametrize(
    ("params", "graph", "fields"),
    [
        pytest.param(dict(epochs=5), "5 neighbours a sample, 100.0 % of the exact ones", {"gcn"}, id="samples"),
        pytest.param(
            dict(graph="image", nodes="superpixels", graph_epochs=2),
            "superpixels an image",
            {"gcn", "why"},
            id="image",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_each_graph_takes_its_own_settings_and_says_how_well_it_does(app, digits, params, graph, fields):
    dataset = digits(n=60, size_px=16, labelled=50)
    dataset.set_values("vector", [[float(i % 7), float(i % 5)] for i in range(60)])
    before = set(dataset.get_field_schema())

    answer = app.execute(dataset, "train_gcn", {**FORM, **params})

    results = load_results(dataset, KEY)
    assert answer.labels[0] == f"{100 * results.accuracy:.1f} % of the validation labels are predicted correctly"
    lines = " ".join(str(value) for value in answer.values.values())
    assert graph in lines and f"{results.trained} labels, {results.epochs} epochs" in lines
    assert [row["0"] for row in answer.values["rows"]] == results.names
    assert set(dataset.get_field_schema()) - before == fields
    hints = [text for _, text in answer.alerts if "Tick 'why' in the sidebar" in text]
    assert len(hints) == ("why" in fields) and answer.notices == []
    delete_run(dataset, KEY)
    assert set(dataset.get_field_schema()) == before
