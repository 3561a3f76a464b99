"""Tags, end to end: suggested, checked for mistakes, reviewed, split, and undone."""

from __future__ import annotations

import fiftyone as fo
import numpy as np
import pytest
from evenset import auto_label, delete_run, find_mistakes, load_results, resume_run, review_labels, split_dataset
from evenset.workflows.data import label_edits, tag_ids
from evenset.workflows.runs.run import RunStopped

FAST = dict(embeddings="vector", progress=False)
RANDOM = dict(random_labels=True, complete=True, target_precision=0.8, **FAST)


@pytest.fixture
def suggested(finished, tagged):
    """Complete tags of 200 samples, and suggestions for 100 others."""

    def make():
        dataset = tagged(n=300, known=200)
        auto_label(dataset, "ground_truth", **RANDOM)
        return dataset

    return finished("tags: suggested", make)


@pytest.fixture
def flagged(finished, tagged):
    """Tags of which ten are missing and ten extra, and the flags of find_mistakes."""

    def make():
        dataset = tagged(n=200, known=200)
        wrong = plant(dataset, 10)
        find_mistakes(dataset, "ground_truth", **FAST)
        dataset.info["wrong"] = sorted(map(list, wrong))
        dataset.save()
        return dataset

    return finished("tags: flagged", make)


def plant(dataset, count):
    """Removes `count` tags and adds as many; returns sample and class of each."""
    rng, names = np.random.default_rng(1), tags_of(dataset)
    pairs = [(i, name, name in own) for i, own in names.items() for name in ("tag 0", "tag 1", "tag 2")]
    order = rng.permutation(len(pairs)).tolist()
    chosen = [[pairs[k] for k in order if pairs[k][2] == there][:count] for there in (True, False)]
    for i, name, there in [*chosen[0], *chosen[1]]:
        names[i] = [other for other in names[i] if other != name] if there else [*names[i], name]
    labels = [
        fo.Classifications(classifications=[fo.Classification(label=name) for name in own]) for own in names.values()
    ]
    dataset.set_values("ground_truth", dict(zip(names, labels, strict=True)), key_field="id")
    return {(i, name) for i, name, _ in [*chosen[0], *chosen[1]]}


def tags_of(dataset, field="ground_truth"):
    """Names of the tags of each sample that has a value, by id."""
    ids, names = dataset.values(["id", f"{field}.classifications.label"])
    return {i: own for i, own in zip(ids, names, strict=True) if own is not None}


def suggestions_of(dataset, field="auto_label"):
    """Every tag in an output field, with its sample's id and true tags."""
    return [(s.id, s["truth"], tag) for s in dataset for tag in (s[field].classifications if s[field] else [])]


def test_samples_without_tags_get_some_and_nearly_all_are_right(suggested):
    known = set(tags_of(suggested))
    right = [tag.label in truth for i, truth, tag in suggestions_of(suggested) if i not in known]
    true = sum(len(s["truth"]) for s in suggested if s.id not in known)

    assert np.mean(right) > 0.9 and sum(right) > 0.85 * true
    rows = [tag for i, _, tag in suggestions_of(suggested) if i not in known]
    assert {tag.action for tag in rows} == {"add"} and {tag.kind for tag in rows} == {"missing tag"}
    assert all(0 < tag.confidence <= 1 and tag.item.endswith(f"/{tag.label}") for tag in rows)


def test_tags_that_are_there_stay_and_have_no_action(suggested):
    known = tags_of(suggested)
    there = [(i, tag) for i, _, tag in suggestions_of(suggested) if i in known and tag.status == "labelled"]
    assert all(tag.label in known[i] and tag.action is None and tag.confidence is None for i, tag in there)
    total = sum(map(len, known.values()))
    assert len(there) >= 0.97 * total
    removes = [tag for i, _, tag in suggestions_of(suggested) if tag.action == "remove"]
    assert len(there) + len(removes) == total and {tag.status for tag in removes} <= {"review"}


