"""The whole loop in the panel: label, move the target, review, fix mistakes, even out, stop and resume, undo it all.

EVENSET_LOOP=fashion-mnist walks it on 70,000 images, where benchmarks/pictures.py finds them. It runs with --soak:
other walks take each of its steps by itself.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

MINUTE = 60_000  # milliseconds
PLANTED = 12  # wrong labels, on the first samples
TARGET = 0.94  # that the slider is moved to
REVIEWED = 5  # samples, by keyboard
LARGE = "EVENSET_LOOP" in os.environ
PATIENCE = 30 * MINUTE if LARGE else 5 * MINUTE


@pytest.fixture
def started(digits: Any, make_dataset: Any, tmp_path: Path) -> Any:
    """Images with some labels, a few of them wrong, and principal components of the pixels as vectors."""
    if LARGE:
        sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
        import pictures

        found = pictures.read(os.environ["EVENSET_LOOP"], None, 0, tmp_path)
        given = [name if i < 700 else None for i, name in enumerate(found.labels)]
        dataset = make_dataset(found.paths, given, truth=found.labels, name="loop")
    else:
        dataset = digits(n=500, size_px=16, labelled=240, name="loop")
    pixels = np.stack([np.asarray(Image.open(path), np.float32).ravel() for path in dataset.values("filepath")])
    base = np.linalg.svd(pixels[:500] - pixels[:500].mean(0), full_matrices=False)[2][:48]
    dataset.set_values("vector", list((pixels - pixels.mean(0)) @ base.T))
    names = sorted(set(dataset.distinct("truth")))
    wrong = dataset.limit(PLANTED)
    wrong.set_values("ground_truth.label", [names[names.index(name) - 1] for name in wrong.values("truth")])
    return dataset


def tab(user: Any, name: str) -> None:
    user.page.get_by_role("tab", name=name).click()


def press(user: Any, button: str) -> None:
    user.page.get_by_role("button", name=button, exact=True).first.click()


def choose(user: Any, now: str, then: str) -> None:
    """Chooses in a form's dropdown."""
    user.page.get_by_role("dialog").get_by_role("combobox").filter(has_text=re.compile(f"^{now}$")).first.click()
    user.page.get_by_role("option", name=then, exact=True).click()


