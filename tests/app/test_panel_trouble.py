"""The panel in trouble: things removed by hand, too many classes, a dead worker, a server that ends.

A sentence says what to do each time, and the database holds nothing that is half written.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import psutil
import pytest
from evenset import auto_label, find_mistakes
from evenset.workflows.runs import records, worker
from PIL import Image
from playwright.sync_api import TimeoutError, expect

MINUTE = 60_000  # milliseconds
TABS = ("Overview", "Labels", "Review", "Mistakes", "Balance", "Runs")
NO_FIELD = "There is no label field yet: add one of Classification, Detections or Classifications"
REMOVED = "was removed"
BROKEN = re.compile(r"\b(Traceback|undefined|null|NaN)\b")  # what no user should read
SECONDS = 10  # within which a tab of 1,000 classes is there, on two busy cores
RUN, MISTAKES = "evenset_auto_label_1", "evenset_find_mistakes_1"
SMALL = dict(label_field="ground_truth", size_px=8, augmentation="none", precision="fp32", patience=500, min_updates=1)


@pytest.fixture
def made(digits: Any) -> Any:
    """150 digits with their pixels as vectors, 90 with a label, and six labels wrong."""
    return make(digits)


def make(digits: Any) -> Any:
    dataset = digits(n=150, size_px=16, labelled=90, name="trouble")
    wrong = dataset.limit(6)
    wrong.set_values("ground_truth.label", [str((int(digit) + 1) % 10) for digit in wrong.values("truth")])
    add_pixels(dataset)
    return dataset


def add_pixels(dataset: Any) -> None:
    pixels = [np.asarray(Image.open(path), np.float32).ravel() for path in dataset.values("filepath")]
    dataset.set_values("pixels", pixels)


def run_both(dataset: Any) -> None:
    """Suggestions of which half disagree and most are in review, and flags."""
    settings = dict(embeddings="pixels", progress=False)
    auto_label(dataset, "ground_truth", random_labels=True, target_precision=0.95, **settings)
    said = dataset.values("auto_label.gcn_label")
    names = dataset.distinct("auto_label.gcn_label")
    other = [names[i % len(names)] if i % 2 else name for i, name in enumerate(said)]
    dataset.set_values("auto_label.resnet_label", other)
    find_mistakes(dataset, "ground_truth", **settings)


@pytest.fixture
def both(digits: Any, finished: Any) -> Any:
    """The same with suggestions and flags."""

    def run() -> Any:
        dataset = make(digits)
        run_both(dataset)
        return dataset

    return finished("a panel in trouble", run)


def show(user: Any, name: str) -> None:
    user.page.get_by_role("tab", name=name).click()


def says(user: Any, text: Any) -> None:
    expect(user.page.get_by_text(text).first).to_be_visible()


def no_error(user: Any) -> None:
    """No error's page in place of the tabs, and nothing on the page that is no word of a person's."""
    expect(user.page.get_by_role("button", name="Try again")).to_have_count(0)
    expect(user.page.get_by_role("tab")).to_have_count(len(TABS))
    found = BROKEN.search(user.page.locator("body").inner_text())
    assert not found, found


def each_tab_says(user: Any, words: dict[str, Any]) -> None:
    assert tuple(words) == TABS
    for name, text in words.items():
        show(user, name)
        says(user, text)
        no_error(user)
    show(user, TABS[0])
    says(user, words[TABS[0]])


@pytest.mark.slow
def test_what_was_removed_while_the_panel_is_open_is_told_and_looking_again_helps(both, open_app):
    user = open_app(both)
    user.open_panel()
    show(user, "Mistakes")
    says(user, "labels wait for a decision")
    user.comes_to_rest(2)  # a tab that was clicked may be asked for once more
    both.delete_sample_field("mistake")
    user.page.get_by_role("button", name="Apply", exact=True).first.click()
    says(user, f"The field 'mistake' of 'trouble' {REMOVED}")
    with contextlib.suppress(TimeoutError):  # news of an earlier click may have brought the tabs back already
        user.page.get_by_role("button", name="Try again").click(timeout=MINUTE / 12)
    says(user, "No label of ground_truth has been checked yet")
    no_error(user)

    both.delete_sample_field("auto_label")
    words = dict(
        Overview="60 samples have no label",
        Labels="There are no suggestions yet",
        Review="run Auto-label first",
        Mistakes="No label of ground_truth has been checked yet",
        Balance="synthetic images would be added",
        Runs=f"The field mistake of this run {REMOVED}",
    )
    each_tab_says(user, words)
    both.clear()  # FiftyOne shows no panel where there is no sample
    user.click_until(user.page.get_by_role("tab", name="Runs"), user.page.get_by_text("No samples yet"))


@pytest.fixture
def many(digit_files: Any, make_dataset: Any) -> Any:
    """3,000 samples of 1,000 classes, two of each with a label; suggestions and flags for the first 100 classes.

    The members of a run take minutes to learn 1,000 classes, and the panel shows as many whatever a run was about.
    """
    paths, _ = digit_files(n=103)  # no divisor of 1,000: two samples of a class are two images
    names = [f"a class of things no. {i % 1000:04d}" for i in range(3000)]
    labels = [name if i < 2000 else None for i, name in enumerate(names)]
    dataset = make_dataset([paths[i % 103] for i in range(3000)], labels, name="many")
    centres = np.random.default_rng(0).normal(0, 1, (1000, 32))
    noise = np.random.default_rng(1).normal(0, 0.7, (3000, 32))
    dataset.set_values("vector", list((centres[np.arange(3000) % 1000] + noise).astype(np.float32)))
    some = dataset.select([i for place, i in enumerate(dataset.values("id")) if place % 1000 < 100])
    settings = dict(embeddings="vector", progress=False)
    auto_label(some, "ground_truth", random_labels=True, target_precision=0.99, **settings)
    gcn = some.values("auto_label.gcn_label")
    some.set_values("auto_label.resnet_label", [*gcn[1:], gcn[0]])
    find_mistakes(some, "ground_truth", **settings)
    return dataset


def rows_of(plot: Any) -> list[dict[str, float]]:
    """Where the names beside the bars stand, the highest first."""
    boxes = plot.locator(".ytick text").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect()).map(box => ({top: box.top, bottom: box.bottom}))"
    )
    return sorted(boxes, key=lambda box: box["top"])


@pytest.mark.slow
def test_a_thousand_classes_can_be_read_and_chosen(many, open_app):
    user = open_app(many)
    user.open_panel()
    words = dict(
        Overview=re.compile("suggestions"),
        Labels="Where ResNet and GCN disagree",
        Review=re.compile(r"^0 reviewed, [\d,]+ to go"),
        Mistakes=re.compile("labels wait for a decision|is decided"),
        Balance="synthetic images would be added",
        Runs="find mistakes 1 · done",
    )
    for name in TABS:
        began = time.monotonic()
        show(user, name)
        says(user, words[name])
        assert time.monotonic() - began < SECONDS, name
        no_error(user)

    show(user, "Overview")
    plot = user.page.locator(".js-plotly-plot")
    names = plot.locator(".ytick text")
    for first in (1, 101):
        says(user, f"{first} to {first + 99} of 1,000 classes")
        expect(names).to_have_count(100)
        assert len({*names.all_text_contents()}) == 100
        boxes = rows_of(plot)
        assert all(above["bottom"] <= below["top"] + 1 for above, below in pairwise(boxes))
        if first == 1:
            user.click("Next")
    user.page.wait_for_timeout(1000)  # the chart is drawn in steps
    user.scroll_to(names.last)
    expect(names.last).to_be_in_viewport()
    user.picture("trouble-many-overview")

    show(user, "Labels")
    says(user, "the 30 classes with most disagreements")
    clash = user.page.locator(".js-plotly-plot").last
    expect(clash.locator(".ytick text")).to_have_count(30)
    expect(clash.locator(".xtick text")).to_have_count(30)

    show(user, "Review")
    says(user, "Correct to")
    user.page.get_by_role("combobox").last.click()
    expect(user.page.get_by_role("option")).to_have_count(1000)
    last = user.page.get_by_role("option", name="a class of things no. 0999")
    last.click()
    says(user, re.compile(r"^1 reviewed, [\d,]+ to go"))
    many.reload()
    assert many.match({"ground_truth.evenset_run": "evenset_review_labels_1"}).values("ground_truth.label") == [
        "a class of things no. 0999"
    ]


def start_long(dataset: Any, epochs: int) -> Any:
    """Starts auto_label in a worker, and returns its job once it trains."""
    settings = dict(SMALL, members="resnet", epochs=epochs)
    job_id = worker.start_worker(dataset, "auto_label", settings, awaited=False)

    for _ in range(600):
        job = worker.watch(dataset, job_id)
        assert job.is_unfinished, job
        if "training" in job.live["phase"] and job.live["done"] >= 2:
            return job
        time.sleep(0.2)
    pytest.fail(f"the job is still {job}")


class OwnServer:
    """A server of the App that a test may end; the next one has another port, as a port stays taken for a while."""

    def __init__(self, start_server: Callable[[], tuple[str, Any]]) -> None:
        self.start_server = start_server
        self.start()

    def start(self) -> None:
        self.address, self.service = self.start_server()

    def stop(self) -> None:
        self.service.stop()


@pytest.fixture
def own_server(start_server: Callable[[], tuple[str, Any]]) -> Iterator[OwnServer]:
    server = OwnServer(start_server)
    yield server
    server.stop()


@pytest.fixture
def address(request: pytest.FixtureRequest, address: str) -> str:
    """A test that takes `own_server` looks at that one, the others at the session's."""
    own = "own_server" in request.fixturenames
    return str(request.getfixturevalue("own_server").address) if own else address


