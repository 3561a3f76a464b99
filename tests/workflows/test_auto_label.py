"""auto_label on vectors: what it writes, what it promises, and when it declines to."""

from __future__ import annotations

import numpy as np
import pytest
from evenset import auto_label, load_results
from evenset.models.classifiers import linear
from evenset.models.confidence.threshold import labels_needed
from evenset.models.settings import AutoLabelSettings
from evenset.workflows.data.labels import Labels
from evenset.workflows.labeling.decision import decide
from evenset.workflows.labeling.predictions import Predictions
from evenset.workflows.training.partition import Split
from scipy.stats import binom


def columns(dataset, *names, field="auto_label"):
    dataset.reload()
    return [np.array(values, dtype=object) for values in dataset.values([f"{field}.{name}" for name in names])]


def label(dataset, **settings):
    usual = dict(embeddings="vector", progress=False, random_labels=True, target_precision=0.9)
    return auto_label(dataset, "ground_truth", **{**usual, **settings})


@pytest.fixture
def labelled(clusters, finished):
    """300 samples, 150 of them labelled, with suggestions: the data set, and what the run says of itself."""

    def make():
        dataset = clusters(300, 150, spread=1.6)
        label(dataset)
        return dataset

    dataset = finished("auto_label on vectors", make)
    return dataset, load_results(dataset, "evenset_auto_label_1")


def test_every_sample_gets_a_label_a_confidence_and_a_status(labelled):
    dataset, results = labelled
    given = [name if i < 150 else None for i, name in enumerate(dataset.values("truth"))]
    label_, confidence, status, margin, agreement = columns(
        dataset, "label", "confidence", "status", "margin", "agreement"
    )
    known = np.array([name is not None for name in given])
    assert dataset.values("ground_truth.label") == given
    assert (label_[known] == np.array(given, dtype=object)[known]).all()
    assert set(status[known]) == {"labelled"} and set(status[~known]) == {"accepted", "review"}
    assert all(value is None for value in confidence[known])  # the model has seen them
    assert all(0 < value < 1 for value in confidence[~known])
    assert all(0 <= value <= 1 for value in margin)
    assert all(0 <= value <= 1 for value in agreement) and len(set(agreement)) > 2  # shares of the members
    assert np.mean(confidence[status == "accepted"]) > np.mean(confidence[status == "review"])
    assert (results.samples, results.labelled, results.held_out) == (300, 150, 75)
    assert results.accepted == (status == "accepted").sum() and results.review == (status == "review").sum()
    assert results.coverage == results.accepted / 150


def test_each_member_is_listed_with_its_weight_and_what_it_predicts_right_of_the_held_out_labels(clusters):
    from evenset.workflows.data import folders

    dataset = clusters(300, 150, spread=2.5)

    results = label(dataset)

    dataset.reload()
    with np.load(folders.run_folder(dataset, results.run_key) / "parts.npz") as kept:
        held = dataset.select(kept["ids"][kept["parts"] == Split.HELD_OUT].tolist())
    said, given = held.values(["auto_label.gcn_label", "ground_truth.label"])
    right = sum(one == other for one, other in zip(said, given, strict=True))
    rows = {row["member"]: row for row in results.members}
    assert 0 < right < 75 and (rows["gcn"]["held_out_correct"], rows["gcn"]["held_out"]) == (right, 75)
    weights = [row["weight"] for row in results.members]
    assert weights == sorted(weights, reverse=True) and sum(weights) == pytest.approx(1)
    assert "members of the ensemble" in str(results)


def test_the_attributes_are_in_the_schema_so_that_the_app_filters_by_them(clusters):
    from fiftyone import FloatField, StringField, ViewField

    dataset = clusters()
    results = label(dataset, output_field="guess")

    schema = dataset.get_field("guess").get_field_schema()
    texts, numbers = ("status", "resnet_label", "gcn_label"), ("resnet_confidence", "gcn_confidence", "agreement")
    assert all(isinstance(schema[name], StringField) for name in texts)
    assert all(isinstance(schema[name], FloatField) for name in (*numbers, "margin"))
    accepted = dataset.filter_labels("guess", ViewField("status") == "accepted")
    assert len(accepted) == results.accepted > 0
    assert dataset.count_values("guess.status")["labelled"] == 120


