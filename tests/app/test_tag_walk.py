"""The walk of a user with tags: counts in Overview, one tag at a time in Review and Mistakes; asks the database."""

from __future__ import annotations

import re
from typing import Any

import fiftyone as fo
import numpy as np
import pytest
from evenset import auto_label, find_mistakes
from evenset.workflows.data import tag_ids
from evenset.workflows.ui import mistake_queue, review_order, review_queue

FIELDS = ("auto_label", "tags_of_digits")
IMAGES, KNOWN = 240, 160


@pytest.fixture
def tagged_digits(boxed_digits: Any) -> Any:
    """Images of three digits each, a tag for every digit; 160 are tagged, five of these wrongly."""
    dataset, rng = boxed_digits(images=IMAGES, boxes=3, labelled=0, px=40), np.random.default_rng(0)
    digits = [set(own) for own in dataset.values("ground_truth.detections.truth")]
    dataset.delete_sample_field("ground_truth")
    has = np.array([[str(digit) in own for digit in range(10)] for own in digits])
    vectors = {i: 4 * row + rng.normal(0, 1.2, 10) for i, row in zip(dataset.values("id"), has, strict=True)}
    tags = [own ^ {"7"} if place < 5 else own for place, own in enumerate(digits[:KNOWN])]
    lists = [[fo.Classification(label=name) for name in sorted(own)] for own in tags]
    labels = [fo.Classifications(classifications=own) for own in lists]
    dataset.set_values("tags_of_digits", [*labels, *[None] * (IMAGES - KNOWN)])
    auto_label(dataset, FIELDS[1], embeddings=vectors, complete=True, target_precision=0.95, progress=False)
    find_mistakes(dataset, FIELDS[1], embeddings=vectors, progress=False)
    return dataset


def tags(dataset: Any) -> dict[str, set[str] | None]:
    dataset.reload()
    rows = zip(*dataset.values(["id", f"{FIELDS[1]}.classifications.label"]), strict=True)
    return {i: None if own is None else set(own) for i, own in rows}


def changed(dataset: Any, before: dict[str, set[str] | None]) -> dict[str, set[str] | None]:
    return {i: own for i, own in tags(dataset).items() if own != before[i]}


def review(user: Any) -> None:
    """A tag is accepted by a key, another rejected; both are undone."""
    dataset, before = user.dataset, tags(user.dataset)
    count = review_order.count_waiting(dataset, *FIELDS)
    user.page.get_by_role("tab", name="Review").click()
    user.page.get_by_text(re.compile(rf"^0 reviewed, {count} to go")).wait_for()
    user.sees("Nearest tagged samples:")
    user.page.get_by_text(re.compile("^It has ")).wait_for()
    user.picture("tags-review")
    sample_id, name = tag_ids.tag_of(str(review_queue.first(dataset, *FIELDS, [])[0]))
    user.page.keyboard.press("a")
    user.sees(f"1 reviewed, {count - 1} to go")
    assert changed(dataset, before) == {sample_id: (before[sample_id] or set()) ^ {name}}
    user.page.keyboard.press("x")
    user.sees(f"2 reviewed, {count - 2} to go")
    for left in (1, 0):
        user.page.keyboard.press("u")
        user.sees(f"{left} reviewed, {count - left} to go")
    assert changed(dataset, before) == {}


def mistakes(user: Any) -> None:
    """A flagged tag is applied, and undone."""
    dataset, before = user.dataset, tags(user.dataset)
    row = mistake_queue.flagged_page(dataset, "evenset_find_mistakes_1", 0, 1).rows[0]
    sample_id, name = tag_ids.tag_of(row["id"])
    user.page.get_by_role("tab", name="Mistakes").click()
    user.page.get_by_text(re.compile("^Nearest samples with")).wait_for()
    user.picture("tags-mistakes")
    user.page.keyboard.press("a")
    user.page.get_by_role("button", name="Undo", exact=True).wait_for()
    assert changed(dataset, before) == {sample_id: (before[sample_id] or set()) ^ {name}}
    user.page.keyboard.press("u")
    user.page.get_by_role("button", name="Undo", exact=True).wait_for(state="detached")
    assert changed(dataset, before) == {}


@pytest.mark.slow
def test_tags_are_counted_reviewed_and_corrected_one_at_a_time(tagged_digits, open_app):
    user = open_app(tagged_digits)
    user.open_panel()
    user.sees("samples without tags")
    user.picture("tags-overview")
    review(user)
    mistakes(user)
    for tab, text in (("Labels", "left to review"), ("Balance", "Tags are not balanced")):
        user.page.get_by_role("tab", name=tab).click()
        user.page.get_by_text(re.compile(text)).wait_for()
        user.picture(f"tags-{tab.lower()}")
