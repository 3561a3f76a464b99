"""The panel's Review by keyboard, by buttons, and beside another person; the database is asked after each step."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from evenset import auto_label
from evenset.workflows.ui import review_order, review_queue, sittings
from evenset.workflows.ui.review_queue import Decision
from evenset.workflows.ui.sittings import Sitting
from PIL import Image
from playwright.sync_api import expect

CLASSES = ["0", "1", "2", "3", "4", "5", "6", "<b>seven</b>"]  # digits are their own keys; the last has the 7
LISTEN = "**/operators/subscribe-execution-store"  # where a page hears that something changed
NEWS_SECONDS = 7  # until it is heard: FiftyOne's server looks every 5 s
FIELDS = ("auto_label", "ground_truth")


@pytest.fixture
def suggested(digits: Any, finished: Any) -> Any:
    """Digits up to seven, 80 with a label and suggestions for the rest, most of which wait for a look."""

    def make() -> Any:
        dataset = digits(n=250, size_px=16, labelled=80, name="suggested")
        dataset.delete_samples(dataset.match({"truth": {"$in": ["8", "9"]}}))
        sevens = dataset.match({"ground_truth.label": "7"})
        sevens.set_values("ground_truth.label", [CLASSES[-1]] * len(sevens))
        pixels = [np.asarray(Image.open(path), np.float32).ravel() for path in dataset.values("filepath")]
        dataset.set_values("pixels", pixels)
        auto_label(dataset, "ground_truth", embeddings="pixels", target_precision=0.99, progress=False)
        return dataset

    return finished("panel review: suggested", make)


def ben_decides(dataset: Any, action: str = "accept") -> str:
    """Another person decides on the first sample of the queue, at a server of their own; returns its id."""
    sample = shown(dataset)
    assert review_queue.decide(dataset, *FIELDS, Decision(sample, action), "ben")
    return sample


def open_review(user: Any) -> None:
    user.open_panel()
    user.page.get_by_role("tab", name="Review").click()
    user.page.get_by_text(re.compile(r"^0 reviewed, \d+ to go")).wait_for()


def waiting(dataset: Any) -> int:
    return len(review_order.waiting(dataset, "auto_label", "ground_truth"))


def shown(dataset: Any, *skipped: str) -> str:
    """The sample that stands first in the queue."""
    dataset.reload()
    return str(review_queue.first(dataset, "auto_label", "ground_truth", list(skipped))[0])


def suggestion(dataset: Any, sample_id: str) -> str | None:
    return dataset.select(sample_id).values("auto_label.label")[0]


def decided(dataset: Any) -> dict[str, tuple[str, str]]:
    """Label and review of each sample that a person decided."""
    dataset.reload()
    if not dataset.has_field("ground_truth.evenset_run"):
        return {}
    paths = ["id", *[f"ground_truth.{name}" for name in ("evenset_run", "label", "evenset_review")]]
    rows = zip(*dataset.values(paths), strict=True)
    return {i: (label, review) for i, run_key, label, review in rows if run_key}


def press(user: Any, key: str, then: str) -> None:
    user.page.keyboard.press(key)
    user.sees(then)


def test_five_samples_are_reviewed_by_keyboard(suggested, open_app):
    user = open_app(suggested)
    count, expected = waiting(suggested), {}
    open_review(user)
    user.sees("A accept, S skip, X reject, a number corrects")
    user.sees(f"5, 6, 7: {CLASSES[-1]}")
    user.picture("panel-review")

    first = shown(suggested)
    expected[first] = (suggestion(suggested, first), "seen")
    press(user, "a", f"1 reviewed, {count - 1} to go")
    assert decided(suggested) == expected

    second = shown(suggested)
    other = next(name for name in reversed(CLASSES) if name != suggestion(suggested, second))
    expected[second] = (other, "corrected")
    press(user, str(CLASSES.index(other)), f"2 reviewed, {count - 2} to go")
    assert decided(suggested) == expected

    third = shown(suggested)
    with user.page.expect_response("**/operators/execute"):
        user.page.keyboard.press("ArrowRight")
    fourth = shown(suggested, third)
    user.page.locator(f"img[src*='{suggested[fourth].filename}']").first.wait_for()
    assert decided(suggested) == expected and third != fourth

    press(user, "x", f"3 reviewed, {count - 3} to go")
    assert decided(suggested) == expected and suggestion(suggested, fourth) == ""

    fifth = shown(suggested, third)
    expected[fifth] = (suggestion(suggested, fifth), "seen")
    press(user, "a", f"4 reviewed, {count - 4} to go")
    assert decided(suggested) == expected
    user.picture("panel-review-four")

    press(user, "u", f"3 reviewed, {count - 3} to go")
    expected.pop(fifth)
    assert decided(suggested) == expected and suggestion(suggested, fifth) is not None
    press(user, "Backspace", f"2 reviewed, {count - 2} to go")
    assert decided(suggested) == expected and suggestion(suggested, fourth) is not None


def holds_and_types(user: Any, count: int) -> None:
    """A key that is typed, held, or meant for something else decides nothing."""
    dataset, keyboard = user.dataset, user.page.keyboard
    user.open("Delete a run")  # the letters go into a search, and the form lies over the panel
    for key in ("a", "x", "1"):
        keyboard.press(key)
    user.click("Cancel")
    user.page.get_by_role("dialog").wait_for(state="hidden")
    keyboard.press("Control+a")
    keyboard.press("Shift+X")
    user.page.get_by_role("tab", name="Overview").click()
    user.page.get_by_text(re.compile(r"^\d+ labelled ·")).wait_for()
    keyboard.press("a")
    assert decided(dataset) == {} and waiting(dataset) == count

    user.page.get_by_role("tab", name="Review").click()
    user.sees(f"0 reviewed, {count} to go")
    for _ in range(4):
        keyboard.down("a")  # held: only the first counts
    keyboard.up("a")
    user.sees(f"1 reviewed, {count - 1} to go")
    user.comes_to_rest(2)
    assert len(decided(dataset)) == 1 and waiting(dataset) == count - 1


def clicks_and_chooses(user: Any, count: int) -> None:
    """Buttons and the list decide, and a panel that is opened again goes on."""
    dataset = user.dataset
    user.page.get_by_role("button", name="Undo").click()
    user.sees(f"0 reviewed, {count} to go")
    user.page.get_by_role("button", name="Skip").click()
    user.page.get_by_role("button", name="Reject").click()
    user.sees(f"1 reviewed, {count - 1} to go")
    assert decided(dataset) == {}
    user.page.get_by_role("button", name="Accept", exact=True).click()
    user.sees(f"2 reviewed, {count - 2} to go")
    (first,) = decided(dataset)
    user.comes_to_rest(1)
    user.page.get_by_role("combobox").last.click()
    user.page.get_by_role("option", name=CLASSES[-1], exact=True).click()
    user.sees(f"3 reviewed, {count - 3} to go")
    assert [label for i, (label, _) in decided(dataset).items() if i != first] == [CLASSES[-1]]

    user.page.locator("[data-cy^='panel-tab-evenset'] [title='Close']").click()
    user.open_panel()
    user.page.get_by_role("tab", name="Review").click()
    user.sees(f"3 reviewed, {count - 3} to go")
    for key in "aaxa":  # those that are pressed while a decision is written wait for it
        user.page.keyboard.press(key)
    user.sees(f"7 reviewed, {count - 7} to go")
    assert len(decided(dataset)) == 5
    assert [key for key in dataset.list_runs() if "review" in key] == ["evenset_review_labels_1"]


def hears_nothing(user: Any, count: int) -> None:
    """Who hears nothing of what others did finds out by a decision, or by coming back to the page."""
    before = {**decided(user.dataset), ben_decides(user.dataset): None}
    press(user, "x", "Somebody else has decided on this sample")
    user.sees(f"7 reviewed, {count - 8} to go")
    assert decided(user.dataset).keys() == before.keys()
    ben_decides(user.dataset)
    user.page.evaluate("window.dispatchEvent(new Event('focus'))")  # comes back to the page
    user.sees(f"7 reviewed, {count - 9} to go")


@pytest.mark.slow
def test_keys_buttons_and_lists_decide_once_and_a_panel_that_is_opened_again_goes_on(suggested, open_app):
    user = open_app(suggested)
    user.page.route(LISTEN, lambda route: route.abort())
    count = waiting(suggested)
    open_review(user)
    for step in (holds_and_types, clicks_and_chooses, hears_nothing):
        step(user, count)


@pytest.mark.slow
def test_what_somebody_else_does_is_seen_by_itself_and_waits_until_a_choice_is_made(suggested, open_app):
    user, count = open_app(suggested), waiting(suggested)
    open_review(user)
    ben_decides(suggested)
    user.sees(f"0 reviewed, {count - 1} to go")

    user.page.get_by_role("combobox").last.click()
    user.page.get_by_role("option").first.wait_for()
    second = ben_decides(suggested)
    user.page.wait_for_timeout(NEWS_SECONDS * 1000)
    expect(user.page.get_by_role("listbox")).to_be_visible()
    user.sees(f"0 reviewed, {count - 1} to go")
    user.page.keyboard.press("Escape")
    user.sees(f"0 reviewed, {count - 2} to go")

    user.page.get_by_role("tab", name="Overview").click()
    labelled = suggested.count("ground_truth.label")
    user.sees(f"{labelled} labelled ·")
    sittings.undo(Sitting(suggested, *FIELDS, "ben"), 2)
    user.sees(f"{labelled - 1} labelled ·")
    assert second not in decided(suggested)
    user.comes_to_rest(NEWS_SECONDS)  # no echo


@pytest.mark.slow
def test_two_pages_of_one_server_show_the_same(suggested, open_app):
    first, second = open_app(suggested), open_app(suggested)
    count = waiting(suggested)
    open_review(first)
    second.page.get_by_text(f"0 reviewed, {count} to go").wait_for()  # FiftyOne opens the panel there too
    press(first, "a", f"1 reviewed, {count - 1} to go")
    second.sees(f"1 reviewed, {count - 1} to go")
    press(second, "u", f"0 reviewed, {count} to go")
    first.sees(f"0 reviewed, {count} to go")
    assert decided(suggested) == {}
