"""A day in the App: from a folder of photos to an exported, split set in twelve clicks; then everything is undone."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from evenset.benchmarks import app_day
from evenset.examples import photos
from playwright.sync_api import expect


@pytest.fixture
def fresh(database: str, tmp_path: Path) -> Any:
    """233 photos, 130 with a label, and 6 of these wrong."""
    dataset = photos.load(photos.make(tmp_path / "day"), "day")
    yield dataset
    dataset.delete()


def wrong_labels(dataset: Any, folder: Path) -> int:
    truth = photos.read_rows(folder / "truth.csv")
    columns = dataset.exists("ground_truth").values(["filepath", "ground_truth.label"])
    named = [(truth.get(Path(path).name, label), label) for path, label in zip(*columns, strict=True)]
    return sum(correct != label for correct, label in named)


def ask(dataset: Any, step: str, folder: Path) -> None:
    """What the database says after each step."""
    dataset.reload()
    runs, tags = dataset.list_runs(), dataset.count_sample_tags()
    if step == "open":
        assert not runs and wrong_labels(dataset, folder) == photos.WRONG
    elif step == "check":
        found = dataset.count_values("check.problems")
        assert found["unreadable"] == 1 and found["exact duplicate"] == 2 and found["near duplicate"] >= 2
        assert "near duplicate" in problems_of(dataset, "mirrored.jpg")
    elif step == "find":
        assert app_day.count_flagged(dataset) >= photos.WRONG - 1 and dataset.count("ground_truth") == 130
    elif step == "correct":
        assert wrong_labels(dataset, folder) <= 1
        assert dataset.distinct("ground_truth.evenset_review") == ["seen"]
    elif step == "label":
        assert app_day.statuses(dataset)["labelled"] == 130 == dataset.count("ground_truth")
    elif step == "accept":
        assert dataset.count("ground_truth") >= 200 and wrong_labels(dataset, folder) <= 10
    elif step == "even out":
        counts = dataset.count_values("ground_truth.label")
        assert counts["cat"] >= 25 and tags["synthetic"] == len(dataset) - 233
    elif step == "split":
        assert min(tags[name] for name in ("train", "val", "test")) >= 15
        assert {*dataset.match_tags("synthetic").distinct("tags")} <= {"synthetic", "train"}
    elif step == "export":
        tagged = dataset.match_tags(["train", "val", "test"])
        with (folder / "export" / "labels.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert {row["id"] for row in rows} == {*tagged.values("id")} and (folder / "export" / "README.md").exists()
        assert all((folder / "export" / row["file"]).exists() for row in rows)


def problems_of(dataset: Any, name: str) -> list[str]:
    (found,) = (s for s in dataset if Path(s.filepath).name == name)
    return list(found.check.problems)


@pytest.mark.slow
def test_a_day_from_photos_to_an_exported_set_takes_twelve_clicks_and_is_undone(fresh, open_app, tmp_path):
    folder, before = tmp_path / "day", photos.state(fresh)
    user = open_app(fresh)
    for step, clicks in app_day.day(user.page, fresh, folder / "export"):
        ask(fresh, step, folder)
        user.picture(f"day-{step}")
        assert clicks <= app_day.LIMIT

    for tab in ("Labels", "Review", "Mistakes", "Balance", "Runs"):
        user.page.get_by_role("tab", name=tab).click()
        expect(user.page.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")
        user.picture(f"day-tab-{tab.lower()}")
    user.press(user.page.get_by_role("button", name="Delete all", exact=True), "on_runs_delete_all")
    form = user.page.get_by_role("dialog")
    form.get_by_text("Changes to undo: evenset_export_dataset_1").wait_for()
    user.picture("day-delete-all")
    user.undo("Changes to undo: evenset_check_dataset_1")
    expect(user.page.get_by_text("Nothing has run yet")).to_be_visible()
    assert photos.state(fresh) == before
    assert (folder / "export" / "labels.csv").exists()  # a folder that was exported is the user's
