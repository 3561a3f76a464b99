"""The walk of a user with boxes: counts in Overview, crops in Review and Mistakes; the database is asked after each."""

from __future__ import annotations

import re
from typing import Any

import pytest
from evenset import auto_label, find_mistakes
from evenset.models.images.decode import load
from evenset.models.settings import ImageSettings
from evenset.workflows.data import items
from evenset.workflows.ui import item_images, mistake_queue, review_order, review_queue
from playwright.sync_api import expect

FIELDS = ("auto_label", "ground_truth")
CROPS = "img[src^='data:image/jpeg']"
BOXES = 150


@pytest.fixture
def boxed(boxed_digits: Any) -> Any:
    """150 boxes in 30 images, 90 of them with a label and three of these wrong; suggestions, and flags."""
    dataset = boxed_digits(images=30, boxes=5, labelled=90, px=60)
    planted = 0
    for sample in list(dataset.iter_samples()):
        box = sample.ground_truth.detections[0]
        if box.label and planted < 3:
            box.label = str((int(box.label) + 3) % 10)
            planted += 1
            sample.save()
    ids, paths, _ = item_images.values(dataset, "ground_truth", ["id", "filepath", "ground_truth.label"])
    pixels = {i: load(path, ImageSettings(), 8, 1).ravel() / 255 for i, path in zip(ids, paths, strict=True)}
    auto_label(dataset, "ground_truth", embeddings=pixels, target_precision=0.99, progress=False)
    find_mistakes(dataset, "ground_truth", embeddings=pixels, progress=False)
    return dataset


def labels(dataset: Any) -> dict[str, str | None]:
    dataset.reload()
    return dict(zip(*items.values(dataset, ["id", "ground_truth.label"]), strict=True))


def changed(dataset: Any, before: dict[str, str | None]) -> dict[str, str | None]:
    return {i: name for i, name in labels(dataset).items() if name != before[i]}


def open_tab(user: Any, name: str) -> None:
    user.page.get_by_role("tab", name=name).click()


def look_at_image(user: Any, picture: str) -> None:
    """Opens the image of the box that is shown, and closes it by a click beside it."""
    modal = user.page.locator("[data-cy='modal']")
    user.page.get_by_role("button", name="Open the image").click()
    modal.wait_for()
    user.page.wait_for_timeout(2000)
    user.picture(picture)
    user.page.mouse.click(12, 400)
    modal.wait_for(state="detached")


def review(user: Any) -> None:
    """One is accepted, one corrected, one opened in its image; both decisions are undone."""
    dataset, before = user.dataset, labels(user.dataset)
    count = review_order.count_waiting(dataset, *FIELDS)
    open_tab(user, "Review")
    user.page.get_by_text(re.compile(rf"^0 reviewed, {count} to go")).wait_for()
    expect(user.page.locator(CROPS)).to_have_count(7)  # its crop, its image, and five that are alike
    user.picture("boxes-review")
    said = dict(zip(*items.values(dataset, ["id", "auto_label.label", "ground_truth.label"])[:2], strict=True))
    first = str(review_queue.first(dataset, *FIELDS, [])[0])
    user.page.keyboard.press("a")
    user.sees(f"1 reviewed, {count - 1} to go")
    assert changed(dataset, before) == {first: said[first]}

    second = str(review_queue.first(dataset, *FIELDS, [])[0])
    other = "1" if said[second] != "1" else "2"
    user.page.keyboard.press(other)
    user.sees(f"2 reviewed, {count - 2} to go")
    assert changed(dataset, before) == {first: said[first], second: other}

    look_at_image(user, "boxes-image")

    for left in (1, 0):
        user.page.keyboard.press("u")
        user.sees(f"{left} reviewed, {count - left} to go")
    assert changed(dataset, before) == {}


def mistakes(user: Any) -> None:
    """A suggestion is applied, and undone."""
    dataset, before = user.dataset, labels(user.dataset)
    row = mistake_queue.flagged_page(dataset, "evenset_find_mistakes_1", 0, 1).rows[0]
    open_tab(user, "Mistakes")
    user.page.get_by_text("Labelled otherwise:").wait_for()
    user.picture("boxes-mistakes")
    assert user.page.locator(CROPS).count() >= 3
    user.page.get_by_role("button", name="Open the view", exact=True).click()
    user.sees("Show all samples")
    user.page.get_by_role("button", name="Open the image").click()
    user.sees("1 sample", exact=True)  # the App would not find the image among the patches
    user.picture("boxes-image-of-patches")
    user.click("Show all samples")
    user.page.keyboard.press("a")
    user.page.get_by_role("button", name="Undo", exact=True).wait_for()
    assert changed(dataset, before) == {row["id"]: row["suggestion"]}
    user.page.keyboard.press("u")
    user.page.get_by_role("button", name="Undo", exact=True).wait_for(state="detached")
    assert changed(dataset, before) == {}


@pytest.mark.slow
def test_boxes_are_counted_reviewed_and_corrected_by_their_crops(boxed, open_app):
    user = open_app(boxed)
    user.open_panel()
    user.page.get_by_text(re.compile(f"of {BOXES} boxes labelled")).wait_for()
    user.picture("boxes-overview")
    review(user)
    mistakes(user)
    open_tab(user, "Labels")
    user.page.get_by_text("Target precision").first.wait_for()
    user.picture("boxes-labels")
    open_tab(user, "Balance")
    user.page.get_by_text(re.compile("synthetic box(es)? would be added")).first.wait_for()
    user.picture("boxes-balance")