@pytest.mark.slow
def test_a_run_goes_on_while_the_server_is_started_anew_and_a_kill_is_told(digits, own_server, open_app):
    dataset = digits(n=60, size_px=8, labelled=40)
    user = open_app(dataset)
    user.open_panel()
    says(user, "20 samples have no label")
    job = start_long(dataset, epochs=10_000)
    user.page.get_by_role("button", name="Stop").wait_for()
    user.page.goto("about:blank")  # FiftyOne's own calls to a server that is gone are errors of the page
    own_server.stop()
    assert psutil.pid_exists(job.pid)
    own_server.start()
    user.page.goto(f"{own_server.address}/datasets/{dataset.name}")
    user.open_panel()
    says(user, re.compile("auto label · .* of"))  # it goes on
    user.page.get_by_role("button", name="Stop").wait_for()

    os.kill(job.pid, signal.SIGKILL)
    says(user, f"The worker of {RUN} ended before its work was done")
    expect(user.page.get_by_role("button", name="Stop")).to_have_count(0)
    dataset.reload()
    assert records.read_record(dataset, RUN).state == "stopped"
    assert not dataset.has_field("auto_label")
    show(user, "Runs")
    says(user, "auto label 1 · stopped")
    says(user, "its process ended, before its work was done")
    user.page.get_by_role("button", name="Resume", exact=False).first.wait_for()
    no_error(user)