def test_accepted_tags_keep_the_target_of_each_class_and_the_results_count_them(suggested):
    results = load_results(suggested, "evenset_auto_label_1")
    accepted = [
        (tag.label, tag.label in truth) for _, truth, tag in suggestions_of(suggested) if tag.status == "accepted"
    ]

    assert results.accepted == len(accepted) > 60 and results.promise == "promise" and results.low >= 0.8
    for row in results.rows:
        own = [hit for name, hit in accepted if name == row["class"]]
        assert row["accepted"] == len(own) and (not own or np.mean(own) >= 0.8)
    assert results.views == {"accepted": "auto_label: accepted", "review": "auto_label: review"}
    assert "promised precision" in str(results) and "300, 200 with tags" in str(results)
    view = suggested.load_saved_view("auto_label: accepted")
    assert view.count("auto_label.classifications") == results.accepted


def test_few_held_out_samples_accept_nothing_and_the_notes_say_so(tagged):
    dataset = tagged(n=80, known=40)
    results = auto_label(dataset, "ground_truth", **{**RANDOM, "target_precision": 0.98})
    assert results.accepted == 0 and results.review > 20
    assert "Nothing is accepted of" in str(results) and "held-out" in str(results)


@pytest.mark.slow
def test_where_tags_are_incomplete_the_hidden_ones_are_suggested_to_add(tagged):
    dataset, rng = tagged(n=300, known=300), np.random.default_rng(2)
    full = tags_of(dataset)
    kept = {i: [name for name in own if rng.random() < 0.6] for i, own in full.items()}
    labels = {
        i: fo.Classifications(classifications=[fo.Classification(label=name) for name in own])
        for i, own in kept.items()
    }
    dataset.set_values("ground_truth", labels, key_field="id")
    hidden = {(i, name) for i in full for name in set(full[i]) - set(kept[i])}

    auto_label(dataset, "ground_truth", **FAST)
    added = {(i, tag.label) for i, _, tag in suggestions_of(dataset) if tag.action == "add"}
    assert len(added & hidden) > 0.5 * len(hidden) and len(added & hidden) > 0.8 * len(added)

    auto_label(dataset, "ground_truth", output_field="as_complete", complete=True, **FAST)
    assert not [tag for _, _, tag in suggestions_of(dataset, "as_complete") if tag.action == "add"]


def test_the_vectors_of_an_image_or_none_give_the_same_kind_of_results(tagged):
    dataset = tagged(n=60, known=60)
    array = np.array(dataset.values("vector"))
    results = auto_label(dataset, "ground_truth", embeddings=array, complete=True, progress=False)
    assert results.samples == 60 and "Every sample has a value in the field" in str(results)


def test_wrong_tags_are_flagged_with_what_to_do_and_ranked(flagged):
    wrong = {tuple(pair) for pair in flagged.info["wrong"]}
    tags = suggestions_of(flagged, "mistake")
    issues = [(i, tag) for i, _, tag in tags if tag.is_issue]
    found = {(i, tag.label) for i, tag in issues}

    assert len(found & wrong) >= 13 and len(found - wrong) <= 8
    known = tags_of(flagged)
    for i, tag in issues:
        there = tag.label in known[i]
        assert (tag.action, tag.kind) == (("remove", "extra tag") if there else ("add", "missing tag"))
        assert "nearest samples have it" in tag.reason and "has not seen the tag gives it" in tag.reason
    assert all(tag.action is None and tag.label in known[i] for i, _, tag in tags if not tag.is_issue)
    ranks = {(i, tag.label): tag.rank for i, _, tag in tags}
    assert sum(ranks[pair] <= 20 for pair in wrong & set(ranks)) >= 15
    results = load_results(flagged, "evenset_find_mistakes_1")
    assert results.judged == 600 and results.issues == len(issues)
    assert {row["kind"]: row["flags"] for row in results.kinds} == {
        kind: sum(tag.kind == kind for _, tag in issues) for kind in ("missing tag", "extra tag")
    }


def test_the_view_of_mistakes_shows_flags_alone_the_worst_sample_first(flagged):
    view = flagged.load_saved_view("mistake: mistakes")
    best = [min(ranks) for ranks in view.values("mistake.classifications.rank")]
    assert best == sorted(best) and set(view.distinct("mistake.classifications.is_issue")) == {True}


