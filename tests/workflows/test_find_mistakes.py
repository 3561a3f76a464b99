"""find_mistakes: wrong labels are found, nothing looks at the label that it judges, and each verdict has a reason."""

from __future__ import annotations

import numpy as np
import pytest
from evenset import delete_run, find_mistakes, list_runs, load_results, resume_run, review_labels
from evenset.workflows.mistakes import out_of_fold
from evenset.workflows.runs.run import RunStopped


def corrupt(clusters):
    dataset = clusters(240, 240, spread=0.7)
    wrong = [f"class {(int(name[-1]) + 1) % 3}" for name in dataset.limit(24).values("truth")]
    dataset.limit(24).set_values("ground_truth.label", wrong)
    return dataset


@pytest.fixture
def corrupted(clusters):
    """A data set of 240, all labelled, the first 24 of them wrong: class 0 as 1, 1 as 2, 2 as 0."""
    return corrupt(clusters)


@pytest.fixture
def judged(finished, clusters):
    """The same, with the fields and views of a run."""

    def make():
        dataset = corrupt(clusters)
        find(dataset)
        return dataset

    return finished("mistakes: judged", make)


def find(samples, label_field="ground_truth", **settings):
    return find_mistakes(samples, label_field, **{**dict(embeddings="vector", progress=False), **settings})


def wrong_in(samples):
    """Ids of the samples whose label is not the truth."""
    ids, labels, truth = samples.values(["id", "ground_truth.label", "truth"])
    return {i for i, label, right in zip(ids, labels, truth, strict=True) if label is not None and label != right}


# What is found


def test_wrong_labels_are_found_ranked_and_named(corrupted):
    before = corrupted.values("ground_truth.label")

    results = find(corrupted)

    view = corrupted.load_saved_view(results.views["mistakes"])
    assert set(view.values("id")) == wrong_in(corrupted)
    assert (results.judged, results.issues, results.contradicted) == (240, 24, 0)
    assert view.values("mistake.rank") == list(range(1, 25))
    assert view.values("mistake.label") == view.values("truth")
    scores = view.values("mistake.mistakenness")
    assert scores == sorted(scores, reverse=True) and scores[-1] > 0.15
    others = corrupted.match({"mistake.is_issue": False})
    assert len(others) == 216 and max(others.values("mistake.mistakenness")) <= scores[-1]
    assert others.values("mistake.label") == others.values("ground_truth.label")
    assert corrupted.values("ground_truth.label") == before
    assert 0.07 < results.noise < 0.14


def test_with_many_labels_a_regression_averaged_over_neighbours_finds_them(corrupted, monkeypatch):
    monkeypatch.setattr(out_of_fold, "MAX_FEW_LABELS", 50)

    results = find(corrupted)

    assert set(corrupted.match({"mistake.rank": {"$lte": 24}}).values("id")) == wrong_in(corrupted)
    assert not results.planted and results.method == "evenset"


def test_the_reason_counts_the_neighbours_and_says_what_the_model_says(judged):
    sample = judged.first()
    vectors, labels = np.array(judged.values("vector")), np.array(judged.values("ground_truth.label"))
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    nearest = np.argsort(-(units @ units[0]))[1:11]
    count = (labels[nearest] == sample.truth).sum()

    assert sample.mistake.reason.startswith(f"{count} of 10 nearest samples are {sample.truth!r}; ")
    assert "a model that has not seen the label agrees at 0." in sample.mistake.reason


def test_there_is_one_view_and_the_table_says_what_is_suggested(corrupted):
    results = find(corrupted, output_field="doubt")

    assert results.views == {"mistakes": "doubt: mistakes"} and corrupted.list_saved_views() == ["doubt: mistakes"]
    flagged = corrupted.load_saved_view("doubt: mistakes").count_values("ground_truth.label")
    for row in results.rows:
        assert flagged[row["class"]] == row["issues"] > 0
        before = f"class {(int(row['class'][-1]) - 1) % 3}"
        assert (row["most_suggested"], row["times_suggested"]) == (before, row["issues"])
        assert row["labels"] == corrupted.count_values("ground_truth.label")[row["class"]]
    text = str(results)
    assert "24 of 240 labels of 'ground_truth'" in text and "review_labels(selection, 'doubt')" in text
    assert load_results(corrupted, results.run_key) == results


