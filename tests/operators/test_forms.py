"""Forms: they are made from the settings, what is put in comes back as settings, and what cannot be run is not sent."""

from __future__ import annotations

from dataclasses import dataclass, fields
from types import SimpleNamespace

import fiftyone as fo
import pytest
from evenset import audit_labels, auto_label, delete_run, train_resnet
from evenset.models.settings import (
    GCN_SETTINGS,
    AuditSettings,
    AugmentSettings,
    AutoLabelSettings,
    BalanceSettings,
    BoxSettings,
    CheckSettings,
    CopySettings,
    ExportSettings,
    FilterSettings,
    GeneratorSettings,
    GraphSettings,
    ImageSettings,
    MistakeSettings,
    ResNetSettings,
    ReviewSettings,
    SamplingSettings,
    SplitSettings,
    TrainGeneratorSettings,
    setting,
    split,
)
from evenset.operators import compare_methods
from evenset.operators.display.wording import LABELS, setting_help, setting_label
from evenset.operators.forms import balance, target
from evenset.operators.forms.form import Form, build_form
from evenset.operators.forms.inputs import read_classes
from evenset.operators.forms.refill import form_values
from evenset.operators.forms.settings import ask_settings, next_round_lines, read_settings
from evenset.operators.tabs.run_details import describe_run
from evenset.workflows.runs import records


def of_samples(kinds):
    """Settings classes without that of boxes, whose lines are in test_box_forms.py."""
    return tuple(kind for kind in kinds if kind is not BoxSettings)


FORMS = {
    "check_dataset": (CheckSettings,),
    "preprocess_images": (ImageSettings, CopySettings),
    "train_resnet": (ImageSettings, ResNetSettings),
    "train_gcn": of_samples(GCN_SETTINGS["samples"]),
    "auto_label": (ImageSettings, ResNetSettings, AutoLabelSettings),
    "review_labels": (ReviewSettings,),
    "audit_labels": (AuditSettings,),
    "train_generator": (ImageSettings, GeneratorSettings, TrainGeneratorSettings),
    "balance_classes": (ImageSettings, GeneratorSettings, SamplingSettings, FilterSettings, BalanceSettings),
    "find_mistakes": (ImageSettings, ResNetSettings, GraphSettings, MistakeSettings),
    "split_dataset": (SplitSettings,),
    "export_dataset": (ExportSettings,),
}
MORE = (  # choices with which all settings apply, each in one of these forms at least
    dict(more=True),
    dict(more=True, denoise="median", format="jpeg", adversarial=True, mix="both"),
    dict(more=True, text_encoder="some/model", filter_text_encoder="some/model", classes="cat, dog"),
    dict(more=True, embeddings="vector"),
)
TOGETHER = {"split_dataset": dict(train=0.5, val=0.3, test=0.2)}  # values that depend on one another


@pytest.fixture(scope="module")
def labelled(database):
    """A data set with suggestions, so that every form can be made."""
    import numpy as np

    dataset, rng = fo.Dataset("labelled-for-forms", persistent=True), np.random.default_rng(0)
    for number in range(200):
        vector = rng.normal(8 * np.eye(3)[number % 3], 1.0)
        label = fo.Classification(label=f"class {number % 3}") if number < 120 else None
        dataset.add_sample(fo.Sample(filepath=f"/nowhere/{number}.png", ground_truth=label, vector=vector))
    auto_label(dataset, "ground_truth", embeddings="vector", target_precision=0.9, progress=False)
    yield dataset
    dataset.delete()


@dataclass(frozen=True)
class OptionalSettings:
    """Settings of which None is a value; one has another default."""

    pca_dim: int | None = setting(None, "directions", kind=int, empty="no reduction", low=1, high=4096)
    max_ratio: float | None = setting(3.0, "synthetic for a real one", empty="no cap", low=0.0, high=10.0)


def asked_of(lines):
    """The names of the lines that ask for something, without headings."""
    return [name for name, line in lines.items() if line["type"]["name"] != "Void" and not name.startswith("section_")]


