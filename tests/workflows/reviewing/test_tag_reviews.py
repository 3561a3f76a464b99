"""Reviews of tags: added, removed, kept and undone, each by itself. The suggestions are made without any training."""

from __future__ import annotations

import fiftyone as fo
import pytest
from evenset import delete_run, review_labels
from evenset.tests.workflows.planted_tags import tags, write_suggestions
from evenset.workflows.data import label_edits, tag_ids
from evenset.workflows.mistakes.dismissed import dismissed_flags

TAGS = (["a", "b"], ["b"], [], None, ["a", "b", "c"])
QUIET = dict(progress=False)


@pytest.fixture
def suggest(make_dataset):
    """suggest([(row, class, action)], flagged=False): TAGS with suggestions, of find_mistakes or accepted ones."""

    def make(rows, flagged=False, status="accepted"):
        dataset = make_dataset([f"/nowhere/{i}.png" for i in range(len(TAGS))])
        dataset.add_sample_field("ground_truth", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classifications)
        dataset.set_values("ground_truth", [tags(names) for names in TAGS])
        write_suggestions(dataset, rows, flagged, status)
        return dataset

    return make


def names_of(dataset):
    return dataset.values("ground_truth.classifications.label")


def documents(dataset, *fields):
    return [[s[name] and s[name].to_dict() for name in fields] for s in dataset]


MIXED = [(0, "a", "remove"), (0, "c", "add"), (1, "b", "remove"), (3, "a", "add"), (3, "b", "add"), (4, "b", "remove")]


def test_accepted_flags_add_and_remove_and_the_undo_restores_ids_places_and_none(suggest):
    dataset = suggest(MIXED, flagged=True)
    before = documents(dataset, "ground_truth", "mistake")

    results = review_labels(dataset, "mistake", force=True, **QUIET)

    assert results.changed == 6 and results.unwritten == 0
    assert names_of(dataset) == [["b", "c"], [], [], ["a", "b"], ["a", "c"]]
    added = dataset.match({"filepath": "/nowhere/3.png"}).first().ground_truth.classifications
    assert {(tag.evenset_run, tag.evenset_review, tag.evenset_selection) for tag in added} == {
        (results.run_key, "bulk", "queue")
    }
    assert dataset.count_values("mistake.classifications.is_issue") == {False: 6}
    undone = delete_run(dataset, results.run_key)
    assert undone.labels == 6 and not undone.edited and documents(dataset, "ground_truth", "mistake") == before
    assert not dataset.has_field("ground_truth.classifications.evenset_run")


def test_accepted_suggestions_are_written_and_a_removal_in_review_needs_a_look(suggest):
    dataset = suggest([(3, "a", "add"), (2, "c", "add")])
    assert review_labels(dataset, "auto_label", **QUIET).changed == 2
    assert names_of(dataset)[2:4] == [["c"], ["a"]]
    assert set(dataset.values("auto_label.classifications.status", unwind=True)) == {"labelled"}

    other = suggest([(0, "a", "remove")], status="review")
    with pytest.raises(ValueError, match="up for review"):
        review_labels(other, "auto_label", status="review", **QUIET)
    review_labels(other, "auto_label", status="review", seen=True, force=True, **QUIET)
    assert names_of(other)[0] == ["b"]


def test_a_tag_that_is_there_by_now_stays_and_is_counted(suggest):
    dataset = suggest([(2, "c", "add"), (3, "a", "add")])
    sample = dataset.match({"filepath": "/nowhere/2.png"}).first()
    sample.ground_truth.classifications.append(fo.Classification(label="c", confidence=0.3))
    sample.save()
    results = review_labels(dataset, "auto_label", **QUIET)
    assert (results.changed, results.kept) == (1, 1) and names_of(dataset)[2] == ["c"]
    assert "1 tag is as suggested in 'ground_truth' already" in str(results)


@pytest.mark.parametrize("flagged", [False, True])
def test_rejected_suggestions_change_no_tag_and_are_not_offered_again(suggest, flagged):
    dataset = suggest(MIXED, flagged=flagged)
    field, before = ("mistake" if flagged else "auto_label"), documents(dataset, "ground_truth")
    results = review_labels(dataset, field, action="reject", **QUIET)
    assert results.changed == 6 and documents(dataset, "ground_truth") == before
    with pytest.raises(ValueError, match="no tag of the view has a suggestion"):
        review_labels(dataset, field, force=True, **QUIET)
    if flagged:
        ids = dataset.values("id")
        flags = {(tag_ids.tag_id(ids[row], name), "extra tag" if action == "remove" else "missing tag")
                 for row, name, action in MIXED}  # fmt: skip
        assert {(item, kind) for item, _, kind in dismissed_flags(dataset, "ground_truth")} == flags
    delete_run(dataset, results.run_key)
    assert review_labels(dataset, field, force=True, **QUIET).changed == 6