def test_views_are_named_after_the_field_and_review_begins_with_the_least_certain(labelled):
    dataset, results = labelled

    assert results.views == {name: f"auto_label: {name}" for name in ("accepted", "review")}
    for name, view in results.views.items():
        assert set(dataset.load_saved_view(view).values("auto_label.status")) == {name}
    order = dataset.load_saved_view("auto_label: review").values("auto_label.confidence")
    assert len(order) == results.review > 1 and order == sorted(order)


def test_a_view_of_the_user_that_has_the_same_slug_survives_and_the_run_keeps_the_results(clusters):
    dataset = clusters(60, 30)
    dataset.save_view("Auto-label review", dataset.limit(3))

    results = label(dataset)

    assert results.views["review"] == "auto_label: review (2)"
    assert results.views["accepted"] == "auto_label: accepted"
    assert len(dataset.load_saved_view("Auto-label review")) == 3
    saved = load_results(dataset, results.run_key)
    assert saved == results and type(saved) is type(results) and str(saved) == str(results)


def test_a_view_is_a_part_of_the_samples(clusters):
    dataset = clusters(100, 50)
    results = label(dataset.match({"_id": {"$in": [sample._id for sample in dataset.limit(80)]}}))
    assert results.samples == 80
    assert [value is None for value in columns(dataset, "label")[0]] == [False] * 80 + [True] * 20


@pytest.mark.slow
def test_the_same_seed_gives_the_same_fields_twice(clusters):
    dataset = clusters(300, 150, spread=1.6)
    names = ("label", "confidence", "status", "margin")
    label(dataset, output_field="one", seed=3)
    label(dataset, output_field="two", seed=3)
    label(dataset, output_field="other", seed=4)
    one, two, other = (columns(dataset, *names, field=field) for field in ("one", "two", "other"))
    assert all((a == b).all() for a, b in zip(one, two, strict=True))
    assert (one[1] != other[1]).any()


def test_a_promise_is_kept_on_hidden_labels(clusters):
    dataset = clusters(900, 400, spread=1.8)

    results = label(dataset, target_precision=0.92, seed=1)

    label_, status = columns(dataset, "label", "status")
    right = label_ == np.array(dataset.values("truth"), dtype=object)
    assert results.promise == "promise" and results.low >= 0.92
    assert 50 < results.accepted < 500  # neither everything nor next to nothing
    assert right[status == "accepted"].mean() >= 0.92
    assert right[status == "review"].mean() < right[status == "accepted"].mean()


@pytest.mark.slow
def test_a_promise_is_broken_in_alpha_of_the_trials_at_most():
    """One model, and a new draw of held-out and hidden samples for each trial, decided as auto_label decides."""
    rng = np.random.default_rng(0)

    def draw(count):
        truth = rng.integers(0, 3, count)
        return rng.normal(4 * np.eye(8)[truth], 2.2).astype("float32"), truth

    train, held, hidden, trials = 200, 150, 1000, 120
    choices = AutoLabelSettings(target_precision=0.9, alpha=0.1, random_labels=True)
    vectors, truth = draw(train)
    model = linear.train(vectors, truth, 3)
    parts = np.repeat([Split.TRAIN, Split.HELD_OUT, 0], [train, held, hidden])
    names, alone = np.arange(len(parts)).astype(str), np.full(len(parts), "")
    broken = accepted = 0
    for _ in range(trials):
        fresh, answers = draw(held + hidden)
        rows, classes = np.concatenate([vectors, fresh]), np.concatenate([truth, answers])
        known = Labels(names, names, np.where(parts, classes, -1), list("abc"), np.ones(len(parts), bool), alone, 0)
        found = Predictions(linear.predict(model, rows), rows, np.zeros(3), parts, vectors, {}, resnet=False)
        decision = decide(known, found, choices)
        if decision.acceptance.accepted.any():
            accepted += 1
            broken += (decision.candidates.class_ids == classes)[decision.acceptance.accepted].mean() < 0.9
    assert accepted >= trials / 2  # an empty promise is always kept
    assert broken <= binom.ppf(0.99, trials, 0.1)


