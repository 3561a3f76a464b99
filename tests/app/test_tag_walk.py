"""The walk of a user with tags: counts in Overview, another target in Labels, a tag added in Review and in Mistakes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evenset import auto_label, find_mistakes, load_results
from evenset.workflows.data import tag_ids
from evenset.workflows.ui import mistake_queue, review_order, review_queue
from PIL import Image
from sklearn.datasets import load_digits

IMAGES, TAGGED, DIGITS = 240, 160, 4
FIELDS = ("auto_label", "ground_truth")
RUN = "evenset_auto_label_1"


@pytest.fixture
def tagged(finished: Any, make_dataset: Any, tmp_path: Path) -> Any:
    """240 images of two digits out of four, 160 of them tagged and five of these wrongly; suggestions, and flags."""
    import fiftyone as fo

    def names(digits: Any) -> Any:
        return fo.Classifications(classifications=[fo.Classification(label=f"digit {digit}") for digit in digits])

    def make() -> Any:
        digits, rng, paths, tags, vectors = load_digits(n_class=DIGITS), np.random.default_rng(0), [], [], []
        for number in range(IMAGES):
            pair = rng.choice(len(digits.target), 2, replace=False)
            image = np.hstack(digits.images[pair]) * 15
            paths.append(str(tmp_path / f"{number:03d}.png"))
            Image.fromarray(image.astype(np.uint8)).resize((160, 80), Image.Resampling.NEAREST).save(paths[-1])
            own = {int(digits.target[one]) for one in pair}
            tags.append(own ^ {0} if number < 5 else own)
            vectors.append(digits.images[pair].max(axis=0).ravel())
        dataset = make_dataset(paths)
        dataset.add_sample_field("ground_truth", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classifications)
        dataset.set_values("ground_truth", [names(sorted(own)) for own in tags[:TAGGED]] + [None] * (IMAGES - TAGGED))
        dataset.set_values("pixels", vectors)
        auto_label(dataset, "ground_truth", embeddings="pixels", complete=True, target_precision=0.95, progress=False)
        find_mistakes(dataset, "ground_truth", embeddings="pixels", progress=False)
        return dataset

    return finished("tag walk", make)


def tags(dataset: Any) -> dict[str, set[str]]:
    dataset.reload()
    ids, own = dataset.values(["id", "ground_truth.classifications.label"])
    return {i: set(names or ()) for i, names in zip(ids, own, strict=True)}


def changed(dataset: Any, before: dict[str, set[str]]) -> dict[str, set[str]]:
    """The tags that came or went, by sample."""
    return {i: own ^ before[i] for i, own in tags(dataset).items() if own != before[i]}


def open_tab(user: Any, name: str) -> None:
    user.page.get_by_role("tab", name=name).click()


def move_target(user: Any) -> None:
    """The slider shows what .8 would accept, and Apply accepts it."""
    dataset, before = user.dataset, load_results(user.dataset, RUN).accepted
    open_tab(user, "Labels")
    user.page.get_by_text(re.compile(r"^Accepts (none|\d+) of \d+")).first.wait_for()
    user.picture("tags-labels")
    rail = user.page.locator(".MuiSlider-root:has(input[max='0.999'])")
    box = rail.bounding_box()
    rail.click(position=dict(x=box["width"] * 0.3 / 0.499, y=box["height"] / 2))
    user.page.get_by_text(re.compile(r"\d+ would change")).first.wait_for()
    user.picture("tags-labels-moved")
    assert load_results(dataset, RUN).accepted == before
    user.click("Apply")
    user.page.get_by_text("suggestions are accepted").wait_for()
    dataset.reload()
    results = load_results(dataset, RUN)
    assert results.accepted > before and results.target_precision == pytest.approx(0.8, abs=0.01)
    assert dataset.count_values("auto_label.classifications.status")["accepted"] == results.accepted


def review(user: Any) -> None:
    """A suggestion is accepted, and taken back."""
    dataset, before, count = user.dataset, tags(user.dataset), review_order.count_waiting(user.dataset, *FIELDS)
    open_tab(user, "Review")
    user.page.get_by_text(re.compile(f"^0 reviewed, {count} to go")).wait_for()
    user.picture("tags-review")
    sample_id, name = tag_ids.tag_of(str(review_queue.first(dataset, *FIELDS, [])[0]))
    user.page.keyboard.press("a")
    user.sees(f"1 reviewed, {count - 1} to go")
    assert changed(dataset, before) == {sample_id: {name}}
    user.page.keyboard.press("u")
    user.sees(f"0 reviewed, {count} to go")
    assert changed(dataset, before) == {}


def mend(user: Any) -> None:
    """A flagged tag is added or removed, and that is undone."""
    dataset, before = user.dataset, tags(user.dataset)
    sample_id, name = tag_ids.tag_of(mistake_queue.flagged_page(dataset, "evenset_find_mistakes_1", 0, 1).rows[0]["id"])
    open_tab(user, "Mistakes")
    user.page.get_by_text(re.compile("may be missing|may not belong there")).first.wait_for()
    user.picture("tags-mistakes")
    user.page.keyboard.press("a")
    undo = user.page.get_by_role("button", name="Undo", exact=True)
    undo.wait_for()
    assert changed(dataset, before) == {sample_id: {name}}
    user.page.keyboard.press("u")
    undo.wait_for(state="detached")
    assert changed(dataset, before) == {}


@pytest.mark.slow
def test_tags_are_counted_accepted_at_another_target_reviewed_and_mended(tagged, open_app):
    user = open_app(tagged)
    user.open_panel()
    user.page.get_by_text(re.compile("samples without tags")).first.wait_for()
    user.picture("tags-overview")
    move_target(user)
    review(user)
    mend(user)
