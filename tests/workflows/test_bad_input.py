"""Bad input: what is refused, and by which sentence; the user's fields, runs and folders stay as they were."""

from __future__ import annotations

import pytest
from evenset import audit_labels, auto_label, review_labels, train_resnet
from evenset.workflows.data.labels import read_labels


def label(samples, label_field="ground_truth", **settings):
    return auto_label(samples, label_field, **{**dict(embeddings="vector", progress=False), **settings})


def train(samples, label_field="ground_truth", **settings):
    quick = dict(size_px=8, epochs=1, min_updates=1, batch_size=16, augmentation="none", precision="fp32")
    return train_resnet(samples, label_field, **{**quick, "weights": "none", "progress": False, **settings})


@pytest.fixture(params=[label, train], ids=["auto_label", "train_resnet"])
def learn(request):
    """Each workflow that learns from labels."""
    return request.param


@pytest.fixture
def each_refuses(refused):
    """each_refuses(dataset, words, field, **settings): each of them refuses it in these words, and writes nothing."""

    def check(dataset, words, field="ground_truth", **settings):
        for learn in (label, train):
            with refused(dataset, *words):
                learn(dataset, field, **settings)

    return check


def test_a_label_field_that_is_not_there(clusters, each_refuses):
    dataset = clusters(20, 10)
    each_refuses(dataset, (dataset.name, "no field 'labels'", "fo.Classification", "ground_truth"), "labels")


def test_no_label_field_and_no_run(clusters, refused):
    dataset = clusters(20, 10)
    with refused(dataset, "label_field", "run"):
        label(dataset, None)


def test_a_field_of_other_labels_is_refused_by_its_type(clusters, each_refuses):
    import fiftyone as fo

    dataset = clusters(20, 10)
    for kind in ("Keypoints", "Detection", "Regression"):
        field = f"{kind.lower()}_"
        dataset.add_sample_field(field, fo.EmbeddedDocumentField, embedded_doc_type=getattr(fo, kind))
        each_refuses(dataset, (f"{field!r}", f"holds {kind}:", "one fo.Classification a sample"), field)
    each_refuses(dataset, ("'truth'", "StringField", "one fo.Classification a sample"), "truth")


# Labels


def test_no_labels(clusters, each_refuses):
    each_refuses(clusters(20, 0), ("no sample has a label in 'ground_truth'", "label a few of each class"))


def test_one_class(clusters, each_refuses):
    dataset = clusters(20, 10)
    dataset.limit(10).set_values("ground_truth.label", ["class 1"] * 10)
    each_refuses(dataset, ("all labels of 'ground_truth' are 'class 1'", "at least two classes"))


def test_the_labels_of_a_view_are_those_that_count(clusters, refused, learn):
    dataset = clusters(20, 10)
    with refused(dataset, "no sample has a label in 'ground_truth'"):
        learn(dataset.skip(10))
    with refused(dataset, "all labels of 'ground_truth' are 'class 0'"):
        learn(dataset.match({"ground_truth.label": "class 0"}))


def test_a_label_that_is_not_in_classes(clusters, each_refuses):
    dataset = clusters(20, 10)
    odd = dataset.match({"ground_truth.label": "class 2"})
    words = (f"{len(odd)} labels of 'ground_truth'", "'class 2'", odd.first().id, "add it to classes")
    for classes in (["class 0", "class 1"], {"class 0": [], "class 1": ["Klasse 1"]}):
        each_refuses(dataset, words, classes=classes)


def test_classes_that_contradict_themselves(clusters, each_refuses):
    dataset = clusters(20, 10)
    twice = ["class 0", "class 1", "class 0", "class 2"]
    each_refuses(dataset, ["classes names 'class 0' twice"], classes=twice)
    both = {"class 0": ["both"], "class 1": ["both"], "class 2": []}
    each_refuses(dataset, ["classes gives 'both' to two classes"], classes=both)


