"""A preview by an untuned base: asked for in the form of Balance classes, shown when it is drawn."""

from __future__ import annotations

import pytest
from evenset.tests import tiny_pipelines
from evenset.tests.workflows.planted_photos import tiles


@pytest.fixture
def photos(make_dataset, tmp_path):
    paths = [str(tmp_path / f"{i}.png") for i in range(14)]
    for path, tile in zip(paths, tiles(), strict=False):
        tile.save(path)
    return make_dataset(paths, ["roof" if i < 4 else "flower" for i in range(14)])


def test_a_preview_is_offered_for_a_pretrained_base_alone_and_draws_without_a_run(app, photos, tmp_path, everything):
    base = str(tiny_pipelines.write("stable_diffusion", tmp_path / "base"))
    params = dict(label_field="ground_truth", base=base, generate_from_few=True, pretrained_steps=2)
    assert "preview" not in app.form(photos, "balance_classes", {**params, "base": "scratch"})
    assert "preview" in app.form(photos, "balance_classes", params)
    assert "preview" not in app.form(photos, "compare_methods", {**params, "task": "generation"})
    before = everything(photos)

    answer = app.execute(photos, "balance_classes", {**params, "preview": True})

    assert answer.labels[0].startswith("6 synthetic images would be added, in ")
    assert answer.values["picture"].startswith("data:image/png;base64,")
    assert any("before it is tuned; its card names no licence" in label for label in answer.labels)
    assert "Balance classes ..." in answer.labels and everything(photos) == before


def test_a_preview_of_a_base_that_is_no_pipeline_says_so(app, photos, tmp_path):
    params = dict(label_field="ground_truth", base=str(tmp_path), generate_from_few=True, preview=True)
    answer = app.execute(photos, "balance_classes", params)
    assert any("has no model_index.json: give the folder of a diffusers" in label for label in answer.labels)
