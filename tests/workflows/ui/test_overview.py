"""Overview: each sample is counted once, and what is offered next is what is left to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from evenset import auto_label, review_labels
from evenset.workflows.runs.records import RunRecord
from evenset.workflows.ui import overview
from evenset.workflows.ui.checklist import Findings, steps
from evenset.workflows.ui.latest_check import LatestCheck
from PIL import Image

DONE = dict(auto_label=RunRecord("evenset_auto_label_1", "auto_label", {}, {}, 60, "done", 0.0))
CHECKED = LatestCheck("evenset_check_dataset_1", "check", 60, {})


@pytest.fixture
def pets(make_dataset):
    """Two cats, a dog, four without a label, and three that Evenset made: a dog and two that the filters refused."""
    import fiftyone as fo

    names = ["cat", "cat", "dog", None, None, None, None, "dog", None, None]
    dataset = make_dataset([f"/nowhere/{number}.png" for number in range(10)], names)
    dataset.skip(7).tag_samples("synthetic")
    dataset.skip(8).tag_samples("rejected")
    kind = dict(embedded_doc_type=fo.Classification)
    dataset.add_sample_field("said", fo.EmbeddedDocumentField, **kind)
    dataset.add_sample_field("said.status", fo.StringField)
    said = [("cat", "labelled"), ("cat", "labelled"), ("dog", "labelled"), ("dog", "accepted"), ("cat", "review")]
    said += [(None, "review"), None, None, None, None]  # rejected by a person, and imported later
    dataset.set_values("said", [one and fo.Classification(label=one[0], status=one[1]) for one in said])
    return dataset


def test_each_sample_is_counted_once(pets):
    found = overview.count(pets, "ground_truth", "said")

    assert found.classes == dict(
        cat=dict(labelled=2, accepted=0, review=1, synthetic=0), dog=dict(labelled=1, accepted=1, review=0, synthetic=1)
    )
    assert (found.unlabelled, found.left, found.samples) == (4, 2, 8)  # refused images wait for nobody


def test_a_label_that_was_taken_away_is_counted_no_more(pets):
    sample = pets.first()
    sample["ground_truth"] = None
    sample.save()

    found = overview.count(pets, "ground_truth", "said")

    assert found.classes["cat"]["labelled"] == 1 and (found.unlabelled, found.left, found.samples) == (5, 3, 8)


def test_a_view_is_counted_with_its_samples_that_nothing_is_suggested_for(pets):
    assert overview.count(pets.skip(5).limit(2), "ground_truth", "said").samples == 2
    assert overview.count(pets.match_tags("rejected"), "ground_truth", "said").samples == 0


@pytest.mark.slow
def test_no_label_is_offered_to_what_cannot_be_read(tmp_path, make_dataset):
    rng, paths, truth = np.random.default_rng(0), [], np.arange(60) % 2
    for number, light in enumerate(truth):
        paths.append(str(tmp_path / f"{number}.png"))
        Image.fromarray((rng.random((8, 8)) * 60 + 150 * light).astype("uint8")).save(paths[-1])
    for path in paths[-3:]:
        Path(path).write_bytes(b"no image")
    dataset = make_dataset(paths, [["dark", "light"][i] if n < 40 or n == 59 else None for n, i in enumerate(truth)])
    key = auto_label(dataset, "ground_truth", members="graph", random_labels=True, progress=False).run_key

    found = overview.count(dataset, "ground_truth", "auto_label")
    useless = overview.unreadable(dataset, "ground_truth", key)

    assert (found.left, useless) == (2, 2)  # the third has a label
    review_labels(dataset, "auto_label", status="all", force=True, action="accept", progress=False)
    found = overview.count(dataset, "ground_truth", "auto_label")
    assert steps(found, Findings(DONE, check=CHECKED))[0].button == "Auto-label"
    assert steps(found, Findings(DONE, useless, check=CHECKED))[0].button == "Find mistakes"