def test_the_sidebar_can_filter_by_every_attribute(judged):
    import fiftyone as fo

    kinds = dict(mistakenness=fo.FloatField, is_issue=fo.BooleanField, rank=fo.IntField, reason=fo.StringField)
    for name, kind in kinds.items():
        assert isinstance(judged.get_field(f"mistake.{name}"), kind)


def test_the_scores_of_cleanlab_are_a_choice(judged):
    results = find(judged, output_field="theirs", method="self_confidence", neighbours=15)

    assert set(judged.load_saved_view(results.views["mistakes"]).values("id")) == wrong_in(judged)
    assert judged.values("theirs.mistakenness") != judged.values("mistake.mistakenness")


def test_unlabelled_samples_are_not_judged(clusters):
    dataset = clusters(120, 60)
    assert find(dataset).judged == 60
    assert dataset.exists("ground_truth", False).count("mistake") == 0


@pytest.mark.slow
def test_the_seed_fixes_every_field(corrupted):
    find(corrupted, output_field="first")
    find(corrupted, output_field="second")
    for name in ("label", "confidence", "mistakenness", "rank", "reason"):
        assert corrupted.values(f"first.{name}") == corrupted.values(f"second.{name}")


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
def test_changing_a_label_does_not_change_what_its_own_judges_say(clusters):
    """The verdict on a sample may change with its label, the model's word and its neighbours' may not."""
    dataset = clusters(200, 200)
    find(dataset, output_field="before", seed=3)
    sample = dataset.first()
    other = f"class {(int(sample.truth[-1]) + 1) % 3}"
    dataset.set_values("ground_truth.label", {sample.id: other}, key_field="id")
    find(dataset, output_field="after", seed=3)

    now = dataset[sample.id]
    assert now.after.is_issue and now.after.label == sample.truth
    assert now.before.reason.split("; ")[0] == now.after.reason.split("; ")[0]  # its neighbours' labels


# Near-duplicates


def test_near_duplicates_with_different_labels_come_first(corrupted):
    a, b, c = corrupted.skip(100).limit(3).values("id")
    vector, right = corrupted[a].vector, corrupted[a].truth
    other = f"class {(int(right[-1]) + 1) % 3}"
    corrupted.set_values("vector", {b: vector, c: vector + 1e-6}, key_field="id")
    corrupted.set_values("ground_truth.label", {a: right, b: right, c: other}, key_field="id")

    results = find(corrupted)

    first = corrupted.load_saved_view(results.views["mistakes"]).first()
    assert (first.id, first.mistake.label, results.contradicted) == (c, right, 1)
    assert f"different labels, 2 of them {right!r} and 1 of them {other!r}" in first.mistake.reason
    assert any("contradicted by a near-duplicate" in note for note in results.notes)


def duplicated(dataset, *names):
    """Makes near-duplicates with these labels of samples behind the wrong ones, the first as it was; their ids.

    "right" is the first one's true label, and "wrong" and "worse" are the two others.
    """
    ids = dataset.skip(100).limit(len(names)).values("id")
    first, truth = dataset[ids[0]], int(dataset[ids[0]].truth[-1])
    labels = {name: f"class {(truth + step) % 3}" for step, name in enumerate(("right", "wrong", "worse"))}
    vectors = {i: first.vector + step * 1e-6 for step, i in enumerate(ids)}
    dataset.set_values("vector", vectors, key_field="id")
    dataset.set_values("truth", dict.fromkeys(ids, first.truth), key_field="id")
    dataset.set_values("ground_truth.label", dict(zip(ids, map(labels.get, names), strict=True)), key_field="id")
    return ids


@pytest.mark.slow
@pytest.mark.parametrize(
    "names", [("right", "wrong"), ("right", "wrong", "worse"), ("right", "right", "wrong"), ("right", "wrong") * 2]
)
def test_one_change_settles_each_contradiction_and_the_label_that_fits_stays(corrupted, names):
    ids = duplicated(corrupted, *names)
    results = find(corrupted)

    flagged = corrupted.select(ids, ordered=True)
    assert flagged.values("mistake.is_issue") == [name != "right" for name in names]
    assert results.contradicted == sum(name != "right" for name in names)
    for sample in flagged.match({"mistake.is_issue": True}):
        near = corrupted[sample.mistake.contradicted_by]
        assert near.id in ids and near.ground_truth.label == sample.truth == sample.mistake.label
        which = f"{near.filepath.split('/')[-1]} (sample {near.id}) is {near.ground_truth.label!r}; "
        assert which in sample.mistake.reason

    review_labels(corrupted, "mistake", progress=False)

    assert not wrong_in(corrupted.select(ids))
    assert find(corrupted, output_field="again").contradicted == 0