def another(item):
    """A value that a setting may take, and that is not its default."""
    default, notes = item.default, item.metadata
    if notes["choices"]:
        return next(choice for choice in notes["choices"] if choice != default)
    if default is None:
        return True if notes["kind"] is bool else notes["high"]
    if isinstance(default, bool):
        return not default
    if isinstance(default, str):
        return f"{default}."
    if isinstance(default, int):
        return default + 1
    return (default + (default + 1 if notes["high"] is None else notes["high"])) / 2


@pytest.mark.parametrize("operator", FORMS)
def test_a_form_shows_every_setting_with_its_default_and_its_help(app, labelled, operator):
    lines = {name: line for params in MORE[::-1] for name, line in app.form(labelled, operator, params).items()}

    for kind in FORMS[operator]:
        for item in fields(kind):
            if item.name == "filter_augmented":  # of augmented images
                assert item.name not in lines and item.name in app.form(labelled, operator, {"source": "augment"})
                continue
            line = lines[item.name]
            assert line["default"] == item.default
            assert line["view"]["label"] == setting_label(item)
            assert line["view"]["description"] == setting_help(item)
            if item.metadata["choices"]:
                assert tuple(choice["value"] for choice in line["view"]["choices"]) == item.metadata["choices"]


def test_train_gcn_shows_the_settings_of_the_graph_that_is_chosen(app, labelled):
    def asked(**params):
        lines = app.form(labelled, "train_gcn", params)
        assert not any(line["required"] or line["invalid"] for line in lines.values())
        return asked_of(lines)

    usual = ["graph", "view_target", "label_field", "output_field"]
    assert asked() == asked(graph="samples") == [*usual, "embeddings", "wait"]
    patches = ["heatmap_field", "nodes", "aggregation", "architecture", "weights", "epochs", "augmentation"]
    assert asked(graph="image") == [*usual, *patches, "wait"]
    superpixels = dict(graph="image", nodes="superpixels")
    assert asked(**superpixels) == [*usual, "heatmap_field", "nodes", "aggregation", "wait"]
    conditional = dict(more=True, denoise="median", adversarial=True, mix="both")
    for graph, kinds in GCN_SETTINGS.items():
        shown = {*asked(graph=graph, **conditional), *asked(**{**superpixels, "graph": graph}, **conditional)}
        assert {item.name for kind in of_samples(kinds) for item in fields(kind)} <= shown


def test_auto_label_asks_for_little(app, labelled):
    lines = app.form(labelled, "auto_label")

    usual = ["view_target", "label_field", "output_field"]
    assert asked_of(lines) == [*usual, "target_precision", "random_labels", "members", "wait"]
    assert lines["label_field"]["default"] == "ground_truth"
    assert lines["output_field"]["view"]["placeholder"] == "auto_label_2 (default)"  # `labelled` has the first
    assert lines["target_precision"]["view"]["placeholder"] == "0.95 (default)"
    assert not any(line["required"] or line["invalid"] for line in lines.values())


def test_what_a_run_takes_and_can_reach_stands_above_the_settings(app, labelled):
    names = list(app.form(labelled, "auto_label"))
    head = names[: names.index("output_field")]
    assert any(name.startswith("note Takes about") for name in head)
    assert names.index("label_field") < names.index(next(name for name in head if name.startswith("note Takes about")))
    lines = app.form(labelled, "auto_label", dict(target_precision=0.999))
    (warning,) = [line["view"]["label"] for line in lines.values() if "can be accepted" in str(line["view"]["label"])]
    assert warning.startswith("A target of 99.9 % takes 2,302 held-out labels")
    assert not any("can be accepted" in str(line) for line in app.form(labelled, "auto_label", dict(alpha=7)).values())


@pytest.mark.parametrize("operator", FORMS)
def test_what_is_put_in_comes_back_as_the_same_settings(operator):
    kinds = FORMS[operator]
    put_in = {item.name: another(item) for kind in kinds for item in fields(kind)} | TOGETHER.get(operator, {})

    given = read_settings(SimpleNamespace(params=put_in), *kinds)

    assert given == put_in
    for settings in split(given, *kinds):
        for item in fields(settings):
            assert getattr(settings, item.name) == put_in[item.name] != item.default
    emptied = {item.name: "" for kind in kinds for item in fields(kind) if not item.metadata["empty"]}
    assert read_settings(SimpleNamespace(params=emptied), *kinds) == {}  # the defaults