def test_accepted_flags_mend_the_field_and_deleting_the_review_restores_it(flagged, everything):
    before, names = everything(flagged), tags_of(flagged)
    flags = [(i, tag.label, tag.action) for i, _, tag in suggestions_of(flagged, "mistake") if tag.is_issue]

    results = review_labels(flagged, "mistake", force=True, progress=False)

    assert results.changed == len(flags)
    for i, name, action in flags:
        assert (name in tags_of(flagged)[i]) == (action == "add")
    added = [
        tag
        for own in flagged.values("ground_truth.classifications")
        for tag in own
        if getattr(tag, "evenset_run", None)
    ]
    assert len(added) == sum(action == "add" for *_, action in flags)
    assert {tag.evenset_run for tag in added} == {results.run_key}
    with pytest.raises(ValueError, match="none is flagged"):
        review_labels(flagged, "mistake", progress=False)
    delete_run(flagged, results.run_key)
    assert tags_of(flagged) == names
    after = everything(flagged)
    assert {k: v for k, v in after.items() if k not in ("files",)} == {
        k: v for k, v in before.items() if k not in ("files",)
    }


def test_a_sample_whose_field_was_none_has_none_again_after_the_undo(suggested):
    view = suggested.match({"ground_truth": None})
    before = suggested.values("ground_truth")
    results = review_labels(view, "auto_label", status="all", seen=True, progress=False)
    assert results.changed > 60 and results.kept == 0
    assert len(tags_of(suggested)) > 260
    undone = delete_run(suggested, results.run_key)
    assert undone.labels == results.changed
    assert [own and own.to_dict() for own in suggested.values("ground_truth")] == [
        own and own.to_dict() for own in before
    ]


def test_bulk_acceptance_takes_what_is_accepted_and_refuses_what_is_in_review(suggested, tagged):
    unsure = tagged(n=80, known=40)
    assert auto_label(unsure, "ground_truth", complete=True, **FAST).review > 20
    with pytest.raises(ValueError, match="up for review"):
        review_labels(unsure, "auto_label", status="review", progress=False)
    accepted = load_results(suggested, "evenset_auto_label_1").accepted
    assert review_labels(suggested, "auto_label", progress=False).changed == accepted
    written = suggested.values("ground_truth.classifications.evenset_review", unwind=True)
    assert written.count("bulk") == accepted


@pytest.mark.slow
def test_rejected_suggestions_are_gone_and_rejected_flags_stay_away(flagged, suggested):
    view = suggested.match({"ground_truth": None})
    before = tags_of(suggested)
    rejected = review_labels(view, "auto_label", action="reject", status="all", progress=False)
    assert rejected.changed > 60 and tags_of(suggested) == before
    with pytest.raises(ValueError, match="no tag of the view has a suggestion"):
        review_labels(view, "auto_label", status="all", seen=True, progress=False)

    flags = {(i, tag.label) for i, _, tag in suggestions_of(flagged, "mistake") if tag.is_issue}
    review_labels(flagged, "mistake", action="reject", progress=False)
    again = find_mistakes(flagged, "ground_truth", output_field="again", **FAST)
    left = {(i, tag.label) for i, _, tag in suggestions_of(flagged, "again") if tag.is_issue}
    assert again.dismissed == len(flags) and left.isdisjoint(flags)


def test_decisions_by_id_add_remove_and_keep(flagged, tmp_path):
    flags = [tag for _, _, tag in suggestions_of(flagged, "mistake") if tag.is_issue]
    add, remove = (next(tag for tag in flags if tag.action == action) for action in ("add", "remove"))
    kept = next(tag for tag in flags if tag.action == "remove" and tag.item != remove.item)
    file = tmp_path / "decisions.csv"
    file.write_text(f"id,label,decision\n{add.item},,accept\n{remove.item},,accept\n{kept.item},{kept.label},\n")

    assert review_labels(flagged, "mistake", labels=file, force=True, progress=False).changed == 3

    now = tags_of(flagged)
    for item, there in ((add.item, True), (remove.item, False), (kept.item, True)):
        sample_id, name = tag_ids.tag_of(item)
        assert (name in now[sample_id]) == there
    with pytest.raises(ValueError, match="cannot become 'tag 2'"):
        other = next(
            tag for tag in flags if tag.label != "tag 2" and tag.item not in (add.item, remove.item, kept.item)
        )
        review_labels(flagged, "mistake", labels={other.item: "tag 2"}, force=True, progress=False)