@pytest.mark.parametrize(("target", "needed"), [(0.90, 22), (0.95, 45), (0.99, 230)])
def test_with_too_few_labels_it_says_how_many_it_takes(clusters, target, needed):
    assert labels_needed(target, 0.1) == needed
    dataset = clusters(60, 30)

    results = label(dataset, target_precision=target)

    assert (results.accepted, results.promise, results.precision, results.coverage) == (0, "none", None, 0)
    assert results.held_out == 15
    assert set(columns(dataset, "status")[0]) == {"labelled", "review"}
    (note,) = results.notes
    assert f"takes {needed} held-out labels" in note and "there are 15" in note and note in str(results)
    (row,) = [row for row in results.targets if row["target"] == target]
    assert row["accepted"] == 0
    likely = f"about {row['labels_needed']:,}" if target < 0.99 else "more than 480"
    assert f"is likely to take {likely} random labels in all" in note
    assert (row["labels_needed"] or 480) >= 2 * needed
    lower = [row for row in results.targets if row["accepted"]]
    assert f"A target of {100 * lower[-1]['target']:.1f} % accepts {lower[-1]['accepted']} samples" in note


def test_labels_that_are_no_random_draw_give_an_estimate_and_the_advice_to_audit(clusters):
    results = label(clusters(), random_labels=False)
    assert results.promise == "estimate" and results.accepted
    assert "estimated precision" in str(results) and "promised" not in str(results)
    assert any("audit_labels" in note for note in results.notes)


@pytest.mark.slow
def test_an_estimate_counts_classes_as_the_pool_has_them(make_dataset):
    """Half of the labels are easy, and hardly any of the pool: unweighted, the easy ones would vouch for the rest."""
    rng = np.random.default_rng(0)
    easy = np.r_[rng.random(400) < 0.6, rng.random(600) < 0.05]  # the labels, then the pool
    vectors = np.where(easy[:, None], [9.0, 0.0], [0.0, 9.0]) + rng.normal(0, 0.4, (1000, 2))
    names = np.where(easy, "easy", np.where(rng.random(1000) < 0.2, "b", "a")).tolist()  # a and b look the same
    dataset = make_dataset([f"/nowhere/{i}.png" for i in range(1000)], [*names[:400], *[None] * 600])
    dataset.set_values("vector", list(vectors.astype("float32")))

    plain = label(dataset, output_field="plain", target_precision=0.85)
    weighted = label(dataset, output_field="weighted", target_precision=0.85, random_labels=False)

    label_, status = columns(dataset, "label", "status", field="plain")
    right = label_ == np.array(names, dtype=object)
    assert plain.low >= 0.85 > right[status == "accepted"].mean()  # what it was told of the labels is not so
    assert weighted.accepted < plain.accepted / 2


def test_the_table_says_what_the_numbers_say(labelled):
    _, results = labelled
    text = str(results)
    assert text.splitlines()[0] == f"auto_label ({results.run_key})"
    assert f"{results.accepted:,} of 150 ({100 * results.coverage:.1f} %)" in text
    assert f"at least {100 * results.low:.1f} %, with 90 % confidence" in text
    for row in results.rows:
        assert row["class"] in text
    assert sum(row["accepted"] for row in results.rows) == results.accepted
    assert sum(row["review"] for row in results.rows) == results.review
    assert sum(row["labelled"] for row in results.rows) == 150


def test_where_every_sample_is_labelled_there_is_nothing_to_accept(clusters):
    dataset = clusters(120, 120)
    results = label(dataset)
    assert (results.accepted, results.review, results.coverage) == (0, 0, 0)
    assert set(columns(dataset, "status")[0]) == {"labelled"}
    assert results.notes == ["Every sample has a label already: there is nothing to suggest."]


@pytest.mark.slow
def test_an_image_that_looks_like_no_labelled_class_goes_to_review(clusters):
    dataset = clusters(300, 150, spread=0.5)
    strange = dataset.values("id")[-20:]
    dataset.set_values("vector", {i: -50 * np.ones(8, dtype="float32") for i in strange}, key_field="id")

    wary = label(dataset, output_field="wary")
    label(dataset, output_field="bold", review_out_of_distribution=False)

    (status,) = columns(dataset, "status", field="wary")
    assert set(status[-20:]) == {"review"} and wary.unlike >= 20
    assert "like no labelled class" in str(wary)
    assert (status[150:-20] == "accepted").mean() > 0.8  # the others are not taken for strange
    assert "accepted" in columns(dataset, "status", field="bold")[0][-20:]


