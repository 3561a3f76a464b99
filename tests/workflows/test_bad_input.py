"""Bad input: what is refused, and by which sentence; the user's fields, runs and folders stay as they were."""

from __future__ import annotations

import pytest
from evenset import audit_labels, auto_label, review_labels, train_resnet
from evenset.models.settings import BoxSettings
from evenset.workflows.data import items
from evenset.workflows.data.labels import Reading, read_labels

NAMES = ("class 0", "class 1", "class 2")


def label(samples, label_field="ground_truth", **settings):
    return auto_label(samples, label_field, **{**dict(embeddings="vector", progress=False), **settings})


def train(samples, label_field="ground_truth", embeddings=None, **settings):
    quick = dict(size_px=8, epochs=1, min_updates=1, batch_size=16, augmentation="none", precision="fp32")
    return train_resnet(samples, label_field, **{**quick, "weights": "none", "progress": False, **settings})


@pytest.fixture(params=[label, train], ids=["auto_label", "train_resnet"])
def learn(request):
    """Each workflow that learns from labels."""
    return request.param


@pytest.fixture
def each_refuses(refused):
    """each_refuses(kind, words, field, **settings): each of them refuses it in these words, and writes nothing."""

    def check(kind, words, field="ground_truth", **settings):
        for learn in (label, train):
            with refused(kind.dataset, *words):
                learn(kind.dataset, field, **{"embeddings": kind.vectors, **settings})

    return check


@pytest.fixture
def kind(make_items):
    """24 samples or boxes, of which half are labelled."""
    return make_items(24, 12)


def test_a_label_field_that_is_not_there(kind, each_refuses):
    each_refuses(kind, (kind.dataset.name, "no field 'labels'", "fo.Classification", "ground_truth"), "labels")


def test_no_label_field_and_no_run(clusters, refused):
    dataset = clusters(20, 10)
    with refused(dataset, "label_field", "run"):
        label(dataset, None)


def test_a_field_of_other_labels_is_refused_by_its_type(kind, each_refuses):
    import fiftyone as fo

    for name in ("Keypoints", "Detection", "Regression"):
        field = f"{name.lower()}_"
        kind.dataset.add_sample_field(field, fo.EmbeddedDocumentField, embedded_doc_type=getattr(fo, name))
        each_refuses(kind, (f"{field!r}", f"holds {name}:", "one fo.Classification a sample"), field)
    kind.dataset.add_sample_field("text", fo.StringField)
    each_refuses(kind, ("'text'", "StringField", "one fo.Classification a sample"), "text")


# Labels


def test_no_labels(make_items, each_refuses):
    kind = make_items(24, 0)
    each_refuses(kind, (f"no {kind.noun} has a label in 'ground_truth'", "label a few of each class"))


def test_one_class(kind, each_refuses):
    kind.set_labels(dict.fromkeys(kind.ids("ground_truth.label", *NAMES), "class 1"))
    each_refuses(kind, ("all labels of 'ground_truth' are 'class 1'", "at least two classes"))


def test_the_labels_of_a_view_are_those_that_count(kind, refused, learn):
    blank, one = (kind.select(kind.ids("ground_truth.label", name), "ground_truth") for name in (None, "class 0"))
    with refused(kind.dataset, f"no {kind.noun} has a label in 'ground_truth'"):
        learn(blank, embeddings=kind.vectors)
    with refused(kind.dataset, "all labels of 'ground_truth' are 'class 0'"):
        learn(one, embeddings=kind.vectors)


def test_a_label_that_is_not_in_classes(kind, each_refuses):
    odd = kind.ids("ground_truth.label", "class 2")
    words = (f"{len(odd)} labels of 'ground_truth'", "'class 2'", odd[0], "add it to classes")
    for classes in (["class 0", "class 1"], {"class 0": [], "class 1": ["Klasse 1"]}):
        each_refuses(kind, words, classes=classes)


def test_classes_that_contradict_themselves(kind, each_refuses):
    twice = ["class 0", "class 1", "class 0", "class 2"]
    each_refuses(kind, ["classes names 'class 0' twice"], classes=twice)
    both = {"class 0": ["both"], "class 1": ["both"], "class 2": []}
    each_refuses(kind, ["classes gives 'both' to two classes"], classes=both)


def test_a_class_with_one_label_is_learned_and_named(make_items):
    kind = make_items(64, 40)
    dropped = kind.ids("ground_truth.label", "class 2")[1:]
    kind.set_labels(dict.fromkeys(dropped))
    assert kind.read("ground_truth.label").count("class 2") == 1

    results = label(kind.dataset, embeddings=kind.vectors)

    (note,) = [note for note in results.notes if "class 2" in note]
    assert note.startswith("Classes with one label") and note in str(results)
    assert "class 0" not in note
    hidden = set(kind.ids("ground_truth.label", None)) & {
        i for i, name in zip(kind.ids(), kind.truth(), strict=True) if name == "class 2"
    }
    assert "class 2" in kind.read("auto_label.label", sorted(hidden))  # what was not learned from is never predicted


