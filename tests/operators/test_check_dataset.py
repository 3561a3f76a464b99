"""check_dataset in the App: a short form, splits as they are typed, and buttons that open the views."""

from __future__ import annotations

import pytest
from evenset.tests.workflows.planted_photos import tiles, write, write_tiles


@pytest.fixture
def photos(make_dataset, tmp_path):
    paths = [*write_tiles(tmp_path), write(tmp_path, tiles()[3], "copy.jpg")]
    dataset = make_dataset(paths, ["cat"] * 30 + ["dog"])
    dataset.set_values("tags", [["train"]] * 30 + [["test"]])
    return dataset


def test_the_form_asks_for_little(app, photos):
    lines = app.form(photos, "check_dataset")

    asked = [name for name, line in lines.items() if line["type"]["name"] != "Void" and "section_" not in name]
    assert asked == ["view_target", "label_field", "splits", "output_field", "tags", "wait"]
    assert not any(line["required"] or line["invalid"] for line in lines.values())
    assert "embeddings" in app.form(photos, "check_dataset", dict(more=True))
    assert app.form(photos, "check_dataset", dict(splits="a,,b"))["splits"]["invalid"]


def test_problems_are_shown_with_buttons_that_open_their_views(app, photos):
    answer = app.execute(photos, "check_dataset", dict(label_field="ground_truth", splits="train, test"))

    assert answer.labels[0].endswith("of 31 samples have a problem, or several")
    assert {"Near duplicates", "Same image, different labels", "Leaks between splits"} <= set(answer.labels)
    assert [row["1"] for row in answer.values["rows"]][:3] == ["2", "2", "2"]
    photos.reload()
    assert photos.load_saved_view("check: leaks between splits").count() == 2


def test_a_refusal_is_a_sentence(app, photos):
    answer = app.execute(photos, "check_dataset", dict(splits="train, val"))

    assert "no sample has the tag 'val'" in str(answer.labels)