def test_a_switch_that_may_be_empty_is_read_by_its_words():
    def read(value):
        return read_settings(SimpleNamespace(params={"measure_benefit": value}), BalanceSettings)

    assert [read(value) for value in ("on", "off", "")] == [{"measure_benefit": value} for value in (True, False, None)]


def test_a_form_of_augmented_images_has_their_settings_and_none_of_a_generator(app, labelled):
    lines = app.form(labelled, "balance_classes", {"source": "augment", "more": True})

    assert {item.name for item in fields(AugmentSettings)} <= set(lines)
    assert not {"minutes", "max_updates", "guidance", "generator", "generate_from_few"} & set(lines)


def lines_of(**params):
    form = Form(SimpleNamespace(params=params), "Run")
    ask_settings(form, OptionalSettings)
    return form.lines.properties


def test_a_setting_that_may_be_none_is_an_empty_box_whose_help_says_what_that_means():
    lines = lines_of()

    assert [line.default for line in lines.values()] == [None, 3.0]
    assert lines["pca_dim"].view.description == "Directions; empty: no reduction"
    assert [line.view.placeholder for line in lines.values()] == ["no reduction", "no cap"]
    assert not any(line.invalid for line in lines.values())
    assert lines_of(max_ratio=None)["max_ratio"].default is None  # the App would fill a default into an empty box
    assert lines_of(max_ratio=99.0)["max_ratio"].invalid and lines_of(pca_dim=0)["pca_dim"].invalid


@pytest.mark.parametrize(
    ("params", "values"),
    [
        ({}, {}),
        (dict(pca_dim=None, max_ratio=None), dict(pca_dim=None, max_ratio=None)),
        (dict(pca_dim="", max_ratio=2), dict(pca_dim=None, max_ratio=2)),
    ],
)
def test_an_emptied_box_is_none_and_a_line_that_was_not_shown_has_its_default(params, values):
    assert read_settings(SimpleNamespace(params=params), OptionalSettings) == values


def test_a_form_is_filled_in_with_a_setting_that_was_none():
    values = form_values(records.RunRecord("a", "b", dict(max_ratio=None, pca_dim=8), dict(run=None), 9, "done", 0.0))

    assert (values["max_ratio"], values["pca_dim"]) == (None, 8) and "run" not in values
    assert lines_of(**values)["max_ratio"].default is None


@pytest.mark.parametrize("operator", FORMS)
def test_a_value_out_of_range_is_marked_on_its_line(app, labelled, operator):
    items = [item for kind in FORMS[operator] for item in fields(kind)]
    for end, step in (("low", -1), ("high", 1)):
        wrong = {item.name: item.metadata[end] + step for item in items if item.metadata[end] is not None}
        lines = app.form(labelled, operator, {"more": True, **wrong})
        for name in wrong:
            assert lines[name]["invalid"] and LABELS.get(name, name).lower() in lines[name]["error_message"].lower()
            break  # one of each class: the rest is models/settings' own test


def test_a_field_that_is_there_is_not_offered_and_not_taken(app, labelled):
    assert app.form(labelled, "auto_label")["output_field"]["default"] == "auto_label_2"

    line = app.form(labelled, "auto_label", {"output_field": "ground_truth"})["output_field"]

    assert line["invalid"] and line["error_message"] == "The field 'ground_truth' exists: choose another name"


@pytest.mark.parametrize(
    ("name", "reason"), [("$x", "a letter first"), ("a.b", "a letter first"), ("save", "for itself")]
)
def test_a_name_that_no_field_can_have_is_marked(app, labelled, name, reason):
    line = app.form(labelled, "auto_label", {"output_field": name})["output_field"]

    assert (
        line["invalid"] and reason in line["error_message"] and line["error_message"].startswith(f"The field {name!r}")
    )


def refusals(lines):
    return [line["error_message"] for name, line in lines.items() if name.startswith("refused") and line["invalid"]]


def test_settings_that_do_not_go_together_are_refused_until_one_is_changed(app, labelled):
    (reason,) = refusals(app.form(labelled, "train_generator", dict(minutes=None)))
    assert reason.startswith("training without a limit never ends")
    assert not refusals(app.form(labelled, "train_generator", dict(minutes=None, max_updates=9)))


