"""The panel on 70,000 samples: seconds until each tab shows; the clicks from a fresh data set to accepted labels, and
from one with wrong labels to a corrected, even, split and exported set (app_day.py).

A real server, a real browser (headless Chromium), Fashion-MNIST. The labelling that the tabs show works on principal
components of the pixels, so that filling the data set takes a minute. With --vectors, the samples are those of
million.py, without files.

    python benchmarks/app.py --part tabs --vectors 1000000
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import app_day
import million
import numpy as np
import pictures
from measure import goal, own_database
from tabulate import tabulate

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "examples"))
TAB_MARKS = {  # by tab, the selector and text of an element that shows it has loaded
    "Overview": (".js-plotly-plot .ytick", ""),
    "Labels": (".js-plotly-plot .legendtext", "held-out labels"),
    "Review": ("button", "Skip"),
    "Mistakes": ("button", "Dismiss"),
    "Balance": ("button", "Remove"),
    "Runs": ("button", "Delete"),
}
CLOCK = """document.addEventListener("click", () => (window.clicked = performance.now()), true)"""
SECONDS = """([selector, text]) => [...document.querySelectorAll(selector)].some(
    (element) => element.textContent.includes(text) && element.checkVisibility()
) && (performance.now() - window.clicked) / 1000"""
OF_VECTORS = ("Overview", "Labels", "Review", "Mistakes", "Runs")  # tabs that need no files
WRONG = 0.02  # of their labels
MAX_SECONDS, MAX_SECONDS_OF_VECTORS = 1.0, 2.0
TIMEOUT_MS = 120_000
PAUSE_MS = 1_000  # between two tabs
WAIT_SECONDS = 1800


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", default="all", choices=("tabs", "clicks", "day", "all"))
    parser.add_argument("--data", default="fashion-mnist", help=pictures.HELP)
    parser.add_argument("--images", type=int, help="drawn at random; default: all")
    parser.add_argument("--vectors", type=int, help="so many samples without files, for the tabs")
    parser.add_argument("--labels", type=int, default=700, help="labelled images")
    parser.add_argument("--rounds", type=int, default=5, help="rounds through the tabs")
    parser.add_argument("--browser", default=os.environ.get("EVENSET_BROWSER"), help="path of Chromium")
    options = parser.parse_args()
    with own_database() as folder:
        (folder / "plugins").mkdir()
        (folder / "plugins" / "evenset").symlink_to(ROOT, target_is_directory=True)
        with app(options.browser) as (page, address):
            if options.part in ("clicks", "all"):
                clicks(page, address, folder)
            if options.part in ("day", "all"):
                day(page, address, folder)
            if options.part in ("tabs", "all") and options.vectors:
                tabs(page, address, make_vectors(options.vectors), options.rounds, OF_VECTORS, MAX_SECONDS_OF_VECTORS)
            elif options.part in ("tabs", "all"):
                tabs(page, address, make_full_dataset(options, folder), options.rounds, [*TAB_MARKS], MAX_SECONDS)


@contextlib.contextmanager
def app(browser: str | None) -> Iterator[tuple[Any, str]]:
    """A page of the browser, and the address of the App's server."""
    import fiftyone as fo
    from fiftyone.core.service import ServerService
    from playwright.sync_api import sync_playwright

    fo.list_datasets()  # starts the database: the server must not start it at the same time
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = ServerService(port, address="127.0.0.1", do_not_track=True)
    sandbox = [] if os.geteuid() else ["--no-sandbox"]  # Chromium has no sandbox for root
    try:
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=browser, args=sandbox)
            page = chromium.new_page(viewport={"width": 1280, "height": 800})
            page.set_default_timeout(TIMEOUT_MS)
            yield page, f"http://127.0.0.1:{port}"
            chromium.close()
    finally:
        server.stop()


def make_dataset(name: str, data: str, count: int | None, labels: int, folder: Path) -> Any:
    """A dataset of images in random order, of which the first `labels` are labelled."""
    import fiftyone as fo

    (folder / name).mkdir()
    drawn = pictures.read(data, count, 0, folder / name)
    dataset = fo.Dataset(name, persistent=True)
    dataset.add_samples([fo.Sample(filepath=path) for path in drawn.paths], progress=False)
    visible = [fo.Classification(label=label) for label in drawn.labels[:labels]]
    dataset.set_values("ground_truth", visible + [None] * (len(drawn.paths) - labels), progress=False)
    return dataset