def ends(user: Any, key: str, state: str = "done") -> Any:
    """Waits until the database says that a run has ended so; returns its record."""
    from evenset.workflows.runs import records

    for _ in range(PATIENCE // 1000):
        user.page.wait_for_timeout(1000)
        user.dataset.reload()
        if key in user.dataset.list_runs():
            config = records.read_record(user.dataset, key)
            assert config.state != "failed", config.error
            if config.state == state:
                return config
    raise AssertionError(f"{key} did not end so: {records.live(user.dataset, key)}")


def everything(dataset: Any) -> dict[str, Any]:
    """All that the loop changes, and that undoing has to put back."""
    dataset.reload()
    columns = ["id", "ground_truth.id", "ground_truth.label", "tags"]
    return dict(
        schema=list(dataset.get_field_schema(flat=True)),
        views=dataset.list_saved_views(),
        runs=dataset.list_runs(),
        samples=list(zip(*dataset.values(columns), strict=True)),
    )


def label(user: Any) -> None:
    user.open_panel()
    press(user, "Auto-label")
    choose(user, "graph and resnet", "graph")
    press(user, "Label the rest")
    ends(user, "evenset_auto_label_1")
    assert user.dataset.count("auto_label.status") == len(user.dataset)


def move(user: Any) -> None:
    from evenset import load_results

    tab(user, "Labels")
    rail = user.page.locator(".MuiSlider-root:has(input[max='0.999'])")
    rail.wait_for()
    box = rail.bounding_box()
    rail.click(position=dict(x=box["width"] * (TARGET - 0.5) / 0.499, y=box["height"] / 2))
    press(user, "Apply")
    user.page.get_by_text("suggestions are accepted").wait_for()
    results = load_results(user.dataset, "evenset_auto_label_1")
    user.dataset.reload()
    counts = user.dataset.count_values("auto_label.status")
    assert counts["accepted"] == results.accepted
    assert counts["review"] == results.review > REVIEWED


def review(user: Any) -> None:
    """Five samples by keyboard: each is in the database before the next key."""
    tab(user, "Review")
    counter = user.page.get_by_text(re.compile(r"^[\d,]+ reviewed, [\d,]+ to go"))
    for number, key in enumerate("aa1xa", 1):
        expect(counter).to_contain_text(f"{number - 1} reviewed")
        user.page.wait_for_timeout(500)  # as a hand needs
        user.page.keyboard.press(key)
        expect(counter).to_contain_text(f"{number} reviewed")
        assert len(decided(user)) == number
    user.page.keyboard.press("u")
    expect(counter).to_contain_text("4 reviewed")
    assert len(decided(user)) == 4


def decided(user: Any) -> list[str]:
    from evenset.workflows.data import folders, label_edits

    user.dataset.reload()
    lines = label_edits.read(folders.run_folder(user.dataset, "evenset_review_labels_1"))
    return list(dict.fromkeys(line["id"] for line in lines))


def fix(user: Any) -> None:
    tab(user, "Mistakes")
    press(user, "Find mistakes ...")
    user.page.get_by_placeholder("Type or select a value").click()  # of the embeddings
    user.page.get_by_role("option", name=re.compile("^vector")).click()
    press(user, "Find")
    ends(user, "evenset_find_mistakes_1")
    tab(user, "Overview")
    tab(user, "Mistakes")
    for number in (1, 2):
        waiting = flagged(user)
        user.press(user.page.get_by_role("button", name="Apply", exact=True).first, "on_mistakes_act")
        user.page.get_by_text(re.compile(rf"{len(waiting) - 1:,} of [\d,]+ labels wait")).wait_for()
        sample = user.dataset[waiting[0]]
        assert sample.ground_truth.label == sample.mistake.label, number
        assert flagged(user) == waiting[1:]


def flagged(user: Any) -> list[str]:
    user.dataset.reload()
    return user.dataset.match({"mistake.is_issue": True}).sort_by("mistake.rank").values("id")


def even_out(user: Any) -> None:
    """Changed copies for the rare classes, of which nothing is measured."""
    tab(user, "Balance")
    press(user, "Balance ...")
    choose(user, "generate", "augment")
    press(user, "Balance")
    ends(user, "evenset_balance_classes_1")
    made = user.dataset.match_tags("synthetic")
    assert 0 < len(made) == made.count("ground_truth.label")


def stop_and_resume(user: Any) -> None:
    user.open("Auto-label")
    choose(user, "graph and resnet", "graph" if LARGE else "resnet")  # which would score 70,000 images for minutes
    if not LARGE:
        user.unfold_section("Optimization")
        user.put("Epochs", "6")
        user.put("Min updates", "1")
    press(user, "Label the rest")
    user.page.get_by_text(re.compile("auto label · .* of")).first.wait_for(timeout=PATIENCE)
    user.page.get_by_role("button", name="Stop", exact=True).first.click()
    ends(user, "evenset_auto_label_2", "stopped")
    tab(user, "Overview")
    tab(user, "Runs")
    user.press(user.run_button("Resume").first, "on_runs_resume")
    ends(user, "evenset_auto_label_2")
    assert user.dataset.count("auto_label_2.status") == len(user.dataset.match_tags("synthetic", bool=False))


def undo(user: Any) -> None:
    tab(user, "Overview")
    tab(user, "Runs")
    user.delete_runs()


@pytest.mark.soak
def test_the_whole_loop_ends_where_it_began(started, open_app):
    before, user = everything(started), open_app(started)
    for step in (label, move, review, fix, even_out, stop_and_resume, undo):
        step(user)
        user.picture(f"loop-{step.__name__}")
    assert everything(started) == before
