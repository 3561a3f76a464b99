"""audit_labels: a random draw, a person's check, and a bound that holds whatever the labels were."""

from __future__ import annotations

import fiftyone as fo
import numpy as np
import pytest
from evenset import audit_labels, auto_label, delete_run, load_results, resume_run, review_labels
from scipy.stats import binom


@pytest.fixture
def accepted(clusters, finished):
    """A data set whose labels were no random draw, with suggestions; some of the accepted ones are wrong."""

    def make():
        dataset = clusters(400, 160, spread=1.9)
        auto_label(dataset, "ground_truth", embeddings="vector", target_precision=0.7, progress=False)
        assert dataset.count_values("auto_label.status")["accepted"] > 100
        return dataset

    return finished("audit labels: accepted", make)


def check(dataset, view):
    """What a person does: accepts what is right, corrects what is wrong; returns how many were right."""
    ids, said, truth = view.values(["id", "auto_label.label", "truth"])
    right = [i for i, a, b in zip(ids, said, truth, strict=True) if a == b]
    if right:
        review_labels(dataset.select(right), "auto_label", seen=True, progress=False)
    for i, name in zip(ids, truth, strict=True):
        if i not in right:
            review_labels(dataset.select(i), "auto_label", action="correct", label=name, progress=False)
    return len(right)


def test_an_audit_draws_accepted_samples_at_random_and_waits_for_the_check(accepted):
    results = audit_labels(accepted, "auto_label", progress=False)
    view = accepted.load_saved_view(results.views["audit"])
    assert results.views == {"audit": "auto_label: audit"}
    assert len(view) == results.drawn == 60 and set(view.values("auto_label.status")) == {"accepted"}
    assert (results.checked, results.precision, results.low, results.high) == (0, None, 0.0, 1.0)
    assert "0 of 60 drawn samples are checked" in str(results) and "seen=True" in str(results)
    places = [accepted.values("id").index(i) for i in view.values("id")]
    assert np.ptp(places) > 100  # from all over, not the first that come


def test_the_seed_fixes_the_draw_and_a_deleted_audit_makes_room_for_another(accepted):
    def draw(seed):
        results = audit_labels(accepted, "auto_label", seed=seed, size=20, progress=False)
        ids = accepted.load_saved_view(results.views["audit"]).values("id")
        delete_run(accepted, results.run_key)
        return ids

    first = draw(0)
    assert draw(0) == first and set(draw(1)) != set(first)


def test_the_bound_is_clopper_and_pearsons(accepted):
    drawn = audit_labels(accepted, "auto_label", size=40, progress=False)
    view = accepted.load_saved_view(drawn.views["audit"])
    ids = view.values("id")

    half = accepted.select(ids[:10])
    right = check(accepted, half)
    between = audit_labels(accepted, "auto_label", progress=False)
    assert (between.run_key, between.checked, between.precision) == (drawn.run_key, 10, None)

    right += check(accepted, accepted.select(ids[10:]))
    results = audit_labels(accepted, "auto_label", progress=False)

    assert (results.checked, results.right, results.precision) == (40, right, right / 40)
    assert load_results(accepted, results.run_key) == results
    assert 0 < right < 40
    assert binom.sf(right - 1, 40, results.low) == pytest.approx(0.1)
    assert binom.cdf(right, 40, results.high) == pytest.approx(0.1)
    assert f"{right} of 40 accepted samples drawn at random are right" in str(results)
    assert f"at least {100 * results.low:.1f} %" in str(results)
    assert accepted.select(ids).values("ground_truth.evenset_selection") == ["random"] * 40


def test_bulk_acceptance_is_no_check_and_a_rejection_is_one(accepted):
    drawn = audit_labels(accepted, "auto_label", size=20, progress=False)
    ids = accepted.load_saved_view(drawn.views["audit"]).values("id")
    review_labels(accepted.select(ids[:5]), "auto_label", progress=False)
    assert audit_labels(accepted, "auto_label", progress=False).checked == 0
    review_labels(accepted.select(ids[5:8]), "auto_label", action="reject", progress=False)
    results = audit_labels(accepted, "auto_label", progress=False)
    assert (results.checked, results.right) == (3, 0)


