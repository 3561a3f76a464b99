"""Split dataset and Export dataset in the App: forms that say what stands in the way, workers, and result pages."""

from __future__ import annotations

from pathlib import Path

import pytest
from evenset import split_dataset
from evenset.operators.export_dataset import absolute
from evenset.operators.forms.refill import form_values
from evenset.workflows.runs import records


def refusals(lines):
    return [line["error_message"] for line in lines.values() if line["invalid"]]


@pytest.mark.slow
def test_a_dataset_is_split_and_exported_by_two_forms(app, digits, tmp_path):
    dataset = digits(120, labelled=100)
    assert refusals(app.form(dataset, "split_dataset")) == []

    answer = app.execute(dataset, "split_dataset", {"label_field": "ground_truth"})
    assert "Export ..." in answer.labels and answer.notices == []
    dataset.reload()
    counts = dataset.count_sample_tags()
    shown = ", ".join(f"{counts[tag]} {tag}" for tag in ("train", "val", "test"))
    assert answer.page["title"]["view"]["label"] == f"100 samples are tagged: {shown}"
    assert sum(counts.values()) == 100 and abs(counts["train"] - 80) < 3

    folder = str(tmp_path / "out")
    lines = app.form(dataset, "export_dataset", {"folder": folder})
    assert refusals(lines) == [] and lines["splits"]["default"] == "train, val, test"
    answer = app.execute(dataset, "export_dataset", {"label_field": "ground_truth", "folder": folder, "format": "csv"})
    assert answer.page["title"]["view"]["label"] == "100 images are exported"
    assert len(Path(folder, "labels.csv").read_text().splitlines()) == 101

    dataset.reload()
    values = form_values(records.read_record(dataset, "evenset_export_dataset_1"))
    assert (values["labels"], values["splits"], values["format"]) == ("labelled, reviewed", "train, val, test", "csv")
    assert "folder" not in values
    lines = app.form(dataset, "delete_run", {"run_key": "evenset_split_dataset_1"})
    assert "Tags that it added: train, val, test" in [line["view"].get("label") for line in lines.values()]


def test_forms_say_at_once_what_stands_in_the_way(app, digits, tmp_path):
    dataset = digits(60, labelled=50)
    split_dataset(dataset, "ground_truth", progress=False)
    (sentence,) = refusals(app.form(dataset, "split_dataset"))
    assert f"{len(dataset.match_tags('train'))} samples have the tag 'train'" in sentence and "'Keep'" in sentence
    assert refusals(app.form(dataset, "split_dataset", {"keep": True})) == []
    assert "sum to 1" in refusals(app.form(dataset, "split_dataset", {"train": 0.5}))[0]

    (tmp_path / "mine.txt").write_text("mine")
    (sentence,) = refusals(app.form(dataset, "export_dataset", {"folder": str(tmp_path)}))
    assert "is not empty" in sentence
    assert "full path" in refusals(app.form(dataset, "export_dataset", {"folder": "out"}))[0]
    assert "'nobody'" in refusals(app.form(dataset, "export_dataset", {"splits": "nobody"}))[0]


def test_a_folder_of_the_form_is_a_full_path():
    assert absolute("~/x") == str(Path.home() / "x")
    with pytest.raises(ValueError, match="has to be a full path"):
        absolute("x")
