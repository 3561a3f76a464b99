"""find_mistakes: wrong labels are found, nothing looks at the label that it judges, and each verdict has a reason."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from evenset import delete_run, find_mistakes, list_runs, load_results, resume_run, review_labels
from evenset.tests.workflows.kinds import Kind, corrupt, next_class
from evenset.workflows.data import items
from evenset.workflows.mistakes import out_of_fold
from evenset.workflows.runs.run import RunStopped


@pytest.fixture
def corrupted(make_items):
    """240 items, all labelled, the first 24 of them wrong: class 0 as 1, 1 as 2, 2 as 0."""
    return corrupt(make_items(240, 240, 0.7))


@pytest.fixture
def judged(finished, noun, make_items):
    """The same, with the fields and views of a run."""

    def make():
        kind = corrupt(make_items(240, 240, 0.7))
        find_in(kind)
        return kind.dataset

    return Kind(finished(f"mistakes: judged {noun}", make), noun, 0.7)


NAMED = ("contradicted_by", "label", "reason")


def find(samples, label_field="ground_truth", **settings):
    return find_mistakes(samples, label_field, **{**dict(embeddings="vector", progress=False), **settings})


def find_in(kind, **settings):
    return find(kind.dataset, **{"embeddings": kind.vectors, **settings})


# What is found


def test_wrong_labels_are_found_ranked_and_named(corrupted):
    before, wrong = corrupted.read("ground_truth.label"), corrupted.wrong()

    results = find_in(corrupted)

    shown = corrupted.shown(results.views["mistakes"])
    assert set(shown) == wrong
    assert (results.judged, results.issues, results.contradicted) == (240, 24, 0)
    assert corrupted.read("mistake.rank", shown) == list(range(1, 25))
    assert corrupted.read("mistake.label", shown) == corrupted.truth(shown)
    scores = corrupted.read("mistake.mistakenness", shown)
    assert scores == sorted(scores, reverse=True) and scores[-1] > 0.15
    others = corrupted.ids("mistake.is_issue", False)
    assert len(others) == 216 and max(corrupted.read("mistake.mistakenness", others)) <= scores[-1]
    assert corrupted.read("mistake.label", others) == corrupted.read("ground_truth.label", others)
    assert corrupted.read("ground_truth.label") == before
    assert 0.07 < results.noise < 0.14


def test_with_many_labels_a_regression_averaged_over_neighbours_finds_them(corrupted, monkeypatch):
    monkeypatch.setattr(out_of_fold, "MAX_FEW_LABELS", 50)

    results = find_in(corrupted)

    assert set(corrupted.ids("mistake.rank", *range(1, 25))) == corrupted.wrong()
    assert not results.planted and results.method == "evenset"


def test_the_reason_counts_the_neighbours_and_says_what_the_model_says(judged):
    first = judged.ids()[0]
    vectors, labels = np.array([*judged.vectors.values()]), np.array(judged.read("ground_truth.label"))
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    nearest = np.argsort(-(units @ units[0]))[1:11]
    (truth,), (reason,) = judged.truth([first]), judged.read("mistake.reason", [first])
    count = (labels[nearest] == truth).sum()

    assert reason.startswith(
        f"{count} of 10 nearest {'samples' if judged.noun == 'sample' else 'boxes'} are {truth!r}; "
    )
    assert "a model that has not seen the label agrees at 0." in reason


def test_there_is_one_view_and_the_table_says_what_is_suggested(corrupted):
    results = find_in(corrupted, output_field="doubt")

    assert results.views == {"mistakes": "doubt: mistakes"} == {"mistakes": corrupted.dataset.list_saved_views()[0]}
    flagged = Counter(corrupted.read("ground_truth.label", corrupted.shown("doubt: mistakes")))
    every = Counter(corrupted.read("ground_truth.label"))
    for row in results.rows:
        assert flagged[row["class"]] == row["issues"] > 0
        assert (row["most_suggested"], row["times_suggested"]) == (next_class(row["class"], -1), row["issues"])
        assert row["labels"] == every[row["class"]]
    text = str(results)
    assert "24 of 240 labels of 'ground_truth'" in text and "review_labels(selection, 'doubt')" in text
    assert load_results(corrupted.dataset, results.run_key) == results


def test_the_sidebar_can_filter_by_every_attribute(judged):
    import fiftyone as fo

    kinds = dict(mistakenness=fo.FloatField, is_issue=fo.BooleanField, rank=fo.IntField, reason=fo.StringField)
    for name, kind in kinds.items():
        assert isinstance(judged.dataset.get_field(items.leaf(judged.dataset, f"mistake.{name}")), kind)


def test_the_scores_of_cleanlab_are_a_choice(judged):
    results = find_in(judged, output_field="theirs", method="self_confidence", neighbours=15)

    assert set(judged.shown(results.views["mistakes"])) == judged.wrong()
    assert judged.read("theirs.mistakenness") != judged.read("mistake.mistakenness")


def test_what_has_no_label_is_not_judged(make_items):
    kind = make_items(120, 60)
    assert find_in(kind).judged == 60
    assert set(kind.read("mistake.label", kind.ids("ground_truth.label", None))) == {None}


@pytest.mark.slow
def test_the_seed_fixes_every_field(corrupted):
    find_in(corrupted, output_field="first")
    find_in(corrupted, output_field="second")
    for name in ("label", "confidence", "mistakenness", "rank", "reason"):
        assert corrupted.read(f"first.{name}") == corrupted.read(f"second.{name}")


# Nothing looks at the label that it judges


def test_a_vector_that_is_the_label_of_its_own_group_is_of_no_use(clusters):
    """A leak is planted: a vector that names the group alone. Who learned from the group would believe its labels."""
    dataset = clusters(90, 90)
    groups = np.arange(90) // 3
    dataset.set_values("patient", [f"patient {i}" for i in groups])
    dataset.set_values("vector", list(np.eye(30)[groups] * 10 + 0.01))
    names = np.random.default_rng(0).integers(0, 3, 30)[groups]  # one label for each group, drawn at random
    dataset.set_values("ground_truth.label", [f"class {i}" for i in names])

    find(dataset, output_field="apart", group_field="patient", neighbours=2, pca_dim=None)
    find(dataset, output_field="together", neighbours=2, pca_dim=None, metric="euclidean")

    for field in ("apart", "together"):  # equal vectors are never parted
        said = [float(text.rsplit(" at ")[1]) for text in dataset.values(f"{field}.reason")]
        assert np.mean(said) < 0.5  # no better than a guess among three
    assert "nearly the same" not in str(dataset.values("together.reason"))


@pytest.mark.slow
def test_changing_a_label_does_not_change_what_its_own_judges_say(make_items):
    """The verdict on an item may change with its label, the model's word and its neighbours' may not."""
    kind = make_items(200, 200)
    find_in(kind, output_field="before", seed=3)
    one = kind.ids()[:1]
    (truth,) = kind.truth(one)
    kind.set_labels({one[0]: next_class(truth)})
    find_in(kind, output_field="after", seed=3)

    assert kind.read("after.is_issue", one) == [True] and kind.read("after.label", one) == [truth]
    before, after = (kind.read(f"{field}.reason", one)[0].split("; ")[0] for field in ("before", "after"))
    assert before == after  # its neighbours' labels


# Near-duplicates


def test_near_duplicates_with_different_labels_come_first(corrupted):
    a, b, c = corrupted.ids()[100:103]
    vector, (right,) = corrupted.vectors[a], corrupted.truth([a])
    corrupted.vectors.update({b: vector, c: vector + 1e-6})
    corrupted.set_labels({a: right, b: right, c: next_class(right)})

    results = find_in(corrupted)

    first = corrupted.shown(results.views["mistakes"])[:1]
    assert (first, corrupted.read("mistake.label", first), results.contradicted) == ([c], [right], 1)
    (reason,) = corrupted.read("mistake.reason", first)
    assert f"different labels, 2 of them {right!r} and 1 of them {next_class(right)!r}" in reason
    assert any("contradicted by a near-duplicate" in note for note in results.notes)


def duplicated(kind, *names):
    """Makes near-duplicates with these labels of items behind the wrong ones, the first as it was; their ids.

    "right" is the first one's true label, and "wrong" and "worse" are the two others.
    """
    ids = kind.ids()[100 : 100 + len(names)]
    truth = kind.truth(ids)[0]
    labels = {name: next_class(truth, step) for step, name in enumerate(("right", "wrong", "worse"))}
    kind.vectors.update({i: kind.vectors[ids[0]] + step * 1e-6 for step, i in enumerate(ids)})
    kind.set_truth(dict.fromkeys(ids, truth))
    kind.set_labels(dict(zip(ids, map(labels.get, names), strict=True)))
    return ids


@pytest.mark.slow
@pytest.mark.parametrize(
    "names", [("right", "wrong"), ("right", "wrong", "worse"), ("right", "right", "wrong"), ("right", "wrong") * 2]
)
def test_one_change_settles_each_contradiction_and_the_label_that_fits_stays(corrupted, names):
    ids = duplicated(corrupted, *names)
    results = find_in(corrupted)

    flagged = [i for i, name in zip(ids, names, strict=True) if name != "right"]
    assert corrupted.read("mistake.is_issue", ids) == [name != "right" for name in names]
    assert results.contradicted == len(flagged)
    for near, label, reason in zip(*(corrupted.read(f"mistake.{name}", flagged) for name in NAMED), strict=True):
        assert near in ids and corrupted.read("ground_truth.label", [near]) == corrupted.truth([near]) == [label]
        file = corrupted.read("filepath", [near])[0].split("/")[-1]
        assert f"{file} ({corrupted.noun} {near}) is {label!r}; " in reason

    review_labels(corrupted.dataset, "mistake", progress=False)

    assert not corrupted.wrong() & set(ids)
    assert find_in(corrupted, output_field="again").contradicted == 0


@pytest.mark.slow
def test_a_change_of_the_label_that_fits_takes_the_flag_of_its_near_duplicate_away_and_undo_brings_it_back(
    corrupted, everything
):
    first, second = duplicated(corrupted, "right", "wrong")
    find_in(corrupted)
    before, other = corrupted.left(everything(corrupted.dataset)), corrupted.read("ground_truth.label", [second])

    for label in (*other, "class of its own"):
        one, settings = corrupted.select([first], "mistake"), dict(action="correct", label=label, new_class=True)
        review = review_labels(one, "mistake", **settings, progress=False)
        assert review.changed == 1 and corrupted.read("ground_truth.label", [second]) == other
        now = [corrupted.read(f"mistake.{name}", [second])[0] for name in ("is_issue", "label", "reason")]
        assert now == [False, *other, None]
        assert second not in corrupted.shown("mistake: mistakes")
        delete_run(corrupted.dataset, review.run_key)
        assert corrupted.left(everything(corrupted.dataset)) == before


def test_a_label_that_is_confirmed_leaves_the_flag_of_its_near_duplicate(corrupted):
    first, second = duplicated(corrupted, "right", "wrong")
    find_in(corrupted)
    label = corrupted.read("ground_truth.label", [first])
    settings = dict(action="correct", label=label[0], progress=False)
    review_labels(corrupted.select([first], "mistake"), "mistake", **settings)
    assert corrupted.read("mistake.is_issue", [second]) == [True] and corrupted.read("mistake.label", [second]) == label


@pytest.mark.slow
def test_where_a_person_called_the_flagged_one_right_the_other_is_flagged_next(corrupted):
    first, second = duplicated(corrupted, "right", "wrong")
    find_in(corrupted)
    review_labels(corrupted.select([second], "mistake"), "mistake", action="reject", progress=False)

    find_in(corrupted, output_field="again")

    assert corrupted.read("again.is_issue", [first, second]) == [True, False]
    assert corrupted.read("again.label", [first]) == corrupted.read("ground_truth.label", [second])


# ResNets


QUICK = dict(size_px=8, epochs=8, min_updates=1, batch_size=16, augmentation="none", precision="fp32", folds=2)


@pytest.fixture
def digits_with_mistakes(digits):
    dataset = digits(130, 8, labelled=120)
    wrong = [str((int(name) + 1) % 10) for name in dataset.limit(12).values("truth")]
    dataset.limit(12).set_values("ground_truth.label", wrong)
    return dataset


def judge_images(samples, **settings):
    return find_mistakes(samples, "ground_truth", **{**QUICK, "weights": "none", "progress": False, **settings})


@pytest.mark.slow
def test_resnets_find_wrong_labels_of_images(digits_with_mistakes):
    results = judge_images(digits_with_mistakes, epochs=24)

    assert (results.judged, results.folds) == (120, 2)
    by_rank = digits_with_mistakes.exists("mistake").sort_by("mistake.rank").limit(24).values("id")
    assert len(Kind(digits_with_mistakes, items.SAMPLE, 0).wrong() & set(by_rank)) >= 8
    margins = np.array(digits_with_mistakes.limit(120).values("mistake.margin"))
    assert ((margins >= -1) & (margins <= 1)).all()
    assert margins[:12].mean() < margins[12:].mean() - 0.1


@pytest.mark.slow
def test_an_image_that_cannot_be_read_is_skipped_and_named_and_a_group_is_no_near_duplicate(digits_with_mistakes):
    path = digits_with_mistakes.skip(50).first().filepath
    with open(path, "wb") as file:
        file.write(b"no image")
    digits_with_mistakes.set_values("patient", [f"patient {i // 4}" for i in range(130)])
    results = judge_images(digits_with_mistakes, epochs=1, group_field="patient")
    assert (results.judged, results.contradicted) == (119, 0) and list(results.skipped) == [
        digits_with_mistakes.skip(50).first().id
    ]
    assert any("1 image could not be read" in note for note in results.notes)


def test_a_run_that_was_stopped_goes_on_and_ends_with_the_same_fields(digits_with_mistakes, everything):
    dataset, before = digits_with_mistakes, everything(digits_with_mistakes)
    judge_images(dataset, output_field="whole", epochs=2)

    def stop(phase, done, total, note):
        if phase == "fold 2: training" and done == 1:
            raise RunStopped("enough")

    with pytest.raises(RunStopped):
        judge_images(dataset, epochs=2, progress=stop)
    assert not dataset.has_field("mistake")

    resume_run(dataset, "evenset_find_mistakes_2", progress=False)

    for name in ("label", "confidence", "mistakenness", "rank", "margin", "reason"):
        assert dataset.values(f"mistake.{name}") == dataset.values(f"whole.{name}")
    for key in ("evenset_find_mistakes_1", "evenset_find_mistakes_2"):
        delete_run(dataset, key)
    assert everything(dataset) == before


def test_a_run_on_vectors_that_was_stopped_goes_on_without_them(corrupted, everything):
    before = everything(corrupted.dataset)
    find_in(corrupted, output_field="whole")

    def stop(phase, done, total, note):
        if phase.startswith("writing"):
            raise RunStopped("enough")

    with pytest.raises(RunStopped):
        find_in(corrupted, progress=stop)
    assert not corrupted.dataset.has_field("mistake")

    resume_run(corrupted.dataset, "evenset_find_mistakes_2", progress=False)

    for name in ("label", "confidence", "mistakenness", "rank", "margin", "reason"):
        assert corrupted.read(f"mistake.{name}") == corrupted.read(f"whole.{name}")
    for key in ("evenset_find_mistakes_1", "evenset_find_mistakes_2"):
        delete_run(corrupted.dataset, key)
    assert everything(corrupted.dataset) == before


# Suggestions that are applied


def test_a_selection_of_suggestions_is_applied_and_undone(judged, everything):
    before = judged.left(everything(judged.dataset))
    five = judged.shown("mistake: mistakes")[:5]

    review = review_labels(judged.select(five, "mistake"), "mistake", seen=True, progress=False)

    assert review.changed == 5 and review.kept == 0
    assert judged.read("ground_truth.label", five) == judged.truth(five)
    for name, value in (("run", review.run_key), ("review", "seen"), ("selection", "queue")):
        assert set(judged.read(f"ground_truth.evenset_{name}", five)) == {value}
    assert set(judged.read("mistake.is_issue", five)) == {False}
    assert len(judged.shown("mistake: mistakes")) == 19
    delete_run(judged.dataset, review.run_key)
    assert judged.left(everything(judged.dataset)) == before
    assert set(five) <= set(judged.shown("mistake: mistakes"))


def test_all_that_is_flagged_is_applied_by_one_call_and_what_is_not_stays(judged):
    others = judged.ids("mistake.is_issue", False)
    kept = judged.read("ground_truth.label", others)
    assert review_labels(judged.dataset, "mistake", progress=False).changed == 24
    assert not judged.wrong()
    assert judged.read("ground_truth.label", others) == kept
    assert set(judged.read("ground_truth.evenset_run", others)) == {None}


def test_rejecting_takes_the_flag_away_and_leaves_the_label(judged):
    two = judged.shown("mistake: mistakes")[:2]
    labels = judged.read("ground_truth.label", two)

    review = review_labels(judged.select(two, "mistake"), "mistake", action="reject", progress=False)

    assert review.changed == 2
    assert judged.read("ground_truth.label", two) == labels and judged.read("mistake.is_issue", two) == [False, False]
    assert not set(two) & set(judged.shown("mistake: mistakes"))


def test_what_the_user_put_on_a_label_stays_on_it(corrupted):
    one = corrupted.ids()[:1]
    for name, value in (("tags", ["checked twice"]), ("confidence", 0.4)):
        corrupted.set_labels({one[0]: value}, name)
    find_in(corrupted)

    review_labels(corrupted.select(one, "mistake"), "mistake", progress=False)

    now = [corrupted.read(f"ground_truth.{name}", one)[0] for name in ("label", "tags", "confidence")]
    assert now == [*corrupted.truth(one), ["checked twice"], None]


def test_correcting_writes_another_label_than_the_suggestion(judged):
    one = judged.ids()[:1]
    settings = dict(action="correct", label="class 2", progress=False)
    review_labels(judged.select(one, "mistake"), "mistake", **settings)
    assert judged.read("ground_truth.label", one) == ["class 2"]
    assert judged.read("mistake.is_issue", one) == [False]


def test_a_view_without_flags_is_refused(judged, refused):
    right = judged.select(judged.ids("mistake.is_issue", False), "mistake")
    with refused(
        judged.dataset, f"no {judged.noun} of the view has a suggestion in 'mistake' to accept: none is flagged"
    ):
        review_labels(right, "mistake", progress=False)


# Bad input


def test_no_labels_and_labels_that_are_all_the_same_are_refused(make_items, refused):
    kind = make_items(24, 24)
    kind.set_labels(dict.fromkeys(kind.ids()))
    with refused(kind.dataset, f"no {kind.noun} has a label in 'ground_truth'", "label a few of each class"):
        find_in(kind)
    kind.set_labels(dict.fromkeys(kind.ids(), "class 1"))
    with refused(kind.dataset, "all labels of 'ground_truth' are 'class 1'", "at least two classes"):
        find_in(kind)


def test_bad_vectors_are_refused_before_anything_is_written(make_items, refused):
    kind = make_items(32, 32)
    bad = kind.ids()[4]
    whole = kind.vectors.pop(bad)
    with refused(kind.dataset, f"no vector in 'array of 31 vectors by id' for 1 {kind.noun}", bad):
        find_in(kind)
    kind.vectors[bad] = np.where(np.arange(8) == 2, np.nan, whole)
    with refused(kind.dataset, "NaN, infinity or a number beyond 1e+15 in 1 vector of", f"of {kind.noun} {bad}"):
        find_in(kind)
    with refused(kind.dataset, "'vectors' is neither a field"):
        find(kind.dataset, embeddings="vectors")


def test_a_vector_of_zeros_is_judged_without_neighbours(make_items):
    kind = make_items(96, 96)
    one = kind.ids()[:1]
    kind.vectors[one[0]] = np.zeros(8)
    assert find_in(kind).judged == 96
    assert kind.read("mistake.reason", one)[0].startswith("a model that has not seen the label")


def test_a_class_with_one_label_is_named_and_not_judged(corrupted):
    only = corrupted.ids()[50:51]
    corrupted.set_labels({only[0]: "class 9"})
    results = find_in(corrupted)
    assert results.judged == 239 and corrupted.read("mistake.label", only) == [None]
    (note,) = [note for note in results.notes if "class 9" in note]
    assert note.startswith("1 label was not judged")


def test_a_class_that_one_group_has_alone_is_named_and_not_judged(clusters):
    """The fold that holds the group has no other fold to learn its class from."""
    dataset = clusters(120, 120)
    names = dataset.values("ground_truth.label")
    dataset.set_values("patient", ["the only one" if name == "class 2" else str(i) for i, name in enumerate(names)])
    results = find(dataset, group_field="patient")
    assert results.judged == 120 - names.count("class 2")
    assert dataset.match({"ground_truth.label": "class 2"}).count("mistake") == 0


def test_groups_that_leave_no_fold_are_refused(clusters):
    dataset = clusters(30, 30)
    dataset.set_values("patient", ["everyone"] * 30)
    with pytest.raises(ValueError, match="group_field 'patient' has one value, 'everyone'"):
        find(dataset, group_field="patient")
    dataset.set_values("patient", dataset.values("truth"))
    dataset.match({"truth": "class 2"}).set_values("ground_truth", [None] * dataset.count_values("truth")["class 2"])
    with pytest.raises(ValueError, match="without fold 1, one class alone is left to learn from"):
        find(dataset, group_field="patient")
    assert not dataset.has_field("mistake")


def test_folds_that_miss_a_class_judge_the_others(make_items):
    """Three labels in ten folds, of boxes in three images: seven folds miss the class."""
    kind = make_items(120, 120)
    every = kind.ids("ground_truth.label", "class 2")
    dropped = [i for i in every[1:-1] if i != every[len(every) // 2]]
    kind.set_labels(dict.fromkeys(dropped))
    results = find_in(kind, folds=10)
    assert (results.judged, results.folds) == (120 - len(dropped), 10)


def test_a_class_whose_labels_are_all_wrong_is_flagged_whole(make_items):
    kind = make_items(240, 240)
    chosen = [i for name in ("class 0", "class 1") for i in kind.ids("ground_truth.label", name)[:12]]
    kind.set_labels(dict.fromkeys(chosen, "odd"))

    results = find_in(kind)

    flagged = sorted(set(chosen) & set(kind.ids("mistake.is_issue", True)))
    assert len(flagged) >= 20
    assert kind.read("mistake.label", flagged) == kind.truth(flagged)
    assert results.issues - len(flagged) <= 8


def test_classes_of_copies_alone_are_refused_with_a_sentence(make_dataset):
    """Two labels a class, both of one image: whichever fold it is in, no other sample shows the class."""
    dataset = make_dataset([f"/nowhere/{i % 8}.png" for i in range(16)], [f"class {i % 8}" for i in range(16)])
    dataset.set_values("vector", list(np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)))

    with pytest.raises(ValueError, match="no label can be judged: the samples of each class are copies of one image"):
        find(dataset)

    dataset.reload()
    assert not dataset.has_field("mistake") and list_runs(dataset).rows[0]["state"] == "failed"