def make_full_dataset(options: argparse.Namespace, folder: Path) -> Any:
    """A dataset with suggestions, suspected mistakes and synthetic samples: every tab has content."""
    import evenset
    from PIL import Image
    from sklearn.decomposition import PCA

    dataset = make_dataset("full", options.data, options.images, options.labels, folder)
    pixels = np.stack([np.asarray(Image.open(path)).ravel() for path in dataset.values("filepath")])
    vectors = PCA(64, random_state=0).fit_transform(pixels.astype(np.float32) / 255)
    dataset.set_values("vector", list(vectors), progress=False)
    evenset.auto_label(dataset, "ground_truth", embeddings="vector", target_precision=0.9, progress=False)
    evenset.find_mistakes(dataset, "ground_truth", embeddings="vector", progress=False)
    target = {name: count + 5 for name, count in dataset.count_values("ground_truth.label").items() if name}
    evenset.balance_classes(
        dataset, "ground_truth", target=target, minutes=0.3, measure_benefit=False, add="always", progress=False
    )
    return dataset


def make_vectors(count: int) -> Any:
    """Samples of ten classes without files, some of their labels wrong, and most of their suggestions in review."""
    import evenset

    dataset, vectors, _ = million.make(count, 10)
    dataset.name, dataset.persistent = "vectors", True
    ids, labels = dataset.exists("ground_truth").values(["id", "ground_truth.label"])
    rng = np.random.default_rng(0)
    wrong = {ids[i]: f"class {rng.integers(10)}" for i in np.flatnonzero(rng.random(len(ids)) < WRONG)}
    dataset.set_values("ground_truth.label", wrong, key_field="id", progress=False)
    options = dict(embeddings=vectors, progress=False)
    evenset.auto_label(dataset, "ground_truth", target_precision=0.999, **options)
    evenset.find_mistakes(dataset, "ground_truth", **options)
    print(dataset.count_values("auto_label.status"), f"{len(wrong)} of {len(labels)} labels are wrong", flush=True)
    return dataset


def tabs(page: Any, address: str, dataset: Any, rounds: int, names: Sequence[str], limit: float) -> None:
    """Seconds from the click on a tab until it has loaded, by the page's own clock: the driver's calls take time."""
    _open(page, address, dataset.name)
    page.locator(TAB_MARKS["Overview"][0]).first.wait_for()
    page.evaluate(CLOCK)
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in [*names[1:], names[0]]:
            page.get_by_role("tab", name=name, exact=True).click()
            times[name].append(page.wait_for_function(SECONDS, arg=TAB_MARKS[name]).json_value())
            page.wait_for_timeout(PAUSE_MS)
    rows = [[name, median(seconds), min(seconds), max(seconds)] for name, seconds in times.items()]
    print(f"\nSeconds until a tab shows, {len(dataset):,} samples, {rounds} rounds")
    print(tabulate(rows, ["tab", "median", "lowest", "highest"], floatfmt=".2f"))
    slowest = max(rows, key=lambda row: row[1])
    goal(f"every tab shows within {limit} s", slowest[1] <= limit, f"{slowest[1]:.2f} s ({slowest[0]})")


def clicks(page: Any, address: str, folder: Path) -> None:
    """Counts the clicks: the grid's button, the recommended next step, and the form's button."""
    dataset = make_dataset("fresh", "digits", None, 300, folder)
    count = 0
    _visit(page, address, dataset.name)
    buttons = [page.get_by_role("button", name=name, exact=True).first for name in ("Auto-label", "Label the rest")]
    for button in (page.locator(app_day.BUTTON), *buttons):
        button.click()
        count += 1
    until = time.monotonic() + WAIT_SECONDS
    while not _accepted(dataset):
        if time.monotonic() > until:
            raise TimeoutError(f"no label was accepted within {WAIT_SECONDS} s")
        time.sleep(2)
    goal("at most 3 clicks from a fresh data set to accepted labels", count <= 3, f"{count} clicks")
    print(f"{_accepted(dataset):,} of {len(dataset):,} digits were accepted")


def day(page: Any, address: str, folder: Path) -> None:
    """Counts the clicks of a day on 233 photos, 130 of them labelled and 6 of the labels wrong."""
    import photos

    dataset = photos.load(photos.make(folder / "day"), "day")
    _visit(page, address, dataset.name)
    rows = list(app_day.day(page, dataset, folder / "export"))
    print(f"\n{tabulate(rows, ['step', 'clicks so far'])}")
    goal(f"at most {app_day.LIMIT} clicks to a corrected, split and exported set", rows[-1][1] <= app_day.LIMIT,
         f"{rows[-1][1]} clicks")  # fmt: skip


def _accepted(dataset: Any) -> int:
    dataset.reload()
    if not dataset.has_field("auto_label.status"):
        return 0
    return int(dataset.count_values("auto_label.status").get("accepted", 0))


def _visit(page: Any, address: str, name: str) -> None:
    page.goto(f"{address}/datasets/{name}")
    with contextlib.suppress(Exception):
        page.get_by_text("Dismiss").click(timeout=10_000)  # an advertisement covers the buttons
    page.locator("[data-cy='looker']").first.wait_for()


def _open(page: Any, address: str, name: str) -> None:
    _visit(page, address, name)
    page.locator(app_day.BUTTON).click()


if __name__ == "__main__":
    main()
