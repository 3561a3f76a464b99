"""review_labels: what reaches the label field, what it carries, and what it is worth afterwards."""

from __future__ import annotations

from collections import Counter
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from evenset import auto_label, delete_run, load_results, resume_run, review_labels
from evenset.workflows.data import items
from evenset.workflows.runs import records
from evenset.workflows.runs.run import RunStopped


@pytest.fixture
def kind(labelled_items):
    return labelled_items


@pytest.fixture
def suggested(labelled_samples):
    return labelled_samples


def review(samples, **settings):
    return review_labels(samples, "auto_label", progress=False, **settings)


def with_status(dataset, status):
    return dataset.match({"auto_label.status": status})


def test_accepting_copies_the_suggestions_and_says_where_they_come_from(kind):
    dataset, ids = kind.dataset, kind.ids("auto_label.status", "accepted")
    wanted, given = kind.read("auto_label.label", ids), kind.ids("auto_label.status", "labelled")
    before = kind.read("ground_truth.label", given)

    results = review(dataset)

    assert results.changed == len(ids) and results.label_field == "ground_truth"
    assert load_results(dataset, results.run_key) == results
    assert kind.read("ground_truth.label", ids) == wanted
    for name, value in (("run", results.run_key), ("review", "bulk"), ("selection", "queue")):
        assert set(kind.read(f"ground_truth.evenset_{name}", ids)) == {value}
        path = items.leaf(dataset, f"ground_truth.evenset_{name}")
        assert dataset.has_field(path)  # in the schema, so that the sidebar filters by it
    assert set(kind.read("auto_label.status", ids)) == {"labelled"}
    assert kind.read("ground_truth.label", given) == before
    assert set(kind.read("ground_truth.evenset_run", given)) == {None}
    assert set(kind.read("ground_truth.label", kind.ids("auto_label.status", "review"))) == {None}


def test_a_selection_and_a_class_narrow_what_is_accepted(kind):
    three = kind.ids("auto_label.status", "accepted")[:3]
    assert review(kind.select(three)).changed == 3

    left = Counter(kind.read("auto_label.label", kind.ids("auto_label.status", "accepted")))
    results = review(kind.dataset, classes=["class 1", "class 2"])

    assert results.changed == left["class 1"] + left["class 2"] > 0
    assert set(kind.read("auto_label.label", kind.ids("auto_label.status", "accepted"))) <= {"class 0"}


def test_what_a_person_looked_at_is_marked_as_seen_and_review_is_taken_where_asked_for(kind):
    some = kind.ids("auto_label.status", "review")[:4]
    results = review(kind.select(some), status="review", seen=True)
    assert results.changed == 4 and set(kind.read("ground_truth.evenset_review", some)) == {"seen"}
    both = sum(len(kind.ids("auto_label.status", status)) for status in ("accepted", "review"))
    assert review(kind.dataset, status="all", seen=True).changed == both


@pytest.mark.parametrize(("status", "force"), [("review", True), ("all", False)])
def test_what_is_up_for_review_is_accepted_unseen_by_force_or_with_all_and_carries_that(kind, refused, status, force):
    left, accepted = (kind.ids("auto_label.status", name) for name in ("review", "accepted"))
    with refused(kind.dataset, f"{len(left)} suggestions are up for review", "seen=True", "force=True"):
        review(kind.dataset, status="review")
    assert review(kind.select(left[:1]), status=status, seen=True).changed == 1
    assert review(kind.select(left[1:2]), status=status, action="reject").changed == 1

    results = review(kind.dataset, status=status, force=force)

    assert f"{len(left) - 2} suggestions were up for review, and accepted unseen" in str(results)
    assert set(kind.read("ground_truth.evenset_review", left[2:])) == {"unseen"}
    marks = {"bulk"} if status == "all" else {None}
    assert set(kind.read("ground_truth.evenset_review", accepted)) == marks


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


def test_rejecting_drops_the_suggestion_and_leaves_the_label_field_alone(kind):
    ids = kind.ids("auto_label.status", "accepted")[:2]
    assert review(kind.select(ids), action="reject").changed == 2
    assert kind.read("auto_label.label", ids) == ["", ""] and kind.read("auto_label.status", ids) == ["review"] * 2
    assert kind.read("ground_truth.label", ids) == [None, None]
    shown = items.source(kind.dataset.load_saved_view("auto_label: review"), "auto_label")
    assert set(ids) <= set(items.values(shown, ["id", "auto_label.label"])[0])


def test_labels_that_are_there_are_kept(kind):
    first, *others = kind.ids("auto_label.status", "accepted")
    kind.set_label(first, "mine")

    results = review(kind.dataset)

    assert (results.changed, results.kept) == (len(others), 1)
    assert kind.read("ground_truth.label", [first]) == ["mine"]
    assert f"1 {kind.noun} has a label in 'ground_truth' already and keeps it" in str(results)


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


def test_one_call_undoes_a_review(kind, everything):
    dataset, before = kind.dataset, kind.left(everything(kind.dataset))
    for settings in (
        dict(action="accept"),
        dict(action="reject", status="all"),
        dict(action="correct", label="class 0", force=True),
    ):
        results = review(dataset, **settings)
        assert everything(dataset)["samples"] != before["samples"]
        delete_run(dataset, results.run_key)
        assert kind.left(everything(dataset)) == before


def test_reviews_are_undone_in_any_order(kind, everything):
    dataset, before = kind.dataset, kind.left(everything(kind.dataset))
    ids = kind.ids("auto_label.status", "accepted")
    first, second = review(kind.select(ids[:5])), review(kind.select(ids[5:9]), seen=True)
    delete_run(dataset, first.run_key)
    assert [bool(label) for label in kind.read("ground_truth.label", ids[:9])] == [False] * 5 + [True] * 4
    assert set(kind.read("ground_truth.evenset_review", ids[:9])) == {"seen", None}
    delete_run(dataset, second.run_key)
    assert kind.left(everything(dataset)) == before


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


def test_labels_edited_since_are_skipped_and_listed(kind):
    first, *others = kind.ids("auto_label.status", "accepted")
    results = review(kind.dataset)
    kind.set_label(first, "mine")

    undone = delete_run(kind.dataset, results.run_key)

    assert undone.edited == [first] and undone.labels == len(others)
    assert kind.read("ground_truth.label", [first]) == ["mine"]
    assert set(kind.read("ground_truth.label", others)) == {None}
    assert f"1 label was edited since and stays as it is: {first}" in str(undone)


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
