"""The panel's Review by keyboard, and by two people at once; the database is asked after each step."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from evenset import auto_label, load_results
from evenset.workflows.runs import records
from evenset.workflows.ui import review_order, review_queue
from PIL import Image
from playwright.sync_api import expect

CLASSES = ["0", "1", "2", "3", "4", "5", "6", "<b>seven</b>"]  # digits are their own keys; the last has the 7
LISTEN = "**/operators/subscribe-execution-store"  # where a page hears that something changed
NEWS_MS = 12_000  # until it is heard: FiftyOne's server looks every 5 s


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
    user.picture("panel-review-keys")

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
    user.picture("panel-review-keys-four")

    press(user, "u", f"3 reviewed, {count - 3} to go")
    expected.pop(fifth)
    assert decided(suggested) == expected and suggestion(suggested, fifth) is not None
    press(user, "Backspace", f"2 reviewed, {count - 2} to go")
    assert decided(suggested) == expected and suggestion(suggested, fourth) is not None


@pytest.mark.slow
def test_what_was_skipped_is_shown_again(suggested, open_app):
    later = review_order.waiting(suggested, "auto_label", "ground_truth").skip(2)
    later.set_values("auto_label.status", ["accepted"] * len(later))
    user = open_app(suggested)
    open_review(user)
    first = shown(suggested)
    image = user.page.locator(f"img[src*='{suggested[first].filename}']").first
    for then in (None, "Only samples that you skipped are left."):
        user.page.get_by_role("button", name="Skip").click()
        if then:
            user.sees(then)
        else:
            expect(image).to_have_count(0)
    user.picture("panel-review-skipped")
    user.click("Show them again")
    image.wait_for()
    user.page.get_by_role("button", name="Accept", exact=True).click()
    user.sees("1 reviewed, 1 to go")
    assert list(decided(suggested)) == [first]


@pytest.mark.slow
def test_a_class_is_chosen_in_the_list_and_a_panel_that_is_opened_again_goes_on(suggested, open_app):
    user, count = open_app(suggested), waiting(suggested)
    open_review(user)
    sample = shown(suggested)
    other = next(name for name in CLASSES if name != suggestion(suggested, sample))
    user.page.get_by_role("combobox").last.click()
    user.page.get_by_role("option", name=other, exact=True).click()
    user.sees(f"1 reviewed, {count - 1} to go")
    assert decided(suggested) == {sample: (other, "corrected")}

    user.page.locator("[data-cy^='panel-tab-evenset'] [title='Close']").click()
    user.open_panel()
    user.page.get_by_role("tab", name="Review").click()
    user.sees(f"1 reviewed, {count - 1} to go")
    press(user, "x", f"2 reviewed, {count - 2} to go")
    press(user, "u", f"1 reviewed, {count - 1} to go")
    assert decided(suggested) == {sample: (other, "corrected")}


@pytest.mark.slow
def test_keys_that_are_pressed_while_a_decision_is_written_wait_for_it(suggested, open_app):
    user, count = open_app(suggested), waiting(suggested)
    open_review(user)
    for key in "aaxa":
        user.page.keyboard.press(key)
    user.sees(f"4 reviewed, {count - 4} to go")
    assert len(decided(suggested)) == 3
    assert [key for key in suggested.list_runs() if "review" in key] == ["evenset_review_labels_1"]


@pytest.mark.slow
def test_what_was_decided_is_learned_from_in_a_next_round(suggested, open_app):
    user, count = open_app(suggested), waiting(suggested)
    open_review(user)
    press(user, "a", f"1 reviewed, {count - 1} to go")
    user.click("Learn from these")
    user.sees("Learning from all current labels; suggestions go into auto_label_2")
    user.page.get_by_text(re.compile(r"^0 reviewed, \d+ to go")).wait_for()  # of the new suggestions
    user.picture("panel-review-learned")

    suggested.reload()
    results = load_results(suggested, "evenset_auto_label_2")
    assert records.read_record(suggested, "evenset_auto_label_2").inputs["after"] == "evenset_auto_label_1"
    assert results.labelled == load_results(suggested, "evenset_auto_label_1").labelled + 1
    user.page.get_by_role("tab", name="Labels").click()
    user.sees("A next round after evenset_auto_label_1: what that run held out stays held out")
    user.picture("panel-labels-next-round")


@pytest.mark.slow
def test_a_key_that_is_held_typed_or_meant_for_something_else_decides_nothing(suggested, open_app):
    user = open_app(suggested)
    count = waiting(suggested)
    open_review(user)
    keyboard = user.page.keyboard
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
    assert decided(suggested) == {} and waiting(suggested) == count

    user.page.get_by_role("tab", name="Review").click()
    user.sees(f"0 reviewed, {count} to go")
    for _ in range(4):
        keyboard.down("a")  # held: only the first counts
    keyboard.up("a")
    user.sees(f"1 reviewed, {count - 1} to go")
    user.page.wait_for_timeout(1000)
    assert len(decided(suggested)) == 1 and waiting(suggested) == count - 1


@pytest.mark.slow
def test_two_people_see_what_the_other_does(suggested, open_app, elsewhere):
    ada, ben = open_app(suggested), open_app(suggested, elsewhere)
    count = waiting(suggested)
    open_review(ada)
    open_review(ben)
    press(ada, "a", f"1 reviewed, {count - 1} to go")
    ben.sees(f"0 reviewed, {count - 1} to go")

    ben.page.get_by_role("tab", name="Overview").click()
    labelled = suggested.count("ground_truth.label")
    ben.sees(f"{labelled} labelled ·")
    press(ada, "a", f"2 reviewed, {count - 2} to go")
    ben.sees(f"{labelled + 1} labelled ·")
    press(ada, "u", f"1 reviewed, {count - 1} to go")
    ben.sees(f"{labelled} labelled ·")

    ada.page.wait_for_timeout(NEWS_MS)  # the last echo
    calls: list[str] = []
    for user in (ada, ben):
        user.page.on("request", lambda request: calls.append(request.url) if "/operators/" in request.url else None)
    ada.page.wait_for_timeout(NEWS_MS)
    assert calls == []


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


@pytest.mark.slow
def test_what_one_decided_the_other_does_not_decide_again(suggested, open_app, elsewhere):
    ada, ben = open_app(suggested), open_app(suggested, elsewhere)
    ben.page.route(LISTEN, lambda route: route.abort())  # hears nothing
    count = waiting(suggested)
    open_review(ada)
    open_review(ben)
    ben.page.wait_for_timeout(2000)  # a tab that was drawn late is asked for once more
    sample = shown(suggested)
    press(ada, "a", f"1 reviewed, {count - 1} to go")
    before = decided(suggested)
    assert list(before) == [sample]

    press(ben, "x", "Somebody else has decided on this sample")
    ben.sees(f"0 reviewed, {count - 1} to go")
    assert decided(suggested) == before and suggestion(suggested, sample) == before[sample][0]

    press(ada, "a", f"2 reviewed, {count - 2} to go")
    ben.page.evaluate("window.dispatchEvent(new Event('focus'))")  # comes back to the page
    ben.sees(f"0 reviewed, {count - 2} to go")


@pytest.mark.slow
def test_news_wait_until_a_choice_is_made(suggested, open_app, elsewhere):
    ada, ben = open_app(suggested), open_app(suggested, elsewhere)
    count = waiting(suggested)
    open_review(ada)
    open_review(ben)
    sample = shown(suggested)
    ben.page.get_by_role("combobox").last.click()
    ben.page.get_by_role("option").first.wait_for()
    press(ada, "a", f"1 reviewed, {count - 1} to go")
    ben.page.wait_for_timeout(NEWS_MS)
    expect(ben.page.get_by_role("listbox")).to_be_visible()
    ben.sees(f"0 reviewed, {count} to go")
    ben.page.keyboard.press("Escape")
    ben.sees(f"0 reviewed, {count - 1} to go")
    assert list(decided(suggested)) == [sample]


def test_numbers_stand_for_the_likeliest_where_there_are_more_classes():
    from evenset.operators.tabs.class_keys import likeliest

    classes = [f"class {i}" for i in range(20)]
    assert likeliest(classes, ["class 7", None, "class 3", "gone", "class 7"], "class 3") == [
        "class 7", *classes[:3], *classes[4:7], *classes[8:11],
    ]  # fmt: skip


def test_a_class_that_is_called_like_a_number_key_has_that_key():
    from evenset.operators.tabs.class_keys import by_key, likeliest

    assert by_key(["cat", "dog"]) == [("1", "cat"), ("2", "dog")]
    assert by_key(["2", "bird", "cat"]) == [("1", "bird"), ("2", "2"), ("3", "cat")]
    digits, many = [str(i) for i in range(10)], [str(i) for i in range(12)]
    assert by_key(likeliest(many, ["7", "11"], "7")) == list(zip(digits, digits, strict=True))
    assert by_key(digits) == list(zip(digits, digits, strict=True))
    assert by_key([*"abcdefghij"])[-1] == ("0", "j")