# Samples


def test_an_empty_view_and_an_empty_dataset(kind, make_dataset, refused, learn):
    empty = make_dataset([], [])
    with refused(kind.dataset, f"the view of {kind.dataset.name!r} has no samples"):
        learn(kind.dataset.match_tags("nobody"), embeddings=kind.vectors)
    with refused(empty, f"{empty.name!r} is empty"):
        learn(empty)


@pytest.mark.parametrize(("file", "media"), [("a.mp4", "video"), ("a.fo3d", "3d"), ("a.pcd", "point-cloud")])
def test_what_holds_no_images_is_refused_by_its_kind(make_dataset, refused, learn, file, media):
    dataset = make_dataset([f"/nowhere/{file}"], ["cat"])
    assert dataset.media_type == media
    with refused(dataset, dataset.name, f"media of type {media!r}", "works on images"):
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


def test_an_output_field_that_exists_or_is_an_input(kind, each_refuses):
    for name in ("ours", "id", "filepath", "tags", "metadata"):
        kind.dataset.set_values("ours", [0] * len(kind.dataset))
        each_refuses(kind, (f"the field {name!r} exists", "output_field"), output_field=name)
    each_refuses(kind, ["output_field 'ground_truth' is an input"], output_field="ground_truth")


def test_an_output_field_with_a_bad_name(kind, each_refuses):
    for name in ("a b", "a.b", "_private", "$set", "naïve", "1st", "a" * 101):
        each_refuses(kind, (f"output_field {name!r}", "letters, digits and _"), output_field=name)


def test_an_output_field_whose_name_fiftyone_needs(kind, each_refuses):
    for name in ("media_type", "save", "field_names"):
        each_refuses(kind, (f"output_field {name!r}", "FiftyOne needs"), output_field=name)


# Views and fields


@pytest.mark.parametrize("stage", [dict(), dict(order_by="number")])
def test_a_view_grouped_by_a_field_is_refused_and_flattened_it_is_not(make_items, refused, learn, stage):
    kind = make_items(32, 16)
    dataset, count = kind.dataset, len(kind.dataset)
    dataset.set_values("split", ["a", "b"] * (count // 2))
    dataset.set_values("number", list(range(count)))
    view = dataset.group_by("split", **stage)
    with refused(dataset, f"the view of {dataset.name!r} is grouped by 'split': pass view.flatten()"):
        learn(view, embeddings=kind.vectors)
    label(view.flatten(), embeddings=kind.vectors)
    assert None not in kind.read("auto_label.label")


@pytest.mark.parametrize("hide", [lambda data, name: data.exclude_fields(name), lambda data, _: data.select_fields()])
def test_a_view_that_hides_a_field_is_refused_by_the_field(kind, refused, learn, hide):
    with refused(kind.dataset, f"the view of {kind.dataset.name!r} hides the field 'ground_truth'"):
        learn(hide(kind.dataset, "ground_truth"), embeddings=kind.vectors)


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
def test_a_read_only_field_is_read_but_not_written(kind, refused, name):
    label(kind.dataset, embeddings=kind.vectors)
    path = items.leaf(kind.dataset, name)
    field = kind.dataset.get_field(path)
    field.read_only = True
    field.save()
    label(kind.dataset, output_field="more", embeddings=kind.vectors)
    with refused(kind.dataset, f"the field {path!r} of {kind.dataset.name!r} is read-only"):
        review_labels(kind.dataset, "auto_label", status="all", force=True, progress=False)


@pytest.mark.parametrize("name", ["ground_truth", "auto_label"])
def test_a_view_that_hides_what_is_reviewed_is_refused(labelled_items, refused, name):
    hidden = labelled_items.dataset.exclude_fields(name)
    with refused(labelled_items.dataset, f"hides the field {name!r}"):
        review_labels(hidden, "auto_label", status="all", force=True, progress=False)
    with refused(labelled_items.dataset, f"hides the field {name!r}"):
        audit_labels(hidden, "auto_label", progress=False)


@pytest.mark.parametrize(
    "hide", [lambda data: data.select_fields(items.leaf(data, "ground_truth.label")), lambda data: data.limit(240)]
)
def test_a_view_of_some_attributes_does_not_hide_who_gave_a_label(labelled_items, hide):
    dataset = labelled_items.dataset
    review_labels(dataset, "auto_label", status="all", force=True, progress=False)

    labels = read_labels(hide(dataset), "ground_truth", reading=Reading(BoxSettings()))

    assert (labels.trusted.sum(), len(labels.labelled_indices)) == (120, 240)


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