def test_a_class_with_one_label_is_learned_and_named(clusters):
    dataset = clusters(60, 40)
    dropped = dataset.match({"ground_truth.label": "class 2"}).skip(1).values("id")
    dataset.set_values("ground_truth", dict.fromkeys(dropped), key_field="id")
    assert dataset.count_values("ground_truth.label")["class 2"] == 1

    results = label(dataset)

    (note,) = [note for note in results.notes if "class 2" in note]
    assert note.startswith("Classes with one label") and note in str(results)
    assert "class 0" not in note
    hidden = dataset.match({"truth": "class 2", "ground_truth": None})
    assert "class 2" in hidden.values("auto_label.label")  # what was not learned from is never predicted


# Samples


def test_an_empty_view_and_an_empty_dataset(clusters, make_dataset, refused, learn):
    dataset, empty = clusters(20, 10), make_dataset([], [])
    with refused(dataset, f"the view of {dataset.name!r} has no samples"):
        learn(dataset.match_tags("nobody"))
    with refused(empty, f"{empty.name!r} is empty"):
        learn(empty)


@pytest.mark.parametrize(("file", "kind"), [("a.mp4", "video"), ("a.fo3d", "3d"), ("a.pcd", "point-cloud")])
def test_what_holds_no_images_is_refused_by_its_kind(make_dataset, refused, learn, file, kind):
    dataset = make_dataset([f"/nowhere/{file}"], ["cat"])
    assert dataset.media_type == kind
    with refused(dataset, dataset.name, f"media of type {kind!r}", "works on images"):
        learn(dataset)


def test_a_grouped_dataset_is_refused_and_one_slice_of_it_is_not(make_dataset, refused, learn):
    import fiftyone as fo

    dataset = make_dataset([])
    dataset.add_group_field("group", default="left")
    for number in range(20):
        group, truth = fo.Group(), fo.Classification(label="ab"[number % 2])
        for side in ("left", "right"):
            path = f"/nowhere/{number}-{side}.png"
            dataset.add_sample(fo.Sample(filepath=path, group=group.element(side), ground_truth=truth.copy()))
    with refused(dataset, dataset.name, "grouped", "select_group_slices"):
        learn(dataset)

    left = dataset.select_group_slices("left")
    left.set_values("vector", [[float(number % 2), 1.0] for number in range(20)])
    label(left)
    assert left.values("auto_label.label") == left.values("ground_truth.label")
    assert dataset.select_group_slices("right").values("auto_label") == [None] * 20


def test_a_view_of_patches_is_refused(clusters, refused, learn):
    import fiftyone as fo

    dataset = clusters(20, 10)
    points = fo.Keypoint(label="cat", points=[[0.5, 0.5]])
    dataset.set_values("objects", [fo.Keypoints(keypoints=[points.copy()]) for _ in range(20)])
    with refused(dataset, dataset.name, "patches", "use its samples"):
        learn(dataset.to_patches("objects"), "objects")


def test_what_is_neither_a_dataset_nor_a_view(learn):
    with pytest.raises(
        TypeError, match=r"samples has to be a dataset .* not 'products': fo.load_dataset\('products'\)"
    ):
        learn("products")


# The output field


def test_an_output_field_that_exists_or_is_an_input(clusters, each_refuses):
    dataset = clusters(20, 10)
    for name in ("truth", "id", "filepath", "tags", "metadata"):
        each_refuses(dataset, (f"the field {name!r} exists", "output_field"), output_field=name)
    each_refuses(dataset, ["output_field 'ground_truth' is an input"], output_field="ground_truth")


def test_an_output_field_with_a_bad_name(clusters, each_refuses):
    dataset = clusters(20, 10)
    for name in ("a b", "a.b", "_private", "$set", "naïve", "1st", "a" * 101):
        each_refuses(dataset, (f"output_field {name!r}", "letters, digits and _"), output_field=name)


def test_an_output_field_whose_name_fiftyone_needs(clusters, each_refuses):
    dataset = clusters(20, 10)
    for name in ("media_type", "save", "field_names"):
        each_refuses(dataset, (f"output_field {name!r}", "FiftyOne needs"), output_field=name)


# Views and fields


@pytest.mark.parametrize("stage", [dict(), dict(order_by="number")])
def test_a_view_grouped_by_a_field_is_refused_and_flattened_it_is_not(clusters, refused, learn, stage):
    dataset = clusters(20, 10)
    dataset.set_values("split", ["a", "b"] * 10)
    dataset.set_values("number", list(range(20)))
    view = dataset.group_by("split", **stage)
    with refused(dataset, f"the view of {dataset.name!r} is grouped by 'split': pass view.flatten()"):
        learn(view)
    label(view.flatten())
    assert dataset.count("auto_label") == 20