def test_classes_declare_names_order_and_synonyms(clusters):
    dataset = clusters()
    odd = dataset.match({"ground_truth.label": "class 1"}).limit(10).values("id")
    dataset.set_values("ground_truth.label", dict.fromkeys(odd, "Klasse 1"), key_field="id")
    declared = {"class 2": [], "class 1": ["Klasse 1"], "class 0": [], "never seen": []}

    results = label(dataset, classes=declared)

    assert results.names == list(declared) == [row["class"] for row in results.rows]
    found, status = columns(dataset, "label", "status")
    assert set(found) <= {"class 0", "class 1", "class 2"}
    assert dict(zip(dataset.values("id"), found, strict=True))[odd[0]] == "class 1"
    assert set(dataset.select(odd).values("ground_truth.label")) == {"Klasse 1"}  # the user's labels are the user's


@pytest.fixture
def shelf(clusters):
    """A labelled data set with a run, and a new one with the vectors of the same classes: (old, results, new)."""
    old, new = clusters(seed=1), clusters(seed=2)
    new.delete_sample_field("ground_truth")
    return old, label(old), new


@pytest.mark.slow
def test_an_earlier_run_labels_another_data_set_without_a_promise(shelf):
    old, trained, new = shelf

    results = auto_label(new, run=trained.run_key, embeddings="vector", progress=False)

    found, status = columns(new, "label", "status")
    assert (found == np.array(new.values("truth"), dtype=object)).mean() > 0.9
    assert (results.promise, results.precision, results.low) == ("none", None, 0.0)
    assert results.accepted == (status == "accepted").sum() > 0  # by the threshold of that run
    assert any("nothing is promised" in note for note in results.notes)
    assert not new.has_field("ground_truth")


@pytest.mark.slow
def test_a_run_is_found_by_key_data_set_and_folder(shelf):
    import fiftyone as fo

    old, trained, new = shelf
    folder = f"{fo.config.default_dataset_dir}/evenset/{old._doc.id}/{trained.run_key}"
    for number, run in enumerate((f"{old.name}/{trained.run_key}", folder)):
        auto_label(new, run=run, output_field=f"field_{number}", progress=False)
    assert new.values("field_0.label") == new.values("field_1.label")
    with pytest.raises(ValueError, match="there is no dataset 'nobody'"):
        auto_label(new, run="nobody/evenset_auto_label_1", output_field="other", progress=False)
    with pytest.raises(ValueError, match="run 'evenset_auto_label_99' does not exist"):
        auto_label(new, run="evenset_auto_label_99", output_field="other", progress=False)