def test_a_form_that_cannot_be_sent_says_why(app, make_dataset, clusters):
    empty, bare, unlabelled = make_dataset([]), make_dataset(["/nowhere/1.png"]), clusters(labelled=0)

    assert refusals(app.form(empty, "auto_label"))[0] == f"{empty.name!r} is empty"
    assert "has no field of fo.Classification" in refusals(app.form(bare, "train_resnet"))[0]
    first = "no sample has a label in 'ground_truth': label a few of each class first"
    assert refusals(app.form(unlabelled, "train_resnet")) == [first]
    assert refusals(app.form(unlabelled, "auto_label"))[0].startswith(f"{first}, two at least, or give 'Text encoder'")
    assert "or give 'Text encoder' and" in refusals(app.form(bare, "auto_label"))[0]
    for operator in ("review_labels", "audit_labels"):
        assert refusals(app.form(bare, operator)) == ["there are no suggestions yet: run Auto-label first"]
    assert refusals(app.form(bare, "delete_run")) == ["there are no Evenset runs"]
    assert refusals(app.form(bare, "stop_run")) == ["no Evenset run is running"]
    assert refusals(app.form(bare, "resume_run")) == ["no Evenset run is stopped or failed"]


def test_names_and_a_text_encoder_take_the_place_of_labels(app, make_dataset, clusters):
    for dataset in (clusters(labelled=0), make_dataset(["/nowhere/1.png"])):
        lines = app.form(dataset, "auto_label", {"text_encoder": "some/model"})
        assert not refusals(lines) and lines["label_field"]["default"] == "ground_truth"
        assert lines["classes"]["invalid"] and "Name the classes" in lines["classes"]["error_message"]
        lines = app.form(dataset, "auto_label", {"text_encoder": "some/model", "classes": "cat, dog", "more": True})
        assert not any(line["required"] or line["invalid"] for line in lines.values())


def test_a_next_round_starts_from_the_settings_of_the_run_that_it_follows(app, labelled):
    after, line = "evenset_auto_label_1", "target_precision_after_evenset_auto_label_1"
    lines = app.form(labelled, "auto_label", {"more": True, "after": after, "target_precision": 0.95})

    assert lines[line]["default"] == 0.9 and lines[line]["view"]["label"] == "Target precision"
    assert "target_precision" not in lines
    params = {"after": after, "target_precision": 0.95, line: 0.8, f"text_encoder_after_{after}": ""}
    lines = next_round_lines(after)
    assert read_settings(SimpleNamespace(params=params), AutoLabelSettings, lines=lines) == dict(
        target_precision=0.8, text_encoder=None
    )
    inputs, settings = dict(after=after), dict(target_precision=0.85)
    record = records.RunRecord("evenset_auto_label_2", "auto_label", settings, inputs, 9, "done", 0.0)
    assert form_values(record)[line] == 0.85


def test_a_view_narrows_what_the_form_counts(app, labelled):
    unlabelled = labelled.exists("ground_truth", False)

    assert "note 120 of 200 samples are labelled" in app.form(labelled, "auto_label")
    assert refusals(app.form(labelled, "auto_label", samples=unlabelled))


@pytest.mark.parametrize("text", ["cat, , dog", "cat =", "= cat"])
def test_classes_with_a_name_missing_are_marked(app, labelled, text):
    line = app.form(labelled, "auto_label", {"more": True, "classes": text})["classes"]

    assert line["invalid"] and "name is missing" in line["error_message"]


def test_classes_are_read_with_their_synonyms():
    def read(text):
        return read_classes(SimpleNamespace(params={"classes": text}))

    assert read("cat = kitten = puss, dog") == {"cat": ["kitten", "puss"], "dog": []}
    assert read("cat, dog") == ["cat", "dog"]
    assert read("") is None


@pytest.fixture(scope="module")
def many(database):
    """Four samples of each of 62 classes, and one of each of three whose names come last."""
    names = [f"a{number:02d}" for number in range(62) for _ in range(4)] + ["<b>z</b>", "z1", "z2"]
    dataset = fo.Dataset("many-for-forms", persistent=True)
    labels = [fo.Classification(label=name) for name in names]
    samples = [fo.Sample(filepath=f"/nowhere/{n}.png", ground_truth=label) for n, label in enumerate(labels)]
    dataset.add_samples(samples, progress=False)
    yield dataset
    dataset.delete()


