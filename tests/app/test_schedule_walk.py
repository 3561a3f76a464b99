"""A form's "Schedule": the work waits for a worker that somebody runs; the panel says so, and shows what came of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from evenset import load_results
from PIL import Image
from playwright.sync_api import expect

MINUTE = 60_000  # milliseconds
KEY = "evenset_train_gcn_1"


@pytest.fixture
def vectors(digits: Any) -> Any:
    """200 digits, 120 with a label, with their pixels as vectors."""
    dataset = digits(n=200, size_px=16, labelled=120, name="scheduled")
    pixels = [np.asarray(Image.open(path), np.float32).ravel() for path in dataset.values("filepath")]
    dataset.set_values("pixels", pixels)
    return dataset


@pytest.fixture
def launch() -> Iterator[Callable[[], None]]:
    """launch() starts FiftyOne's service for scheduled operators, in a process of its own."""
    begun = []

    def start() -> None:
        code = "from fiftyone.core.cli import main; main()"
        begun.append(subprocess.Popen([sys.executable, "-c", code, "delegated", "launch"], stdout=subprocess.DEVNULL))

    yield start
    for process in begun:
        process.terminate()
        process.wait(timeout=30)


@pytest.mark.slow
def test_a_user_schedules_work_and_sees_what_came_of_it(vectors, open_app, launch):
    user = open_app(vectors)
    before = user.state()
    user.open("Train GCN")
    user.sees("120 of 200 samples are labelled")
    form = user.page.get_by_role("dialog")
    form.locator("[aria-haspopup='menu']").click()
    user.page.get_by_text("Run this operation in the background").click()
    user.picture("schedule")
    form.get_by_role("button", name="Schedule").click()
    expect(form).to_have_count(0)
    assert user.state() == before

    user.open_panel()
    user.page.get_by_role("tab", name="Runs").click()
    user.sees("Scheduled: train gcn. To start it, run: fiftyone delegated launch")
    user.picture("scheduled")
    launch()
    user.page.get_by_text("train gcn 1 · done").wait_for(timeout=5 * MINUTE)  # nobody asks for it
    expect(user.page.get_by_text("Scheduled:")).to_have_count(0)
    user.page.locator("[data-cy='sidebar-field-container-gcn']").or_(
        user.page.get_by_text("gcn", exact=True)
    ).first.wait_for()
    user.picture("scheduled-done")
    vectors.reload()
    assert vectors.count("gcn.label") == len(vectors)
    user.sees(str(load_results(vectors, KEY)).splitlines()[0])

    user.click("Delete")
    user.undo("Fields: gcn")
    assert user.state() == before
