"""A form's "Schedule": the work waits for a worker that somebody runs; the panel says so, and watches it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from evenset import load_results
from PIL import Image

MINUTE = 60_000  # milliseconds
KEY = "evenset_train_gcn_1"


@pytest.fixture
def digits_with_pixels(digits: Any) -> Any:
    """200 digits, 120 with a label, with pixels as a vector."""
    dataset = digits(n=200, size_px=8, labelled=120, name="scheduled")
    pixels = [np.asarray(Image.open(path), np.float32).ravel() for path in dataset.values("filepath")]
    dataset.set_values("pixels", pixels)
    return dataset


@pytest.fixture
def launch() -> Iterator[Any]:
    """launch() starts FiftyOne's service for scheduled operators, in a process of its own."""
    begun = []

    def start() -> None:
        code = "from fiftyone.core.cli import main; main()"
        begun.append(subprocess.Popen([sys.executable, "-c", code, "delegated", "launch"], stdout=subprocess.DEVNULL))

    yield start
    for process in begun:
        process.terminate()
        process.wait(timeout=30)


def test_a_user_schedules_work_and_sees_it_done(digits_with_pixels, open_app, launch):
    dataset = digits_with_pixels
    user = open_app(dataset)
    user.open("Train a GCN")
    user.sees("120 of 200 samples are labelled")
    user.picture("schedule-form")
    form = user.page.get_by_role("dialog")
    form.locator("[aria-haspopup='menu']").click()
    user.page.get_by_text("Run this operation in the background").click()
    user.picture("schedule-menu")
    form.get_by_role("button", name="Schedule").click()
    user.page.wait_for_timeout(3000)
    user.picture("schedule-said")
    print(user.page.locator("body").inner_text())
    dataset.reload()
    assert not dataset.list_runs()
    user.open_panel()
    user.page.get_by_role("tab", name="Runs").click()
    user.page.wait_for_timeout(2000)
    user.picture("schedule-runs")
    launch()
    for _ in range(60):
        user.page.wait_for_timeout(2000)
        dataset.reload()
        if dataset.list_runs():
            break
    user.page.wait_for_timeout(10000)
    user.picture("schedule-after")
    user.page.get_by_role("tab", name="Overview").click()
    user.page.wait_for_timeout(2000)
    user.page.get_by_role("tab", name="Runs").click()
    user.page.wait_for_timeout(2000)
    user.picture("schedule-done")
    print(load_results(dataset, KEY)["text"])
