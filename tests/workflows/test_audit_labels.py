"""audit_labels: a random draw, a person's check, and a bound that holds whatever the labels were."""

from __future__ import annotations

import fiftyone as fo
import numpy as np
import pytest
from evenset import audit_labels, auto_label, delete_run, load_results, resume_run, review_labels
from evenset.tests.workflows.kinds import Kind, make_kind
from evenset.workflows.data import items
from evenset.workflows.display.tables import plural
from scipy.stats import binom


@pytest.fixture
def label(finished):
    """400 items whose labels were no random draw, with suggestions; some of the accepted ones are wrong."""

    def copy(noun, make_items):
        def make():
            kind = make_items(400, 160, 1.9)
            options = dict(embeddings=kind.vectors, target_precision=0.7, progress=False)
            assert auto_label(kind.dataset, "ground_truth", **options).accepted > 100
            return kind.dataset

        return Kind(finished(f"audit labels: {noun}", make), noun, 1.9)

    return copy


@pytest.fixture
def kind(label, noun, make_items):
    """Of samples and of boxes."""
    return label(noun, make_items)


@pytest.fixture
def accepted(label, clusters):
    """Of samples."""
    return label(items.SAMPLE, lambda *how: make_kind(items.SAMPLE, clusters, None, *how)).dataset


def audit(kind, **settings):
    return audit_labels(kind.dataset, "auto_label", progress=False, **settings)


def check(kind, ids):
    """What a person does: accepts what is right, corrects what is wrong; returns how many were right."""
    wrong = {}
    for i, said, truth in zip(ids, kind.read("auto_label.label", ids), kind.truth(ids), strict=True):
        if said != truth:
            wrong.setdefault(truth, []).append(i)
    right = [i for i in ids if not any(i in own for own in wrong.values())]
    if right:
        review_labels(kind.select(right), "auto_label", seen=True, progress=False)
    for name, own in wrong.items():
        review_labels(kind.select(own), "auto_label", action="correct", label=name, progress=False)
    return len(right)


def test_an_audit_draws_accepted_items_at_random_and_waits_for_the_check(kind):
    results = audit(kind)
    drawn = kind.shown(results.views["audit"])
    assert results.views == {"audit": "auto_label: audit"}
    assert len(drawn) == results.drawn == 60 and set(kind.read("auto_label.status", drawn)) == {"accepted"}
    assert (results.checked, results.precision, results.low, results.high) == (0, None, 0.0, 1.0)
    assert f"0 of 60 drawn {plural(kind.noun)} are checked" in str(results) and "seen=True" in str(results)
    places = [kind.ids().index(i) for i in drawn]
    assert np.ptp(places) > 100  # from all over, not the first that come


def test_the_seed_fixes_the_draw_and_a_deleted_audit_makes_room_for_another(kind):
    def draw(seed):
        results = audit(kind, seed=seed, size=20)
        ids = kind.shown(results.views["audit"])
        delete_run(kind.dataset, results.run_key)
        return ids

    first = draw(0)
    assert draw(0) == first and set(draw(1)) != set(first)


def test_the_bound_is_clopper_and_pearsons(kind):
    drawn = audit(kind, size=40)
    ids = kind.shown(drawn.views["audit"])

    right = check(kind, ids[:10])
    between = audit(kind)
    assert (between.run_key, between.checked, between.precision) == (drawn.run_key, 10, None)

    right += check(kind, ids[10:])
    results = audit(kind)

    assert (results.checked, results.right, results.precision) == (40, right, right / 40)
    assert load_results(kind.dataset, results.run_key) == results
    assert 0 < right < 40
    assert binom.sf(right - 1, 40, results.low) == pytest.approx(0.1)
    assert binom.cdf(right, 40, results.high) == pytest.approx(0.1)
    assert f"{right} of 40 accepted {plural(kind.noun)} drawn at random are right" in str(results)
    assert f"at least {100 * results.low:.1f} %" in str(results)
    assert kind.read("ground_truth.evenset_selection", ids) == ["random"] * 40
    view = kind.dataset.load_saved_view("auto_label: audit")
    assert view.values("auto_label.status") == ["labelled"] * 40  # as they are now


def test_bulk_acceptance_is_no_check_and_a_rejection_is_one(kind):
    ids = kind.shown(audit(kind, size=20).views["audit"])
    review_labels(kind.select(ids[:5]), "auto_label", progress=False)
    assert audit(kind).checked == 0
    review_labels(kind.select(ids[5:8]), "auto_label", action="reject", progress=False)
    results = audit(kind)
    assert (results.checked, results.right) == (3, 0)


@pytest.mark.slow
def test_what_an_audit_checked_calibrates_the_next_run(accepted):
    drawn = audit_labels(accepted, "auto_label", size=30, progress=False)
    check(Kind(accepted, items.SAMPLE, 1.9), accepted.load_saved_view(drawn.views["audit"]).values("id"))
    results = auto_label(
        accepted, "ground_truth", output_field="next", embeddings="vector", random_labels=True, progress=False
    )
    assert results.held_out == 95  # half of 160 original labels and 30 seen ones
    assert not any("queue" in note for note in results.notes)


@pytest.mark.slow
def test_an_audit_of_suggestions_that_were_deleted_says_nothing_of_new_ones(accepted):
    old = audit_labels(accepted, "auto_label", size=20, progress=False)
    check(Kind(accepted, items.SAMPLE, 1.9), accepted.load_saved_view(old.views["audit"]).values("id"))
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


def test_a_small_pool_is_drawn_whole_and_an_empty_one_is_refused(kind, refused):
    dataset = kind.dataset
    few = kind.select(kind.ids("auto_label.status", "accepted")[:7])
    results = audit_labels(few, "auto_label", progress=False)
    assert results.drawn == 7
    delete_run(dataset, results.run_key)
    with refused(dataset, f"no {kind.noun} of the view is accepted in 'auto_label'"):
        audit_labels(kind.select(kind.ids("auto_label.status", "labelled")), "auto_label", progress=False)
    with refused(dataset, "no run of auto_label wrote the field 'ground_truth'"):
        audit_labels(dataset, "ground_truth", progress=False)


def test_an_audit_is_undone_and_never_resumed(kind, everything):
    before = everything(kind.dataset)
    results = audit(kind)
    with pytest.raises(ValueError, match="is done"):
        resume_run(kind.dataset, results.run_key)
    delete_run(kind.dataset, results.run_key)
    assert everything(kind.dataset) == before


def test_a_view_of_the_user_survives_an_audit(kind):
    kind.dataset.save_view("Auto label: Audit", kind.dataset.limit(3))
    results = audit(kind)
    assert results.views["audit"] == "auto_label: audit (2)"
    delete_run(kind.dataset, results.run_key)
    assert len(kind.dataset.load_saved_view("Auto label: Audit")) == 3