@pytest.mark.parametrize("operator", ["balance_classes", "compare_methods"])
def test_a_plan_shows_what_gets_images_and_says_what_it_leaves_out(app, many, operator):
    lines = app.form(many, operator, dict(task="generation", generate_from_few=True))

    bars = lines["plan"]["view"]["data"]
    assert bars[0]["x"][:4] == ["&lt;b&gt;z&lt;/b&gt;", "z1", "z2", "a00"] and len(bars[0]["x"]) == balance.MAX_BARS
    (text,) = [line["view"]["text"] for line in lines.values() if line["view"].get("component") == "EvensetTable"]
    heading, _, first, *others = text.splitlines()
    assert heading.split() == ["class", "real", "synthetic", "to", "add", "after"]
    assert first.split() == ["<b>z</b>", "1", "0", "3", "4"] and len(others) == balance.MAX_BARS - 1
    assert "note 5 more classes, which get no more than these, are not shown" in lines


@pytest.mark.parametrize("number", ["", None, 2.5, -5, "many", True])
def test_a_target_that_is_no_number_of_images_is_marked_and_the_form_stays_whole(app, labelled, number):
    params = dict(target="number", target_number=number)
    lines = app.form(labelled, "balance_classes", params)

    marked = [name for name, line in lines.items() if line["invalid"]]
    assert marked == ["target_number"] and "whole number of images" in lines["target_number"]["error_message"]
    assert {"max_ratio", "source", "minutes", "wait"} <= set(lines)
    with pytest.raises(ValueError, match="whole number of images"):
        target.read_target(params)


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "as cat = 100, dog = 200"), ("a00 = some", "not 'a00 = some'"), ("bird = 9", "'bird', which is no")],
)
def test_numbers_of_many_classes_that_cannot_be_are_marked(app, many, text, said):
    lines = app.form(many, "balance_classes", dict(target="each", target_each=text))

    assert [name for name, line in lines.items() if line["invalid"]] == ["target_each"]
    assert said in lines["target_each"]["error_message"] and "plan" not in lines and "wait" in lines


def test_the_numbers_of_the_classes_start_from_the_plan(app, labelled, many):
    start = dict.fromkeys((f"class {i}" for i in range(3)), 40)
    lines = app.form(labelled, "balance_classes", dict(target="each"))
    boxes = {line["view"]["label"]: line for name, line in lines.items() if name.startswith("images_of")}
    assert {label: line["default"] for label, line in boxes.items()} == {f"Images of {name}": 40 for name in start}

    text = app.form(many, "balance_classes", dict(target="each"))["target_each"]["default"]
    assert text.startswith("<b>z</b> = 4, a00 = 4, ") and text.endswith("z1 = 4, z2 = 4")


@pytest.mark.parametrize("is_text", [False, True])
def test_a_number_for_each_class_is_planned_and_read(app, labelled, is_text):
    own = dict(target_each="class 0 = 90") if is_text else {target.box_of("class 0"): 90}
    params = dict(target="each", max_ratio=None, **own)
    lines = app.form(labelled, "balance_classes", params)

    assert "note 50 synthetic images would be added" in lines  # each class has 40
    usual = target.usual_plan(params, labelled, "ground_truth", None)
    assert target.read_target(params, usual) == {"class 0": 90, "class 1": 40, "class 2": 40}
    assert target.read_target(dict(target="each", target_each="class 0 = 90")) == {"class 0": 90}


@pytest.mark.parametrize("number", ["", 2.5, -5])
def test_a_number_of_a_class_that_cannot_be_is_marked_on_its_line(app, labelled, number):
    box = target.box_of("class 1")
    lines = app.form(labelled, "balance_classes", {"target": "each", box: number})

    assert [name for name, line in lines.items() if line["invalid"]] == [box] and "plan" not in lines
    assert "'class 1'" in lines[box]["error_message"]


