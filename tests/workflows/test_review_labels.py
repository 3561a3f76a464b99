"""review_labels: what reaches the label field, what it carries, and what it is worth afterwards."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from evenset import auto_label, delete_run, load_results, resume_run, review_labels
from evenset.workflows.runs import records
from evenset.workflows.runs.run import RunStopped


@pytest.fixture
def suggested(clusters, finished):
    """A data set of 240, half of it labelled, with suggestions of which some are accepted and some in review."""

    def make():
        dataset = clusters(240, 120, spread=2.2)
        results = auto_label(
            dataset, "ground_truth", embeddings="vector", random_labels=True, target_precision=0.8, progress=False
        )
        assert results.accepted > 20 and results.review > 5
        return dataset

    return finished("review labels: suggested", make)


def review(samples, **settings):
    return review_labels(samples, "auto_label", progress=False, **settings)


def with_status(dataset, status):
    return dataset.match({"auto_label.status": status})


def test_accepting_copies_the_suggestions_and_says_where_they_come_from(suggested):
    accepted = with_status(suggested, "accepted")
    ids, wanted = accepted.values(["id", "auto_label.label"])
    given = suggested.exists("ground_truth").values("id")
    before = suggested.select(given).values("ground_truth.label")

    results = review(suggested)

    assert results.changed == len(ids) and results.label_field == "ground_truth"
    assert load_results(suggested, results.run_key) == results
    now = suggested.select(ids, ordered=True)
    assert now.values("ground_truth.label") == wanted
    for name, value in (("run", results.run_key), ("review", "bulk"), ("selection", "queue")):
        assert set(now.values(f"ground_truth.evenset_{name}")) == {value}
        assert suggested.has_field(f"ground_truth.evenset_{name}")  # in the schema, so that the sidebar filters by it
    assert set(now.values("auto_label.status")) == {"labelled"}
    assert suggested.select(given).values("ground_truth.label") == before
    assert set(suggested.select(given).values("ground_truth.evenset_run")) == {None}
    assert len(with_status(suggested, "review").exists("ground_truth")) == 0


def test_a_selection_and_a_class_narrow_what_is_accepted(suggested):
    accepted = with_status(suggested, "accepted")
    three = accepted.values("id")[:3]
    assert review(suggested.select(three)).changed == 3

    left = with_status(suggested, "accepted").count_values("auto_label.label")
    results = review(suggested, classes=["class 1", "class 2"])

    assert results.changed == left.get("class 1", 0) + left.get("class 2", 0) > 0
    assert set(with_status(suggested, "accepted").values("auto_label.label")) == {"class 0"}


def test_what_a_person_looked_at_is_marked_as_seen_and_review_is_taken_where_asked_for(suggested):
    some = with_status(suggested, "review").values("id")[:4]
    results = review(suggested.select(some), status="review", seen=True)
    assert results.changed == 4
    assert set(suggested.select(some).values("ground_truth.evenset_review")) == {"seen"}
    both = len(with_status(suggested, "accepted")) + len(with_status(suggested, "review"))
    assert review(suggested, status="all", seen=True).changed == both


@pytest.mark.parametrize("status", ["review", "all"])
def test_what_is_up_for_review_is_accepted_unseen_only_by_force_and_carries_that(suggested, refused, status):
    left, accepted = (with_status(suggested, name).values("id") for name in ("review", "accepted"))
    with refused(suggested, f"{len(left)} suggestions are up for review", "seen=True", "force=True"):
        review(suggested, status=status)
    assert review(suggested.select(left[:1]), status=status, seen=True).changed == 1
    assert review(suggested.select(left[1:2]), status=status, action="reject").changed == 1

    results = review(suggested, status=status, force=True)

    assert f"{len(left) - 2} suggestions were up for review, and accepted unseen" in str(results)
    assert set(suggested.select(left[2:]).values("ground_truth.evenset_review")) == {"unseen"}
    marks = {"bulk"} if status == "all" else {None}
    assert set(suggested.select(accepted).values("ground_truth.evenset_review")) == marks


def test_correcting_writes_the_label_that_was_said(suggested):
    sample = with_status(suggested, "review").first()
    labelled = suggested.exists("ground_truth").first()
    for target in (sample, labelled):
        results = review(suggested.select(target.id), action="correct", label="class 2")
        assert results.changed == 1
        now = suggested[target.id]
        assert (now.ground_truth.label, now.ground_truth.evenset_review) == ("class 2", "corrected")
        assert now.ground_truth.evenset_run == results.run_key
        assert (now.auto_label.label, now.auto_label.status, now.auto_label.confidence) == ("class 2", "labelled", None)


def test_a_corrected_label_may_be_a_new_class_where_that_is_said(suggested):
    review(with_status(suggested, "review").limit(1), action="correct", label="class 22", new_class=True)
    assert suggested.count_values("ground_truth.label")["class 22"] == 1


def test_rejecting_drops_the_suggestion_and_leaves_the_label_field_alone(suggested):
    accepted = with_status(suggested, "accepted").limit(2)
    ids = accepted.values("id")
    assert review(accepted, action="reject").changed == 2
    now = suggested.select(ids)
    assert now.values("auto_label.label") == ["", ""] and now.values("auto_label.status") == ["review", "review"]
    assert now.values("ground_truth") == [None, None]
    assert len(suggested.load_saved_view("auto_label: review").select(ids)) == 2


def test_labels_that_are_there_are_kept(suggested):
    import fiftyone as fo

    first = with_status(suggested, "accepted").first()
    suggested.set_values("ground_truth", {first.id: fo.Classification(label="mine")}, key_field="id")
    total = len(with_status(suggested, "accepted"))

    results = review(suggested)

    assert (results.changed, results.kept) == (total - 1, 1)
    assert suggested[first.id].ground_truth.label == "mine"
    assert "1 sample has a label in 'ground_truth' already and keeps it" in str(results)


def test_labels_can_go_into_another_field(suggested):
    import fiftyone as fo

    suggested.add_sample_field("second", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    results = review(suggested, label_field="second")
    assert suggested.count("second") == results.changed
    assert suggested.count("ground_truth") == 120


def test_what_makes_no_sense_is_refused(suggested, refused):
    for settings, words in (
        (dict(action="correct"), ["needs the correct label"]),
        (dict(label="class 2"), ["label is for action='correct'"]),
        (
            dict(action="correct", label="class 22"),
            ["'class 22' is not a class", "did you mean 'class 2'?", "new_class"],
        ),
        (dict(action="approve"), ["action has to be one of accept, correct, reject"]),
        (dict(classes=["class 9"]), ["no sample of the view has a suggestion of class 9 in 'auto_label'"]),
        (dict(label_field="third"), ["has no field 'third'", "ground_truth"]),
        (dict(label_field="vector"), ["'vector' holds VectorField"]),
    ):
        with refused(suggested, *words):
            review(suggested, **settings)
    with refused(suggested, "no run of auto_label or find_mistakes wrote the field 'truth'"):
        review_labels(suggested, "truth", progress=False)
    review(suggested)
    with refused(suggested, "none is accepted"):
        review(suggested)


@pytest.mark.slow
def test_labels_that_evenset_gave_train_and_do_not_calibrate(suggested):
    review(suggested)
    given = suggested.count("ground_truth")
    results = auto_label(
        suggested, "ground_truth", output_field="next", embeddings="vector", random_labels=True, progress=False
    )
    assert (results.labelled, results.held_out) == (given, 60)  # of the 120 that were there at first
    assert any(f"{given - 120} labels came from Evenset or a queue" in note for note in results.notes)


@pytest.mark.slow
def test_what_a_queue_chose_does_not_calibrate_even_if_a_person_saw_it(suggested):
    review(with_status(suggested, "review"), status="review", seen=True)
    results = auto_label(
        suggested, "ground_truth", output_field="next", embeddings="vector", random_labels=True, progress=False
    )
    assert results.held_out == 60


def test_a_group_that_is_held_out_does_not_train_by_its_untrusted_labels(clusters):
    """Ten groups of ten, five of each labelled by Evenset: none of them may train beside held-out ones."""
    import fiftyone as fo
    from evenset.workflows.training.partition import Split

    dataset = clusters(100, 100)
    groups = np.arange(100) // 10
    dataset.set_values("patient", [f"patient {i}" for i in groups])
    untrusted = np.arange(100) % 2 == 1
    dataset.add_sample_field("ground_truth.evenset_run", fo.StringField)
    dataset.set_values("ground_truth.evenset_run", ["evenset_review_labels_9" if u else None for u in untrusted])

    results = auto_label(dataset, "ground_truth", embeddings="vector", group_field="patient", progress=False)

    folder = Path(fo.config.default_dataset_dir) / "evenset" / str(dataset._doc.id) / results.run_key
    with np.load(folder / "parts.npz") as kept:
        parts = kept["parts"]
    held = set(groups[parts == Split.HELD_OUT])
    assert 0 < len(held) < 10 and not held & set(groups[parts == Split.TRAIN])
    assert not (parts[untrusted] == Split.HELD_OUT).any() and (parts[untrusted] == Split.TRAIN).any()


def test_one_call_undoes_a_review(suggested, everything):
    before = everything(suggested)
    for settings in (
        dict(action="accept"),
        dict(action="reject", status="all"),
        dict(action="correct", label="class 0", force=True),
    ):
        results = review(suggested, **settings)
        assert everything(suggested)["samples"] != before["samples"]
        delete_run(suggested, results.run_key)
        assert everything(suggested) == before


def test_reviews_are_undone_in_any_order(suggested, everything):
    before = everything(suggested)
    ids = with_status(suggested, "accepted").values("id")
    first, second = review(suggested.select(ids[:5])), review(suggested.select(ids[5:9]), seen=True)
    delete_run(suggested, first.run_key)
    assert suggested.select(ids[:9]).count("ground_truth") == 4
    assert suggested.select(ids[:9]).distinct("ground_truth.evenset_review") == ["seen"]
    delete_run(suggested, second.run_key)
    assert everything(suggested) == before


def test_a_review_reads_in_parts_and_no_more_of_earlier_reviews_than_it_has_to(suggested, monkeypatch):
    read, select, reads, asked = records.read_record, type(suggested).select, [], []
    monkeypatch.setattr(records, "read_record", lambda dataset, key: reads.append(key) or read(dataset, key))
    monkeypatch.setattr(
        type(suggested), "select", lambda self, ids, **how: asked.append(ids) or select(self, ids, **how)
    )
    for name in ("reviewing.writing", "reviewing.policy"):
        monkeypatch.setattr(import_module(f"evenset.workflows.{name}"), "DB_BATCH", 4)
    accepted = with_status(suggested, "accepted")
    wanted = dict(zip(*accepted.values(["id", "auto_label.label"]), strict=True))
    for sample_id in list(wanted)[:4]:
        key = review(select(suggested, sample_id)).run_key
    first = select(suggested, list(wanted)[4:])
    asked.clear(), reads.clear()

    assert review(first).changed == len(wanted) - 4 > 4

    assert max(map(len, asked)) == 4
    assert key in reads and not {f"evenset_review_labels_{number}" for number in (1, 2, 3)} & set(reads)
    assert dict(zip(*first.values(["id", "ground_truth.label"]), strict=True)).items() <= wanted.items()


def test_labels_edited_since_are_skipped_and_listed(suggested):
    accepted = with_status(suggested, "accepted").values("id")
    results = review(suggested)
    suggested.set_values("ground_truth.label", {accepted[0]: "mine"}, key_field="id")
    suggested.set_values("ground_truth", {accepted[1]: None}, key_field="id")

    undone = delete_run(suggested, results.run_key)

    assert undone.edited == [accepted[0]] and undone.labels == len(accepted) - 2
    assert suggested[accepted[0]].ground_truth.label == "mine"
    assert suggested.count("ground_truth") == 121
    assert f"1 label was edited since and stays as it is: {accepted[0]}" in str(undone)


def test_a_label_of_a_review_that_is_gone_never_passes_for_an_original(suggested):
    """The second review corrects what the first accepted; undone in the wrong order, the first label comes back."""
    sample = with_status(suggested, "accepted").first().id
    first = review(suggested.select(sample))
    second = review(suggested.select(sample), action="correct", label="class 2")
    assert delete_run(suggested, first.run_key).edited == [sample]
    delete_run(suggested, second.run_key)
    label = suggested[sample].ground_truth
    assert label is None or label["evenset_run"] == first.run_key


def test_a_review_that_is_stopped_leaves_no_label_and_can_be_resumed(suggested, everything, monkeypatch):
    from evenset.workflows.data import label_edits

    monkeypatch.setattr(label_edits, "DB_BATCH", 10)
    before = everything(suggested)
    accepted = with_status(suggested, "accepted").values("id")

    def stop(phase, done, total, note):
        if done >= 20:
            raise RunStopped("enough")

    with pytest.raises(RunStopped):
        review_labels(suggested, "auto_label", progress=stop)
    stopped = everything(suggested)
    for part in ("schema", "samples", "views", "app"):
        assert stopped[part] == before[part], part

    results = resume_run(suggested, stopped["runs"][-1], progress=False)

    assert results.changed == len(accepted) == suggested.select(accepted).count("ground_truth")
    delete_run(suggested, results.run_key)
    assert everything(suggested) == before


@pytest.mark.slow
def test_a_review_that_is_killed_goes_on(suggested, everything, elsewhere):
    before = everything(suggested)
    accepted = with_status(suggested, "accepted").values("id")
    killed = elsewhere(f"""
        import os, signal
        import fiftyone as fo, evenset
        from evenset.workflows.data import label_edits
        label_edits.DB_BATCH = 10
        def die(phase, done, total, note):
            if done >= 20:
                os.kill(os.getpid(), signal.SIGKILL)
        evenset.review_labels(fo.load_dataset({suggested.name!r}), "auto_label", progress=die)
    """)
    assert killed.wait(120) < 0, killed.communicate()[1]
    suggested.reload()
    assert 120 < suggested.count("ground_truth") < 120 + len(accepted)

    results = resume_run(suggested, "evenset_review_labels_1", progress=False)

    assert results.changed == len(accepted)
    assert suggested.select(accepted).values("ground_truth.evenset_review") == ["bulk"] * len(accepted)
    delete_run(suggested, results.run_key)
    assert everything(suggested) == before