@pytest.mark.slow
def test_what_an_audit_checked_calibrates_the_next_run(accepted):
    drawn = audit_labels(accepted, "auto_label", size=30, progress=False)
    check(accepted, accepted.load_saved_view(drawn.views["audit"]))
    results = auto_label(
        accepted, "ground_truth", output_field="next", embeddings="vector", random_labels=True, progress=False
    )
    assert results.held_out == 95  # half of 160 original labels and 30 seen ones
    assert not any("queue" in note for note in results.notes)


@pytest.mark.slow
def test_an_audit_of_suggestions_that_were_deleted_says_nothing_of_new_ones(accepted):
    old = audit_labels(accepted, "auto_label", size=20, progress=False)
    check(accepted, accepted.load_saved_view(old.views["audit"]))
    assert audit_labels(accepted, "auto_label", progress=False).precision is not None
    delete_run(accepted, "evenset_auto_label_1")
    auto_label(accepted, "ground_truth", embeddings="vector", target_precision=0.7, progress=False)

    new = audit_labels(accepted, "auto_label", size=20, progress=False)

    assert new.run_key != old.run_key and (new.checked, new.precision) == (0, None)
    before, drawn = (accepted.load_saved_view(results.views["audit"]) for results in (old, new))
    review_labels(before, "auto_label", action="correct", label="class 0", progress=False)
    for i, selection in zip(*before.values(["id", "ground_truth.evenset_selection"]), strict=True):
        assert selection == ("random" if i in drawn.values("id") else "queue")


def test_suggestions_of_an_earlier_runs_model_are_audited_by_the_field_that_is_named(accepted, clusters, refused):
    other = clusters(200, 0, spread=1.9)
    auto_label(other, embeddings="vector", run=f"{accepted.name}/evenset_auto_label_1", progress=False)
    other.add_sample_field("checked", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    with refused(other, "pass label_field, the field to write labels to"):
        audit_labels(other, "auto_label", progress=False)

    drawn = audit_labels(other, "auto_label", label_field="checked", size=10, progress=False)
    view = other.load_saved_view(drawn.views["audit"])
    review_labels(view, "auto_label", label_field="checked", seen=True, progress=False)

    assert audit_labels(other, "auto_label", progress=False).checked == 10


def test_a_small_pool_is_drawn_whole_and_an_empty_one_is_refused(accepted, refused):
    few = accepted.match({"auto_label.status": "accepted"}).limit(7)
    results = audit_labels(few, "auto_label", progress=False)
    assert results.drawn == 7
    delete_run(accepted, results.run_key)
    with refused(accepted, "no sample of the view is accepted in 'auto_label'"):
        audit_labels(accepted.match({"auto_label.status": "labelled"}), "auto_label", progress=False)
    with refused(accepted, "no run of auto_label wrote the field 'ground_truth'"):
        audit_labels(accepted, "ground_truth", progress=False)


def test_an_audit_is_undone_and_never_resumed(accepted, everything):
    before = everything(accepted)
    results = audit_labels(accepted, "auto_label", progress=False)
    with pytest.raises(ValueError, match="is done"):
        resume_run(accepted, results.run_key)
    delete_run(accepted, results.run_key)
    assert everything(accepted) == before


def test_a_view_of_the_user_survives_an_audit(accepted):
    accepted.save_view("Auto label: Audit", accepted.limit(3))
    results = audit_labels(accepted, "auto_label", progress=False)
    assert results.views["audit"] == "auto_label: audit (2)"
    delete_run(accepted, results.run_key)
    assert len(accepted.load_saved_view("Auto label: Audit")) == 3