def test_only_the_two_rarest_classes_are_filled(app, make_dataset):
    dataset = make_dataset(
        [f"/nowhere/{i}.png" for i in range(66)], [*("a" * 30), *("b" * 20), *("c" * 12), *("d" * 4)]
    )
    params = dict(target="rarest", max_ratio=None, source="augment")
    lines = app.form(dataset, "balance_classes", params)

    assert "note 44 synthetic images would be added" in lines
    usual = target.usual_plan(params, dataset, "ground_truth", None)
    assert target.read_target(params, usual) == {"d": 30, "c": 30}


@pytest.mark.parametrize("ratio", [-1, "much"])
def test_a_ratio_that_cannot_be_is_marked_on_its_own_line(app, labelled, ratio):
    lines = app.form(labelled, "balance_classes", dict(max_ratio=ratio))

    assert [name for name, line in lines.items() if line["invalid"]] == ["max_ratio"] and "wait" in lines


@pytest.mark.parametrize(("value", "is_said"), [(None, True), ("false", True), ("true", False)])
def test_a_form_says_how_work_is_scheduled_where_the_server_does_not_allow_it(monkeypatch, value, is_said):
    from fiftyone.core.config import load_config

    name = "FIFTYONE_ALLOW_LEGACY_ORCHESTRATORS"
    monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(fo, "config", load_config())
    form = Form(SimpleNamespace(params={}), "Run")

    form.ask_to_wait()

    said = form.lines.properties["wait"].view.description
    assert (f"{name}=true" in said) is is_said


def test_a_form_of_quick_work_says_it_among_the_rest(monkeypatch):
    def said(allowed, **params):
        monkeypatch.setattr(fo.config, "allow_legacy_orchestrators", allowed)
        context = SimpleNamespace(params=params, dataset="any")
        form = build_form(context, "Audit", "Draw", lambda form: form.section("Computation", "Seeds"))
        return "ALLOW_LEGACY_ORCHESTRATORS=true" in str(form.to_json())

    assert said(False, more=True)
    assert not said(False) and not said(True, more=True)


def test_a_comparison_is_filled_in_with_its_methods_and_their_network(clusters):
    dataset = clusters()
    row = dict(epochs=3, learning_rate=0.02)
    inputs = dict(label_field="ground_truth", methods=[])
    config = records.RunRecord("evenset_compare_methods_1", "compare_methods", dict(seeds=2), inputs, 240, "done", 0.0)
    rows = [dict(name=name, method=name, **row) for name in ("resnet", "ensemble")] + [dict(name="gcn", method="gcn")]
    config.inputs["settings_of"] = rows

    params = form_values(config)

    context = SimpleNamespace(
        params=params, selected=[], request_params={}, dataset=dataset, target_view=lambda: dataset
    )
    _, arguments = compare_methods.read_arguments(context)
    assert arguments["methods"] == ["resnet", "gcn", "ensemble"] and arguments["seeds"] == 2
    assert arguments["settings_of"] == dict.fromkeys(("resnet", "ensemble"), row)
    assert "not_in_form" not in params


def test_what_no_form_holds_of_a_comparison_is_named():
    rows = [
        dict(name="resnet", method="resnet", epochs=3),
        dict(name="image gcn", method="image gcn", epochs=4),
        dict(name="long", method="resnet", epochs=90),
        dict(name="gcn", method="gcn", hidden_channels=8),
        dict(name="laplace", method="laplace"),
    ]
    params = form_values(records.RunRecord("a", "compare_methods", {}, dict(settings_of=rows), 9, "done", 0.0))

    assert params["not_in_form"] == "the settings of 'image gcn', the settings of 'long', the settings of 'gcn'"
    ticked = {name for name, value in params.items() if name.startswith("use_") and value}
    assert ticked == {"use_resnet", "use_image_gcn", "use_gcn", "use_laplace"} and params["epochs"] == 3


@pytest.mark.slow
def test_named_parts_of_a_run_are_filled_in_again(digits):
    dataset = digits(60, labelled=60)
    for tag, part in (("val", dataset[:10]), ("exam", dataset[10:20])):
        part.tag_samples(tag)
    named = dict(validation="val", test=dataset.match_tags("exam"))
    settings = dict(epochs=1, min_updates=1, weights="none", progress=False)
    done = train_resnet(dataset, "ground_truth", **named, **settings)

    config = records.read_record(dataset, done.run_key)
    params = form_values(config)

    assert params["validation"] == "val" and "test" not in params and params["not_in_form"] == "the view of test"
    assert describe_run(dataset, done.run_key)["settings"]["test"] == "a view"
    assert not {"validation", "test"} & set(config.inputs)  # of a resumed run they are in its folder


