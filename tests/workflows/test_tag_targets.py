"""set_target on tags: each class has its threshold and its guarantee, and what was decided stays."""

from __future__ import annotations

import numpy as np
import pytest
from evenset import auto_label, load_results, review_labels, set_target
from evenset.workflows.data import folders

KEY = "evenset_auto_label_1"
RANDOM = dict(embeddings="vector", random_labels=True, complete=True, progress=False)


@pytest.fixture
def labelled(finished, tagged):
    """Suggestions at a target of .9, of tags that are hard to tell."""

    def make():
        dataset = tagged(n=400, known=250, spread=2.2)
        auto_label(dataset, "ground_truth", target_precision=0.9, **RANDOM)
        return dataset

    return finished("tags: a target of .9", make)


def statuses(dataset, field="auto_label"):
    return {tag.item: tag.status for s in dataset for tag in (s[field].classifications if s[field] else ())}


def test_another_target_does_as_a_run_with_it_and_the_old_one_undoes_it(labelled, everything):
    before, first = statuses(labelled), load_results(labelled, KEY)
    look = set_target(labelled, KEY, 0.75, dry_run=True)
    assert look.dry_run and statuses(labelled) == before and vars(load_results(labelled, KEY)) == vars(first)

    results = set_target(labelled, KEY, 0.75)
    labelled.reload()
    after = statuses(labelled)
    changed = {item for item in after if after[item] != before[item]}
    assert {before[item] for item in changed} == {"review"} and {after[item] for item in changed} == {"accepted"}
    assert results.changed == len(changed) > 5 and (results.accepted, results.review) == (look.accepted, look.review)
    auto_label(labelled, "ground_truth", output_field="other", target_precision=0.75, **RANDOM)
    assert statuses(labelled, "other") == after
    again, now = load_results(labelled, "evenset_auto_label_2"), load_results(labelled, KEY)
    assert (now.rows, now.accepted, now.low, now.targets) == (again.rows, again.accepted, again.low, again.targets)
    assert f"{results.accepted} of {results.accepted + results.review} suggested tags are accepted" in str(results)
    assert "one of 2 targets" in " ".join(now.notes) and set(again.notes) < set(now.notes)

    set_target(labelled, KEY, 0.9)
    labelled.reload()
    restored = load_results(labelled, KEY)
    assert statuses(labelled) == before and (restored.rows, restored.accepted) == (first.rows, first.accepted)


def test_each_target_has_a_row_with_what_it_accepts(labelled):
    rows = load_results(labelled, KEY).targets
    assert [row["target"] for row in rows] == [0.8, 0.85, 0.9, 0.95, 0.98, 0.99]
    for row in rows[:3]:
        look = set_target(labelled, KEY, row["target"], dry_run=True)
        assert look.accepted == row["accepted"] and (
            not row["accepted"] or look.low == row["at_least"] >= row["target"]
        )


def test_tags_that_were_decided_since_stay_as_they_are(labelled):
    open_ = [item for item, status in statuses(labelled).items() if status in ("accepted", "review")]
    new = {i for i, own in zip(*labelled.values(["id", "ground_truth"]), strict=True) if own is None}
    accept, reject = [item for item in open_ if item.partition("/")[0] in new][:2]
    review_labels(labelled, "auto_label", labels={accept: accept.partition("/")[2]}, progress=False)
    review_labels(
        labelled.select(reject.partition("/")[0]), "auto_label", action="reject", status="all", progress=False
    )
    before = statuses(labelled)
    results = set_target(labelled, KEY, 0.6)
    labelled.reload()
    after = statuses(labelled)
    assert results.decided >= 2 and results.changed > 0
    assert (after[accept], after[reject]) == ("labelled", before[reject])
    assert set_target(labelled, KEY, 0.6).changed == 0


def test_removals_and_additions_to_tagged_samples_stay_in_review(labelled):
    set_target(labelled, KEY, 0.5)
    labelled.reload()
    known = {i for i, own in zip(*labelled.values(["id", "ground_truth"]), strict=True) if own is not None}
    assert not [item for item, status in statuses(labelled).items() if status == "accepted" and item[:24] in known]


def test_a_run_without_its_scores_is_refused(labelled, refused):
    (folders.run_folder(labelled, KEY) / "tag_scores.npz").unlink()
    with refused(labelled, "run auto_label again with that target_precision"):
        set_target(labelled, KEY, 0.8)


def test_a_target_out_of_range_is_refused(labelled, refused):
    for target in (0.0, 1.5, np.nan):
        with refused(labelled, "target_precision"):
            set_target(labelled, KEY, target)