@pytest.mark.parametrize("hide", [lambda data, name: data.exclude_fields(name), lambda data, _: data.select_fields()])
def test_a_view_that_hides_a_field_is_refused_by_the_field(clusters, refused, learn, hide):
    dataset = clusters(20, 10)
    with refused(dataset, f"the view of {dataset.name!r} hides the field 'ground_truth'"):
        learn(hide(dataset, "ground_truth"))


@pytest.mark.parametrize("name", ["vector", "truth"])
def test_a_view_that_hides_vectors_or_groups_is_refused(clusters, refused, name):
    dataset = clusters(20, 10)
    with refused(dataset, f"the view of {dataset.name!r} hides the field {name!r}"):
        label(dataset.exclude_fields(name), group_field="truth")


@pytest.mark.slow
def test_fields_that_another_process_renamed_or_removed(clusters, refused, elsewhere):
    dataset = clusters(20, 10)
    label(dataset)
    code = f"""
    import fiftyone as fo
    dataset = fo.load_dataset({dataset.name!r})
    dataset.rename_sample_field("vector", "vectors")
    dataset.delete_sample_field("auto_label")
    dataset.rename_sample_field("ground_truth", "truths")
    """
    assert elsewhere(code).wait() == 0
    with refused(dataset, "no field 'ground_truth': its fields of fo.Classification are truths"):
        label(dataset, output_field="more")
    with refused(dataset, "'vector' is neither a field of"):
        label(dataset, "truths", output_field="more")
    with refused(dataset, "the field 'auto_label'", "was removed"):
        review_labels(dataset, "auto_label", label_field="truths", progress=False)
    with refused(dataset, "the field 'auto_label'", "was removed"):
        audit_labels(dataset, "auto_label", label_field="truths", progress=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ground_truth", "ground_truth.label", "auto_label"])
def test_a_read_only_field_is_read_but_not_written(clusters, refused, name):
    dataset = clusters(20, 10)
    label(dataset)
    field = dataset.get_field(name)
    field.read_only = True
    field.save()
    label(dataset, output_field="more")
    with refused(dataset, f"the field {name!r} of {dataset.name!r} is read-only"):
        review_labels(dataset, "auto_label", status="all", force=True, progress=False)


@pytest.mark.parametrize("name", ["ground_truth", "auto_label"])
def test_a_view_that_hides_what_is_reviewed_is_refused(clusters, refused, name):
    dataset = clusters(20, 10)
    label(dataset)
    hidden = dataset.exclude_fields(name)
    with refused(dataset, f"hides the field {name!r}"):
        review_labels(hidden, "auto_label", status="all", force=True, progress=False)
    with refused(dataset, f"hides the field {name!r}"):
        audit_labels(hidden, "auto_label", progress=False)


@pytest.mark.parametrize("hide", [lambda data: data.select_fields("ground_truth.label"), lambda data: data.limit(20)])
def test_a_view_of_some_attributes_does_not_hide_who_gave_a_label(clusters, hide):
    dataset = clusters(20, 10)
    label(dataset)
    review_labels(dataset, "auto_label", status="all", force=True, progress=False)

    labels = read_labels(hide(dataset), "ground_truth")

    assert (labels.trusted.sum(), len(labels.labelled_indices)) == (10, 20)


def test_a_grouped_dataset_names_a_slice_that_it_has(make_dataset, refused):
    import fiftyone as fo

    dataset = make_dataset([])
    dataset.add_group_field("group", default="video")
    group = fo.Group()
    dataset.add_sample(fo.Sample(filepath="/nowhere/a.mp4", group=group.element("video")))
    with refused(dataset, "no slice of it has images"):
        label(dataset)
    dataset.add_sample(fo.Sample(filepath="/nowhere/a.png", group=group.element("top")))
    for view in (dataset, dataset.group_by("id")):
        with refused(dataset, "dataset.select_group_slices('top')"):
            label(view)