def test_a_choice_can_be_taken_back(app, labelled):
    for operator, name, said in (("review_labels", "class", "all"), ("auto_label", "group_field", "none")):
        first = app.form(labelled, operator, dict(more=True))[name]["view"]["choices"][0]
        assert (first["value"], first["label"]) == ("", said)

    def button(chosen):
        params = {"class": chosen, "status": "all", "field": "auto_label"}
        return app.ask("resolve-type", labelled, "review_labels", params)[0]["view"]["submit_button_label"]

    assert button("") == button(None) == "Accept 80 suggestions" != button("class 1")


def test_what_is_up_for_review_is_accepted_by_a_tick_at_seen_or_at_force(app, labelled):
    params = dict(field="auto_label", status="all")

    def refusals(**more):
        return [name for name in app.form(labelled, "review_labels", {**params, **more}) if name.startswith("refused")]

    ids = labelled.match({"auto_label.status": "accepted"}).limit(2).values("id")
    labelled.set_values("auto_label.status", dict.fromkeys(ids, "review"), key_field="id")
    try:
        (sentence,) = refusals()
        assert "up for review" in sentence and "'Seen'" in sentence and "'Force'" in sentence
        assert refusals(seen=True) == refusals(force=True) == refusals(status="accepted") == []
    finally:
        labelled.set_values("auto_label.status", dict.fromkeys(ids, "accepted"), key_field="id")


def test_an_audit_is_reviewed_on_the_samples_that_it_drew(app, labelled):
    drawn = audit_labels(labelled, "auto_label", size=5, progress=False)
    params = dict(field="auto_label", status="all", audit=True, seen=True, saved_view=drawn.views["audit"])
    try:
        for seen, action, is_refused in ((False, "accept", True), (False, "reject", False), (True, "accept", False)):
            lines = app.form(labelled, "review_labels", {**params, "seen": seen, "action": action})
            assert lines["seen"]["invalid"] == is_refused
        form = app.ask("resolve-type", labelled, "review_labels", params)[0]
        assert form["view"]["submit_button_label"] == "Accept 5 suggestions"
        assert form["type"]["properties"]["same_view"]["view"]["label"] == "On the view auto_label: audit"
        selected = labelled.match({"ground_truth.label": None}).values("id")[:2]
        form = app.ask("resolve-type", labelled, "review_labels", params, selected=selected)[0]
    finally:
        delete_run(labelled, drawn.run_key)
    lines = app.form(labelled, "review_labels", params)
    assert any(name.startswith("refused the view 'auto_label: audit' was deleted") for name in lines)


def test_a_form_that_is_filled_in_says_what_is_not_as_it_was(app, labelled):
    key, inputs = "evenset_balance_classes_1", dict(label_field="ground_truth")
    config = records.RunRecord(key, "balance_classes", {}, inputs, 100, "done", 0.0)
    said = app.form(labelled, "balance_classes", {**form_values(config), "not_in_form": "the rest"})

    assert "note Not filled in, because this form has no line for it: the rest" in said
    assert any(name.startswith("note That run worked on 100 samples; 200 are chosen now") for name in said)
    config = records.RunRecord(key, "balance_classes", {}, dict(inputs, target=90.0), 200, "done", 0.0)
    lines = app.form(labelled, "balance_classes", form_values(config))
    assert "target_number" in lines and not any(name.startswith(("note That", "note Not")) for name in lines)


def test_the_estimate_of_a_comparison_follows_the_checkboxes(app, labelled):
    def seconds(**params):
        lines = app.form(labelled, "compare_methods", params)
        number, unit = next(name.split()[3:5] for name in lines if name.startswith("note Takes about"))
        return float(number.replace("a", "1")) * (1 if unit.startswith("second") else 60)

    ticks = dict.fromkeys(compare_methods.CHECKBOXES.values(), False)
    assert seconds(**{**ticks, "use_laplace": True}) < seconds() / 2
