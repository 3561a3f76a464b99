"""Missing, spurious and moved boxes in the Mistakes tab: shown with what Apply does, applied and undone."""

from __future__ import annotations

import base64
import io

import pytest
from evenset import find_mistakes
from evenset.models.images.region import Region
from evenset.tests.operators.panel_page import Panel
from evenset.tests.workflows.planted_boxes import plant, two_classes, vectors_of
from evenset.workflows.ui import item_images
from PIL import Image

APPLY = {"missing": "Apply adds the box", "spurious": "Apply deletes the box", "moved": "Apply moves the box"}


@pytest.fixture
def dataset(finished, boxed_digits):
    def make():
        dataset = two_classes(boxed_digits)
        plant(dataset)
        find_mistakes(dataset, "ground_truth", predictions="detector", embeddings=vectors_of(dataset), progress=False)
        return dataset

    return finished("a detector's boxes in the panel", make)


def act(panel, action):
    panel.send("on_mistakes_act", action=action, turn=panel.state["mistakes"]["turn"])


def boxes(dataset):
    dataset.reload()
    return [repr([box.to_dict() for box in sample.ground_truth.detections]) for sample in dataset]


def test_each_kind_says_what_applying_does_and_one_click_does_it(dataset):
    before, panel = boxes(dataset), Panel(dataset).open("mistakes")
    seen, last = [], before
    for number in range(4):
        state, page = panel.state["mistakes"], panel.send("on_tab", value="mistakes").page
        row = state["rows"][0]
        seen.append(row["kind"])
        assert APPLY[row["kind"]] in page and page.count("data:image/jpeg") >= 2
        assert ("no box" in page) == any(row["kind"] == "missing" for row in state["rows"])
        assert (state["suggested_box"] is not None) == (row["kind"] == "moved")
        act(panel, "accept")
        assert boxes(dataset) != last and panel.state["mistakes"]["done"] == number + 1
        last = boxes(dataset)
    assert sorted(seen) == ["missing", "missing", "moved", "spurious"] and panel.state["mistakes"]["count"] == 0
    for _ in range(4):
        act(panel, "undo")
    assert boxes(dataset) == before and panel.state["mistakes"]["count"] == 4


def test_all_shown_are_applied_together_and_undone_by_one_click(dataset):
    before, panel = boxes(dataset), Panel(dataset).open("mistakes")
    ids = [row["id"] for row in panel.state["mistakes"]["rows"]]
    panel.send("on_mistakes_ask", action="accept", ids=ids)
    assert panel.state["mistakes"]["count"] == 0
    act(panel, "undo")
    assert boxes(dataset) == before


def test_the_image_of_a_missing_box_opens_with_the_proposed_box_selected(dataset):
    panel = Panel(dataset).open("mistakes")
    while panel.state["mistakes"]["rows"][0]["kind"] != "missing":
        act(panel, "skip")
    _, requests = panel.execute("on_mistakes_open")
    asked = {request.operator_uri: request.params for request in requests}
    (label,) = asked["set_selected_labels"]["labels"]
    assert label["field"] == "mistake" and asked["open_sample"]["id"] == label["sample_id"]
    proposed = {box.id: box["kind"] for box in dataset[label["sample_id"]].mistake.detections}
    assert proposed[label["label_id"]] == "missing"


def test_a_moved_boxs_place_is_drawn_beside_the_box(tmp_path):
    path = str(tmp_path / "blank.png")
    Image.new("L", (40, 40), 128).save(path)
    region = str(Region(path, (0.1, 0.1, 0.3, 0.3), 0.1, "square"))
    url = item_images.whole_url(region, 100, [0.5, 0.5, 0.3, 0.3])
    image = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    red, _, blue = image.getpixel((22, 40))
    assert red > 150 > blue  # orange: the box
    red, _, blue = image.getpixel((102, 120))
    assert blue > 150 > red  # blue: where it should be
