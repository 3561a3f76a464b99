"""A pretrained model of the user's is tuned in the App, and the run undone."""

from __future__ import annotations

from typing import Any

import pytest
from evenset.tests import tiny_pipelines
from evenset.tests.workflows.planted_photos import tiles
from playwright.sync_api import expect

MINUTE = 60_000  # milliseconds


@pytest.fixture
def photos(make_dataset: Any, tmp_path: Any) -> Any:
    """24 photos; six are roofs."""
    paths = []
    for i, tile in enumerate(tiles()[:24]):
        paths.append(str(tmp_path / f"{i}.jpg"))
        tile.save(paths[-1], quality=85)
    return make_dataset(paths, ["roof" if i < 6 else "flower" for i in range(24)], name="photos")


@pytest.mark.slow
def test_a_user_tunes_a_model_and_undoes_it(photos, open_app, tmp_path):
    base = tiny_pipelines.write("stable_diffusion", tmp_path / "base")
    user = open_app(photos)
    before = user.state()
    user.open("Train generator")
    user.put("Base", str(base))
    user.page.keyboard.press("Tab")
    user.sees("Pretrained model")
    user.unfold_section("Pretrained model")
    expect(user.page.get_by_label("Prompt", exact=True)).to_have_value("a photo of a {class}")
    user.put("Base size (px)", "32")
    user.picture("base-form")
    user.unfold_section("Optimization")
    user.put("Max updates", "6")
    user.wait_here()
    user.page.get_by_role("button", name="Train", exact=True).click()
    user.page.get_by_text("A generator of 2 classes").wait_for(timeout=3 * MINUTE)
    user.sees("its card names no licence")
    user.picture("base-result")
    user.click("Done")
    user.open("Delete a run")
    user.undo("files of its own")
    assert user.state() == before
