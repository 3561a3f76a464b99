"""Provenance: which labels are the user's own, and calibrate."""

from __future__ import annotations

import pytest
from evenset import auto_label


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "calibrate"), [("batch 7", 30), ("evenset", 30), ("evenset_review_labels_4", 0), (7, 30)]
)
def test_a_label_is_evensets_where_it_names_a_run_of_this_dataset_or_of_another(clusters, key, calibrate):
    """As it is imported from another dataset: the attributes are there, and no schema and no record know of them."""
    dataset = clusters(90, 60)
    dataset.exists("ground_truth").set_values("ground_truth.evenset_run", [key] * 60, dynamic=False)

    found = auto_label(dataset, "ground_truth", embeddings="vector", target_precision=0.8, progress=False)

    assert found.held_out == calibrate
    assert any("60 labels came from Evenset or a queue" in note for note in found.notes) == (calibrate == 0)