def test_a_tag_that_was_edited_meanwhile_is_neither_written_nor_undone(flagged):
    flag = next(tag for _, _, tag in suggestions_of(flagged, "mistake") if tag.action == "remove")
    sample_id, name = tag_ids.tag_of(flag.item)
    found = label_edits.labels_of(flagged, [flag.item], ["ground_truth", "mistake"])[flag.item]
    line = {"id": flag.item, "sample": sample_id, "field": "ground_truth", "before": found.labels["ground_truth"]}
    line |= {"after": None, "place": 0}
    sample = flagged[sample_id]
    sample["ground_truth"] = fo.Classifications(classifications=[fo.Classification(label=name)])  # with another id
    sample.save()
    assert label_edits.update(flagged, {flag.item: [line]}, expected="before", new="after") == {flag.item}
    assert name in tags_of(flagged)[sample_id]

    results = review_labels(flagged.select(sample_id), "mistake", force=True, progress=False)
    assert name not in tags_of(flagged)[sample_id]
    sample.reload()
    sample["ground_truth"].classifications.append(fo.Classification(label=name))
    sample.save()
    undone = delete_run(flagged, results.run_key)
    assert undone.edited == [flag.item] and tags_of(flagged)[sample_id].count(name) == 1


@pytest.mark.slow
def test_removed_tags_come_back_at_their_places(tagged):
    dataset = tagged(n=200, known=200)
    plant(dataset, 10)
    find_mistakes(dataset, "ground_truth", **FAST)
    view, before = dataset.load_saved_view("mistake: mistakes"), dataset.values("ground_truth.classifications.id")
    first = review_labels(view, "mistake", force=True, progress=False)
    delete_run(dataset, first.run_key)
    assert dataset.values("ground_truth.classifications.id") == before


def test_deleted_runs_leave_the_dataset_as_it_was(tagged, everything):
    dataset = tagged(n=200, known=150)
    plant(dataset, 10)
    before = everything(dataset)
    auto_label(dataset, "ground_truth", **RANDOM)
    find_mistakes(dataset, "ground_truth", **FAST)
    review_labels(dataset, "auto_label", status="all", force=True, progress=False)
    review_labels(dataset, "mistake", status="all", force=True, progress=False)
    delete_run(dataset, "all")
    after = everything(dataset)
    assert {**after, "files": None, "folder": None} == {**before, "files": None, "folder": None}


@pytest.mark.parametrize("workflow", [auto_label, find_mistakes])
def test_a_run_that_was_stopped_goes_on_and_ends_with_the_same_field(tagged, workflow):
    def stop(phase, done, total, note):
        if phase == "scoring tags" and done == 2:
            raise RunStopped("enough")

    dataset = tagged()
    name = workflow.__name__
    whole = workflow(dataset, "ground_truth", output_field="whole", **FAST)
    with pytest.raises(RunStopped):
        workflow(dataset, "ground_truth", output_field="halved", embeddings="vector", progress=stop)
    assert not dataset.has_field("halved")
    resumed = resume_run(dataset, f"evenset_{name}_2", progress=False)

    assert resumed.rows == whole.rows
    attribute = "classifications.confidence"
    assert dataset.values(f"halved.{attribute}") == dataset.values(f"whole.{attribute}")


def test_a_split_has_each_tag_in_the_same_fractions_and_each_sample_once(tagged):
    dataset = tagged(n=400, known=380)
    results = split_dataset(dataset, "ground_truth", near_duplicates=False, progress=False)

    assert results.added == 380 == sum(results.counts.values()) and "20 samples without a label" in str(results)
    for row in results.rows:
        total = sum(row[part] for part in ("train", "val", "test"))
        if row["class"].startswith("tag"):
            assert abs(row["train"] / total - 0.8) < 0.03 and abs(row["test"] / total - 0.1) < 0.03
    assert [len(own) for own in dataset.values("tags")].count(1) == 380
    delete_run(dataset, results.run_key)
    assert dataset.count_sample_tags() == {}


def test_vectors_tell_near_duplicates_of_a_split(tagged):
    dataset = tagged(n=60, known=60)
    vectors = np.array(dataset.values("vector"))
    vectors[1::2] = vectors[::2]
    dataset.set_values("vector", list(vectors))
    split_dataset(dataset, "ground_truth", embeddings="vector", min_similarity=0.9999, progress=False)
    tags = dataset.values("tags")
    assert tags[::2] == tags[1::2]