@pytest.mark.slow
def test_a_change_of_the_label_that_fits_takes_the_flag_of_its_near_duplicate_away_and_undo_brings_it_back(
    corrupted, everything
):
    first, second = duplicated(corrupted, "right", "wrong")
    find(corrupted)
    before, other = everything(corrupted), corrupted[second].ground_truth.label

    for label in (other, "class of its own"):
        review = review_labels(
            corrupted.select(first), "mistake", action="correct", label=label, new_class=True, progress=False
        )  # fmt: skip
        now = corrupted[second]
        assert review.changed == 1 and now.ground_truth.label == other
        assert (now.mistake.is_issue, now.mistake.label, now.mistake.reason) == (False, other, None)
        assert second not in corrupted.load_saved_view("mistake: mistakes").values("id")
        delete_run(corrupted, review.run_key)
        assert everything(corrupted) == before


def test_a_label_that_is_confirmed_leaves_the_flag_of_its_near_duplicate(corrupted):
    first, second = duplicated(corrupted, "right", "wrong")
    find(corrupted)
    label = corrupted[first].ground_truth.label
    review_labels(corrupted.select(first), "mistake", action="correct", label=label, progress=False)
    assert corrupted[second].mistake.is_issue and corrupted[second].mistake.label == label


@pytest.mark.slow
def test_where_a_person_called_the_flagged_one_right_the_other_is_flagged_next(corrupted):
    first, second = duplicated(corrupted, "right", "wrong")
    find(corrupted)
    review_labels(corrupted.select(second), "mistake", action="reject", progress=False)

    find(corrupted, output_field="again")

    pair = corrupted.select([first, second], ordered=True)
    assert pair.values("again.is_issue") == [True, False]
    assert pair.first().again.label == pair.last().ground_truth.label


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
    assert len(wrong_in(digits_with_mistakes) & set(by_rank)) >= 8
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


# Suggestions that are applied


def test_a_selection_of_suggestions_is_applied_and_undone(judged, everything):
    before = everything(judged)
    five = judged.load_saved_view("mistake: mistakes").limit(5)
    ids, truth = five.values(["id", "truth"])

    review = review_labels(judged.select(ids), "mistake", seen=True, progress=False)

    now = judged.select(ids, ordered=True)
    assert review.changed == 5 and review.kept == 0
    assert now.values("ground_truth.label") == truth
    for name, value in (("run", review.run_key), ("review", "seen"), ("selection", "queue")):
        assert set(now.values(f"ground_truth.evenset_{name}")) == {value}
    assert set(now.values("mistake.is_issue")) == {False}
    assert len(judged.load_saved_view("mistake: mistakes")) == 19
    delete_run(judged, review.run_key)
    assert everything(judged) == before


def test_all_that_is_flagged_is_applied_by_one_call_and_what_is_not_stays(judged):
    kept = judged.match({"mistake.is_issue": False}).values("ground_truth")
    assert review_labels(judged, "mistake", progress=False).changed == 24
    assert not wrong_in(judged)
    assert judged.skip(24).values("ground_truth") == kept


def test_rejecting_takes_the_flag_away_and_leaves_the_label(judged):
    two = judged.load_saved_view("mistake: mistakes").limit(2)
    ids, labels = two.values(["id", "ground_truth.label"])

    assert review_labels(judged.select(ids), "mistake", action="reject", progress=False).changed == 2

    now = judged.select(ids, ordered=True)
    assert now.values("ground_truth.label") == labels and now.values("mistake.is_issue") == [False, False]
    assert not set(ids) & set(judged.load_saved_view("mistake: mistakes").values("id"))


