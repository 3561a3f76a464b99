"""The App's colour scheme: set by runs, shared by labels and suggestions, never over a user's, and undone."""

from __future__ import annotations

from typing import Any

import fiftyone as fo
import pytest
from evenset import delete_run, find_mistakes
from evenset.workflows.data.colours import CLASS_COLOURS, STATUS_COLOURS


def colours_of(dataset: Any, path: str) -> dict[str, str]:
    """The colour of each value of a field in the saved scheme."""
    dataset.reload()
    (entry,) = [entry for entry in dataset.app_config.color_scheme.fields if entry["path"] == path]
    return {pair["value"]: pair["color"] for pair in entry["valueColors"]}


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2) of #rrggbb."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_a_class_has_one_colour_and_each_status_its_own(suggestions):
    dataset = suggestions(["cat", "dog"], [None, "dog"])

    assert colours_of(dataset, "ground_truth") == colours_of(dataset, "auto_label") == {"dog": CLASS_COLOURS[0]}
    assert colours_of(dataset, "auto_label.status") == {str(name): colour for name, colour in STATUS_COLOURS.items()}
    assert dataset.app_config.color_scheme.color_by == "value"


@pytest.mark.slow
def test_a_class_keeps_its_colour_when_classes_are_added(clusters):
    dataset = clusters(120, 60)
    quiet = dict(embeddings="vector", progress=False)
    find_mistakes(dataset, "ground_truth", **quiet)
    before = colours_of(dataset, "mistake")
    some = dataset.limit(10)
    some.set_values("ground_truth.label", ["aardvark"] * len(some))

    find_mistakes(dataset, "ground_truth", output_field="again", **quiet)

    after = colours_of(dataset, "again")
    assert before.items() <= after.items() and set(after) - set(before) == {"aardvark"}
    assert len(set(after.values())) == len(after) and colours_of(dataset, "mistake") == after


@pytest.mark.slow
def test_the_scheme_goes_with_the_last_run_that_uses_it(clusters):
    dataset = clusters(120, 60)
    for field in ("first", "second"):
        find_mistakes(dataset, "ground_truth", embeddings="vector", output_field=field, progress=False)

    delete_run(dataset, "evenset_find_mistakes_1")
    assert {entry["path"] for entry in dataset.app_config.color_scheme.fields} == {"ground_truth", "second"}
    delete_run(dataset, "evenset_find_mistakes_2")
    dataset.reload()
    assert dataset.app_config.color_scheme is None


@pytest.mark.parametrize("edits", [False, True])
def test_a_scheme_of_the_user_stays(suggestions, edits):
    dataset = suggestions(["cat", "dog"], [None, "dog"])
    if edits:
        dataset.app_config.color_scheme.opacity = 0.3
    else:
        dataset.app_config.color_scheme = fo.ColorScheme(color_pool=["#123456"], color_by="field")
    dataset.save()
    before = dataset.app_config.color_scheme.to_dict()

    delete_run(dataset, "evenset_auto_label_1")

    dataset.reload()
    assert dataset.app_config.color_scheme.to_dict() == before


@pytest.mark.slow
def test_a_run_does_not_replace_a_scheme_of_the_user(clusters):
    dataset = clusters(120, 60)
    dataset.app_config.color_scheme = fo.ColorScheme(color_by="field")
    dataset.save()
    before = dataset.app_config.color_scheme.to_dict()

    find_mistakes(dataset, "ground_truth", embeddings="vector", progress=False)

    dataset.reload()
    assert dataset.app_config.color_scheme.to_dict() == before


def test_text_on_each_colour_can_be_read():
    assert min(1.05 / (luminance(colour) + 0.05) for colour in CLASS_COLOURS) >= 4.5