def test_decisions_accept_and_reject_tags_by_id(suggest, tmp_path):
    dataset = suggest(MIXED, flagged=True)
    ids = dataset.values("id")
    first, second, third = (tag_ids.tag_id(ids[row], name) for row, name in ((0, "a"), (0, "c"), (1, "b")))
    file = tmp_path / "decisions.csv"
    file.write_text(f"id,label,decision\n{first},,accept\n{second},,reject\n{third},b,\n")
    assert review_labels(dataset, "mistake", labels=file, force=True, **QUIET).changed == 3
    assert names_of(dataset)[:2] == [["b"], ["b"]]
    with pytest.raises(ValueError, match="'b' cannot become 'c'"):
        review_labels(dataset, "mistake", labels={tag_ids.tag_id(ids[4], "b"): "c"}, force=True, **QUIET)


def test_a_view_and_a_class_choose_the_tags(suggest):
    dataset = suggest(MIXED, flagged=True)
    assert review_labels(dataset, "mistake", classes=["c"], **QUIET).changed == 1
    view = dataset.filter_labels("mistake", fo.ViewField("action") == "remove")
    assert review_labels(view.limit(1), "mistake", force=True, **QUIET).changed == 1
    assert names_of(dataset)[0] == ["b", "c"] and names_of(dataset)[1] == ["b"]


def test_most_tags_of_a_class_are_not_taken_without_force(suggest):
    dataset = suggest([(0, "b", "remove"), (1, "b", "remove"), (4, "b", "remove")], flagged=True)
    with pytest.raises(ValueError, match="3 of 3 labels of 'b', more than half of a class"):
        review_labels(dataset, "mistake", **QUIET)


def test_a_tag_that_was_edited_meanwhile_is_not_written(suggest):
    dataset = suggest([(0, "a", "remove")], flagged=True)
    item = tag_ids.tag_id(dataset.first().id, "a")
    seen = label_edits.labels_of(dataset, [item], ["ground_truth"])[item].labels["ground_truth"]
    line = {
        "id": item,
        "sample": dataset.first().id,
        "field": "ground_truth",
        "before": seen,
        "after": None,
        "place": 0,
    }
    dataset.limit(1).set_values("ground_truth", [tags(["a", "b"])])  # with other ids
    assert label_edits.update(dataset, {item: [line]}, expected="before", new="after") == {item}
    assert names_of(dataset)[0] == ["a", "b"]


def test_tags_that_were_edited_since_stay_as_they_are_after_the_undo(suggest):
    dataset = suggest(MIXED, flagged=True)
    ids, results = dataset.values("id"), review_labels(dataset, "mistake", force=True, **QUIET)
    sample = dataset[ids[0]]
    sample.ground_truth.classifications.append(fo.Classification(label="a"))  # removed, and given again
    sample.save()
    undone = delete_run(dataset, results.run_key)
    assert undone.edited == [tag_ids.tag_id(ids[0], "a")] and undone.labels == 5
    assert names_of(dataset) == [["b", "a"], ["b"], [], None, ["a", "b", "c"]]


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (1, 2, 0)])
def test_reviews_of_one_sample_are_undone_in_any_order(suggest, order):
    names = ("a", "b", "c")
    dataset = suggest([(row, name, "add") for row in (2, 3) for name in names])
    before = documents(dataset, "ground_truth")
    keys = [review_labels(dataset, "auto_label", classes=[name], **QUIET).run_key for name in names]
    left = list(names)
    for place in order:
        assert not delete_run(dataset, keys[place]).edited
        left.remove(names[place])
        assert not left or names_of(dataset)[2:4] == [left, left]
    assert documents(dataset, "ground_truth") == before and names_of(dataset)[2:4] == [[], None]


def test_a_list_that_was_emptied_by_hand_is_empty_after_the_undo_of_later_reviews(suggest):
    dataset = suggest([(3, "a", "add"), (3, "b", "add")])
    first = review_labels(dataset, "auto_label", classes=["a"], **QUIET)
    sample = dataset.match({"filepath": "/nowhere/3.png"}).first()
    sample.ground_truth = tags([])
    sample.save()
    second = review_labels(dataset, "auto_label", classes=["b"], **QUIET)
    delete_run(dataset, first.run_key)
    delete_run(dataset, second.run_key)
    assert names_of(dataset)[3] == []


def test_tags_that_two_reviews_added_and_removed_are_as_before_when_all_is_deleted(suggest):
    dataset = suggest([(3, "a", "add"), (0, "a", "remove")])
    before = documents(dataset, "ground_truth")
    review_labels(dataset, "auto_label", status="all", force=True, **QUIET)
    assert names_of(dataset)[0] == ["b"] and names_of(dataset)[3] == ["a"]
    write_suggestions(dataset, [(3, "a", "remove"), (0, "a", "add")])
    review_labels(dataset, "mistake", force=True, **QUIET)
    assert names_of(dataset)[0] == ["b", "a"] and names_of(dataset)[3] == []

    assert not delete_run(dataset, "all").edited
    assert documents(dataset, "ground_truth") == before