def test_what_the_user_put_on_a_label_stays_on_it(corrupted):
    import fiftyone as fo

    sample = corrupted.first()
    label = fo.Classification(label=sample.ground_truth.label, tags=["checked twice"], confidence=0.4)
    corrupted.set_values("ground_truth", {sample.id: label}, key_field="id")
    find(corrupted)

    review_labels(corrupted.select(sample.id), "mistake", progress=False)

    now = corrupted[sample.id].ground_truth
    assert (now.label, now.tags, now.confidence) == (sample.truth, ["checked twice"], None)


def test_correcting_writes_another_label_than_the_suggestion(judged):
    sample = judged.first()
    review_labels(judged.select(sample.id), "mistake", action="correct", label="class 2", progress=False)
    assert judged[sample.id].ground_truth.label == "class 2"
    assert judged[sample.id].mistake.is_issue is False


def test_a_view_without_flags_is_refused(judged, refused):
    with refused(judged, "no sample of the view has a suggestion in 'mistake' to accept: none is flagged"):
        review_labels(judged.skip(24), "mistake", progress=False)


# Bad input


def test_labels_that_are_all_the_same_are_refused(clusters, refused):
    dataset = clusters(20, 20)
    dataset.set_values("ground_truth.label", ["class 1"] * 20)
    with refused(dataset, "all labels of 'ground_truth' are 'class 1'", "at least two classes"):
        find(dataset)


def test_bad_vectors_are_refused_before_anything_is_written(clusters, refused):
    dataset = clusters(30, 30)
    vectors = np.array(dataset.values("vector"))
    vectors[4, 2] = np.nan
    dataset.set_values("vector", list(vectors))
    with refused(dataset, "NaN, infinity or a number beyond 1e+15 in 1 vector of 'vector'", dataset.skip(4).first().id):
        find(dataset)
    dataset.set_values("vector", [None, *vectors[1:]])
    with refused(dataset, "no vector in 'vector' for 1 sample"):
        find(dataset)
    with refused(dataset, "'vectors' is neither a field"):
        find(dataset, embeddings="vectors")


def test_a_vector_of_zeros_is_judged_without_neighbours(clusters):
    dataset = clusters(90, 90)
    dataset.set_values("vector", {dataset.first().id: np.zeros(8)}, key_field="id")
    assert find(dataset).judged == 90
    assert dataset.first().mistake.reason.startswith("a model that has not seen the label")


def test_a_class_with_one_label_is_named_and_not_judged(corrupted):
    only = corrupted.skip(50).first().id
    corrupted.set_values("ground_truth.label", {only: "class 9"}, key_field="id")
    results = find(corrupted)
    assert results.judged == 239 and corrupted[only].mistake is None
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


def test_folds_that_miss_a_class_judge_the_others(clusters):
    """Three labels in ten folds: seven folds miss the class."""
    dataset = clusters(120, 120)
    dropped = dataset.match({"truth": "class 2"}).skip(3).values("id")
    dataset.set_values("ground_truth", dict.fromkeys(dropped), key_field="id")
    results = find(dataset, folds=10)
    assert (results.judged, results.folds) == (120 - len(dropped), 10)


def test_a_class_whose_labels_are_all_wrong_is_flagged_whole(clusters):
    dataset = clusters(240, 240)
    chosen = dataset.match({"truth": "class 0"}).limit(12).values("id")
    chosen += dataset.match({"truth": "class 1"}).limit(12).values("id")
    dataset.set_values("ground_truth.label", dict.fromkeys(chosen, "odd"), key_field="id")

    results = find(dataset)

    flagged = dataset.select(chosen).match({"mistake.is_issue": True})
    assert len(flagged) >= 20 and "odd" not in flagged.distinct("mistake.label")
    assert flagged.values("mistake.label") == flagged.values("truth")
    assert results.issues - len(flagged) <= 8


def test_classes_of_copies_alone_are_refused_with_a_sentence(make_dataset):
    """Two labels a class, both of one image: whichever fold it is in, no other sample shows the class."""
    dataset = make_dataset([f"/nowhere/{i % 8}.png" for i in range(16)], [f"class {i % 8}" for i in range(16)])
    dataset.set_values("vector", list(np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)))

    with pytest.raises(ValueError, match="no label can be judged: the samples of each class are copies of one image"):
        find(dataset)

    dataset.reload()
    assert not dataset.has_field("mistake") and list_runs(dataset).rows[0]["state"] == "failed"
