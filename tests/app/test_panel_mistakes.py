"""The panel's tabs Mistakes and Balance: rows are applied and dismissed, the plan and the verdict are seen."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import parse_qs, urlparse

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

MINUTE = 60_000  # milliseconds
PLANTED = 20  # wrong labels, on the first samples
PICTURES = "EVENSET_SCREENSHOTS" in os.environ  # they show larger images, and a name that is nicer
ZERO, SIZE_PX = ("zero", 28) if PICTURES else ("<b>zero_0</b>", 16)


@pytest.fixture
def planted(digits: Any) -> Any:
    """300 digits with labels and pixels as a vector; the first 20 have the label of the next digit."""
    dataset = digits(n=300, size_px=SIZE_PX, labelled=300, name="digits")
    pixels = [np.asarray(Image.open(path), np.float32).ravel() for path in dataset.values("filepath")]
    dataset.set_values("pixels", pixels)
    wrong = dataset.limit(PLANTED)
    wrong.set_values("ground_truth.label", [str((int(digit) + 1) % 10) for digit in wrong.values("truth")])
    return named(dataset)


@pytest.fixture
def uneven(digits: Any) -> Any:
    """300 digits with labels, and of the nines only a few."""
    dataset = digits(n=300, size_px=SIZE_PX, labelled=300, name="digits")
    dataset.delete_samples(dataset.match({"truth": "9"}).values("id")[8:])
    return named(dataset)


def named(dataset: Any) -> Any:
    """The zeros have another name, in which there is markup."""
    zeros = dataset.match({"ground_truth.label": "0"})
    zeros.set_values("ground_truth.label", [ZERO] * len(zeros))
    return dataset


def open_tab(user: Any, name: str) -> None:
    user.open_panel()
    user.page.get_by_role("tab", name=name).click()


def look_again(user: Any, name: str) -> None:
    """Opens another tab and comes back."""
    user.page.get_by_role("tab", name="Overview").click()
    user.page.get_by_text(re.compile(r"^[\d,]+ labelled")).last.wait_for()
    user.page.get_by_role("tab", name=name).click()


def choose(user: Any, now: str, then: str) -> None:
    """Chooses in a dropdown, which closes by itself where the panel is drawn anew at that moment."""
    option = user.page.get_by_role("option", name=then)
    user.click_until(user.page.get_by_role("combobox").filter(has_text=now), option)
    option.click()


def rows(user: Any) -> Any:
    return user.page.get_by_role("button", name="Apply", exact=True)


def flagged(user: Any) -> list[str]:
    """Ids of what is flagged, in the order of the list."""
    user.dataset.reload()
    return user.dataset.match({"mistake.is_issue": True}).sort_by("mistake.rank").values("id")


def file_of(src: str) -> str:
    """The file that an image of the panel shows."""
    return parse_qs(urlparse(src).query)["filepath"][0]


def watch_a_generator(user: Any) -> None:
    """It trains, its tab draws the newest grid of its samples, and Runs its curves; then it is stopped."""
    from evenset.workflows.runs import records

    key = "evenset_train_generator_1"
    user.click("Train generator ...")
    user.unfold_section("Optimization")
    user.put("Minutes", "10")
    user.put("Preview every", "5")
    user.page.get_by_role("button", name="Train", exact=True).click()
    user.page.get_by_text(re.compile("train generator · ")).wait_for()  # the panel opens anew, where it is seen
    expect(user.page.get_by_role("tab", name="Balance")).to_have_attribute("aria-selected", "true")
    user.page.get_by_text("Images that the generator draws now").wait_for(timeout=5 * MINUTE)
    grid = user.page.locator(f"img[src*='{key}'][src*='samples_']")
    for _ in range(2):  # the next one takes the place of the first
        drawn = grid.get_attribute("src")
        for side, pixels in zip(("naturalWidth", "naturalHeight"), Image.open(file_of(drawn)).size, strict=True):
            expect(grid).to_have_js_property(side, pixels)
        expect(grid).not_to_have_attribute("src", drawn)
    expect(grid).to_have_js_property("complete", True)
    user.picture("panel-balance-draws")
    user.dataset.reload()
    assert records.read_record(user.dataset, key).state == "running"
    user.page.get_by_role("tab", name="Runs").click()  # which draws its curves
    user.page.locator(".js-plotly-plot .legendtext").get_by_text("loss", exact=True).wait_for()
    user.page.get_by_role("tab", name="Balance").click()

    user.page.get_by_role("button", name="Stop", exact=True).click()
    user.page.get_by_text(f"{key} was stopped").wait_for()
    user.dataset.reload()
    assert records.read_record(user.dataset, key).state == "stopped"
    expect(grid).to_have_count(0)


def test_a_user_applies_and_dismisses_suggestions_in_the_panel(planted, open_app):
    from evenset import find_mistakes

    user = open_app(planted)
    open_tab(user, "Mistakes")
    user.sees("No label of ground_truth has been checked yet")
    user.picture("panel-mistakes-none")
    user.click("Find mistakes ...")
    user.sees(f"{len(planted)} of {len(planted)} samples are labelled")
    user.click("Cancel")

    find_mistakes(planted, "ground_truth", embeddings="pixels", progress=False)
    ids = flagged(user)
    look_again(user, "Mistakes")
    user.sees(f"{len(ids)} of {len(planted)} labels wait for a decision")
    expect(rows(user)).to_have_count(8)
    user.sees(f"1 to 8 of {len(ids)}")
    user.picture("panel-mistakes")

    rows(user).first.click()
    user.sees(f"{len(ids) - 1} of {len(planted)} labels wait for a decision")
    planted.reload()
    sample = planted[ids[0]]
    assert sample.ground_truth.label == sample.mistake.label and sample.ground_truth.evenset_review == "seen"
    assert flagged(user) == ids[1:]

    given = planted[ids[1]].ground_truth.label
    user.page.get_by_role("button", name="Dismiss", exact=True).first.click()
    user.sees(f"{len(ids) - 2} of {len(planted)} labels wait for a decision")
    assert flagged(user) == ids[2:] and planted[ids[1]].ground_truth.label == given
    assert planted[ids[1]].mistake.label == given  # the App would draw None as "null"
    look_again(user, "Mistakes")
    expect(user.page.get_by_role("button", name="Undo")).to_be_visible()
    user.picture("panel-mistakes-decided")

    user.click("Open the view")
    user.sees(f"{len(ids) - 2} samples", exact=True)
    user.click("Show all samples")
    user.sees(f"{len(planted)} samples", exact=True)
    user.click("Next")
    user.sees(f"9 to {min(16, len(ids) - 2)} of {len(ids) - 2}")
    user.picture("panel-mistakes-next")


def corrects_by_keys(user: Any) -> None:
    from evenset import delete_run

    dataset, before, ids = user.dataset, user.dataset.values("ground_truth.label"), flagged(user)
    user.sees(f"{len(ids)} of {len(dataset)} labels wait for a decision")
    user.sees("A apply, S skip, X dismiss, a number corrects")
    user.sees("Labelled otherwise:")
    user.picture("panel-mistakes-keys")
    given, suggested = (dataset[ids[0]][name].label for name in ("ground_truth", "mistake"))
    key = next(key for key in "23456789" if key not in (given, suggested))
    for pressed in (key, "a", "x"):  # each waits for the one before it
        user.page.keyboard.press(pressed)
    user.sees(f"{len(ids) - 3} of {len(dataset)} labels wait for a decision")
    assert flagged(user) == ids[3:]
    assert dataset[ids[0]].ground_truth.label == key and dataset[ids[0]].ground_truth.evenset_review == "corrected"

    user.page.keyboard.press("u")
    user.sees(f"{len(ids) - 2} of {len(dataset)} labels wait for a decision")
    assert flagged(user) == ids[2:]
    other = next(name for name in "23456789" if name not in (dataset[ids[2]].ground_truth.label, key))
    user.page.get_by_role("combobox", name="Correct to").click()
    user.page.get_by_role("option", name=other, exact=True).click()
    user.sees(f"{len(ids) - 3} of {len(dataset)} labels wait for a decision")
    dataset.reload()
    assert dataset[ids[2]].ground_truth.label == other
    assert [run for run in dataset.list_runs() if "review" in run] == ["evenset_review_labels_1"]
    user.page.get_by_role("tab", name="Runs").click()
    user.sees("review labels 1 · done")
    delete_run(dataset, "evenset_review_labels_1")
    assert dataset.values("ground_truth.label") == before and flagged(user) == ids


def is_asked_before_a_class_goes(user: Any) -> None:
    """Only the four samples of 'rare' are flagged now, and all of them would lose their label."""
    dataset = user.dataset
    dataset.set_values("mistake.is_issue", [name == "rare" for name in dataset.values("ground_truth.label")])
    rare = dataset.match({"ground_truth.label": "rare"})
    rare.set_values("mistake.label", rare.values("truth"))
    shown = flagged(user)
    look_again(user, "Mistakes")
    for _ in range(2):
        user.click("Apply all shown")
        user.sees("Apply 4 suggestions? This changes 4 of 4 labels of 'rare'")
        user.picture("panel-mistakes-asked")
        user.click("Cancel")
        expect(user.page.get_by_role("button", name="Apply all shown")).to_be_visible()
    user.click("Apply all shown")
    user.click("Apply 4")
    user.sees("Accepting would take 4 of 4 labels of 'rare', more than half of a class")
    assert flagged(user) == shown

    user.page.get_by_role("checkbox", name="Force").check()
    user.picture("panel-mistakes-force")
    user.click("Apply 4")
    user.sees("4 applied (evenset_review_labels_1)")
    dataset.reload()
    assert "rare" not in dataset.count_values("ground_truth.label")


@pytest.mark.slow
def test_a_user_corrects_labels_by_keys_and_is_asked_before_most_of_a_class_goes(planted, open_app):
    from evenset import find_mistakes

    planted.skip(PLANTED).limit(4).set_values("ground_truth.label", ["rare"] * 4)
    find_mistakes(planted, "ground_truth", embeddings="pixels", progress=False)
    user = open_app(planted)
    open_tab(user, "Mistakes")
    corrects_by_keys(user)
    is_asked_before_a_class_goes(user)


def test_a_user_sees_the_plan_and_the_form_that_it_fills_in(uneven, open_app):
    user = open_app(uneven)
    open_tab(user, "Balance")
    user.sees("synthetic images would be added")
    expect(user.page.locator(".js-plotly-plot")).to_have_count(1)
    expect(user.page.locator(".js-plotly-plot text").get_by_text(ZERO, exact=True)).to_be_visible()
    user.picture("panel-balance")
    choose(user, "As many as the largest class", "As many as the median class")
    expect(user.page.get_by_role("listbox")).to_have_count(0)
    user.click("Balance ...")
    user.sees(f"{len(uneven)} of {len(uneven)} samples are labelled")
    expect(user.page.get_by_role("dialog").get_by_text("As many as the median class").first).to_be_visible()
    user.click("Cancel")


def sees_the_verdict(user: Any, has_added: bool) -> None:
    user.sees("Outcome of evenset_balance_classes_1")
    user.sees("samples were added." if has_added else "None was added.")
    expect(user.page.locator(".js-plotly-plot")).to_have_count(2)
    user.picture("panel-balance-done")
    for name in ("Gain of each class", "images were rejected", "Some of the images"):
        user.scroll_to(user.page.get_by_text(name))
        user.picture(f"panel-balance-{name.split()[0].lower()}-{name.split()[-1]}")
    if not has_added:
        user.click("Add ...")
        user.sees("always", exact=True)
        user.click("Cancel")
    user.click("Remove ...")
    user.undo("Changes to undo")
    user.sees("synthetic images would be added")


@pytest.mark.slow
def test_a_user_sees_the_verdict_and_what_was_refused_and_watches_a_generator(uneven, open_app):
    from evenset import balance_classes

    measured = dict(measure_benefit=True, filter_augmented=True, verdict_updates=5, verdict_seeds=2)
    settings = dict(source="augment", add="if it gains", progress=False, **measured)
    results = balance_classes(uneven, "ground_truth", **settings)
    user = open_app(uneven)
    open_tab(user, "Balance")
    sees_the_verdict(user, has_added=bool(results.added))
    watch_a_generator(user)
