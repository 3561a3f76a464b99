"""Two people at one dataset, each at a server of their own; the database is asked after each step.

What one does, the other sees without asking; where both want the same thing, the second hears so and nothing is lost.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
from evenset import auto_label, balance_classes, find_mistakes, load_results
from PIL import Image
from playwright.sync_api import expect

LABELS, MISTAKES, BALANCE = (f"evenset_{name}_1" for name in ("auto_label", "find_mistakes", "balance_classes"))
RATIO = 3  # synthetic images for a real one, at the most


@pytest.fixture
def shared(digits: Any) -> Any:
    """220 digits, 140 with a label, of which some are wrong; suggestions, flags, and copies for the rarer classes."""
    dataset = digits(n=220, size_px=16, labelled=140, name="shared")
    wrong = dataset.limit(10)
    wrong.set_values("ground_truth.label", [str((int(digit) + 1) % 10) for digit in wrong.values("truth")])
    pixels = [np.asarray(Image.open(path), np.float32).ravel() for path in dataset.values("filepath")]
    dataset.set_values("pixels", pixels)
    settings = dict(embeddings="pixels", progress=False)
    auto_label(dataset, "ground_truth", random_labels=True, target_precision=0.95, **settings)
    find_mistakes(dataset, "ground_truth", **settings)
    settings = dict(source="augment", measure_benefit=False, verdict_updates=20, progress=False)
    balance_classes(dataset, "ground_truth", **settings)
    return dataset


def show(tab: str, *users: Any) -> None:
    for user in users:
        user.page.get_by_role("tab", name=tab).click()


def labels(dataset: Any) -> dict[str, str | None]:
    """The label of each sample, as the database has it now."""
    dataset.reload()
    return dict(zip(*dataset.values(["id", "ground_truth.label"]), strict=True))


def undo(user: Any, button: str, what: str) -> None:
    """Deletes the run that a button is about, once its form says what goes."""
    user.click(button)
    user.undo(what)
    user.dataset.reload()


def apply_target(user: Any, target: float) -> dict[str, int]:
    """Moves the slider and applies it; returns what the database says then."""
    before = user.dataset.count_values("auto_label.status")
    rail = user.page.locator(".MuiSlider-root:has(input[max='0.999'])")
    box = rail.bounding_box()
    rail.click(position=dict(x=box["width"] * (target - 0.5) / 0.499, y=box["height"] / 2))
    user.click("Apply")
    user.page.get_by_text("suggestions are accepted").wait_for()
    user.dataset.reload()
    after = user.dataset.count_values("auto_label.status")
    assert after != before and sum(after.values()) == sum(before.values())
    return after


def of_target(dataset: Any, counts: dict[str, int]) -> str:
    """What Labels says of the target that was applied."""
    target = load_results(dataset, LABELS).target_precision
    return f"Now {counts.get('accepted', 0)} accepted and {counts.get('review', 0)} in review at {target:g}"


def move_targets(ada: Any, ben: Any) -> None:
    show("Labels", ada, ben)
    dataset, before = ada.dataset, labels(ada.dataset)
    for user in (ada, ben):
        user.sees(of_target(dataset, dataset.count_values("auto_label.status")))
    for user, other, target in ((ada, ben, 0.7), (ben, ada, 0.99)):
        counts = apply_target(user, target)
        for each in (other, user):
            each.sees(of_target(dataset, counts))
        assert load_results(dataset, LABELS).target_precision == pytest.approx(target, abs=0.01)
    assert labels(dataset) == before


def flagged(dataset: Any) -> list[str]:
    """Ids of what is flagged, in the order of the list."""
    dataset.reload()
    return dataset.match({"mistake.is_issue": True}).sort_by("mistake.rank").values("id")


def decide_on_one_row(ada: Any, ben: Any) -> None:
    """Ben's finger is on the button that dismisses the first row while Ada applies it."""
    show("Mistakes", ada, ben)
    dataset, before = ada.dataset, labels(ada.dataset)
    ids = flagged(dataset)
    for user in (ada, ben):
        user.page.get_by_text(re.compile(f"^{len(ids)} of .* labels wait for a decision")).wait_for()
    dismiss = ben.page.get_by_role("button", name="Dismiss", exact=True).first
    dismiss.hover()
    ben.page.mouse.down()
    ada.page.get_by_role("button", name="Apply", exact=True).first.click()
    ada.page.get_by_text(re.compile(f"^{len(ids) - 1} of .* labels wait for a decision")).wait_for()
    expected = {**before, ids[0]: dataset[ids[0]].mistake.label}
    assert labels(dataset) == expected != before and flagged(dataset) == ids[1:]

    ben.page.mouse.up()
    ben.sees("Somebody else has decided on this sample: their decision stays")
    for user in (ada, ben):
        user.page.get_by_text(re.compile(f"^{len(ids) - 1} of .* labels wait for a decision")).wait_for()
    assert labels(dataset) == expected and flagged(dataset) == ids[1:]
    assert dataset[ids[0]].ground_truth.evenset_review == "seen"


def remove_synthetic(ada: Any, ben: Any) -> None:
    show("Balance", ada, ben)
    dataset, before = ada.dataset, labels(ada.dataset)
    made = dataset.match_tags("synthetic").values("id")
    for user in (ada, ben):
        user.sees(f"Outcome of {BALANCE}")
        user.page.get_by_text(f"{len(made)} samples were added.").wait_for()
    undo(ada, "Remove ...", f"{len(made)} samples that it added, with their labels")
    real = {i: label for i, label in before.items() if i not in made}
    assert labels(dataset) == real and BALANCE not in dataset.list_runs()

    counts = Counter(filter(None, real.values()))
    add = sum(min(max(counts.values()) - count, RATIO * count) for count in counts.values())
    for user in (ben, ada):
        user.sees(f"{add} synthetic images would be added")
        user.page.get_by_text(f"Outcome of {BALANCE}").wait_for(state="hidden")
        user.sees(f"{len(real)} samples", exact=True)
    assert labels(dataset) == real


def undo_run(ada: Any, ben: Any, given: dict[str, str | None]) -> None:
    """What Ada applied is undone by her while Ben looks at its run."""
    show("Runs", ada, ben)
    dataset, ids = ada.dataset, flagged(ada.dataset)
    for user in (ada, ben):
        user.page.get_by_text(re.compile("^review labels 1 · done")).wait_for()
    assert labels(dataset) != given
    undo(ada, "Delete review labels 1", "Changes to undo")
    assert labels(dataset) == given and len(flagged(dataset)) == len(ids) + 1
    assert dataset.list_runs() == [LABELS, MISTAKES]
    for user in (ben, ada):
        user.page.get_by_text(re.compile("^find mistakes 1 · done")).wait_for()
        expect(user.page.get_by_text("review labels 1")).to_have_count(0)


@pytest.mark.slow
def test_two_people_label_check_balance_and_undo(shared, open_app, elsewhere):
    given = {i: label for i, label in labels(shared).items() if "synthetic" not in shared[i].tags}
    ada, ben = open_app(shared), open_app(shared, elsewhere)
    ada.open_panel()
    ben.open_panel()
    move_targets(ada, ben)
    decide_on_one_row(ada, ben)
    remove_synthetic(ada, ben)
    undo_run(ada, ben, given)