@pytest.mark.slow
def test_new_labels_there_calibrate_an_earlier_run(shelf, make_dataset):
    import fiftyone as fo

    old, trained, new = shelf
    new.add_sample_field("ground_truth", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    ids, truth = new.values(["id", "truth"])
    some = {i: fo.Classification(label=name) for i, name in zip(ids[:100], truth, strict=False)}
    new.set_values("ground_truth", some, key_field="id")

    results = label(new, run=f"{old.name}/{trained.run_key}")

    assert (results.promise, results.held_out) == ("promise", 100) and results.low >= 0.9
    found, status = columns(new, "label", "status")
    assert (found == np.array(truth, dtype=object))[status == "accepted"].mean() >= results.low


@pytest.mark.slow
def test_labels_that_a_run_learned_from_do_not_calibrate_it(shelf):
    old, trained, _ = shelf
    results = label(old, run=trained.run_key, output_field="again")
    assert results.held_out == trained.held_out == 60
    copies = old.clone(persistent=True)
    try:
        copied = label(copies, run=f"{old.name}/{trained.run_key}", output_field="once_more")
        assert copied.held_out == 60  # the same files under other ids
    finally:
        copies.delete()


@pytest.mark.slow
def test_other_classes_than_those_of_the_run_are_refused(shelf, refused):
    old, trained, new = shelf
    with refused(new, trained.run_key, "'class 0'", "synonyms"):
        auto_label(new, run=trained.run_key, classes=["class 0", "class 1"], progress=False)


@pytest.mark.slow
def test_samples_of_one_group_stay_on_one_side(clusters):
    import fiftyone as fo

    dataset = clusters(200, 200)
    dataset.set_values("patient", [f"patient {i // 5}" for i in range(200)])
    results = label(dataset, group_field="patient")
    folder = f"{fo.config.default_dataset_dir}/evenset/{dataset._doc.id}/{results.run_key}"
    with np.load(f"{folder}/parts.npz") as kept:
        parts = kept["parts"].reshape(40, 5)
    assert (parts == parts[:, :1]).all()
    assert set(parts[:, 0]) == {Split.TRAIN, Split.HELD_OUT}


@pytest.mark.slow
def test_samples_that_share_a_file_stay_on_one_side(clusters):
    import fiftyone as fo

    dataset = clusters(200, 200)
    paths = dataset.values("filepath")
    dataset.set_values("filepath", [paths[i // 2] for i in range(200)])
    results = label(dataset)
    folder = f"{fo.config.default_dataset_dir}/evenset/{dataset._doc.id}/{results.run_key}"
    with np.load(f"{folder}/parts.npz") as kept:
        parts = kept["parts"].reshape(100, 2)
    assert (parts[:, 0] == parts[:, 1]).all()


@pytest.mark.slow
def test_two_classes_and_a_hundred(make_dataset):
    for classes, per_class in ((2, 40), (100, 3)):
        rng = np.random.default_rng(classes)
        truth = np.repeat(np.arange(classes), per_class)
        centres = rng.normal(size=(classes, 32))
        vectors = (centres[truth] + rng.normal(0, 0.05, (len(truth), 32))).astype("float32")
        names = [f"c{i}" for i in truth]
        known = [name if i % per_class < 2 else None for i, name in enumerate(names)]
        dataset = make_dataset([f"/nowhere/{i}.png" for i in range(len(names))], known, truth=names)
        dataset.set_values("vector", list(vectors))
        results = label(dataset)
        found, status = columns(dataset, "label", "status")
        hidden = status != "labelled"
        assert (found == np.array(names, dtype=object))[hidden].mean() > 0.9
        assert len(results.rows) == classes


def test_vectors_that_cannot_be_learned_from_are_refused(clusters):
    dataset = clusters(60, 30)
    ids, vectors = dataset.values(["id", "vector"])
    for bad, sentence in (
        (None, f"no vector in 'vector' for 1 sample, the first is {ids[3]}"),
        (vectors[3][:5], r"the vectors of 'vector' differ in length: \[5, 8\]"),
        (np.r_[vectors[3][:7], np.nan], f"in 1 vector of 'vector', the first is of sample {ids[3]}"),
    ):
        dataset.set_values("vector", {ids[3]: bad}, key_field="id")
        with pytest.raises(ValueError, match=sentence):
            label(dataset)
        dataset.reload()
        assert not dataset.has_field("auto_label")


def test_a_source_of_scores_that_is_none_is_refused(shelf, refused):
    old, trained, new = shelf
    with refused(old, "'vektor' is neither a field of", "nor a model of FiftyOne's zoo"):
        label(old, embeddings="vektor", output_field="other")
    with refused(old, "embeddings has to be a field, a Brain key, a model, an array", "or None, not 7"):
        label(old, embeddings=7, output_field="other")
    with refused(new, "give a label_field to learn from, or the run of a trained model"):
        auto_label(new, embeddings="vector", progress=False)
    with refused(new, "no setting is called 'target': did you mean", kind=TypeError):
        auto_label(new, run=trained.run_key, target=0.9, progress=False)
    new.set_values("short", [vector[:3] for vector in new.values("vector")])
    with refused(new, f"{trained.run_key} learned from vectors of 8 numbers, and those of 'short' have 3"):
        auto_label(new, run=trained.run_key, embeddings="short", progress=False)


@pytest.mark.slow
def test_a_run_that_trained_nothing_has_no_checkpoint(shelf, refused):
    _, trained, new = shelf
    again = auto_label(new, run=trained.run_key, progress=False)
    with refused(new, f"{again.run_key} has no checkpoint", "a run of train_resnet or auto_label"):
        auto_label(new, run=f"{new.name}/{again.run_key}", output_field="other", progress=False)


@pytest.mark.slow
def test_generated_samples_are_left_out_and_counted(clusters):
    import fiftyone as fo

    dataset = clusters(120, 60)
    dataset.add_sample_field("synthetic", fo.EmbeddedDocumentField, embedded_doc_type=fo.DynamicEmbeddedDocument)
    made = dataset.limit(10)
    made.tag_samples("synthetic")

    results = label(dataset)

    assert (results.samples, results.labelled, results.synthetic, results.held_out) == (110, 50, 10, 25)
    assert set(made.values("auto_label")) == {None}
    assert "10 synthetic samples were left out." in str(results)
