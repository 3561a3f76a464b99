"""The view of a class is saved on the first click, opened on the next, and removed with the run."""

from __future__ import annotations

import numpy as np
import pytest
from evenset import delete_run, find_mistakes
from evenset.workflows.ui.class_views import view_of_class

FOUND = "evenset_find_mistakes_1"


@pytest.fixture
def flagged(clusters, finished):
    """120 labelled samples; six labels are wrong."""

    def make():
        dataset = clusters(120, 120, spread=0.7)
        names = np.array(dataset.values("truth"))
        names[(names == "class 1") | ((names == "class 0") & (np.arange(120) < 12))] = "class $"
        dataset.set_values("ground_truth.label", names.tolist())
        find_mistakes(dataset, "ground_truth", embeddings="vector", progress=False)
        return dataset

    return finished("class views: flagged", make)


def test_a_run_saves_one_view_and_a_click_another_that_deleting_the_run_removes(flagged):
    assert flagged.list_saved_views() == ["mistake: mistakes"]
    ids, labels = flagged.load_saved_view("mistake: mistakes").values(["id", "ground_truth.label"])
    expected = [i for i, label in zip(ids, labels, strict=True) if label == "class $"]

    name = view_of_class(flagged, FOUND, "class $")

    assert name == "mistake: mistakes of class $" and flagged.load_saved_view(name).values("id") == expected != []
    assert view_of_class(flagged, FOUND, "class $") == name and len(flagged.list_saved_views()) == 2
    flagged.delete_saved_view(name)
    assert view_of_class(flagged, FOUND, "class $") == name
    delete_run(flagged, FOUND)
    assert flagged.list_saved_views() == []


def test_a_view_of_the_user_that_has_the_name_is_neither_taken_nor_removed(flagged):
    flagged.save_view("mistake: mistakes of class $", flagged.limit(1))
    assert view_of_class(flagged, FOUND, "class $") == "mistake: mistakes of class $ (2)"
    delete_run(flagged, FOUND)
    assert flagged.list_saved_views() == ["mistake: mistakes of class $"]


def test_a_class_without_flags_is_refused(flagged):
    with pytest.raises(ValueError, match="no label 'moose' of 'ground_truth' is flagged any more"):
        view_of_class(flagged, FOUND, "moose")
